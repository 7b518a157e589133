/** A store that takes its time: races that an instant store hides show up behind it. */
import { setImmediate, setTimeout } from 'node:timers/promises';

import type { Storage } from '../../src/storage/port.ts';
import { wrapCalls } from './wrapped-storage.ts';

const MAX_TURNS = 8;
const MAX_MS = 3;

type Delay = () => Promise<void>;

/** Delays every call before and after, as `delay` says: by some turns of the event loop or by up to 3 ms. */
export function withLatency(storage: Storage, delay: Delay = delayAtRandom): Storage {
  return wrapCalls(storage, (_call, run) => slowCall(run, delay));
}

async function slowCall(call: () => unknown, delay: Delay): Promise<unknown> {
  await delay();
  const result: unknown = await call();
  await delay();
  return result;
}

async function delayAtRandom(): Promise<void> {
  if (Math.random() < 0.5) await setTimeout(Math.random() * MAX_MS);
  else for (let turns = Math.random() * MAX_TURNS; turns > 1; turns -= 1) await setImmediate();
}
