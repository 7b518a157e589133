/** An issuer for the guard's tests: it makes tokens good and bad, and answers the guard's requests without a network. */
import { exportJWK, generateKeyPair, SignJWT } from 'jose';
import type { CryptoKey, JWK, JWTHeaderParameters } from 'jose';

import type { Fetch, GuardOptions } from '../../src/sdk/guard/guard.ts';

export const ISSUER = 'https://id.example.com';
export const AUDIENCE = 'shop';
/** A time like any other. */
export const START = 1_800_000_000;

export interface Key {
  readonly kid: string;
  readonly alg: string;
  readonly privateKey: CryptoKey;
  readonly publicJwk: JWK;
}

/** A signing key that nobody publishes yet. */
export async function makeKey(kid: string, alg = 'ES256'): Promise<Key> {
  const { privateKey, publicKey } = await generateKeyPair(alg, { extractable: true });
  return { kid, alg, privateKey, publicJwk: { ...(await exportJWK(publicKey)), kid, alg, use: 'sig' } };
}

export interface TokenChanges {
  /** In the place of the usual claims; undefined leaves one out. */
  readonly claims?: Readonly<Record<string, unknown>>;
  readonly header?: Partial<JWTHeaderParameters>;
  readonly key?: Key;
}

export interface TestIssuer {
  /** The clock of the issuer and of the guard. */
  at: number;
  readonly key: Key;
  /** What `/jwks` shows: keys, or any other text. */
  published: readonly JWK[] | string;
  /** What `/introspect` answers. */
  introspection: (token: string) => unknown;
  /** Whether the network to it works. */
  isAway: boolean;
  /** Holds every answer back until it resolves. */
  held: Promise<void>;
  /** The paths that were asked for. */
  readonly asked: string[];
  /** The latest request, as `fetch` was called. */
  readonly latest: { url: string; init: RequestInit };
  readonly options: GuardOptions;
  token(changes?: TokenChanges): Promise<string>;
}

/** An issuer with one key. */
export async function createIssuer(alg = 'ES256'): Promise<TestIssuer> {
  const key = await makeKey('one', alg);
  const fetch: Fetch = async (input, init = {}) => {
    const url = new URL(typeof input === 'object' && 'href' in input ? input.href : '');
    issuer.asked.push(url.pathname);
    issuer.latest.url = url.href;
    issuer.latest.init = init;
    await issuer.held;
    if (issuer.isAway) throw new TypeError('fetch failed');
    if (url.pathname === '/introspect') {
      const form = init.body instanceof URLSearchParams ? init.body : new URLSearchParams();
      return reply(issuer.introspection(form.get('token') ?? ''));
    }
    const { published } = issuer;
    return typeof published === 'string' ? new Response(published) : Response.json({ keys: published });
  };
  const issuer: TestIssuer = {
    at: START,
    key,
    published: [key.publicJwk],
    introspection: () => ({ active: false }),
    isAway: false,
    held: Promise.resolve(),
    asked: [],
    latest: { url: '', init: {} },
    options: { issuer: ISSUER, audience: AUDIENCE, now: () => issuer.at, fetch },
    token: (changes) => sign(issuer, changes),
  };
  return issuer;
}

/** An answer as it stands, or JSON. */
const reply = (answer: unknown): Response => (answer instanceof Response ? answer : Response.json(answer));

function sign(
  issuer: TestIssuer,
  { claims = {}, header = {}, key = issuer.key }: TokenChanges = {},
): Promise<string> {
  const all: Readonly<Record<string, unknown>> = {
    iss: ISSUER,
    aud: AUDIENCE,
    sub: 'person-1',
    client_id: 'app-1',
    jti: 'token-1',
    iat: issuer.at,
    exp: issuer.at + 600,
    scope: 'orders:read orders:write',
    role: 'user',
    ...claims,
  };
  return new SignJWT(Object.fromEntries(Object.entries(all).filter(([, value]) => value !== undefined)))
    .setProtectedHeader({ alg: key.alg, kid: key.kid, typ: 'at+jwt', ...header })
    .sign(key.privateKey);
}
