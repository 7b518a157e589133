/** Statistics in SQLite: one row a series and hour, added to by upsert. */
import type { StatisticsStore } from '../port.ts';
import type { Connection } from './connection.ts';

export function createStatisticsStore({ database, read, write }: Connection): StatisticsStore {
  const select = database.prepare(
    'SELECT series, hour_at, count FROM statistics WHERE hour_at >= ? ORDER BY hour_at, series',
  );

  return {
    add: async (counts, expiresAt) => {
      await write('addStatistics', JSON.stringify(counts), expiresAt);
    },
    read: (fromAt) =>
      read(() =>
        select.all(fromAt).map(({ series, hour_at: hourAt, count }) => ({
          series: String(series),
          hourAt: Number(hourAt),
          count: Number(count),
        })),
      ),
  };
}
