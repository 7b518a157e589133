/** Opening the file: private to its owner, in WAL mode. */
import { chmodSync, closeSync, mkdirSync, openSync } from 'node:fs';
import { dirname } from 'node:path';
import { DatabaseSync } from 'node:sqlite';

import { codeOf, isPassing } from './opening-error.ts';

const JOURNAL_SIZE_LIMIT_BYTES = 64 * 1024 * 1024;
/** 16 MiB: fewer checkpoints than by default, each writing a page once however often it changed. */
const AUTOCHECKPOINT_PAGES = 4_000;
/** 32 MiB: the index of a few hundred thousand live tokens is not read from the file again. */
const CACHE_KIB = 32 * 1024;

/** Makes the file and its folder where they are missing: it holds sealed keys, so nobody but its owner reads it. */
export function makePrivateFile(path: string): void {
  makeFolder(dirname(path));
  closeSync(openSync(path, 'a', 0o600));
  chmodSync(path, 0o600); // SQLite gives its -wal and -shm files the same mode
}

/** One level only: a folder further up that is missing is more likely a slip in DATABASE_URL. */
function makeFolder(folder: string): void {
  try {
    mkdirSync(folder, { mode: 0o700 });
  } catch (error) {
    if (codeOf(error) === 'EEXIST') return;
    if (isPassing(error)) throw error;
    throw new Error(
      `The folder ${folder} of the store cannot be made (${codeOf(error)}): make it, or change DATABASE_URL.`,
      { cause: error },
    );
  }
}

/** Opens for writing. `synchronous = FULL`: a commit survives a power cut, not only the death of the process. */
export function openForWriting(path: string, busyTimeoutMs: number): DatabaseSync {
  const database = new DatabaseSync(path, { timeout: busyTimeoutMs });
  try {
    database.exec(`PRAGMA journal_mode = WAL;
      PRAGMA synchronous = FULL;
      PRAGMA journal_size_limit = ${JOURNAL_SIZE_LIMIT_BYTES};
      PRAGMA wal_autocheckpoint = ${AUTOCHECKPOINT_PAGES};
      PRAGMA cache_size = -${CACHE_KIB};
      PRAGMA trusted_schema = OFF;`);
    return database;
  } catch (error) {
    database.close();
    throw error;
  }
}

/** Opens for reading. In WAL mode a reader waits for nobody, so its busy wait is next to nothing. */
export const openForReading = (path: string): DatabaseSync =>
  new DatabaseSync(path, { readOnly: true, timeout: 25 });
