/**
 * The issuer's published keys, kept: read anew when they are old and once for a key that nobody knows, but never more
 * often than the pauses say, whatever the tokens claim; and kept while the issuer is away.
 */
import { createLocalJWKSet, errors } from 'jose';
import type { JSONWebKeySet, JWTVerifyGetKey } from 'jose';

import { GuardError, isError } from './errors.ts';

/** Signature algorithms that access tokens of this server can have, HS256 apart: it has no public key. */
export const ALGORITHMS: readonly string[] = ['RS256', 'ES256', 'EdDSA'];

const MAX_AGE_SECONDS = 300;
// A new key is published long before it signs, so an unknown one is rarely news, and mostly forged.
const PAUSE_SECONDS = 30;
// Without any keys nothing works: there the next try comes soon.
const FIRST_PAUSE_SECONDS = 1;

interface KeySetOptions {
  /** Reads the issuer's JWKS. */
  readonly load: () => Promise<unknown>;
  readonly now: () => number;
}

interface Loaded {
  readonly find: JWTVerifyGetKey;
  readonly at: number;
}

/** Keys that never change. */
export const fixedKeySet = (jwks: JSONWebKeySet): JWTVerifyGetKey =>
  requireKid(createLocalJWKSet(usable(jwks)));

/** Keys read from the issuer at the first use. Throws `ERR_GUARD_KEYS_UNAVAILABLE` where they cannot be had. */
export function createKeySet({ load, now }: KeySetOptions): JWTVerifyGetKey {
  let loaded: Loaded | null = null;
  let triedAt = -Infinity;
  let failure: unknown = null;
  let running: Promise<void> | null = null;

  const attempt = async (): Promise<void> => {
    triedAt = now();
    try {
      loaded = { find: createLocalJWKSet(usable(await load())), at: now() };
      failure = null;
    } catch (error) {
      failure = error;
    }
  };
  /** Requests that come while the keys are read wait for the same answer. */
  const refresh = async (): Promise<void> => {
    const pause = loaded === null ? FIRST_PAUSE_SECONDS : PAUSE_SECONDS;
    if (running === null && hasPassed(pause, triedAt, now())) {
      running = attempt().finally(() => {
        running = null;
      });
    }
    await running;
  };
  const present = async (): Promise<Loaded> => {
    if (loaded === null || hasPassed(MAX_AGE_SECONDS, loaded.at, now())) await refresh();
    if (loaded === null) throw unavailable(failure);
    return loaded;
  };

  return requireKid(async (header, token) => {
    try {
      return await (await present()).find(header, token);
    } catch (error) {
      if (!isUnknownKey(error)) throw error;
    }
    await refresh();
    try {
      return await (await present()).find(header, token);
    } catch (error) {
      // The key may be one that the issuer made while it could not be reached.
      throw isUnknownKey(error) && failure !== null ? unavailable(failure) : error;
    }
  });
}

/** A clock that was set back must not stop it for as long as it was set back. */
const hasPassed = (seconds: number, since: number, now: number): boolean => Math.abs(now - since) >= seconds;

/** A key is found by its exact id, never by being the only one that fits. */
const requireKid =
  (find: JWTVerifyGetKey): JWTVerifyGetKey =>
  async (header, token) => {
    if (typeof header.kid !== 'string' || header.kid === '') throw new errors.JWSInvalid('no kid');
    return find(header, token);
  };

const isUnknownKey = (error: unknown): boolean =>
  isError(error) && 'code' in error && error.code === errors.JWKSNoMatchingKey.code;

/** The keys that say what they are for; a set without one of them is a fault of the issuer, not an empty set. */
function usable(document: unknown): JSONWebKeySet {
  const keys = keysOf(document).filter(
    ({ kid, alg, use }) =>
      typeof kid === 'string' && ALGORITHMS.includes(String(alg)) && (use === undefined || use === 'sig'),
  );
  if (keys.length === 0)
    throw new Error(`the key set has no key with kid and alg for ${ALGORITHMS.join(', ')}`);
  return { keys };
}

function keysOf(document: unknown): JSONWebKeySet['keys'] {
  const keys: unknown =
    typeof document === 'object' && document !== null && 'keys' in document ? document.keys : null;
  if (!Array.isArray(keys)) throw new Error('this is no key set (RFC 7517 5)');
  // jose checks the members of a key as it imports it.
  return keys.filter((key) => typeof key === 'object' && key !== null) as JSONWebKeySet['keys'];
}

const unavailable = (cause: unknown): GuardError =>
  new GuardError(
    'ERR_GUARD_KEYS_UNAVAILABLE',
    'The token cannot be checked just now; try again in a moment.',
    {
      cause,
    },
  );
