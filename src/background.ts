/** Work beside the requests: waiting for a store that is not there yet, and jobs that come again. */
import { setTimeout as sleep } from 'node:timers/promises';

import { isAppError } from './errors.ts';

const OPEN_RETRY_MS = 1_000;

/** Calls `open` until it succeeds; only an unavailable store is tried again. Aborted, it rejects, also after a success. */
export async function untilAvailable<T>(
  open: () => Promise<T>,
  onUnavailable: (error: Error) => void,
  signal: AbortSignal,
): Promise<T> {
  for (;;) {
    try {
      const opened = await open();
      signal.throwIfAborted();
      return opened;
    } catch (error) {
      if (!isAppError(error, 'store_unavailable')) throw error;
      onUnavailable(error);
    }
    await sleep(OPEN_RETRY_MS, undefined, { signal });
  }
}

/** Calls a job before its time. */
export interface Bell {
  ring(): void;
  /** Resolves after so long, or when it rings, or at once where it rang since the last time. Rejects when aborted. */
  wait(ms: number, signal: AbortSignal): Promise<void>;
}

export function createBell(): Bell {
  let isRung = false;
  let wake = (): void => undefined;
  return {
    ring: () => {
      isRung = true;
      wake();
    },
    wait: async (ms, signal) => {
      const rung = new AbortController();
      wake = () => rung.abort();
      if (isRung) wake();
      const either = AbortSignal.any([signal, rung.signal]);
      await sleep(ms, undefined, { signal: either, ref: false }).catch(() => undefined);
      isRung = false;
      signal.throwIfAborted();
    },
  };
}

/**
 * Runs `job` again and again, each time after the milliseconds that it gave or when the bell rings, until aborted. A
 * failure is reported and the job tried again after `onFailure`'s answer.
 */
export async function repeat(
  job: () => Promise<number>,
  onFailure: (error: unknown) => number,
  signal: AbortSignal,
  bell: Bell = createBell(),
): Promise<void> {
  let pauseMs = 0;
  while (!signal.aborted) {
    try {
      await bell.wait(pauseMs, signal);
    } catch {
      return; // aborted
    }
    pauseMs = await job().catch(onFailure);
  }
}
