/**
 * One SQLite store as this process uses it: reads run at once on a connection of their own, writes go through
 * the queue to the writer thread.
 */
import type { DatabaseSync } from 'node:sqlite';

import { makePrivateFile, openForReading, openForWriting } from './database.ts';
import { translateError } from './errors.ts';
import { migrate } from './migrations.ts';
import { toOpeningError } from './opening-error.ts';
import { assertWhole } from './restore-mark.ts';
import { createWriteQueue } from './write-queue.ts';
import type { WriteQueue } from './write-queue.ts';

// Opening may meet another process's migration. It blocks the event loop, and whoever opens tries again.
const OPENING_WAIT_MS = 250;

export interface Connection extends WriteQueue {
  /** For reading; statements are prepared on it once. */
  readonly database: DatabaseSync;
  /** Runs a read now. */
  read<T>(query: () => T): Promise<T>;
}

/** Opens (or makes, mode 0600) the file and brings its schema up to date. */
export function openConnection(path: string, timeoutMs?: number): Connection {
  const database = openPrepared(path);
  const queue = createWriteQueue(path, timeoutMs);

  return {
    database,
    read: async (query) => {
      try {
        return query();
      } catch (error) {
        throw translateError(error);
      }
    },
    write: queue.write,
    isFailing: queue.isFailing,
    close: async () => {
      await queue.close();
      if (database.isOpen) database.close();
    },
  };
}

function openPrepared(path: string): DatabaseSync {
  try {
    makePrivateFile(path);
    const database = openForWriting(path, OPENING_WAIT_MS);
    try {
      migrate(database);
      assertWhole(database);
    } finally {
      database.close();
    }
    return openForReading(path);
  } catch (error) {
    throw toOpeningError(path, error);
  }
}
