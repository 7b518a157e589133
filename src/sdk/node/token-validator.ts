/**
 * Which VPN JWTs a node takes: those of its server by RS256, for VPN nodes, by the published keys (the guard does that),
 * and in development test tokens, where a secret for them was given.
 */
import type { JSONWebKeySet } from 'jose';

import type { GuardError } from '../guard/errors.ts';
import type { Fetch } from '../guard/fetch-json.ts';
import { createGuard } from '../guard/guard.ts';
import type { RevocationFeed } from '../guard/revocations.ts';
import { DEFAULT_ROLES, toCaller, toTestCaller } from './caller.ts';
import type { Caller, Roles } from './caller.ts';
import { createTestTokens, looksLikeTestToken } from './test-tokens.ts';

/** What a validator is made of; `readNodeSettings` gives the settings, all the others may be left out. */
export interface TokenValidatorOptions {
  readonly issuer: string;
  readonly audience: string;
  /** The address of the key set (`/jwks` of the issuer, if left out), or the keys themselves. */
  readonly jwks?: URL | JSONWebKeySet | undefined;
  /** Of test tokens; left out, none are taken. */
  readonly testSecret?: string | undefined;
  /** `NODE_ENV`: with a test secret it must be `development` or `test`. */
  readonly environment?: string | undefined;
  /** The levels of the roles in test tokens; basic 10, manager 30 and admin 50, if left out. */
  readonly roles?: Roles | undefined;
  /** Tells which tokens ended before their time. */
  readonly revocations?: RevocationFeed | undefined;
  /** Hears where nobody can tell whether a token is good, with the cause, for the log. */
  readonly onUnavailable?: ((error: GuardError) => void) | undefined;
  /** Unix seconds; the system's clock, if left out. */
  readonly now?: (() => number) | undefined;
  readonly fetch?: Fetch | undefined;
}

export interface TokenValidator {
  /** Who a token speaks for. Rejects with a GuardError: 401 for one that is not good, 503 where nobody can tell. */
  verify(token: string): Promise<Caller>;
}

/**
 * Makes a validator. Nothing is fetched before the first token. Throws a TypeError for options that cannot work, and for
 * a test secret in production.
 */
export function createTokenValidator(options: TokenValidatorOptions): TokenValidator {
  const { issuer, audience, jwks, revocations, onUnavailable, now, fetch } = options;
  const guard = createGuard({
    ...{ issuer, audience, jwks, revocations, onUnavailable, now, fetch },
    accept: ['jwt'],
    algorithms: ['RS256'],
  });
  const verifyTest = createTestVerifier(options);
  return {
    verify: async (token) => {
      if (verifyTest !== null && looksLikeTestToken(token)) return verifyTest(token);
      return toCaller((await guard.verify(token)).claims);
    },
  };
}

function createTestVerifier({
  testSecret,
  environment,
  roles = DEFAULT_ROLES,
  now,
}: TokenValidatorOptions): TokenValidator['verify'] | null {
  if (testSecret === undefined) return null;
  if (Object.keys(roles).length === 0) throw new TypeError('roles: name at least one');
  const { verify } = createTestTokens({ secret: testSecret, environment, now });
  return async (token) => toTestCaller(await verify(token), roles);
}
