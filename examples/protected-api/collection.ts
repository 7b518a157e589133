/** Things in memory, each somebody's, in a bounded number. They go when the process ends. */
import { randomUUID } from 'node:crypto';

export interface Entry<T> {
  readonly id: string;
  /** The subject who made it. */
  readonly owner: string;
  readonly createdAt: string;
  readonly value: T;
}

export interface Limits {
  readonly maxPerOwner: number;
  readonly maxInAll: number;
}

export interface Collection<T> {
  /** Null where the owner, or the collection, has as many as there may be. */
  add(owner: string, value: T): Entry<T> | null;
  /** Those of one owner, or of all for null; oldest first. */
  list(owner: string | null): readonly Entry<T>[];
  /** Null where there is none, or it is somebody else's. */
  find(id: string, owner: string | null): Entry<T> | null;
  /** False where there is none, or it is somebody else's. */
  remove(id: string, owner: string | null): boolean;
  clear(): void;
}

/** Makes an empty one. */
export function createCollection<T>({ maxPerOwner, maxInAll }: Limits): Collection<T> {
  const entries = new Map<string, Entry<T>>();
  const list = (owner: string | null): readonly Entry<T>[] =>
    [...entries.values()].filter((entry) => owner === null || entry.owner === owner);
  const find = (id: string, owner: string | null): Entry<T> | null => {
    const entry = entries.get(id);
    return entry !== undefined && (owner === null || entry.owner === owner) ? entry : null;
  };
  return {
    add: (owner, value) => {
      if (entries.size >= maxInAll || list(owner).length >= maxPerOwner) return null;
      const entry = { id: randomUUID(), owner, createdAt: new Date().toISOString(), value };
      entries.set(entry.id, entry);
      return entry;
    },
    list,
    find,
    remove: (id, owner) => find(id, owner) !== null && entries.delete(id),
    clear: () => entries.clear(),
  };
}
