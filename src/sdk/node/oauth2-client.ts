/**
 * A node's requests to the server: its access token by `client_credentials` (RFC 6749 4.4), and the exchange of that for
 * the VPN JWT, for the node itself or on behalf of a person. It keeps nothing; the cache is `jwt-service.ts`.
 */
import { assertSecure } from '../guard/address.ts';
import { ask, surroundings } from './ask.ts';
import type { Answer, Question, Surroundings } from './ask.ts';
import { createNodeAuthentication } from './authentication.ts';
import type { NodeCredential } from './authentication.ts';
import { VpnClientError } from './errors.ts';

const COMPACT = /^[\w-]+\.[\w-]+\.[\w-]+$/;

/** What a client is made of, with a secret or a key; `readNodeSettings` gives all of it. */
export interface OAuth2ClientOptions extends NodeCredential, Partial<Surroundings> {
  readonly clientId: string;
  /** The server, whom the node's key signs for: with a key it is needed. */
  readonly issuer?: string | undefined;
  readonly tokenUrl: URL;
  readonly vpnAuthUrl: URL;
  readonly scope: string;
}

/** The person that the node acts for. */
export interface OnBehalf {
  /** A live ID token whose audience is this node, or an access token that this node got for the person. */
  readonly subjectToken?: string | undefined;
  /** What kind it is; `id_token`, if left out. */
  readonly subjectTokenType?: 'id_token' | 'access_token' | undefined;
}

interface Abortable {
  /** Ends the request, and whatever wait is between its attempts. */
  readonly signal?: AbortSignal | undefined;
}

/** Gets tokens. Every method rejects with a {@link VpnClientError}, or with the reason of its signal. */
export interface OAuth2Client {
  /** The node's access token. */
  getOAuth2Token(options?: Abortable): Promise<string>;
  /** The VPN JWT for an access token of the node. */
  getJwtToken(oauth2Token: string, options?: OnBehalf & Abortable): Promise<string>;
  /** Both steps. */
  getVpnJwtToken(options?: OnBehalf & Abortable): Promise<string>;
}

/** Makes a client. Nothing is fetched before the first call. Throws a TypeError for options that cannot work. */
export function createOAuth2Client(options: OAuth2ClientOptions): OAuth2Client {
  const { tokenUrl, vpnAuthUrl, scope } = options;
  assertSecure(tokenUrl);
  assertSecure(vpnAuthUrl);
  const world = surroundings(options);
  const authenticate = createNodeAuthentication({ ...options, now: world.now });

  const getOAuth2Token: OAuth2Client['getOAuth2Token'] = async ({ signal } = {}) => {
    const question = async (): Promise<Question> => {
      const { headers, parameters } = await authenticate();
      const body = new URLSearchParams({ grant_type: 'client_credentials', scope, ...parameters });
      return { url: tokenUrl, headers: { ...JSON_PLEASE, ...headers }, body };
    };
    const answer = await ask(question, world, signal);
    return tokenOf(answer, tokenUrl, () => true, 'ERR_VPN_NODE_REFUSED');
  };
  const getJwtToken: OAuth2Client['getJwtToken'] = async (oauth2Token, { signal, ...person } = {}) => {
    const question = exchangeOf(vpnAuthUrl, oauth2Token, person);
    const answer = await ask(async () => question, world, signal);
    const isPersons = person.subjectToken !== undefined && answer.kind === 'refused' && answer.status === 400;
    const refusal = isPersons ? 'ERR_VPN_SUBJECT_REFUSED' : 'ERR_VPN_NODE_REFUSED';
    return tokenOf(answer, vpnAuthUrl, (token) => COMPACT.test(token), refusal);
  };
  return {
    getOAuth2Token,
    getJwtToken,
    getVpnJwtToken: async (request = {}) =>
      getJwtToken(await getOAuth2Token({ signal: request.signal }), request),
  };
}

const JSON_PLEASE = { accept: 'application/json' };

/** RFC 8693 3: what kind of token a subject token is. */
const TOKEN_TYPE = 'urn:ietf:params:oauth:token-type:';

function exchangeOf(
  url: URL,
  oauth2Token: string,
  { subjectToken, subjectTokenType = 'id_token' }: OnBehalf,
): Question {
  const body =
    subjectToken === undefined
      ? {}
      : { subject_token: subjectToken, subject_token_type: TOKEN_TYPE + subjectTokenType };
  return {
    url,
    headers: {
      ...JSON_PLEASE,
      'content-type': 'application/json',
      authorization: `Bearer ${oauth2Token}`,
    },
    body: JSON.stringify(body),
  };
}

/** The token of an answer; throws for every other one. */
function tokenOf(
  answer: Answer,
  { href }: URL,
  isWellFormed: (token: string) => boolean,
  refusal: 'ERR_VPN_NODE_REFUSED' | 'ERR_VPN_SUBJECT_REFUSED',
): string {
  switch (answer.kind) {
    case 'given': {
      const { access_token: token, token_type: type } = answer.body;
      if (typeof token === 'string' && isWellFormed(token) && /^bearer$/i.test(String(type))) return token;
      throw strange(href, 200, new Error('the answer holds no such token'));
    }
    case 'refused': {
      const { status, error, description } = answer;
      const message = `${href} refuses: ${error}${description === '' ? '' : ` (${description})`}. ${hint(refusal)}`;
      throw new VpnClientError(refusal, message, { status, oauthError: error });
    }
    case 'away': {
      const { status, retryAfterSeconds, cause } = answer;
      const said = status === null ? 'cannot be reached' : `cannot answer now (${status})`;
      const message = `${href} ${said}: try again in a moment.`;
      throw new VpnClientError('ERR_VPN_UNAVAILABLE', message, { status, retryAfterSeconds, cause });
    }
    case 'strange':
      throw strange(href, answer.status, answer.cause);
  }
}

const strange = (href: string, status: number, cause: unknown): VpnClientError =>
  new VpnClientError(
    'ERR_VPN_ANSWER_INVALID',
    `${href} does not answer as a token endpoint does (${status}): check the address.`,
    { status, cause },
  );

const hint = (refusal: 'ERR_VPN_NODE_REFUSED' | 'ERR_VPN_SUBJECT_REFUSED'): string =>
  refusal === 'ERR_VPN_NODE_REFUSED'
    ? 'Check the node’s id, its secret or key, its scope, and that it is registered as a VPN node.'
    : 'The person signs in at this node again.';
