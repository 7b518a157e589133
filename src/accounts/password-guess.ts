/**
 * The one door at which a password is tried: sign-in, change of password, change of address. It counts before it
 * looks, costs the same for everybody, and says no more than its three answers.
 */
import type { Lockout, Subject } from './lockout.ts';
import { normalPassword } from './passwords.ts';
import type { PasswordHasher } from './passwords.ts';

export interface PasswordGuess {
  /** Whose row of failures it belongs to; see lockout.ts. */
  readonly subject: Subject;
  readonly password: string;
  /** Null where there is no account, or none that signs in by password. */
  readonly hash: string | null;
  /** False for who is refused even with the right password: it counts, and takes as long, as a wrong one. */
  readonly isAllowed: boolean;
}

export type GuessOutcome =
  | { readonly outcome: 'right'; readonly isOutdated: boolean }
  | { readonly outcome: 'wrong'; readonly lockedNow: boolean; /** For its turn. */ readonly waitedMs: number }
  | { readonly outcome: 'locked'; readonly untilAt: number };

interface GuessOptions {
  readonly hasher: PasswordHasher;
  readonly lockout: Lockout;
}

/** Tries a password. A refusal to look at it (too long, too many wait) throws, and does not count as a guess. */
export async function guessPassword(
  { subject, password, hash, isAllowed }: PasswordGuess,
  { hasher, lockout }: GuessOptions,
): Promise<GuessOutcome> {
  normalPassword(password);
  const place = hasher.reserve();
  try {
    const admission = await lockout.admit(subject);
    if (!admission.ok) return { outcome: 'locked', untilAt: admission.untilAt };
    const { isRight, isOutdated, waitedMs } = await hasher.verify(password, hash, place);
    if (isRight && isAllowed) {
      await lockout.succeeded(admission);
      return { outcome: 'right', isOutdated };
    }
    return { outcome: 'wrong', waitedMs, ...(await lockout.failed(admission)) };
  } finally {
    place.release();
  }
}
