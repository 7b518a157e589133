/**
 * `portcullis/guard`: lets other back ends take the tokens and API keys of a Portcullis server. JWTs are verified by
 * its published keys, everything else by asking it. Time and `fetch` are injected; nothing is global.
 */
import type { JSONWebKeySet, JWTVerifyGetKey } from 'jose';

import { assertSecure } from './address.ts';
import { assertMeets, assertSensible, invalid, toAuth } from './auth.ts';
import type { Auth, Claims, Requirements } from './auth.ts';
import { assertShort, isApiKey, readCredential } from './credential.ts';
import type { Headers } from './credential.ts';
import type { GuardError } from './errors.ts';
import { isGuardError } from './errors.ts';
import { fetchJson } from './fetch-json.ts';
import type { Fetch } from './fetch-json.ts';
import { createIntrospection } from './introspection.ts';
import type { Introspect } from './introspection.ts';
import {
  createCustomerTokenVerifier,
  createJwtVerifier,
  looksLikeCustomerToken,
  looksLikeJwt,
} from './jwt.ts';
import type { VerifyJwt } from './jwt.ts';
import { ALGORITHMS, createKeySet, fixedKeySet } from './key-set.ts';
import { koaMiddleware, nodeMiddleware } from './middleware.ts';
import type { KoaMiddleware, NodeMiddleware } from './middleware.ts';
import { assertNotRevoked } from './revocations.ts';
import type { RevocationFeed } from './revocations.ts';

export { followRevocations } from '../feed/feed.ts';
export type { FollowedRevocations, RevocationFollowerOptions } from '../feed/feed.ts';
export type { OutagePolicy } from '../feed/outage.ts';
export type { Auth, Claims, Requirements } from './auth.ts';
export type { Headers } from './credential.ts';
export { GuardError, isGuardError } from './errors.ts';
export type { GuardErrorCode } from './errors.ts';
export type { Fetch } from './fetch-json.ts';
export type { KoaContext, KoaMiddleware, NodeMiddleware, NodeRequest, NodeResponse } from './middleware.ts';
export { toRefusal } from './refusal.ts';
export type { Refusal } from './refusal.ts';
export type { RevocationFeed } from './revocations.ts';

const DEFAULT_CACHE_SECONDS = 1;
const MAX_CACHE_SECONDS = 60;

/** A kind of credential; `customer` is the token that says what a customer may do. */
export type Credential = 'jwt' | 'opaque' | 'api-key' | 'customer';

/** How the guard asks the server about what it cannot verify by itself (RFC 7662). */
export interface IntrospectionSettings {
  /** The client id of this back end at the server: the audience that its tokens have. */
  readonly clientId: string;
  readonly clientSecret: string;
  /** How long a good answer is kept, and so how late a revocation is noticed: 0 to 60 s, 1 if left out. */
  readonly cacheSeconds?: number | undefined;
  /** True asks about JWTs as well, after their signature: a revoked one is refused before it expires. */
  readonly checkJwts?: boolean | undefined;
}

/** What a guard is made of. */
export interface GuardOptions {
  /** The server's issuer, exactly as its tokens name it. Its keys are read at `/jwks`, it is asked at `/introspect`. */
  readonly issuer: string;
  /** The audience of this back end, as it is declared at the server; several where it answers for several. */
  readonly audience: string | readonly string[];
  /** Another address of the key set, or the keys themselves, which are then never read anew. */
  readonly jwks?: URL | JSONWebKeySet | undefined;
  /** Left out, only JWTs are taken. */
  readonly introspection?: IntrospectionSettings | undefined;
  /** The kinds that are taken; all that can be verified but tokens of customers, if left out. */
  readonly accept?: readonly Credential[] | undefined;
  /** The signature algorithms of JWTs that are taken: RS256, ES256 and EdDSA, if left out. */
  readonly algorithms?: readonly string[] | undefined;
  /** Tells which tokens ended before their time. */
  readonly revocations?: RevocationFeed | undefined;
  /** The address of this back end's metadata (RFC 9728), told in each challenge. */
  readonly resourceMetadata?: string | undefined;
  /** Hears of each 503, with its cause, for the log. */
  readonly onUnavailable?: ((error: GuardError) => void) | undefined;
  /** Unix seconds; the system's clock, if left out. */
  readonly now?: (() => number) | undefined;
  readonly fetch?: Fetch | undefined;
}

/** Lets in or keeps out. */
export interface Guard {
  /**
   * Verifies a token or an API key, and that it meets the requirements. Rejects with a {@link GuardError}: 401 for a
   * credential that is not good, 403 for one that does not suffice, 503 where nobody can tell.
   */
  verify(token: string, requirements?: Requirements): Promise<Auth>;
  /** Koa middleware. Throws a TypeError for requirements that cannot be meant. */
  koa(requirements?: Requirements): KoaMiddleware;
  /** Middleware of the `(req, res, next)` form. Throws a TypeError for requirements that cannot be meant. */
  node(requirements?: Requirements): NodeMiddleware;
}

