/** Instants as people read them: with the zone, since the server does not know the reader's, and how long ago. */
import type { Locale } from './locale.ts';

const MINUTE = 60;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;

/** Day before month in both: what `en` alone writes is read wrongly in half of the world. */
const FORMATS = { en: 'en-GB', de: 'de-DE' } as const;

export interface ReadableTime {
  /** For the attribute of a `<time>`. */
  readonly iso: string;
  /** `21 Nov 2026, 06:15 UTC` */
  readonly text: string;
  /** `3 hours ago` */
  readonly relative: string;
}

/** An instant in Unix seconds, seen from `now`. */
export function describeTime(locale: Locale, at: number, now: number): ReadableTime {
  const date = new Date(at * 1_000);
  const text = new Intl.DateTimeFormat(FORMATS[locale], {
    day: 'numeric',
    month: 'short',
    year: 'numeric',
    hour: '2-digit',
    minute: '2-digit',
    timeZone: 'UTC',
    timeZoneName: 'short',
  }).format(date);
  return { iso: date.toISOString(), text, relative: relativeTo(locale, at - now) };
}

function relativeTo(locale: Locale, seconds: number): string {
  const format = new Intl.RelativeTimeFormat(FORMATS[locale], { numeric: 'auto' });
  const size = Math.abs(seconds);
  // Up to the next minute: whoever has to wait is never told to come too early.
  if (size < HOUR) return format.format(Math.ceil(seconds / MINUTE), 'minute');
  if (size < DAY) return format.format(Math.round(seconds / HOUR), 'hour');
  return format.format(Math.round(seconds / DAY), 'day');
}
