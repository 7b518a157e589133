/**
 * Filling a store with the records of a snapshot. It blocks the event loop: it is for a process that does nothing
 * else. Each batch is one transaction, which also makes sure that the store is still this restore's.
 */
import { randomUUID } from 'node:crypto';
import type { DatabaseSync, StatementSync } from 'node:sqlite';

import { AppError } from '../../errors.ts';
import { RESTORE_REFUSALS, STORE_NAMES } from '../port.ts';
import type { RestoreTarget, StoredRecord } from '../port.ts';
import { makePrivateFile, openForWriting } from './database.ts';
import { isConstraint, translateError } from './errors.ts';
import { migrate } from './migrations.ts';
import { toOpeningError } from './opening-error.ts';
import { assertOwn, putMark, readMark, removeMark } from './restore-mark.ts';
import { readSnapshot } from './snapshot.ts';
import { rowOf, TABLES } from './tables.ts';

const BUSY_TIMEOUT_MS = 1_000;
/** No audit record is ever deleted, unless it is half of a restore's: this trigger has to stand aside for that. */
const UNDELETED = 'audit_undeleted';

/** Opens the store at `path`, making it where it is missing. Rejects as `openSqliteStorage`. */
export async function openSqliteRestore({ path }: { readonly path: string }): Promise<RestoreTarget> {
  const database = openMigrated(path);
  const owner = randomUUID();
  const insert = createInsert(database);
  const asOwner = (work: () => void): void =>
    inTransaction(database, () => {
      assertOwn(database, owner);
      work();
    });

  return {
    begin: async (now) => inTransaction(database, () => begin(database, owner, now)),
    write: async (records) => asOwner(() => records.forEach(insert)),
    snapshot: () => readSnapshot(path),
    finish: async () => {
      database.exec('PRAGMA synchronous = FULL');
      asOwner(() => removeMark(database));
    },
    close: async () => database.close(),
  };
}

function openMigrated(path: string): DatabaseSync {
  try {
    makePrivateFile(path);
    const database = openForWriting(path, BUSY_TIMEOUT_MS);
    try {
      migrate(database);
      // The log keeps its order: what a power cut leaves of it has the mark, until `finish` writes all of it to disk.
      database.exec('PRAGMA synchronous = NORMAL');
      return database;
    } catch (error) {
      database.close();
      throw error;
    }
  } catch (error) {
    throw toOpeningError(path, error);
  }
}

function inTransaction<T>(database: DatabaseSync, work: () => T): T {
  try {
    database.exec('BEGIN IMMEDIATE');
    const result = work();
    database.exec('COMMIT');
    return result;
  } catch (error) {
    if (database.isTransaction) database.exec('ROLLBACK'); // a full disk has rolled back already
    throw isConstraint(error) ? writtenToo(error) : translateError(error);
  }
}

const writtenToo = (cause: unknown): AppError =>
  new AppError('conflict', RESTORE_REFUSALS.written, { cause });

function begin(database: DatabaseSync, owner: string, now: number): 'empty' | 'anew' {
  const isCut = readMark(database) !== null;
  if (isCut) deleteAll(database);
  else if (isUsed(database)) throw new AppError('conflict', RESTORE_REFUSALS.used);
  putMark(database, owner, now);
  return isCut ? 'anew' : 'empty';
}

const isUsed = (database: DatabaseSync): boolean =>
  STORE_NAMES.some((store) => database.prepare(`SELECT 1 FROM ${TABLES[store].name}`).get() !== undefined);

function deleteAll(database: DatabaseSync): void {
  const trigger = database.prepare('SELECT sql FROM sqlite_schema WHERE name = ?').get(UNDELETED);
  database.exec(`DROP TRIGGER ${UNDELETED}`);
  for (const store of STORE_NAMES) database.exec(`DELETE FROM ${TABLES[store].name}`);
  database.exec(String(trigger?.['sql']));
}

function createInsert(database: DatabaseSync): (record: StoredRecord) => void {
  const prepared = new Map<string, StatementSync>();
  const prepare = (table: string, columns: readonly string[]): StatementSync =>
    database.prepare(`INSERT INTO ${table} (${columns.join()}) VALUES (${columns.map(() => '?').join()})`);

  return (record) => {
    const { name } = TABLES[record.store];
    const row = rowOf(record);
    const statement = prepared.get(name) ?? prepare(name, Object.keys(row));
    prepared.set(name, statement);
    statement.run(...Object.values(row));
  };
}
