/** Records kept as JSON in a column: reading one, and pages of them. */
import type { StatementSync } from 'node:sqlite';

import { createRecordParser } from '../parsed.ts';
import type { Page } from '../port.ts';
import type { Row } from './statements.ts';

export interface RecordReader<T> {
  find(id: string): T | null;
  /** To be called after a write of this process, before its caller is told. */
  forget(): void;
}

/**
 * Finds records by `select`, whose one parameter is the id. A record that many requests of one turn of the event
 * loop ask for is read once in that turn: each read after a commit costs as much as a tenth of a token. A change by
 * another process is seen in the next turn.
 */
export function createRecordReader<T>(select: StatementSync): RecordReader<T> {
  const parse = createRecordParser<T>();
  const inThisTurn = new Map<string, T | null>();
  const forget = (): void => inThisTurn.clear();
  const read = (id: string): T | null => {
    const row = select.get(id);
    return row === undefined ? null : parse(id, String(row['record']));
  };

  return {
    forget,
    find: (id) => {
      const known = inThisTurn.get(id);
      if (known !== undefined) return known;
      if (inThisTurn.size === 0) setImmediate(forget);
      const record = read(id);
      inThisTurn.set(id, record);
      return record;
    },
  };
}

/** A page of `rows`, which are at most `limit + 1` in the order of their ids: the one too many tells of a next page. */
export function toPage<T>(
  rows: readonly Row[],
  limit: number,
  idOf: (item: T) => string,
  toItem: (row: Row) => T = parseRecord,
): Page<T> {
  const items = rows.slice(0, limit).map(toItem);
  const last = items.at(-1);
  return { items, next: rows.length > limit && last !== undefined ? idOf(last) : null };
}

/** Each store writes its record column from the type that it reads here. */
export const parseRecord = <T>(row: Row): T => JSON.parse(String(row['record'])) as T;
