/**
 * Our own cookies. The engine has its; these are the two that the pages need: which browser this is (CSRF), and
 * which accounts signed in on it before (lockout). Names carry `__Host-` wherever the issuer is https.
 */
import { createHmac, hkdfSync, timingSafeEqual } from 'node:crypto';

import type { Context } from 'koa';

// A browser keeps a cookie for 400 days at most (RFC 6265bis 5.5).
const LONGEST_SECONDS = 400 * 86_400;

export interface Cookies {
  read(ctx: Context, name: string): string | null;
  /** HttpOnly and SameSite=Lax, for the whole origin; without `maxAgeSeconds` for as long as the browser runs. */
  write(ctx: Context, name: string, value: string, maxAgeSeconds?: number): void;
}

/** Cookies of an issuer. */
export function createCookies(issuer: string): Cookies {
  const isSecure = issuer.startsWith('https:');
  const nameOf = (name: string): string => (isSecure ? `__Host-${name}` : name);
  return {
    read: (ctx, name) => ctx.cookies.get(nameOf(name)) ?? null,
    write: (ctx, name, value, maxAgeSeconds) => {
      const age = maxAgeSeconds === undefined ? '' : `; Max-Age=${Math.min(maxAgeSeconds, LONGEST_SECONDS)}`;
      const secure = isSecure ? '; Secure' : '';
      ctx.append('Set-Cookie', `${nameOf(name)}=${value}; Path=/; HttpOnly; SameSite=Lax${secure}${age}`);
    },
  };
}

export interface Seal {
  /** The authentication code of a value, base64url. */
  of(value: string): string;
  matches(value: string, given: string): boolean;
}

/** The first one signs; what an earlier one signed is good, too, until it is taken out. */
export type SigningSecrets = readonly [string, ...string[]];

/** HMAC-SHA-256 under a key of its own for each purpose, so that a code of one is never good for another. */
export function createSeal([present, ...earlier]: SigningSecrets, purpose: string): Seal {
  const of = createCodeOf(present, purpose);
  const known = [of, ...earlier.map((secret) => createCodeOf(secret, purpose))];
  return { of, matches: (value, given) => known.some((codeOf) => isSame(codeOf(value), given)) };
}

type CodeOf = (value: string) => string;

function createCodeOf(secret: string, purpose: string): CodeOf {
  const key = Buffer.from(hkdfSync('sha256', secret, '', `portcullis ${purpose}`, 32));
  return (value) => createHmac('sha256', key).update(value).digest('base64url');
}

function isSame(one: string, other: string): boolean {
  const [expected, actual] = [Buffer.from(one), Buffer.from(other)];
  return expected.length === actual.length && timingSafeEqual(expected, actual);
}
