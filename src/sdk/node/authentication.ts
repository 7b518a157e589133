/** How a node shows who it is at the token endpoint: by its secret, or by a key that the server knows the public half of. */
import { basic } from '../guard/introspection.ts';
import { readNodeKey } from './node-key.ts';
import { signAssertion } from './signed.ts';

const ASSERTION_TYPE = 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer';

/** One of both. */
export interface NodeCredential {
  readonly clientSecret?: string | undefined;
  /** The file that enrolment wrote. It is read at each request, so that a new key is used as soon as it is there. */
  readonly privateKeyFile?: string | undefined;
}

export interface NodeAuthenticationOptions extends NodeCredential {
  readonly clientId: string;
  /** The server, whom an assertion is for: with a key it is needed. */
  readonly issuer?: string | undefined;
  /** Unix seconds; the system's clock, if left out. */
  readonly now?: (() => number) | undefined;
}

/** What a token request has to have. An assertion is good once: each request asks anew. */
export interface NodeAuthentication {
  readonly headers: Readonly<Record<string, string>>;
  readonly parameters: Readonly<Record<string, string>>;
}

/**
 * Makes what authenticates requests of the node, also those of other libraries. It rejects with a VpnClientError where
 * the key cannot be read. Throws a TypeError for options that cannot work.
 */
export function createNodeAuthentication(
  options: NodeAuthenticationOptions,
): () => Promise<NodeAuthentication> {
  const { clientId, clientSecret, privateKeyFile: file, issuer, now = systemTime } = options;
  if (clientId === '') throw new TypeError('the node needs its id');
  if (isGiven(clientSecret) === isGiven(file)) {
    throw new TypeError('the node needs its secret or the file of its key, and not both');
  }
  if (clientSecret !== undefined && isGiven(clientSecret)) {
    const headers = { authorization: basic(clientId, clientSecret) };
    return async () => ({ headers, parameters: {} });
  }
  if (file === undefined || issuer === undefined) throw new TypeError('with a key the node needs the issuer');
  return async () => {
    const client_assertion = await signAssertion(await readNodeKey(file), clientId, { issuer, now });
    const parameters = { client_id: clientId, client_assertion_type: ASSERTION_TYPE, client_assertion };
    return { headers: {}, parameters };
  };
}

const isGiven = (text: string | undefined): boolean => text !== undefined && text !== '';

const systemTime = (): number => Math.floor(Date.now() / 1000);
