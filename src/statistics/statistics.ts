/**
 * What happened how often, by the hour: counted in memory, added to the store every few seconds, where the counts of
 * all instances add up. A count may be lost with a process that dies, or come twice where the store's answer was:
 * these are figures for people, no books.
 */
import type { HourCount, StatisticsStore } from '../storage/port.ts';

export const HOUR_SECONDS = 3_600;
const KEPT_SECONDS = 8 * 86_400;
/** Series of one hour in one process: clients are many, and only the busiest are asked for. */
const MAX_SERIES = 500;
/** Hours that wait for a store that is away. */
const MAX_HOURS = 24;

interface StatisticsOptions {
  readonly store: StatisticsStore;
  readonly now: () => number;
}

export interface Statistics {
  /** `group` and `name` are ours or a registered client's, never what somebody typed. */
  count(group: string, name?: string): void;
  /** Adds what was counted to the store; what it does not take waits on. */
  flush(): Promise<void>;
  /** The hours from so many back to the present one, what this process counted included. */
  read(hours: number): Promise<readonly HourCount[]>;
}

/** What was counted, by hour and series. */
type Counts = Map<number, Map<string, number>>;

export function createStatistics({ store, now }: StatisticsOptions): Statistics {
  let counts: Counts = new Map();
  let flushing: Promise<void> | null = null;
  const hourOf = (at: number): number => at - (at % HOUR_SECONDS);

  const flush = async (): Promise<void> => {
    if (counts.size === 0) return;
    const taken = counts;
    counts = new Map();
    try {
      await store.add(toList(taken), now() + KEPT_SECONDS);
    } catch (error) {
      giveBack(counts, taken);
      throw error;
    }
  };
  const flushOnce = (): Promise<void> =>
    (flushing ??= flush().finally(() => {
      flushing = null;
    }));

  return {
    count: (group, name) => add(counts, hourOf(now()), group, name),
    flush: flushOnce,
    read: async (hours) => {
      await flushOnce();
      return store.read(hourOf(now()) - (hours - 1) * HOUR_SECONDS);
    },
  };
}

/** `group` alone, or `group:name`; `group:` is all names that were too many. */
const seriesOf = (group: string, name: string | undefined): string =>
  name === undefined ? group : `${group}:${name}`;

function add(counts: Counts, hourAt: number, group: string, name: string | undefined): void {
  let hour = counts.get(hourAt);
  if (hour === undefined) {
    if (counts.size === MAX_HOURS) counts.delete(Math.min(...counts.keys()));
    counts.set(hourAt, (hour = new Map<string, number>()));
  }
  const series = seriesOf(group, name);
  const isOneTooMany = name !== undefined && hour.size >= MAX_SERIES && !hour.has(series);
  const kept = isOneTooMany ? seriesOf(group, '') : series;
  hour.set(kept, (hour.get(kept) ?? 0) + 1);
}

const toList = (counts: Counts): readonly HourCount[] =>
  [...counts].flatMap(([hourAt, hour]) => [...hour].map(([series, count]) => ({ series, hourAt, count })));

function giveBack(counts: Counts, taken: Counts): void {
  for (const [hourAt, hour] of taken) {
    const present = counts.get(hourAt) ?? new Map<string, number>();
    for (const [series, count] of hour) present.set(series, (present.get(series) ?? 0) + count);
    counts.set(hourAt, present);
  }
}