/** Makes a guard. Nothing is fetched before the first request. Throws a TypeError for options that cannot work. */
export function createGuard(options: GuardOptions): Guard {
  const { revocations, resourceMetadata, onUnavailable } = options;
  const audiences = [options.audience].flat();
  const verifyCredential = createVerifier(options, audiences);

  const verify = async (token: string, requirements: Requirements = {}): Promise<Auth> => {
    try {
      const claims = await verifyCredential(assertShort(token));
      assertNotRevoked(claims, revocations);
      const auth = toAuth(claims);
      assertMeets(auth, requirements);
      return auth;
    } catch (error) {
      if (isGuardError(error) && error.status === 503) onUnavailable?.(error);
      throw error;
    }
  };
  const guarding = (requirements: Requirements = {}) => {
    assertSensible(requirements, audiences);
    return async (headers: Headers) => ({ auth: await verify(readCredential(headers), requirements) });
  };
  return {
    verify: async (token, requirements = {}) => {
      assertSensible(requirements, audiences);
      return verify(token, requirements);
    },
    koa: (requirements) => koaMiddleware(guarding(requirements), resourceMetadata),
    node: (requirements) => nodeMiddleware(guarding(requirements), resourceMetadata),
  };
}

/** Hands each kind of credential to what can verify it. */
function createVerifier(
  options: GuardOptions,
  audiences: readonly string[],
): (token: string) => Promise<Claims> {
  const { issuer, introspection, accept = KINDS, algorithms = ALGORITHMS, now = systemTime } = options;
  assertOptions(options, audiences);
  const forJwts = { issuer, audiences, algorithms, findKey: toKeySet(options), now };
  const introspect =
    introspection === undefined ? undefined : createIntrospector(options, introspection, audiences);
  const checked =
    (verifyJwt: VerifyJwt): VerifyJwt =>
    async (token) => {
      const claims = await verifyJwt(token);
      if (introspection?.checkJwts === true) await introspect?.(token);
      return claims;
    };
  const verifiers: Readonly<Record<Credential, Introspect | undefined>> = {
    jwt: checked(createJwtVerifier(forJwts)),
    customer: checked(createCustomerTokenVerifier(forJwts)),
    opaque: introspect,
    'api-key': introspect,
  };

  return async (token) => {
    const kind = kindOf(token, accept);
    const verify = accept.includes(kind) ? verifiers[kind] : undefined;
    if (verify === undefined) throw invalid(`This takes no ${NAMES[kind]}.`);
    return verify(token);
  };
}

function toKeySet({
  issuer,
  jwks,
  now = systemTime,
  fetch = globalThis.fetch,
}: GuardOptions): JWTVerifyGetKey {
  if (jwks !== undefined && 'keys' in jwks) return fixedKeySet(jwks);
  const url = jwks ?? new URL('/jwks', issuer);
  return createKeySet({ load: () => fetchJson(fetch, url), now });
}

const KINDS: readonly Credential[] = ['jwt', 'opaque', 'api-key'];
/** Nobody but the server can tell what they are. */
const ASKED: readonly Credential[] = ['opaque', 'api-key'];
const NAMES: Readonly<Record<Credential, string>> = {
  jwt: 'JWTs',
  opaque: 'opaque tokens',
  'api-key': 'API keys',
  customer: 'tokens of customers',
};

function kindOf(token: string, accept: readonly Credential[]): Credential {
  if (isApiKey(token)) return 'api-key';
  if (!looksLikeJwt(token)) return 'opaque';
  return accept.includes('customer') && looksLikeCustomerToken(token) ? 'customer' : 'jwt';
}

function createIntrospector(
  { issuer, now = systemTime, fetch = globalThis.fetch }: GuardOptions,
  { clientId, clientSecret, cacheSeconds = DEFAULT_CACHE_SECONDS }: IntrospectionSettings,
  audiences: readonly string[],
): Introspect {
  const url = new URL('/introspect', issuer);
  return createIntrospection({
    ...{ url, clientId, clientSecret, issuer, audiences, cacheSeconds, fetch, now },
  });
}

/** A guard that is put together wrongly must not start: each of these would let in the wrong ones, or nobody. */
function assertOptions(options: GuardOptions, audiences: readonly string[]): void {
  const { issuer, jwks, introspection, accept, algorithms } = options;
  assertSecure(new URL(issuer));
  if (jwks !== undefined && 'href' in jwks) assertSecure(jwks);
  if (audiences.length === 0 || audiences.includes('')) throw new TypeError('audience: name at least one');
  const seconds = introspection?.cacheSeconds ?? DEFAULT_CACHE_SECONDS;
  if (!(seconds >= 0 && seconds <= MAX_CACHE_SECONDS)) {
    throw new TypeError(`introspection.cacheSeconds: 0 to ${MAX_CACHE_SECONDS}`);
  }
  if (accept?.length === 0) throw new TypeError('accept: name at least one kind of credential');
  if (introspection === undefined && accept?.some((kind) => ASKED.includes(kind)) === true) {
    throw new TypeError('accept: opaque tokens and API keys need introspection');
  }
  if (accept?.includes('customer') === true && algorithms?.includes('ES256') === false) {
    throw new TypeError('algorithms: tokens of customers need ES256');
  }
  if (algorithms?.length === 0 || algorithms?.some((name) => !ALGORITHMS.includes(name)) === true) {
    throw new TypeError(`algorithms: name some of ${ALGORITHMS.join(', ')}`);
  }
}

const systemTime = (): number => Math.floor(Date.now() / 1000);
