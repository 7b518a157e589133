/** A store each of whose calls goes through one function: for latency, and for faults at a call by its name. */
import type { Storage } from '../../src/storage/port.ts';

/** `call` is a name such as `accounts.replace`; `run` makes the call. Gives what the caller gets in its place. */
export type Around = (call: string, run: () => unknown) => unknown;

/** The same store, with every call, those of its parts included, made by `around`. */
export const wrapCalls = (storage: Storage, around: Around): Storage => wrap(storage, '', around);

function wrap<T extends object>(target: T, prefix: string, around: Around): T {
  return new Proxy(target, {
    get: (of, key) => {
      const member: unknown = Reflect.get(of, key);
      const call = prefix + String(key);
      if (typeof member === 'object' && member !== null) return wrap(member, `${call}.`, around);
      if (typeof member !== 'function') return member;
      return (...given: unknown[]) => around(call, (): unknown => Reflect.apply(member, of, given));
    },
  });
}
