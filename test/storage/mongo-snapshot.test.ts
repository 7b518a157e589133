/** Snapshots on a MongoDB that refuses to read a moment: one that it does not have yet, and one that it has forgotten. */
import { afterAll, afterEach, beforeAll, expect, test } from '@jest/globals';
import mongoose from 'mongoose';
import type { Connection } from 'mongoose';

import { openMongoStorage } from '../../src/storage/mongo/storage.ts';
import type { Storage } from '../../src/storage/port.ts';
import { cannotTest } from '../support/missing.ts';
import { startReplicaSet } from '../support/mongod.ts';
import { recordsOf } from './filled.ts';

// Errors as https://github.com/mongodb/mongo/blob/master/src/mongo/base/error_codes.yml numbers them.
const [SNAPSHOT_UNAVAILABLE, SNAPSHOT_TOO_OLD, INTERNAL] = [246, 239, 1];

const started = await startReplicaSet(1, ['--setParameter', 'enableTestCommands=1']);

if (started.mongo === null) {
  cannotTest('snapshots of a MongoDB that refuses them', started.reason);
} else {
  const { mongo } = started;
  let storage: Storage;
  let admin: Connection;

  beforeAll(async () => {
    storage = await openMongoStorage({ uri: mongo.uri });
    admin = await mongoose.createConnection(mongo.uri, { dbName: 'admin' }).asPromise();
    await storage.names.claim('ada', 'account');
  });

  afterEach(() => fail('off', SNAPSHOT_TOO_OLD));

  afterAll(async () => {
    await storage.close();
    await admin.destroy();
    await mongo.stop();
  });

  /** Has the next reads refused. */
  const fail = async (mode: 'off' | { readonly times: number }, errorCode: number): Promise<void> => {
    const data = { failCommands: ['find'], errorCode };
    await admin.db?.command({ configureFailPoint: 'failCommand', mode, ...(mode !== 'off' && { data }) });
  };

  test('a moment that is not to be had yet is asked for again', async () => {
    await fail({ times: 3 }, SNAPSHOT_UNAVAILABLE);
    expect(await recordsOf(storage.snapshot())).toHaveLength(1);
  });

  test('a moment that is gone is told as a store that is too large for the time, with the remedy', async () => {
    const batches = storage.snapshot()[Symbol.asyncIterator]();
    expect((await batches.next()).done).toBe(false);
    await fail({ times: 1 }, SNAPSHOT_TOO_OLD);
    await expect(batches.next()).rejects.toThrow(
      /^The store is too large .* setParameter: 1, minSnapshotHistoryWindowInSeconds: 3600 /,
    );
  });

  test('anything else is a store that is unavailable', async () => {
    await fail({ times: 1 }, INTERNAL);
    await expect(recordsOf(storage.snapshot())).rejects.toMatchObject({ code: 'store_unavailable' });
  });
}
