/** An instant as it is told to people and programs (RFC 3339, in UTC); inside, instants are Unix seconds. */
export const toInstant = (seconds: number): string => new Date(seconds * 1_000).toISOString();

/** The same; null where there is none. */
export const toInstantOrNull = (seconds: number | null): string | null =>
  seconds === null ? null : toInstant(seconds);
