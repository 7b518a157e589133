/**
 * Test tokens: an HS256 JWT for any username, email and role, so that a node can be tried without people. Whoever has
 * the secret is anybody, so in production there is none: neither this nor a server starts with it there.
 */
import { decodeProtectedHeader, jwtVerify, SignJWT } from 'jose';
import type { JWTPayload } from 'jose';
import { randomUUID } from 'node:crypto';

import { assertShort } from '../guard/credential.ts';
import type { Claims } from '../guard/auth.ts';
import { invalid } from '../guard/auth.ts';
import { translate } from '../guard/jwt.ts';

const ISSUER = 'portbro.com';
const AUDIENCE = 'vpn-nodes';
const LIFETIME_SECONDS = 3600;
const LEEWAY_SECONDS = 30;
const MIN_SECRET_BYTES = 32;
const REQUIRED = ['iss', 'aud', 'sub', 'username', 'role', 'iat', 'exp', 'jti'];
const ENVIRONMENTS: readonly string[] = ['development', 'test'];

export interface TestTokenOptions {
  /** At least 32 bytes. */
  readonly secret: string;
  /** `NODE_ENV`: anything but `development` and `test`, or nothing, is production. */
  readonly environment: string | undefined;
  /** Unix seconds; the system's clock, if left out. */
  readonly now?: (() => number) | undefined;
}

/** Whom a test token names. */
export interface TestPerson {
  readonly username: string;
  readonly email: string;
  readonly role: string;
}

export interface TestTokens {
  /** A test token, good for an hour. */
  make(person: TestPerson): Promise<string>;
  /** The claims of a test token that is good now; rejects with a GuardError otherwise. */
  verify(token: string): Promise<Claims>;
}

/** Makes and verifies test tokens. Throws a TypeError in production, and for a secret that is too short. */
export function createTestTokens({ secret, environment, now = systemTime }: TestTokenOptions): TestTokens {
  assertEnvironment(environment);
  const key = new TextEncoder().encode(secret);
  if (key.byteLength < MIN_SECRET_BYTES) {
    throw new TypeError(
      `VPN_TEST_SECRET: at least ${MIN_SECRET_BYTES} bytes, such as of openssl rand -hex 32`,
    );
  }
  return {
    make: ({ username, email, role }) =>
      new SignJWT({ username, email, role })
        .setProtectedHeader({ alg: 'HS256', typ: 'JWT' })
        .setIssuer(ISSUER)
        .setAudience(AUDIENCE)
        .setSubject(username)
        .setJti(randomUUID())
        .setIssuedAt(now())
        .setExpirationTime(now() + LIFETIME_SECONDS)
        .sign(key),
    verify: async (token) => {
      try {
        const { payload } = await jwtVerify(assertShort(token), key, {
          issuer: ISSUER,
          audience: AUDIENCE,
          algorithms: ['HS256'],
          requiredClaims: REQUIRED,
          clockTolerance: LEEWAY_SECONDS,
          maxTokenAge: LIFETIME_SECONDS,
          currentDate: new Date(now() * 1_000),
        });
        if (payload['username'] !== payload.sub) throw invalid('The test token names two persons.');
        assertBrief(payload);
        return payload;
      } catch (error) {
        throw translate(error);
      }
    },
  };
}

/** Both times are there: they are required. */
function assertBrief({ iat = 0, exp = Infinity }: JWTPayload): void {
  if (exp - iat > LIFETIME_SECONDS) throw invalid('The test token is made to live for more than an hour.');
}

function assertEnvironment(environment: string | undefined): void {
  if (environment !== undefined && ENVIRONMENTS.includes(environment)) return;
  throw new TypeError(
    'VPN_TEST_SECRET is set, and this is production (NODE_ENV is neither development nor test): whoever has that ' +
      'secret is anybody. Take it out of the environment.',
  );
}

/** True for what claims to be by HMAC, as no other token here is. */
export function looksLikeTestToken(token: string): boolean {
  try {
    return decodeProtectedHeader(token).alg === 'HS256';
  } catch {
    return false;
  }
}

const systemTime = (): number => Math.floor(Date.now() / 1000);
