/**
 * What stands in a backup, as lines of JSON: first what it is, then a record a line, at last how many there are and
 * the digest of all the lines before. It names no driver's tables, so either kind of store is filled from it.
 */
import { STORE_NAMES } from '../storage/port.ts';
import type { StoredRecord, StoreName } from '../storage/port.ts';

export const FORMAT = 'portcullis-backup';
export const VERSION = 1;

/** The first line. */
export interface BackupHeader {
  readonly format: string;
  readonly version: number;
  /** The program that wrote it. */
  readonly portcullis: string;
  /** ISO 8601. */
  readonly createdAt: string;
  readonly issuer: string;
  readonly storeKind: string;
}

/** How many records of each store. */
export type Counts = Readonly<Record<StoreName, number>>;

/** The last line. A version before this one may not have known every store. */
export interface BackupEnd {
  readonly end: { readonly counts: Partial<Counts>; readonly sha256: string };
}

/** Counts what passes. */
export function createCounter() {
  // Every name is one of them.
  const counts = Object.fromEntries(STORE_NAMES.map((name) => [name, 0])) as Record<StoreName, number>;
  return {
    add: (records: readonly StoredRecord[]): void => {
      for (const { store } of records) counts[store] += 1;
    },
    counts: (): Counts => ({ ...counts }),
  };
}

export const sumOf = (counts: Counts): number => Object.values(counts).reduce((sum, count) => sum + count, 0);

/** The stores of which there is not the same number in both. */
export const differing = (one: Partial<Counts>, other: Counts): readonly StoreName[] =>
  STORE_NAMES.filter((name) => (one[name] ?? 0) !== other[name]);
