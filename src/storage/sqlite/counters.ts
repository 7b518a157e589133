/** Counters in SQLite: a fixed window that starts at its first hit, counted in one statement. */
import type { CounterStore } from '../port.ts';
import type { Connection } from './connection.ts';

export function createCounterStore({ database, read, write }: Connection): CounterStore {
  const find = database.prepare('SELECT count, resets_at FROM counters WHERE key = ? AND resets_at > ?');

  return {
    hit: async (key, windowSeconds, now) =>
      toCount((await write('hitCounter', key, windowSeconds, now)).rows[0]),
    find: (key, now) =>
      read(() => {
        const row = find.get(key, now);
        return row === undefined ? null : toCount(row);
      }),
    clear: async (key) => {
      await write('clearCounter', key);
    },
  };
}

const toCount = (row: Readonly<Record<string, unknown>> | undefined) => ({
  count: Number(row?.['count']),
  resetsAt: Number(row?.['resets_at']),
});
