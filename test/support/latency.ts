/** A store that takes its time: races that an instant store hides show up behind it. */
import { setImmediate, setTimeout } from 'node:timers/promises';

import type { Storage } from '../../src/storage/port.ts';

const MAX_TURNS = 8;
const MAX_MS = 3;

/** Delays every call before and after, by some turns of the event loop or by up to 3 ms. */
export function withLatency(storage: Storage): Storage {
  return slow(storage);
}

type Method = (...args: unknown[]) => unknown;

const isMethod = (member: unknown): member is Method => typeof member === 'function';

function slow<T extends object>(target: T): T {
  return new Proxy(target, {
    get: (_, key) => {
      const member: unknown = Reflect.get(target, key);
      if (isMethod(member)) return (...args: unknown[]) => slowCall(target, member, args);
      return typeof member === 'object' && member !== null ? slow(member) : member;
    },
  });
}

async function slowCall(target: object, method: Method, args: unknown[]): Promise<unknown> {
  await delay();
  const result: unknown = await method.apply(target, args);
  await delay();
  return result;
}

async function delay(): Promise<void> {
  if (Math.random() < 0.5) await setTimeout(Math.random() * MAX_MS);
  else for (let turns = Math.random() * MAX_TURNS; turns > 1; turns -= 1) await setImmediate();
}
