/** Counters in SQLite: a fixed window that starts at its first hit, counted in one statement. */
import type { CounterStore } from '../port.ts';
import type { Connection } from './connection.ts';

export const createCounterStore = ({ write }: Connection): CounterStore => ({
  hit: async (key, windowSeconds, now) => {
    const { row } = await write('hitCounter', key, windowSeconds, now);
    return { count: Number(row?.['count']), resetsAt: Number(row?.['resets_at']) };
  },
});
