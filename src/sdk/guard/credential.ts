/** The credential of a request (RFC 6750 2.1): from the headers alone, never from a query or a body. */
import { invalid } from './auth.ts';
import { GuardError } from './errors.ts';

/** The headers of `node:http`. */
export type Headers = Readonly<Record<string, string | readonly string[] | undefined>>;

/** How every API key of Portcullis begins. */
const API_KEY_PREFIX = 'pcl_';
const MAX_CHARACTERS = 16 * 1024;
const BEARER = /^Bearer +([\w.~+/-]+=*)$/i;

/** True for an API key. */
export const isApiKey = (token: string): boolean => token.startsWith(API_KEY_PREFIX);

/** The token or API key; throws a GuardError where there is none, more than one, or one that cannot be any. */
export function readCredential(headers: Headers): string {
  const { authorization, 'x-api-key': apiKey } = headers;
  const isBearer = typeof authorization === 'string' && /^Bearer\b/i.test(authorization);
  if (apiKey !== undefined && isBearer) {
    throw new GuardError('ERR_GUARD_REQUEST_INVALID', 'Send either Authorization or X-API-Key, not both.');
  }
  if (typeof apiKey === 'string') return assertShort(isApiKey(apiKey) ? apiKey : undefined);
  if (!isBearer) {
    const message = 'Send an access token as: Authorization: Bearer TOKEN.';
    throw new GuardError('ERR_GUARD_TOKEN_MISSING', message);
  }
  return assertShort(BEARER.exec(authorization.slice(0, MAX_CHARACTERS + 1))?.[1]);
}

/** Throws for what is malformed or longer than any token of ours. */
export function assertShort(token: string | undefined): string {
  if (token === undefined || token.length > MAX_CHARACTERS) throw invalid('This is no access token.');
  return token;
}
