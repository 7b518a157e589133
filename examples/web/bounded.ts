/**
 * What the application remembers of browsers, in memory: a fixed number of entries, each for a fixed time, under
 * keys that nobody can guess. A restart forgets all; people then sign in again.
 */
import { randomBytes } from 'node:crypto';

export interface Bounded<T> {
  /** Remembers a value and gives its key, 256 random bits; the oldest entry makes room. */
  add(value: T): string;
  /** Null where there is none, or none any more. */
  find(key: string): T | null;
  /** Changes a value that is there; its time runs on. */
  replace(key: string, value: T): void;
  remove(key: string): void;
}

export interface BoundedOptions {
  readonly maxEntries: number;
  readonly lifetimeSeconds: number;
  readonly now: () => number;
}

export function createBounded<T>({ maxEntries, lifetimeSeconds, now }: BoundedOptions): Bounded<T> {
  // A Map keeps the order of insertion, and all live equally long: the first one is the oldest.
  const entries = new Map<string, { readonly value: T; readonly expiresAt: number }>();

  const makeRoom = (): void => {
    for (const [key, { expiresAt }] of entries) {
      if (expiresAt > now() && entries.size < maxEntries) return;
      entries.delete(key);
    }
  };

  return {
    add: (value) => {
      makeRoom();
      const key = randomBytes(32).toString('base64url');
      entries.set(key, { value, expiresAt: now() + lifetimeSeconds });
      return key;
    },
    find: (key) => {
      const entry = entries.get(key);
      return entry !== undefined && entry.expiresAt > now() ? entry.value : null;
    },
    replace: (key, value) => {
      const entry = entries.get(key);
      if (entry !== undefined) entries.set(key, { ...entry, value });
    },
    remove: (key) => void entries.delete(key),
  };
}
