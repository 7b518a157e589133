/**
 * The verification of an RFC 9068 access token: jose behind a wrapper that leaves nothing optional. By itself jose
 * takes tokens without expiry, of any audience and kind, and from the future.
 */
import { jwtVerify } from 'jose';
import type { JWTVerifyGetKey } from 'jose';

import { invalid } from './auth.ts';
import type { Claims } from './auth.ts';
import { GuardError, isError, isGuardError } from './errors.ts';

/** Three parts of base64url: no JSON form, no encryption, no missing signature. */
const COMPACT = /^[\w-]+\.[\w-]+\.[\w-]+$/;
const LEEWAY_SECONDS = 30;
const MAX_AHEAD_SECONDS = 60;
const REQUIRED = ['iss', 'aud', 'sub', 'client_id', 'jti', 'iat', 'exp'];

interface JwtOptions {
  readonly issuer: string;
  readonly audiences: readonly string[];
  readonly algorithms: readonly string[];
  readonly findKey: JWTVerifyGetKey;
  readonly now: () => number;
}

export type VerifyJwt = (token: string) => Promise<Claims>;

/** True for what only a JWT can be; opaque tokens and API keys hold no dot. */
export const looksLikeJwt = (token: string): boolean => token.includes('.');

/** Gives the claims of a token that is good now; throws a GuardError otherwise. */
export function createJwtVerifier({ issuer, audiences, algorithms, findKey, now }: JwtOptions): VerifyJwt {
  return async (token) => {
    if (!COMPACT.test(token)) throw invalid('This is no access token.');
    const currentDate = new Date(now() * 1000);
    try {
      const { payload } = await jwtVerify(token, findKey, {
        issuer,
        audience: [...audiences],
        typ: 'at+jwt',
        algorithms: [...algorithms],
        requiredClaims: REQUIRED,
        clockTolerance: LEEWAY_SECONDS,
        currentDate,
      });
      assertClaims(payload, now());
      return payload;
    } catch (error) {
      throw translate(error);
    }
  };
}

function assertClaims(
  { iat = 0, client_id: clientId, cnf }: Claims & { readonly iat?: number },
  now: number,
): void {
  if (iat > now + MAX_AHEAD_SECONDS) throw invalid('The token was issued in the future.');
  if (typeof clientId !== 'string') throw invalid('The token names no client.');
  assertUnbound(cnf);
}

/** A token bound to a key (RFC 7800 3.1) proves nothing without the proof of that key, which a bearer does not bring. */
export function assertUnbound(cnf: unknown): void {
  if (cnf !== undefined) throw invalid('The token is bound to a key and is no bearer token.');
}

/** jose's errors speak of the token; whatever else is thrown is no fault of its bearer. */
export function translate(error: unknown): unknown {
  if (isGuardError(error) || !isError(error) || !('code' in error)) return error;
  if (error.code === 'ERR_JWT_EXPIRED') {
    return new GuardError('ERR_GUARD_TOKEN_EXPIRED', 'The token has expired.', { cause: error });
  }
  return String(error.code).startsWith('ERR_J')
    ? invalid('This is no access token of the issuer for this audience.', error)
    : error;
}
