/** When to ask again, as arithmetic: what the server says, what is fair to it, and how long anybody waits at most. */

/** One question and three more: a server that restarts is back by then, one that is down is not. */
export const MAX_ATTEMPTS = 4;

const BASE_MS = 250;
const MAX_BACKOFF_MS = 4_000;
/** Whoever waits for the token waits for all of the pauses. */
const MAX_PAUSES_MS = 15_000;

export interface Tried {
  /** How many questions were asked. */
  readonly attempts: number;
  /** The pauses so far. */
  readonly pausedMs: number;
  /** What the latest answer asked for. */
  readonly retryAfterSeconds: number | null;
  /** From 0 to 1. */
  readonly random: number;
}

/**
 * Milliseconds until the next question; null for never. Never sooner than the server asks, and spread at random, so
 * that the nodes which an outage made equal do not come back as one.
 */
export function pauseBeforeNext({ attempts, pausedMs, retryAfterSeconds, random }: Tried): number | null {
  if (attempts >= MAX_ATTEMPTS) return null;
  const backoffMs = Math.min(MAX_BACKOFF_MS, BASE_MS * 2 ** (attempts - 1));
  // At least half of it: at random alone all four questions could come at once.
  const spreadMs = Math.round(backoffMs * (0.5 + random / 2));
  const pauseMs = (retryAfterSeconds ?? 0) * 1_000 + spreadMs;
  return pausedMs + pauseMs > MAX_PAUSES_MS ? null : pauseMs;
}

/** `Retry-After` in seconds (RFC 9110 10.2.3); null where it says nothing that can be understood. */
export function readRetryAfter(header: string | null, nowSeconds: number): number | null {
  if (header === null) return null;
  if (/^\d{1,9}$/.test(header)) return Number(header);
  const at = Date.parse(header);
  return Number.isNaN(at) ? null : Math.max(0, Math.ceil(at / 1_000 - nowSeconds));
}
