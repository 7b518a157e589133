/** What is said of tokens while nobody knows what was revoked: the node's own policy. */

/**
 * `refuse`: no token is let in. Or how many minutes they are let in for, since the feed was last heard of, by what was
 * known then.
 */
export type OutagePolicy = 'refuse' | { readonly allowMinutes: number };

/** A stream says something every five seconds: after two that did not come nobody knows. */
export const SILENCE_SECONDS = 15;
const MINUTE_SECONDS = 60;
const MAX_MINUTES = 24 * 60; // no VPN JWT lives longer

export interface Contact {
  /** When all of the feed was known last; null: never. */
  readonly heardAt: number | null;
  /** When the follower began. */
  readonly begunAt: number;
  /** Whether it tried, and failed, since it was last heard. */
  readonly hasFailed: boolean;
}

/** Throws a TypeError for a policy that cannot be meant. */
export function assertPolicy(policy: OutagePolicy): void {
  if (policy === 'refuse') return;
  const { allowMinutes } = policy;
  if (!(allowMinutes > 0 && allowMinutes <= MAX_MINUTES)) {
    throw new TypeError(
      `whenUnreachable: 'refuse', or allowMinutes of more than 0 and at most ${MAX_MINUTES}`,
    );
  }
}

/** Whether what is known may be gone by at that time. */
export function mayAnswer(
  { heardAt, begunAt, hasFailed }: Contact,
  policy: OutagePolicy,
  now: number,
): boolean {
  // A clock that was set back must not make the past longer.
  const silence = Math.abs(now - (heardAt ?? begunAt));
  if (heardAt !== null && silence <= SILENCE_SECONDS) return true;
  if (policy === 'refuse') return false;
  // Before the first answer, or refusal, there is no outage: it comes within moments.
  if (heardAt === null && !hasFailed) return false;
  return silence <= policy.allowMinutes * MINUTE_SECONDS;
}
