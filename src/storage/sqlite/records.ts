/** Records kept as JSON in a column: reading one, and pages of them. */
import type { Page } from '../port.ts';

type Row = Readonly<Record<string, unknown>>;

const MAX_PARSED = 1_000;

/**
 * Reads the record of a row. A record that is read at every request is parsed once: the text in the store is
 * compared with the last one seen, so what is given is always what the store holds now.
 */
export function createRecordReader<T>(): (row: Row | undefined, id: string) => T | null {
  const parsed = new Map<string, { readonly text: string; readonly record: T }>();
  return (row, id) => {
    if (row === undefined) return null;
    const text = String(row['record']);
    const known = parsed.get(id);
    if (known?.text === text) return known.record;
    const record = parseRecord<T>(row);
    if (parsed.size >= MAX_PARSED) parsed.clear();
    parsed.set(id, { text, record });
    return record;
  };
}

/** A page of `rows`, which are at most `limit + 1` in the order of their ids: the one too many tells of a next page. */
export function toPage<T>(rows: readonly Row[], limit: number, idOf: (item: T) => string): Page<T> {
  const items = rows.slice(0, limit).map((row) => parseRecord<T>(row));
  const last = items.at(-1);
  return { items, next: rows.length > limit && last !== undefined ? idOf(last) : null };
}

/** Each store writes its record column from the type that it reads here. */
const parseRecord = <T>(row: Row): T => JSON.parse(String(row['record'])) as T;
