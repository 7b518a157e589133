/**
 * Hashing and checking passwords, a bounded number at once: argon2 takes memory and a thread of the pool that signs
 * tokens too, so that unbounded sign-ins would stop every other endpoint.
 */
import { availableParallelism } from 'node:os';

import argon2 from 'argon2';

import { AppError } from '../errors.ts';
import { createBoundedWork } from './bounded-work.ts';
import type { Place } from './bounded-work.ts';
import { ARGON2_OPTIONS, readHash } from './password-formats.ts';

export { isKnownHash } from './password-formats.ts';

/** Code points, after NFC: far beyond every passphrase, and short enough to hash. */
export const MAX_PASSWORD_LENGTH = 256;
// NFC may join code units, never more than this many to one: a longer text need not be looked at.
const MAX_UNITS = 8 * MAX_PASSWORD_LENGTH;
// The pool has four threads, and signing needs some of them: with two at work it stays quick (measured). One core is
// left to everybody else: on two cores two hashes at once made p99 of /token 4.6 times its quiet value, one makes it 2.6.
const MAX_AT_ONCE = 2;
const CORES_FOR_OTHERS = 1;
/** About two seconds of work: a hash takes 20 ms of a core, half as much again beside other work. */
const WAITING_A_TURN = 64;

/** Well formed, and the hash of nothing: checking it costs what checking a real one costs. */
const DUMMY_HASH = `$argon2id$v=19$m=19456,t=2,p=1$${'A'.repeat(22)}$${'A'.repeat(43)}`;

interface HasherOptions {
  readonly maxAtOnce?: number;
  readonly maxWaiting?: number;
}

export interface Verdict {
  readonly isRight: boolean;
  /** The password is right, and its hash should be made anew. */
  readonly isOutdated: boolean;
  /** How long it waited for its turn, before it was checked. */
  readonly waitedMs: number;
}

/** Each throws AppError('overloaded') where too many wait, and 'invalid_request' for a password that is too long. */
export interface PasswordHasher {
  hash(password: string): Promise<string>;
  /** `hash` null costs as much as a real one, so that time does not tell who has an account. */
  verify(password: string, hash: string | null, place?: Place): Promise<Verdict>;
  /** Takes the place of a `verify` to come, before anything is counted; release it in any case. */
  reserve(): Place;
}

/** Makes the hasher of a process; there should be one. */
export function createPasswordHasher({
  maxAtOnce = Math.max(1, Math.min(availableParallelism() - CORES_FOR_OTHERS, MAX_AT_ONCE)),
  maxWaiting = maxAtOnce * WAITING_A_TURN,
}: HasherOptions = {}): PasswordHasher {
  const work = createBoundedWork({ maxAtOnce, maxWaiting });
  return {
    reserve: work.reserve,
    hash: async (password) => {
      const normal = normalPassword(password);
      return work.run(() => argon2.hash(normal, ARGON2_OPTIONS));
    },
    verify: async (password, hash, place) => {
      const normal = normalPassword(password);
      const read = readHash(hash ?? DUMMY_HASH);
      if (read === null) throw new Error('The store holds a password hash of no known format.');
      const askedAt = performance.now();
      const check = async () => {
        const waitedMs = performance.now() - askedAt;
        return { waitedMs, isRight: await read.verify(normal) };
      };
      const { isRight, waitedMs } = await work.run(check, place);
      const isOwn = isRight && hash !== null;
      return { isRight: isOwn, isOutdated: isOwn && read.isOutdated, waitedMs };
    },
  };
}

/** The password as it is hashed: in NFC, else untouched. Throws for one that is too long to be hashed. */
export function normalPassword(password: string): string {
  const normal = password.length > MAX_UNITS ? null : password.normalize('NFC');
  if (normal !== null && codePoints(normal) <= MAX_PASSWORD_LENGTH) return normal;
  const message = `a password has at most ${MAX_PASSWORD_LENGTH} characters`;
  throw new AppError('invalid_request', `That password is too long: ${message}.`, {
    errors: [{ path: 'password', message }],
  });
}

/** What a person would count, but for joined emoji: not UTF-16 units, of which an emoji has two. */
export const codePoints = (text: string): number => Array.from(text).length;
