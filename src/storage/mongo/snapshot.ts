/**
 * The whole store as it is at one moment: a session whose reads are all of one cluster time, and of what a majority
 * has. The replica set keeps what it needs for that while the server writes on, for five minutes by default.
 */
import { setTimeout as sleep } from 'node:timers/promises';

import mongoose from 'mongoose';
import type { mongo } from 'mongoose';

import { isAppError } from '../../errors.ts';
import { STORE_NAMES } from '../port.ts';
import type { StoredRecord, StoreName } from '../port.ts';
import type { Calls } from './calls.ts';
import type { Models } from './schemas.ts';
import { TABLES } from './tables.ts';

const BATCH = 200;
// Nobody's request waits for it, and the set may have much else to do.
const READ_TIMEOUT_MS = 30_000;
const SNAPSHOT_UNAVAILABLE = 246;
const SNAPSHOT_TOO_OLD = 239;
// An index that was made just now: the majority has it within moments.
const OPENING_ATTEMPTS = 50;
const OPENING_PAUSE_MS = 100;

/** Reads all of it, batch by batch. */
export async function* readSnapshot(models: Models, calls: Calls): AsyncGenerator<readonly StoredRecord[]> {
  const session = await openSession(models, calls);
  try {
    for (const store of STORE_NAMES) yield* readCollection(models, calls, session, store);
  } catch (error) {
    throw isCaused(error, SNAPSHOT_TOO_OLD) ? tooOld(error) : error;
  } finally {
    await session.endSession();
  }
}

/** A session with its moment: the first read sets it, and tells whether each collection can be read as it was then. */
async function openSession(models: Models, calls: Calls): Promise<mongo.ClientSession> {
  for (let attempt = 1; ; attempt += 1) {
    const session = await models.keySets.db.startSession({ snapshot: true });
    try {
      for (const store of STORE_NAMES) {
        const cursor = find(models, session, store).limit(1);
        await calls.attempt(() => cursor.next(), performance.now(), READ_TIMEOUT_MS);
        await cursor.close();
      }
      return session;
    } catch (error) {
      await session.endSession();
      if (!isCaused(error, SNAPSHOT_UNAVAILABLE) || attempt === OPENING_ATTEMPTS) throw error;
      await sleep(OPENING_PAUSE_MS);
    }
  }
}

async function* readCollection<Name extends StoreName>(
  models: Models,
  calls: Calls,
  session: mongo.ClientSession,
  store: Name,
): AsyncGenerator<readonly StoredRecord[]> {
  const { order, toRecord } = TABLES[store];
  // The collection of a store holds its rows, which give its records.
  const toStored = (row: unknown) => ({ store, record: toRecord(row as never) }) as StoredRecord;
  const found = find(models, session, store);
  const cursor = order === undefined ? found : found.sort(order);
  const next = () => calls.attempt(() => cursor.next(), performance.now(), READ_TIMEOUT_MS);
  try {
    for (let row = await next(); row !== null; row = await next()) {
      const rows: readonly object[] = [row, ...cursor.readBufferedDocuments()];
      yield rows.map(toStored);
    }
  } finally {
    await cursor.close();
  }
}

/** Without mongoose's part: there is nothing to cast in what the other files of this folder wrote. */
const find = (models: Models, session: mongo.ClientSession, store: StoreName): mongo.FindCursor<object> =>
  models[TABLES[store].name].collection.find(
    {},
    { session, readConcern: { level: 'snapshot' }, batchSize: BATCH },
  );

const isCaused = (error: unknown, code: number): boolean =>
  isAppError(error) && error.cause instanceof mongoose.mongo.MongoServerError && error.cause.code === code;

const tooOld = (cause: unknown): Error =>
  new Error(
    'The store is too large to be read within the time for which MongoDB keeps one moment of it (five minutes by ' +
      'default). In mongosh, run db.adminCommand({ setParameter: 1, minSnapshotHistoryWindowInSeconds: 3600 }) on ' +
      'each member, and try again.',
    { cause },
  );
