/**
 * The protected API: it takes access tokens that Portcullis made for it, and checks them by the published keys,
 * without asking the server about each (RFC 9068 4).
 */
import { createRemoteJWKSet, jwtVerify } from 'jose';
import type { JWTPayload } from 'jose';

import type { Answer, ExampleRequest } from '../listen.ts';

/** As clients.yaml declares them. */
export const API_RESOURCE = 'https://api.example.test';
export const API_SCOPE = 'greetings:read';
const API_AUDIENCE = 'example-api';

const CLOCK_TOLERANCE_SECONDS = 30;
const RETRY_AFTER_SECONDS = '2';
/** jose's codes for keys that could not be had; all its others speak of the token. */
const KEYS_AWAY: ReadonlySet<unknown> = new Set(['ERR_JWKS_TIMEOUT', 'ERR_JWKS_INVALID', 'ERR_JOSE_GENERIC']);

/** Answers `GET /api/greeting` for tokens of the issuer. */
export function createApi(issuer: string): (request: ExampleRequest) => Promise<Answer> {
  const jwks = createRemoteJWKSet(new URL('/jwks', issuer));
  const verify = async (token: string): Promise<JWTPayload> => {
    const { payload } = await jwtVerify(token, jwks, {
      issuer,
      audience: API_AUDIENCE,
      algorithms: ['RS256'],
      typ: 'at+jwt',
      requiredClaims: ['exp', 'iat', 'sub', 'client_id', 'scope'],
      clockTolerance: CLOCK_TOLERANCE_SECONDS,
    });
    return payload;
  };

  return async ({ headers }) => {
    const [, token] = /^Bearer ([\w.~+/-]+=*)$/i.exec(headers.authorization ?? '') ?? [];
    if (token === undefined) return refusal(401, 'Bearer', 'Send an access token.');
    try {
      return greet(await verify(token));
    } catch (error) {
      if (isAboutToken(error)) {
        return refusal(401, 'Bearer error="invalid_token"', 'This is no living access token for this API.');
      }
      // An outage is no reason to call a token bad: the app would throw it away.
      const away = json(503, { error: 'The keys of the issuer cannot be had just now.' });
      return { ...away, headers: { 'Retry-After': RETRY_AFTER_SECONDS } };
    }
  };
}

function greet({ sub, scope, client_id, exp = 0 }: JWTPayload): Answer {
  const scopes = typeof scope === 'string' ? scope.split(' ') : [];
  if (!scopes.includes(API_SCOPE)) {
    const challenge = `Bearer error="insufficient_scope", scope="${API_SCOPE}"`;
    return refusal(403, challenge, `This takes the scope ${API_SCOPE}.`);
  }
  return json(200, {
    greeting: `The API knows you as ${sub ?? ''}.`,
    sub,
    client_id,
    scope,
    token_expires_at: new Date(exp * 1000).toISOString(),
  });
}

const isAboutToken = (error: unknown): boolean =>
  Error.isError(error) && 'code' in error && isTokenCode(error.code);

const isTokenCode = (code: unknown): boolean => String(code).startsWith('ERR_J') && !KEYS_AWAY.has(code);

const refusal = (status: number, challenge: string, sentence: string): Answer => ({
  ...json(status, { error: sentence }),
  headers: { 'WWW-Authenticate': challenge },
});

const json = (status: number, body: object): Answer => ({
  status,
  type: 'application/json',
  body: JSON.stringify(body),
});
