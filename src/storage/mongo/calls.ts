/**
 * Every call to the engine goes through here: bounded in time and in number, its errors translated. The driver's
 * own time-outs do not add up to a bound (each of server selection, connection and retry has its own, and a
 * stopped mongod keeps its sockets open), so a call that is late is aborted, with its connection and its retry.
 */
import { storeUnavailable } from '../../errors.ts';
import { STORE_TIMEOUT_MS } from '../port.ts';
import { translateError } from './errors.ts';

// Two seconds of work at 5,000 a second; beyond that nobody would get an answer in time.
const MAX_WAITING = 10_000;

/** What every call hands to the driver: when to give up here, and over there. */
export interface CallOptions {
  readonly signal: AbortSignal;
  readonly maxTimeMS: number;
}

type Call<T> = (options: CallOptions) => Promise<T>;

export interface Calls {
  /** Makes a call that goes alone; `since` (of performance.now()) is when its time began. */
  run<T>(call: Call<T>, since?: number): Promise<T>;
  /** Counts a caller in; what it gives counts him out. Throws where the store is closed or too many wait. */
  enter(): () => void;
  /** Makes a call for callers who have entered, the first of them at `since`. */
  attempt<T>(call: Call<T>, since: number, timeoutMs?: number): Promise<T>;
  /** Refuses what comes from now on; resolves when the last caller has its answer. */
  close(): Promise<void>;
}

export function createCalls(storeTimeoutMs = STORE_TIMEOUT_MS): Calls {
  const finished = Promise.withResolvers<undefined>();
  let waiting = 0;
  let closed = false;

  const leave = (): void => {
    waiting -= 1;
    if (closed && waiting === 0) finished.resolve(undefined);
  };

  const enter = (): (() => void) => {
    if (closed) throw storeUnavailable(new Error('the store is closed'));
    if (waiting >= MAX_WAITING) throw storeUnavailable(new Error('too many calls wait for the store'));
    waiting += 1;
    return leave;
  };

  const attempt: Calls['attempt'] = (call, since, timeoutMs = storeTimeoutMs) =>
    attemptWithin(timeoutMs, call, since);

  return {
    enter,
    attempt,
    run: async (call, since = performance.now()) => {
      const done = enter();
      try {
        return await attempt(call, since);
      } finally {
        done();
      }
    },
    close: async () => {
      closed = true;
      if (waiting > 0) await finished.promise;
    },
  };
}

async function attemptWithin<T>(timeoutMs: number, call: Call<T>, since: number): Promise<T> {
  const late = () => storeUnavailable(new Error(`no answer within ${timeoutMs} ms`));
  const leftMs = since + timeoutMs - performance.now();
  if (leftMs <= 0) throw late();
  const controller = new AbortController();
  const deadline = Promise.withResolvers<never>();
  const timer = setTimeout(() => {
    const error = late();
    deadline.reject(error);
    controller.abort(error);
  }, leftMs);
  try {
    return await Promise.race([call({ signal: controller.signal, maxTimeMS: timeoutMs }), deadline.promise]);
  } catch (error) {
    throw translateError(error);
  } finally {
    clearTimeout(timer);
  }
}
