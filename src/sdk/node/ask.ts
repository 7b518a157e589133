/**
 * One question to the server, asked again while that is worth it. Each attempt is short, each answer small, and no
 * question is sent on to another address: it holds a secret.
 */
import { setTimeout as pause } from 'node:timers/promises';

import { readText } from '../guard/fetch-json.ts';
import type { Fetch } from '../guard/fetch-json.ts';
import { pauseBeforeNext, readRetryAfter } from './retry.ts';

const ATTEMPT_MS = 5_000;
const MAX_DESCRIPTION = 300;
/**
 * With these an OAuth endpoint says no (RFC 6749 5.2, RFC 6750 3.1), and with 409 `/vpn/keys`; a 404 is no endpoint,
 * whatever it says.
 */
const REFUSALS: readonly number[] = [400, 401, 403, 409];

/** What the tests put in the place of the world. */
export interface Surroundings {
  readonly fetch: Fetch;
  /** Unix seconds. */
  readonly now: () => number;
  /** From 0 to 1. */
  readonly random: () => number;
  /** Waits; rejects once the signal aborts. */
  readonly sleep: (ms: number, signal: AbortSignal | undefined) => Promise<void>;
}

/** Those that a caller names, and the world for the rest. */
export const surroundings = (named: Partial<Surroundings>): Surroundings => ({
  fetch: named.fetch ?? globalThis.fetch,
  now: named.now ?? (() => Math.floor(Date.now() / 1000)),
  random: named.random ?? Math.random,
  sleep: named.sleep ?? sleep,
});

async function sleep(ms: number, signal: AbortSignal | undefined): Promise<void> {
  try {
    await pause(ms, undefined, signal === undefined ? {} : { signal });
  } catch (error) {
    throw signal?.aborted === true ? signal.reason : error;
  }
}

export interface Question {
  readonly url: URL;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: URLSearchParams | string;
}

export type Answer =
  /** The JSON object of a 200. */
  | { readonly kind: 'given'; readonly body: Readonly<Record<string, unknown>> }
  /** An OAuth error: asking again changes nothing. */
  | {
      readonly kind: 'refused';
      readonly status: number;
      readonly error: string;
      readonly description: string;
    }
  /** Nobody answered, or the server could not. */
  | {
      readonly kind: 'away';
      readonly status: number | null;
      readonly retryAfterSeconds: number | null;
      readonly cause: unknown;
    }
  /** Whatever answers does not speak OAuth. */
  | { readonly kind: 'strange'; readonly status: number; readonly cause: unknown };

/**
 * Asks by POST until there is an answer, four times at most. `question` is made for each time: what is good once cannot
 * be sent again. Outages are results; it rejects with the reason of `signal`, or as `question` does.
 */
export async function ask(
  question: () => Promise<Question>,
  world: Surroundings,
  signal: AbortSignal | undefined,
): Promise<Answer> {
  let pausedMs = 0;
  for (let attempts = 1; ; attempts += 1) {
    signal?.throwIfAborted();
    const answer = await attempt(await question(), world, signal);
    if (answer.kind !== 'away') return answer;
    const { retryAfterSeconds } = answer;
    const pauseMs = pauseBeforeNext({ attempts, pausedMs, retryAfterSeconds, random: world.random() });
    if (pauseMs === null) return answer;
    await world.sleep(pauseMs, signal);
    pausedMs += pauseMs;
  }
}

async function attempt(
  { url, headers, body }: Question,
  { fetch, now }: Surroundings,
  signal: AbortSignal | undefined,
): Promise<Answer> {
  const timeout = AbortSignal.timeout(ATTEMPT_MS);
  const until = signal === undefined ? timeout : AbortSignal.any([signal, timeout]);
  try {
    const answer = await fetch(url, { method: 'POST', headers, body, redirect: 'manual', signal: until });
    return toAnswer(answer, await readText(answer), now());
  } catch (cause) {
    signal?.throwIfAborted();
    return { kind: 'away', status: null, retryAfterSeconds: null, cause };
  }
}

function toAnswer({ status, headers }: Response, text: string, nowSeconds: number): Answer {
  if (status === 429 || status >= 500) {
    const retryAfterSeconds = readRetryAfter(headers.get('retry-after'), nowSeconds);
    return { kind: 'away', status, retryAfterSeconds, cause: text.slice(0, MAX_DESCRIPTION) };
  }
  const body = toObject(text);
  if (body !== null && status === 200) return { kind: 'given', body };
  if (!REFUSALS.includes(status) || typeof body?.['error'] !== 'string') {
    return { kind: 'strange', status, cause: text.slice(0, MAX_DESCRIPTION) };
  }
  const { error, error_description: description = '' } = body;
  return { kind: 'refused', status, error: printable(error), description: printable(description) };
}

function toObject(text: string): Readonly<Record<string, unknown>> | null {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === 'object' && value !== null && !Array.isArray(value)
      ? (value as Readonly<Record<string, unknown>>) // an object of JSON has texts as keys
      : null;
  } catch {
    return null;
  }
}

/** What goes into a message, and so perhaps into a log: one line, and not a long one. */
const printable = (value: unknown): string =>
  typeof value === 'string' ? value.replace(/[^\x20-\x7e]+/g, ' ').slice(0, MAX_DESCRIPTION) : '';
