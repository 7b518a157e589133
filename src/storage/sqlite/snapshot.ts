/**
 * The whole store as it is at one moment: one read transaction on a connection of its own. In WAL mode it keeps
 * nobody from writing; until it ends, the log grows by what is written meanwhile.
 */
import type { DatabaseSync } from 'node:sqlite';
import { setImmediate } from 'node:timers/promises';

import { STORE_NAMES } from '../port.ts';
import type { StoredRecord, StoreName } from '../port.ts';
import { openForReading } from './database.ts';
import { translateError } from './errors.ts';
import { TABLES } from './tables.ts';

// A few milliseconds of the event loop, which then serves others.
const BATCH = 200;

/** Reads all of it, batch by batch. */
export async function* readSnapshot(path: string): AsyncGenerator<readonly StoredRecord[]> {
  const database = openForReading(path);
  try {
    database.exec('BEGIN');
    for (const store of STORE_NAMES) yield* readTable(database, store);
  } catch (error) {
    throw translateError(error);
  } finally {
    database.close();
  }
}

async function* readTable<Name extends StoreName>(
  database: DatabaseSync,
  store: Name,
): AsyncGenerator<readonly StoredRecord[]> {
  const { name, order, toRecord } = TABLES[store];
  const select = `SELECT * FROM ${name}${order === undefined ? '' : ` ORDER BY ${order}`}`;
  let batch: StoredRecord[] = [];
  for (const row of database.prepare(select).iterate()) {
    // The table of a store gives the records of that store.
    batch.push({ store, record: toRecord(row) } as StoredRecord);
    if (batch.length < BATCH) continue;
    yield batch;
    batch = [];
    await setImmediate();
  }
  if (batch.length > 0) yield batch;
}
