/**
 * Load of two kinds, both bounded in number and time: closed (so many at once, each waits for its answer) and
 * open (so many a second, whether or not they are answered).
 */
import { setTimeout as sleep } from 'node:timers/promises';

export interface Load {
  /** Begins nothing more, waits for what is under way, and tells how many ran. */
  stop(): Promise<number>;
  /** The same when it comes to its end by itself. */
  finished(): Promise<number>;
}

interface ClosedLoad {
  readonly atOnce: number;
  readonly maxRuns: number;
  readonly maxSeconds: number;
  /** Runs once more; `n` counts from 0. What it throws is thrown by stop(). */
  readonly run: (n: number) => Promise<void>;
}

/** Keeps `atOnce` runs under way. */
export function startClosedLoad({ atOnce, maxRuns, maxSeconds, run }: ClosedLoad): Load {
  const end = performance.now() + maxSeconds * 1000;
  let begun = 0;
  let isStopped = false;
  const work = async (): Promise<void> => {
    while (!isStopped && begun < maxRuns && performance.now() < end) {
      begun += 1;
      await run(begun - 1);
    }
  };
  return finishing(
    Promise.allSettled(Array.from({ length: atOnce }, work)),
    () => (isStopped = true),
    () => begun,
  );
}

interface OpenLoad {
  readonly perSecond: number;
  readonly maxSeconds: number;
  readonly run: (n: number) => Promise<void>;
}

/** Begins `perSecond` runs a second; those that a busy machine delays are made up for. */
export function startOpenLoad({ perSecond, maxSeconds, run }: OpenLoad): Load {
  const begin = performance.now();
  const runs: Promise<void>[] = [];
  let isStopped = false;
  const work = async (): Promise<PromiseSettledResult<void>[]> => {
    while (!isStopped && performance.now() < begin + maxSeconds * 1000) {
      const due = ((performance.now() - begin) / 1000) * perSecond;
      while (runs.length < due) runs.push(run(runs.length));
      await sleep(10);
    }
    return Promise.allSettled(runs);
  };
  return finishing(
    work(),
    () => (isStopped = true),
    () => runs.length,
  );
}

function finishing(
  work: Promise<readonly PromiseSettledResult<void>[]>,
  stop: () => void,
  count: () => number,
): Load {
  const finished = async (): Promise<number> => {
    const failed = (await work).find((result) => result.status === 'rejected');
    if (failed !== undefined) throw failed.reason;
    return count();
  };
  return {
    finished,
    stop: () => {
      stop();
      return finished();
    },
  };
}

/** Calls `check` every few milliseconds until it gives true; gives how long that took, or throws. */
export async function waitUntil(
  what: string,
  check: () => Promise<boolean>,
  maxMs: number,
  everyMs = 20,
): Promise<number> {
  const begin = performance.now();
  while (!(await check())) {
    if (performance.now() - begin > maxMs) throw new Error(`${what}: not within ${maxMs} ms`);
    await sleep(everyMs);
  }
  return performance.now() - begin;
}
