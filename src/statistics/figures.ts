/** What is read out of the counts of the last hours. */
import type { HourCount } from '../storage/port.ts';
import { SERIES } from './events.ts';
import { HOUR_SECONDS } from './statistics.ts';

export interface Figures {
  /** The oldest first, without a gap. */
  readonly hours: readonly {
    readonly hourAt: number;
    readonly signIns: number;
    readonly refused: number;
    readonly locked: number;
    readonly registered: number;
    readonly tokens: number;
  }[];
  readonly tokensByGrant: Readonly<Record<string, number>>;
  /** The busiest first. `clientId` null: all that were too many to be told apart. */
  readonly topClients: readonly { readonly clientId: string | null; readonly tokens: number }[];
}

/** Sums up what was counted in the `hours` that end with the present one. */
export function toFigures(
  counts: readonly HourCount[],
  { hours, clients, now }: { readonly hours: number; readonly clients: number; readonly now: number },
): Figures {
  const present = now - (now % HOUR_SECONDS);
  const named = (group: string) => sums(counts, `${group}:`);
  return {
    hours: Array.from({ length: hours }, (_, index) => {
      const hourAt = present - (hours - 1 - index) * HOUR_SECONDS;
      const inHour = counts.filter((count) => count.hourAt === hourAt);
      const of = (series: string): number => inHour.find((count) => count.series === series)?.count ?? 0;
      return {
        hourAt,
        signIns: of(SERIES.signIn),
        refused: of(SERIES.signInRefused),
        locked: of(SERIES.locked),
        registered: of(SERIES.registered),
        tokens: [...sums(inHour, `${SERIES.token}:`).values()].reduce((sum, count) => sum + count, 0),
      };
    }),
    tokensByGrant: Object.fromEntries(named(SERIES.token)),
    topClients: [...named(SERIES.client)]
      .map(([clientId, tokens]) => ({ clientId: clientId === '' ? null : clientId, tokens }))
      .sort((a, b) => b.tokens - a.tokens)
      .slice(0, clients),
  };
}

/** The names of a group, and how often each was counted. */
function sums(counts: readonly HourCount[], prefix: string): ReadonlyMap<string, number> {
  const found = new Map<string, number>();
  for (const { series, count } of counts) {
    if (!series.startsWith(prefix)) continue;
    const name = series.slice(prefix.length);
    found.set(name, (found.get(name) ?? 0) + count);
  }
  return found;
}
