/** Work beside the requests: waiting for a store that is not there yet, and jobs that come again. */
import { setTimeout as sleep } from 'node:timers/promises';

import { isAppError } from './errors.ts';

const OPEN_RETRY_MS = 1_000;

/** Calls `open` until it succeeds; only an unavailable store is tried again. Stops trying when aborted. */
export async function untilAvailable<T>(
  open: () => Promise<T>,
  onUnavailable: (error: Error) => void,
  signal: AbortSignal,
): Promise<T> {
  for (;;) {
    try {
      return await open();
    } catch (error) {
      if (!isAppError(error, 'store_unavailable')) throw error;
      onUnavailable(error);
    }
    await sleep(OPEN_RETRY_MS, undefined, { signal });
  }
}

/**
 * Runs `job` again and again, each time after the milliseconds that it gave, until aborted. A failure is
 * reported and the job tried again after `onFailure`'s answer.
 */
export async function repeat(
  job: () => Promise<number>,
  onFailure: (error: unknown) => number,
  signal: AbortSignal,
): Promise<void> {
  let pauseMs = 0;
  while (!signal.aborted) {
    try {
      await sleep(pauseMs, undefined, { signal, ref: false });
    } catch {
      return; // aborted
    }
    pauseMs = await job().catch(onFailure);
  }
}
