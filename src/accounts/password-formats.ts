/**
 * The hashes that an account may hold: argon2 as this server writes it, and what other systems wrote (argon2,
 * bcrypt, PBKDF2 as Django writes it, scrypt). A hash says what checking it costs, and it may come from a file, so
 * the cost is bounded when it is read: beyond the bounds it is no known hash.
 */
import { pbkdf2, scrypt, timingSafeEqual } from 'node:crypto';
import { promisify } from 'node:util';
import { Worker } from 'node:worker_threads';

import argon2 from 'argon2';

import type { BcryptCheck } from './bcrypt-check.ts';

const MAX_LENGTH = 512;
const MAX_ARGON2_KIB = 262_144;
const MAX_ARGON2_PASSES = 10;
const MAX_ARGON2_LANES = 8;
/** RFC 9106 3.1: each lane needs eight blocks of 1 KiB. */
const MIN_KIB_A_LANE = 8;
const MIN_BCRYPT_COST = 4;
const MAX_BCRYPT_COST = 14;
const MAX_PBKDF2_ITERATIONS = 2_000_000;
const MAX_SCRYPT_BYTES = 128 * 1024 * 1024;
const MAX_SCRYPT_LANES = 4;
/** A shorter one would be met by chance; a longer one only costs. */
const MIN_HASH_BYTES = 16;
const MAX_HASH_BYTES = 64;

const ARGON2 =
  /^\$argon2(?:id|i|d)\$(?:v=(?:16|19)\$)?([mtp]=\d{1,7}(?:,[mtp]=\d{1,7}){2})\$[^$]{11,86}\$([^$]+)$/;
const BCRYPT = /^\$2[aby]\$(\d\d)\$[./A-Za-z0-9]{53}$/;
const PBKDF2 = /^pbkdf2_sha256\$(\d{1,7})\$([^$]{1,128})\$([^$]+)$/;
const SCRYPT = /^\$scrypt\$ln=(\d{1,2}),r=(\d{1,2}),p=(\d{1,2})\$([^$]{1,128})\$([^$]+)$/;

/** What new passwords are hashed with: 19 MiB, two passes (OWASP). */
export const ARGON2_OPTIONS = {
  type: argon2.argon2id,
  memoryCost: 19_456,
  timeCost: 2,
  parallelism: 1,
  hashLength: 32,
} as const;

/** The present format: 16 bytes of salt and 32 of hash. The stronger of another system counts as another. */
const PRESENT = /^\$argon2id\$v=19\$(?=[^$]*m=19456\b)(?=[^$]*t=2\b)(?=[^$]*p=1\b)[^$]+\$[^$]{22}\$[^$]{43}$/;

/** A hash that can be checked. `verify` takes the password in NFC. */
export interface ReadHash {
  /** True unless it is just what this server would write: it is replaced when the password is next at hand. */
  readonly isOutdated: boolean;
  verify(password: string): Promise<boolean>;
}

/** True for a hash that an account may be imported with. */
export const isKnownHash = (text: string): boolean => readHash(text) !== null;

/** Reads a hash; null for an unknown format, and for one whose parameters are out of bounds. */
export function readHash(text: string): ReadHash | null {
  if (text.length > MAX_LENGTH) return null;
  return readArgon2(text) ?? readBcrypt(text) ?? readPbkdf2(text) ?? readScrypt(text);
}

function readArgon2(text: string): ReadHash | null {
  const [, parameters = '', encoded = ''] = ARGON2.exec(text) ?? [];
  const costs = new Map(parameters.split(',').map((pair) => [pair.slice(0, 1), Number(pair.slice(2))]));
  const [kib = 0, passes = 0, lanes = 0] = [costs.get('m'), costs.get('t'), costs.get('p')];
  const isBounded =
    isWithin(lanes, 1, MAX_ARGON2_LANES) &&
    isWithin(passes, 1, MAX_ARGON2_PASSES) &&
    isWithin(kib, MIN_KIB_A_LANE * lanes, MAX_ARGON2_KIB);
  if (!isBounded || decode(encoded) === null || !isBase64(text.split('$').at(-2))) return null;
  return {
    isOutdated: !PRESENT.test(text),
    verify: (password) => argon2.verify(text, password),
  };
}

/** It looks at the first 72 bytes of a password only; the next sign-in mends that. */
function readBcrypt(text: string): ReadHash | null {
  const [, cost = ''] = BCRYPT.exec(text) ?? [];
  if (!isWithin(Number(cost), MIN_BCRYPT_COST, MAX_BCRYPT_COST)) return null;
  return { isOutdated: true, verify: (password) => compareByBcrypt({ password, hash: text }) };
}

function readPbkdf2(text: string): ReadHash | null {
  const [, rounds = '', salt = '', encoded = ''] = PBKDF2.exec(text) ?? [];
  const hash = decode(encoded);
  const iterations = Number(rounds);
  if (hash === null || !isWithin(iterations, 1, MAX_PBKDF2_ITERATIONS)) return null;
  return {
    isOutdated: true,
    verify: async (password) =>
      timingSafeEqual(await deriveByPbkdf2(password, salt, iterations, hash.length, 'sha256'), hash),
  };
}

/** As passlib writes it: the salt is base64, without padding. */
function readScrypt(text: string): ReadHash | null {
  const [, ln = '', r = '', p = '', encodedSalt = '', encoded = ''] = SCRYPT.exec(text) ?? [];
  const hash = decode(encoded);
  const options = { N: 2 ** Number(ln), r: Number(r), p: Number(p) };
  const bytes = 128 * options.N * options.r;
  const isBounded = options.N > 1 && options.r > 0 && isWithin(options.p, 1, MAX_SCRYPT_LANES);
  if (hash === null || !isBounded || bytes > MAX_SCRYPT_BYTES || !isBase64(encodedSalt)) return null;
  const salt = Buffer.from(encodedSalt, 'base64');
  return {
    isOutdated: true,
    verify: async (password) =>
      timingSafeEqual(
        await deriveByScrypt(password, salt, hash.length, { ...options, maxmem: 2 * MAX_SCRYPT_BYTES }),
        hash,
      ),
  };
}

/** In a thread of its own: in this one every other request would wait for it. */
const compareByBcrypt = (check: BcryptCheck): Promise<boolean> =>
  new Promise((resolve, reject) => {
    const thread = new Worker(new URL('bcrypt-check.ts', import.meta.url), { workerData: check });
    thread.once('message', (isRight) => resolve(isRight === true));
    thread.once('error', reject);
    thread.once('exit', () => reject(new Error('The check of a bcrypt hash ended without an answer.')));
  });

const deriveByPbkdf2 = promisify(pbkdf2);

const deriveByScrypt = (
  password: string,
  salt: Buffer,
  length: number,
  options: { N: number; r: number; p: number; maxmem: number },
): Promise<Buffer> =>
  new Promise((resolve, reject) =>
    scrypt(password, salt, length, options, (error, key) => {
      if (error === null) resolve(key);
      else reject(error);
    }),
  );

const isWithin = (value: number, least: number, most: number): boolean => value >= least && value <= most;

const isBase64 = (text: string | undefined): boolean => /^[A-Za-z0-9+/]+={0,2}$/.test(text ?? '');

function decode(text: string): Buffer | null {
  if (!isBase64(text)) return null;
  const bytes = Buffer.from(text, 'base64');
  return isWithin(bytes.length, MIN_HASH_BYTES, MAX_HASH_BYTES) ? bytes : null;
}
