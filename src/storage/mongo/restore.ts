/**
 * Filling a store with the records of a snapshot. Meanwhile the indexes that delete what expired are away: what is
 * written is to be counted, and much of a backup of yesterday has expired.
 */
import { randomUUID } from 'node:crypto';

import mongoose from 'mongoose';
import type { mongo } from 'mongoose';

import { AppError } from '../../errors.ts';
import { RESTORE_REFUSALS, STORE_NAMES } from '../port.ts';
import type { RestoreTarget, StoredRecord, StoreName } from '../port.ts';
import { createCalls } from './calls.ts';
import type { CallOptions, Calls } from './calls.ts';
import { connect } from './connection.ts';
import { isDuplicateKey } from './errors.ts';
import { readOptions } from './finder.ts';
import { INDEXES } from './index-specs.ts';
import { prepareCollections } from './indexes.ts';
import { assertOwn, putMark, readMark, removeMark } from './restore-mark.ts';
import { createModels } from './schemas.ts';
import type { Models } from './schemas.ts';
import { readSnapshot } from './snapshot.ts';
import { rowOf, TABLES } from './tables.ts';

// Nobody's request waits for it.
const WRITE_TIMEOUT_MS = 30_000;
const DELETE_TIMEOUT_MS = 600_000;
const INDEX_NOT_FOUND = 27;

/** Opens the store that the URI names, making it where it is missing. Rejects as `openMongoStorage`. */
export async function openMongoRestore({ uri }: { readonly uri: string }): Promise<RestoreTarget> {
  const connection = await connect(uri);
  const calls = createCalls();
  const models = createModels(connection);
  const owner = randomUUID();
  const own = () => assertOwn(models.restores, calls, owner);

  return {
    begin: (now) => begin(models, calls, owner, now),
    write: async (records) => {
      await own();
      for (const [store, rows] of byStore(records)) await insert(models, calls, store, rows);
    },
    snapshot: () => readSnapshot(models, calls),
    finish: async () => {
      await own();
      await prepareCollections(models, calls);
      await removeMark(models.restores, calls, owner);
    },
    close: async () => {
      await calls.close();
      await connection.destroy(true);
    },
  };
}

async function begin(models: Models, calls: Calls, owner: string, now: number): Promise<'empty' | 'anew'> {
  await prepareCollections(models, calls);
  const previous = await readMark(models.restores, calls);
  if (previous === null) await assertEmpty(models, calls);
  await putMark(models.restores, calls, { previous, owner, now });
  for (const store of STORE_NAMES) await dropExpiry(models, calls, store);
  if (previous === null) return 'empty';
  for (const store of STORE_NAMES)
    await bounded(calls, DELETE_TIMEOUT_MS, (options) => collectionOf(models, store).deleteMany({}, options));
  return 'anew';
}

async function assertEmpty(models: Models, calls: Calls): Promise<void> {
  for (const store of STORE_NAMES) {
    const found = await calls.run((options) =>
      collectionOf(models, store).findOne({}, readOptions('linearizable', options)),
    );
    if (found !== null) throw new AppError('conflict', RESTORE_REFUSALS.used);
  }
}

async function dropExpiry(models: Models, calls: Calls, store: StoreName): Promise<void> {
  const expiry = INDEXES[TABLES[store].name].find(
    ({ expireAfterSeconds }) => expireAfterSeconds !== undefined,
  );
  if (expiry === undefined) return;
  try {
    await calls.attempt(
      () => collectionOf(models, store).dropIndex(expiry.name),
      performance.now(),
      WRITE_TIMEOUT_MS,
    );
  } catch (error) {
    const cause = Error.isError(error) ? error.cause : undefined;
    if (cause instanceof mongoose.mongo.MongoServerError && cause.code === INDEX_NOT_FOUND) return; // cut, too
    throw error;
  }
}

async function insert(
  models: Models,
  calls: Calls,
  store: StoreName,
  rows: readonly mongo.BSON.Document[],
): Promise<void> {
  try {
    await bounded(calls, WRITE_TIMEOUT_MS, (options) =>
      collectionOf(models, store).insertMany([...rows], { ...options, ordered: false }),
    );
  } catch (error) {
    throw isDuplicateKey(error)
      ? new AppError('conflict', RESTORE_REFUSALS.written, { cause: error })
      : error;
  }
}

interface WriteOptions extends CallOptions {
  readonly writeConcern: { readonly w: 'majority'; readonly journal: true; readonly wtimeoutMS: number };
}

/** A write that may take longer than a request has time for. */
const bounded = <T>(
  calls: Calls,
  timeoutMs: number,
  call: (options: WriteOptions) => Promise<T>,
): Promise<T> =>
  calls.attempt(
    (options) => call({ ...options, writeConcern: { w: 'majority', journal: true, wtimeoutMS: timeoutMs } }),
    performance.now(),
    timeoutMs,
  );

const collectionOf = (models: Models, store: StoreName): mongo.Collection =>
  models[TABLES[store].name].collection;

function byStore(records: readonly StoredRecord[]): ReadonlyMap<StoreName, readonly mongo.BSON.Document[]> {
  const rows = new Map<StoreName, mongo.BSON.Document[]>();
  for (const record of records) {
    const own = rows.get(record.store);
    if (own === undefined) rows.set(record.store, [rowOf(record)]);
    else own.push(rowOf(record));
  }
  return rows;
}
