/**
 * Guessing is limited: five failures in a row lock for half an hour. An attempt is counted before its password is
 * looked at, so that a hundred at once are five guesses and ninety-five refusals. What is counted is a subject: an
 * account under any of its names, a name that nobody has, or a device; the counters hold a digest of it only.
 *
 * A lock is a counter of its own. It is set before the attempts are forgotten, and looked for after an attempt was
 * counted: who still counts from one again while the others are refused finds the lock. Those beyond five are
 * refused, and lock nothing: of the five at work one may be right, which begins the row anew.
 *
 * An account's devices are known to their owners' browsers alone, so unlocking the account cannot look for their
 * counters: it begins a new era of the account, and the devices' counters carry the era that they belong to.
 */
import { digest } from '../digest.ts';
import type { CounterStore } from '../storage/port.ts';

export const MAX_FAILURES = 5;
export const LOCK_SECONDS = 1_800;
/** Failures count as being in a row for this long, unless the right password comes between them. */
const ROW_SECONDS = 86_400;
/** By then an attempt is judged: a row that stays full without a lock was left behind by a process that died. */
const JUDGED_SECONDS = 10;
/** Far longer than any counter lives: with its end the counters before it must be gone. */
const ERA_SECONDS = 30 * 86_400;

/** What is locked. */
export type Subject =
  | { readonly kind: 'account'; readonly accountId: string }
  | { readonly kind: 'name'; readonly foldedLogin: string }
  | { readonly kind: 'device'; readonly accountId: string; readonly device: string };

/** An attempt that may be made: which one in the row it is, and the key of that row. */
export interface Admitted {
  readonly ok: true;
  readonly attempt: number;
  readonly key: string;
}

export type Admission = Admitted | { readonly ok: false; readonly untilAt: number };

export interface Lockout {
  /** Counts an attempt, before anything is looked at. */
  admit(subject: Subject): Promise<Admission>;
  /** The attempt failed; `lockedNow` for the one that locked. */
  failed(admitted: Admitted): Promise<{ readonly lockedNow: boolean }>;
  /** The attempt was right: the row begins anew. */
  succeeded(admitted: Admitted): Promise<void>;
  /** Until when it is locked, without an attempt; null where it is not. */
  lockedUntil(subject: Subject): Promise<number | null>;
  /** Lifts the lock, and forgets the failures; of an account also those of its devices. */
  unlock(subject: Subject): Promise<void>;
}

interface LockoutOptions {
  readonly counters: CounterStore;
  readonly now: () => number;
}

/** The account, by whichever name it was asked for. */
export const accountSubject = (accountId: string): Subject => ({ kind: 'account', accountId });
/** A name that nobody has is counted just so, or it would be told from one that somebody has. */
export const nameSubject = (foldedLogin: string): Subject => ({ kind: 'name', foldedLogin });
/** A browser that its owner signed in on before: strangers who guess elsewhere do not lock it. */
export const deviceSubject = (accountId: string, device: string): Subject => ({
  kind: 'device',
  accountId,
  device,
});

/** What an attempt is that came as the n-th of its row. */
export const judgeAttempt = (attempt: number): 'fine' | 'last' | 'too many' =>
  attempt < MAX_FAILURES ? 'fine' : attempt === MAX_FAILURES ? 'last' : 'too many';

/** Makes the lockout. */
export function createLockout({ counters, now }: LockoutOptions): Lockout {
  const keyOf = createKeys({ counters, now });
  const endOfLock = async (key: string): Promise<number | null> =>
    (await counters.find(lockOf(key), now()))?.resetsAt ?? null;

  const lock = async (key: string): Promise<number> => {
    const { resetsAt } = await counters.hit(lockOf(key), LOCK_SECONDS, now());
    await counters.clear(rowOf(key));
    return resetsAt;
  };

  /** A row that is full is judged in a moment; one that nobody judges any more is locked here. */
  const refuse = async (key: string, rowEndsAt: number): Promise<number> => {
    const { resetsAt } = await counters.hit(fullOf(key, rowEndsAt), ROW_SECONDS, now());
    const fullSince = resetsAt - ROW_SECONDS;
    if (now() - fullSince >= JUDGED_SECONDS) return lock(key);
    return (await endOfLock(key)) ?? now() + LOCK_SECONDS;
  };

  const forget = async (key: string): Promise<void> => {
    await counters.clear(rowOf(key)); // first: an attempt in between would find five of them, and lock again
    await counters.clear(lockOf(key));
  };

  return {
    lockedUntil: async (subject) => endOfLock(await keyOf(subject)),
    unlock: async (subject) => {
      if (subject.kind === 'account') await counters.hit(eraOf(subject.accountId), ERA_SECONDS, now());
      await forget(await keyOf(subject));
    },
    succeeded: ({ key }) => forget(key),
    admit: async (subject) => {
      const key = await keyOf(subject);
      const lockedAlready = await endOfLock(key);
      if (lockedAlready !== null) return { ok: false, untilAt: lockedAlready };
      const { count, resetsAt } = await counters.hit(rowOf(key), ROW_SECONDS, now());
      if (judgeAttempt(count) === 'too many') return { ok: false, untilAt: await refuse(key, resetsAt) };
      const lockedMeanwhile = await endOfLock(key);
      if (lockedMeanwhile === null) return { ok: true, attempt: count, key };
      await counters.clear(rowOf(key)); // it counts for nothing once the lock ends
      return { ok: false, untilAt: lockedMeanwhile };
    },
    failed: async ({ attempt, key }) => {
      const lockedNow = judgeAttempt(attempt) === 'last';
      if (lockedNow) await lock(key);
      return { lockedNow };
    },
  };
}

/** What a subject's counters are found by. An attempt keeps its key: an era that begins meanwhile is not its own. */
const createKeys =
  ({ counters, now }: LockoutOptions) =>
  async (subject: Subject): Promise<string> => {
    if (subject.kind === 'account') return digest(`account:${subject.accountId}`);
    if (subject.kind === 'name') return digest(`name:${subject.foldedLogin}`);
    const era = await counters.find(eraOf(subject.accountId), now());
    // Both, since a window that follows another counts from one again.
    const number = era === null ? '' : `${era.resetsAt}.${era.count}`;
    return digest(`device:${subject.accountId}:${subject.device}:${number}`);
  };

const rowOf = (key: string): string => `guesses:${key}`;
/** Of this very row: its end tells it from one that began anew. */
const fullOf = (key: string, rowEndsAt: number): string => `full:${digest(`${rowEndsAt} ${key}`)}`;
const lockOf = (key: string): string => `lock:${key}`;
const eraOf = (accountId: string): string => `era:${digest(accountId)}`;
