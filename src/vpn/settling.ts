/**
 * When a VPN JWT is issued: at a time that was before what it says was read, so that whatever ends it afterwards names
 * it; and after all that has ended by then, so that nothing that ended before names it. `iat` and the feed are in whole
 * seconds: who asks in the very second of a revocation waits for the next one.
 */
import { setTimeout as sleep } from 'node:timers/promises';

import { AppError } from '../errors.ts';
import type { RevocationStore } from '../storage/port.ts';
import type { Ended } from './revocations.ts';

const PAUSE_MS = 100;
// A second, and what the clocks of two instances may be apart.
const MAX_ATTEMPTS = 18;
const RETRY_AFTER_SECONDS = 2;

/**
 * Reads what a JWT is to say, perhaps more than once, that is issued at the time which `read` gets; `subjectsOf` tells
 * whose revocations would name it. What `read` writes was there before any revocation that names it. Throws what `read`
 * throws, and `overloaded` where another instance's clock is ahead.
 */
export type Settle = <T>(
  read: (at: number) => Promise<T>,
  subjectsOf: (found: T) => readonly Ended[],
) => Promise<T>;

interface SettleOptions {
  readonly store: Pick<RevocationStore, 'find'>;
  readonly now: () => number;
}

export function createSettle({ store, now }: SettleOptions): Settle {
  return async (read, subjectsOf) => {
    for (let attempt = 1; attempt <= MAX_ATTEMPTS; attempt += 1) {
      const at = now();
      const found = await read(at);
      const ended = await Promise.all(
        subjectsOf(found).map(({ kind, subject }) => store.find(kind, subject, at)),
      );
      if (ended.every((it) => it === null || it.issuedBefore <= at)) return found;
      await sleep(PAUSE_MS);
    }
    throw new AppError('overloaded', 'Tokens of this subject ended just now: try again in a moment.', {
      retryAfterSeconds: RETRY_AFTER_SECONDS,
    });
  };
}
