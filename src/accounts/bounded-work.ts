/**
 * Work that takes a while, a fixed number at once. What waits is bounded too: an endless queue would answer
 * everybody too late, and an attacker decides how long it gets. Who finds it full is told to come back.
 */
import { AppError } from '../errors.ts';

const RETRY_AFTER_SECONDS = 2;

interface BoundedWorkOptions {
  readonly maxAtOnce: number;
  /** Beyond those at work. */
  readonly maxWaiting: number;
}

/** A place in the queue. Whoever took it gives it back, used or not; giving it back twice does nothing. */
export interface Place {
  release(): void;
}

export interface BoundedWork {
  /** Takes a place before there is work for it; throws AppError('overloaded') where there is none. */
  reserve(): Place;
  /** Runs it when its turn comes, in the place given or in one of its own. */
  run<T>(work: () => Promise<T>, place?: Place): Promise<T>;
}

/** Makes the queue. */
export function createBoundedWork({ maxAtOnce, maxWaiting }: BoundedWorkOptions): BoundedWork {
  const waiting: (() => void)[] = [];
  let taken = 0;
  let running = 0;

  const reserve = (): Place => {
    if (taken >= maxAtOnce + maxWaiting) throw overloaded();
    taken += 1;
    let isHeld = true;
    return {
      release: () => {
        if (isHeld) taken -= 1;
        isHeld = false;
      },
    };
  };

  const turn = async (): Promise<void> => {
    if (running < maxAtOnce) running += 1;
    else await new Promise<void>((resolve) => waiting.push(resolve)); // the one that ends hands its turn on
  };

  const endTurn = (): void => {
    const next = waiting.shift();
    if (next === undefined) running -= 1;
    else next();
  };

  return {
    reserve,
    run: async (work, place = reserve()) => {
      try {
        await turn();
        try {
          return await work();
        } finally {
          endTurn();
        }
      } finally {
        place.release();
      }
    },
  };
}

const overloaded = (): AppError =>
  new AppError('overloaded', 'Too many people are signing in just now; try again in a moment.', {
    retryAfterSeconds: RETRY_AFTER_SECONDS,
  });
