/**
 * The verification of an RFC 9068 access token, or of a customer's token: jose behind a wrapper that leaves nothing
 * optional. By itself jose takes tokens without expiry, of any audience and kind, and from the future.
 */
import { decodeProtectedHeader, jwtVerify } from 'jose';
import type { JWTVerifyGetKey } from 'jose';

import { invalid } from './auth.ts';
import type { Claims } from './auth.ts';
import { GuardError, isError, isGuardError } from './errors.ts';

/** Three parts of base64url: no JSON form, no encryption, no missing signature. */
const COMPACT = /^[\w-]+\.[\w-]+\.[\w-]+$/;
const LEEWAY_SECONDS = 30;
const MAX_AHEAD_SECONDS = 60;
const REQUIRED = ['iss', 'aud', 'sub', 'jti', 'iat', 'exp'];

/** What makes a JWT the kind that it is. */
interface JwtKind {
  readonly typ: string;
  readonly requiredClaims: readonly string[];
  /** Undefined: all that the guard takes. */
  readonly algorithm?: string;
  assertClaims(claims: Claims): void;
}

const ACCESS_TOKEN: JwtKind = {
  typ: 'at+jwt',
  requiredClaims: [...REQUIRED, 'client_id'],
  assertClaims: ({ client_id: clientId }) => {
    if (typeof clientId !== 'string') throw invalid('The token names no client.');
  },
};

/** An ID token for a client of the same id has that type, too, and perhaps these claims: it is of an account. */
const CUSTOMER_TOKEN: JwtKind = {
  typ: 'JWT',
  algorithm: 'ES256',
  requiredClaims: [...REQUIRED, 'username', 'customer_type', 'customer'],
  assertClaims: ({ sub, username, customer }) => {
    if (sub !== username || typeof customer !== 'object' || customer === null) {
      throw invalid('This is no token of a customer.');
    }
  },
};

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

/** True for a JWT of the type that tokens of customers have. */
export function looksLikeCustomerToken(token: string): boolean {
  try {
    return decodeProtectedHeader(token).typ === CUSTOMER_TOKEN.typ;
  } catch {
    return false;
  }
}

/** Gives the claims of an access token that is good now; throws a GuardError otherwise. */
export const createJwtVerifier = (options: JwtOptions): VerifyJwt => createVerifier(options, ACCESS_TOKEN);

/** The same for a token of a customer. */
export const createCustomerTokenVerifier = (options: JwtOptions): VerifyJwt =>
  createVerifier(options, CUSTOMER_TOKEN);

function createVerifier(
  { issuer, audiences, algorithms, findKey, now }: JwtOptions,
  { typ, requiredClaims, algorithm, assertClaims }: JwtKind,
): VerifyJwt {
  return async (token) => {
    if (!COMPACT.test(token)) throw invalid('This is no access token.');
    const currentDate = new Date(now() * 1000);
    try {
      const { payload } = await jwtVerify(token, findKey, {
        issuer,
        audience: [...audiences],
        typ,
        algorithms: algorithms.filter((it) => algorithm === undefined || it === algorithm),
        requiredClaims: [...requiredClaims],
        clockTolerance: LEEWAY_SECONDS,
        currentDate,
      });
      assertTimely(payload, now());
      assertUnbound(payload['cnf']);
      assertClaims(payload);
      return payload;
    } catch (error) {
      throw translate(error);
    }
  };
}

function assertTimely({ iat = 0 }: { readonly iat?: number }, now: number): void {
  if (iat > now + MAX_AHEAD_SECONDS) throw invalid('The token was issued in the future.');
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
