/**
 * Enrolment of a node, which makes its own key and registers the public half by a code of one use, and the rotation of
 * that key. Whatever happens in between, the next call goes on with the same key: none is lost that the server knows.
 */
import { assertSecure } from '../guard/address.ts';
import { ask, surroundings } from './ask.ts';
import type { Answer, Question, Surroundings } from './ask.ts';
import { VpnClientError } from './errors.ts';
import { assertNoKey, prepareNodeKey, readNodeKey } from './node-key.ts';
import type { NodeAlgorithm, NodeKey, WaitingKey } from './node-key.ts';
import { signKeyProof, signRotation } from './signed.ts';

interface KeyOptions extends Partial<Surroundings> {
  /** The server, as its discovery document names it. */
  readonly issuer: string;
  /** Where the key is, or will be: a JWK, mode 0600. `FILE.next` beside it is a key that the server does not know yet. */
  readonly privateKeyFile: string;
  /** Ends the request, and whatever wait is between its attempts. */
  readonly signal?: AbortSignal | undefined;
}

export interface EnrolOptions extends KeyOptions {
  /** What `portcullis vpn-nodes enrol` printed. */
  readonly code: string;
  /** ES256, if left out. */
  readonly algorithm?: NodeAlgorithm | undefined;
  /** `/vpn/enrol` of the issuer, if left out. */
  readonly enrolUrl?: URL | undefined;
}

export interface RotateKeyOptions extends KeyOptions {
  readonly clientId: string;
  /** That of the present key, if left out. */
  readonly algorithm?: NodeAlgorithm | undefined;
  /** `/vpn/keys` of the issuer, if left out. */
  readonly keysUrl?: URL | undefined;
}

/** What the server knows of the node now. */
export interface NodeKeys {
  readonly clientId: string;
  /** Of the key in the file. */
  readonly kid: string;
  /** All that authenticate the node, the newest first; `expiresAt` in Unix seconds, null: does not expire. */
  readonly keys: readonly { readonly kid: string; readonly expiresAt: number | null }[];
}

/**
 * Makes a key, registers it, and keeps it in a new file. Rejects with a VpnClientError: `ERR_VPN_NODE_REFUSED` where the
 * code is not good, `ERR_VPN_UNAVAILABLE` where nobody answered, after which the same call goes on.
 */
export async function enrol(options: EnrolOptions): Promise<NodeKeys> {
  const { code, issuer, privateKeyFile, algorithm = 'ES256', enrolUrl, signal } = options;
  const url = addressOf(issuer, '/vpn/enrol', enrolUrl);
  await assertNoKey(privateKeyFile);
  const world = surroundings(options);
  const waiting = await prepareNodeKey(privateKeyFile, algorithm);
  const question = async (): Promise<Question> => {
    const proof = await signKeyProof(waiting.key, code, { issuer, now: world.now });
    return { url, headers: JSON_BODY, body: JSON.stringify({ code, proof }) };
  };
  return kept(await ask(question, world, signal), waiting, 'new', url);
}

/**
 * Makes another key, which the present one asks for; from then on it is the one in the file. The old one goes on for as
 * long as the server lets it, so that requests under way end well. Rejects as `enrol`; a call that failed is repeated.
 */
export async function rotateKey(options: RotateKeyOptions): Promise<NodeKeys> {
  const { clientId, issuer, privateKeyFile, keysUrl, signal } = options;
  const url = addressOf(issuer, '/vpn/keys', keysUrl);
  const present = await readNodeKey(privateKeyFile);
  const world = surroundings(options);
  const waiting = await prepareNodeKey(privateKeyFile, options.algorithm ?? present.alg);
  const signing = { issuer, now: world.now };
  const askBy = (signer: NodeKey): Promise<Answer> => {
    const question = async (): Promise<Question> => {
      const request = await signRotation(signer, waiting.key, clientId, signing);
      const body = JSON.stringify({ proof: await signKeyProof(waiting.key, request, signing) });
      return { url, headers: { ...JSON_BODY, authorization: `Bearer ${request}` }, body };
    };
    return ask(question, world, signal);
  };
  let answer = await askBy(present);
  // The server may have it since an attempt whose answer got lost, and the present key may have ended since.
  if (waiting.isOld && answer.kind === 'refused' && answer.status === 401) answer = await askBy(waiting.key);
  return kept(answer, waiting, 'replace', url);
}

const JSON_BODY = { accept: 'application/json', 'content-type': 'application/json' };

function addressOf(issuer: string, path: string, given: URL | undefined): URL {
  const url = given ?? new URL(path, issuer);
  assertSecure(url);
  return url;
}

/** Keeps the key where the server took it; throws for every other answer. */
async function kept(
  answer: Answer,
  waiting: WaitingKey,
  how: 'new' | 'replace',
  { href }: URL,
): Promise<NodeKeys> {
  switch (answer.kind) {
    case 'given': {
      const known = toNodeKeys(answer.body);
      if (known?.kid !== waiting.key.kid) throw strange(href, 200, new Error('it names another key'));
      await waiting.keep(how);
      return known;
    }
    case 'refused': {
      await waiting.discard();
      const { status, error, description } = answer;
      throw new VpnClientError('ERR_VPN_NODE_REFUSED', `${href} refuses: ${error} (${description}).`, {
        status,
        oauthError: error,
      });
    }
    case 'away': {
      const { status, retryAfterSeconds, cause } = answer;
      const message = `${href} cannot answer now${status === null ? '' : ` (${status})`}: try again in a moment.`;
      throw new VpnClientError('ERR_VPN_UNAVAILABLE', message, { status, retryAfterSeconds, cause });
    }
    case 'strange':
      throw strange(href, answer.status, answer.cause);
  }
}

const strange = (href: string, status: number, cause: unknown): VpnClientError =>
  new VpnClientError(
    'ERR_VPN_ANSWER_INVALID',
    `${href} does not answer as a Portcullis server does (${status}).`,
    {
      status,
      cause,
    },
  );

/** Null for whatever is no answer of the server. */
function toNodeKeys({ client_id: clientId, kid, keys }: Readonly<Record<string, unknown>>): NodeKeys | null {
  if (typeof clientId !== 'string' || typeof kid !== 'string' || !Array.isArray(keys)) return null;
  return { clientId, kid, keys: keys.map(toKey) };
}

function toKey(key: unknown): NodeKeys['keys'][number] {
  const { kid, expires_at: expiresAt } = (key ?? {}) as Readonly<Record<string, unknown>>; // of JSON
  return { kid: String(kid), expiresAt: typeof expiresAt === 'number' ? expiresAt : null };
}
