/**
 * Subject tokens (RFC 8693 2.1): whom a token stands for that a VPN node presents, if it was issued to that node and
 * what it was issued for still holds. A VPN JWT, and whatever was made for another client, stands for nobody here.
 */
import { createLocalJWKSet, errors as joseErrors, jwtVerify } from 'jose';
import type { JSONWebKeySet, JWTPayload } from 'jose';

import type { Account, ArtifactStore } from '../storage/port.ts';
import type { FindBearerToken } from './bearer-tokens.ts';
import type { FindActiveAccount } from './people.ts';
import type { Sessions } from './sessions.ts';
import { GRANT_CLAIM } from './structured-tokens.ts';

const MAX_TOKEN_CHARACTERS = 16 * 1024;
// The clocks of instances that share a store differ by less.
const MAX_SKEW_SECONDS = 30;

interface SubjectTokenOptions {
  readonly issuer: string;
  readonly jwks: JSONWebKeySet;
  readonly artifacts: Pick<ArtifactStore, 'find'>;
  readonly sessions: Pick<Sessions, 'holdGrant'>;
  readonly findBearerToken: FindBearerToken;
  readonly findAccount: FindActiveAccount;
  readonly now: () => number;
}

/** Gives null for whatever is not a live token of that kind, issued to that client for a person. */
export type FindSubject = (
  kind: 'id_token' | 'access_token',
  value: string,
  clientId: string,
) => Promise<Account | null>;

export function createFindSubject(options: SubjectTokenOptions): FindSubject {
  const verify = createIdTokenVerifier(options);
  return async (kind, value, clientId) => {
    if (value.length > MAX_TOKEN_CHARACTERS) return null;
    if (kind === 'access_token') return ofAccessToken(value, clientId, options);
    const claims = await verify(value, clientId);
    return claims === null ? null : ofIdToken(claims, clientId, options);
  };
}

/** An opaque one: a JWT is for the resource server that it names, and nobody else is to act on it. */
async function ofAccessToken(
  value: string,
  clientId: string,
  { findBearerToken }: SubjectTokenOptions,
): Promise<Account | null> {
  const found = await findBearerToken(value);
  return found?.clientId === clientId && found.audience === null ? found.account : null;
}

interface IdTokenClaims extends JWTPayload {
  readonly sub: string;
  readonly iat: number;
  readonly [GRANT_CLAIM]: string;
}

/** What the person allowed the node is there still, and the session that it was allowed in lasts. */
async function ofIdToken(
  { sub, [GRANT_CLAIM]: id }: IdTokenClaims,
  clientId: string,
  { artifacts, sessions, findAccount, now }: SubjectTokenOptions,
): Promise<Account | null> {
  const grant = await artifacts.find('Grant', id, now());
  if (grant?.payload['accountId'] !== sub || grant.payload['clientId'] !== clientId) return null;
  if (!(await sessions.holdGrant(sub, clientId, String(grant.payload['selfId'])))) return null;
  return findAccount(sub);
}

/** OpenID Connect Core 3.1.3.7, as the node itself would, and more: no other JWT of ours has the claim of the grant. */
function createIdTokenVerifier({ issuer, jwks, now }: SubjectTokenOptions) {
  const keys = createLocalJWKSet(jwks);
  return async (token: string, clientId: string): Promise<IdTokenClaims | null> => {
    try {
      const { payload, protectedHeader } = await jwtVerify<IdTokenClaims>(token, keys, {
        issuer,
        algorithms: ['RS256', 'ES256', 'EdDSA'],
        requiredClaims: ['exp', 'iat', 'sub', GRANT_CLAIM],
        currentDate: new Date(now() * 1000),
      });
      // An ID token has no typ; the other kinds of JWT say theirs (RFC 8725 3.11).
      const isIdToken = protectedHeader.typ === undefined && payload.aud === clientId;
      return isIdToken && payload.iat <= now() + MAX_SKEW_SECONDS ? payload : null;
    } catch (error) {
      if (error instanceof joseErrors.JOSEError) return null;
      throw error;
    }
  };
}
