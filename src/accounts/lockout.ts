/**
 * Guessing is limited: five failures in a row lock for half an hour. An attempt is counted before its password is
 * looked at, so that a hundred at once are five guesses and ninety-five refusals. What is counted is a subject: an
 * account under any of its names, a name that nobody has, or a device; the counters hold a digest of it only.
 *
 * A lock is a counter of its own. It is set before the attempts are forgotten, and looked for after an attempt was
 * counted: who still counts from one again while the others are refused finds the lock. Those beyond five are
 * refused, and lock nothing: of the five at work one may be right, which begins the row anew.
 */
import { hash } from 'node:crypto';

import type { CounterStore } from '../storage/port.ts';

export const MAX_FAILURES = 5;
export const LOCK_SECONDS = 1_800;
/** Failures count as being in a row for this long, unless the right password comes between them. */
const ROW_SECONDS = 86_400;
/** By then an attempt is judged: a row that stays full without a lock was left behind by a process that died. */
const JUDGED_SECONDS = 10;

export type Admission =
  | { readonly ok: true; /** Which one in the row it is. */ readonly attempt: number }
  | { readonly ok: false; readonly untilAt: number };

export interface Lockout {
  /** Counts an attempt, before anything is looked at. */
  admit(subject: string): Promise<Admission>;
  /** The attempt failed; `lockedNow` for the one that locked. */
  failed(subject: string, attempt: number): Promise<{ readonly lockedNow: boolean }>;
  /** The attempt was right: the row begins anew. */
  succeeded(subject: string): Promise<void>;
  /** Until when it is locked, without an attempt; null where it is not. */
  lockedUntil(subject: string): Promise<number | null>;
  /** Lifts the lock, and forgets the failures. */
  unlock(subject: string): Promise<void>;
}

interface LockoutOptions {
  readonly counters: CounterStore;
  readonly now: () => number;
}

/** What is locked: the account, by whichever name it was asked for. */
export const accountSubject = (accountId: string): string => `account:${accountId}`;
/** A name that nobody has is counted just so, or it would be told from one that somebody has. */
export const nameSubject = (foldedLogin: string): string => `name:${foldedLogin}`;
/** A browser that its owner signed in on before: strangers who guess elsewhere do not lock it. */
export const deviceSubject = (accountId: string, device: string): string => `device:${accountId}:${device}`;

/** What an attempt is that came as the n-th of its row. */
export const judgeAttempt = (attempt: number): 'fine' | 'last' | 'too many' =>
  attempt < MAX_FAILURES ? 'fine' : attempt === MAX_FAILURES ? 'last' : 'too many';

/** Makes the lockout. */
export function createLockout({ counters, now }: LockoutOptions): Lockout {
  const lockedUntil = async (subject: string): Promise<number | null> =>
    (await counters.find(lockOf(subject), now()))?.resetsAt ?? null;

  const lock = async (subject: string): Promise<number> => {
    const { resetsAt } = await counters.hit(lockOf(subject), LOCK_SECONDS, now());
    await counters.clear(rowOf(subject));
    return resetsAt;
  };

  /** A row that is full is judged in a moment; one that nobody judges any more is locked here. */
  const refuse = async (subject: string, rowEndsAt: number): Promise<number> => {
    const { resetsAt } = await counters.hit(fullOf(subject, rowEndsAt), ROW_SECONDS, now());
    const fullSince = resetsAt - ROW_SECONDS;
    if (now() - fullSince >= JUDGED_SECONDS) return lock(subject);
    return (await lockedUntil(subject)) ?? now() + LOCK_SECONDS;
  };

  const unlock = async (subject: string): Promise<void> => {
    await counters.clear(rowOf(subject)); // first: an attempt in between would find five of them, and lock again
    await counters.clear(lockOf(subject));
  };

  return {
    lockedUntil,
    unlock,
    succeeded: unlock,
    admit: async (subject) => {
      const lockedAlready = await lockedUntil(subject);
      if (lockedAlready !== null) return { ok: false, untilAt: lockedAlready };
      const { count, resetsAt } = await counters.hit(rowOf(subject), ROW_SECONDS, now());
      if (judgeAttempt(count) === 'too many') return { ok: false, untilAt: await refuse(subject, resetsAt) };
      const lockedMeanwhile = await lockedUntil(subject);
      if (lockedMeanwhile === null) return { ok: true, attempt: count };
      await counters.clear(rowOf(subject)); // it counts for nothing once the lock ends
      return { ok: false, untilAt: lockedMeanwhile };
    },
    failed: async (subject, attempt) => {
      const lockedNow = judgeAttempt(attempt) === 'last';
      if (lockedNow) await lock(subject);
      return { lockedNow };
    },
  };
}

const rowOf = (subject: string): string => `guesses:${digest(subject)}`;
/** Of this very row: its end tells it from one that began anew. */
const fullOf = (subject: string, rowEndsAt: number): string => `full:${digest(`${rowEndsAt} ${subject}`)}`;
const lockOf = (subject: string): string => `lock:${digest(subject)}`;
const digest = (subject: string): string => hash('sha256', subject, 'base64url');
