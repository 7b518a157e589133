/**
 * Group commit: what waits while turns are at the engine goes out together as the next one. A turn is one
 * command and one wait for the journals of a majority, whatever the number of callers, so the more there are the
 * less each of them costs. Used for reads too: a read joins only a turn that has not begun, so it sees every
 * write that was acknowledged before it was asked for.
 */
import { isAppError } from '../../errors.ts';
import type { CallOptions, Calls } from './calls.ts';

// One turn of the largest payloads stays within one message to the engine (48 MB).
const MAX_TURN = 500;

/** Does one turn; gives the answer for each key, or throws for a key that failed alone. */
type Turn<V, R> = (entries: ReadonlyMap<string, V>, options: CallOptions) => Promise<(key: string) => R>;

/** Joins the next turn. The later of two values that wait under one key is the one that goes out, for both. */
export type Submit<V, R> = (key: string, value: V, since?: number) => Promise<R>;

interface Entry<V, R> {
  value: V;
  readonly since: number;
  readonly outcome: PromiseWithResolvers<R>;
}

/** `turns` are at the engine at once; with more than one, two values of one key may arrive in any order. */
export function createGroup<V, R>(calls: Calls, turn: Turn<V, R>, turns = 1): Submit<V, R> {
  const queue = new Map<string, Entry<V, R>>();
  let isScheduled = false;
  let running = 0; // turns under way or about to begin

  const next = async (): Promise<void> => {
    const batch = takeFirst(queue, MAX_TURN);
    try {
      const since = Math.min(...[...batch.values()].map((entry) => entry.since));
      const values = new Map([...batch].map(([key, entry]) => [key, entry.value]));
      const answer = await calls.attempt((options) => turn(values, options), since);
      for (const [key, { outcome }] of batch) settle(outcome, () => answer(key));
    } catch (error) {
      refuse(batch, error);
      // Nobody waits for a time-out of his own behind a store that cannot answer.
      if (isAppError(error, 'store_unavailable')) refuse(takeFirst(queue, queue.size), error);
    }
    running -= 1;
    begin();
  };

  const begin = (): void => {
    if (isScheduled || running >= turns || queue.size === 0) return;
    isScheduled = true;
    running += 1;
    setImmediate(() => {
      isScheduled = false;
      void next();
    });
  };

  const join = (key: string, value: V, since: number): Promise<R> => {
    const entry = queue.get(key) ?? { value, since, outcome: Promise.withResolvers<R>() };
    entry.value = value;
    queue.set(key, entry);
    begin();
    return entry.outcome.promise;
  };

  return async (key, value, since = performance.now()) => {
    const leave = calls.enter();
    try {
      return await join(key, value, since);
    } finally {
      leave();
    }
  };
}

function takeFirst<V>(queue: Map<string, V>, count: number): Map<string, V> {
  const taken = new Map<string, V>();
  for (const [key, value] of queue) {
    if (taken.size === count) break;
    taken.set(key, value);
    queue.delete(key);
  }
  return taken;
}

function settle<R>(outcome: PromiseWithResolvers<R>, answer: () => R): void {
  try {
    outcome.resolve(answer());
  } catch (error) {
    outcome.reject(error);
  }
}

function refuse<V, R>(entries: ReadonlyMap<string, Entry<V, R>>, error: unknown): void {
  for (const { outcome } of entries.values()) outcome.reject(error);
}
