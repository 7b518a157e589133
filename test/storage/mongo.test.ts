/**
 * The storage contract on MongoDB, a database of its own for each store: in CI on a replica set of three, and
 * otherwise on that of the run.
 */
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import mongoose from 'mongoose';
import { randomUUID } from 'node:crypto';

import { untilAvailable } from '../../src/background.ts';
import { openMongoStorage } from '../../src/storage/mongo/storage.ts';
import type { Storage } from '../../src/storage/port.ts';
import { cannotTest } from '../support/missing.ts';
import { startReplicaSet } from '../support/mongod.ts';
import { storageContract } from './contract.ts';
import { RACE_TIMEOUT_MS, raceEntries, raceInTwoProcesses, startRaceWorker } from './rounds.ts';
import type { RaceWorker } from './rounds.ts';

const given = process.env['MONGODB_TEST_URI'] ?? '';
const ownSet = process.env['CI'] === undefined || given !== '' ? null : (await startReplicaSet(3)).mongo;
const uri = ownSet?.uri ?? process.env['PORTCULLIS_TEST_MONGODB_URI'];

if (uri === undefined) {
  cannotTest('MongoDB keeps the storage contract', 'see above why no MongoDB could be started');
} else {
  const databaseNames: string[] = [];
  const newDatabase = (): string => {
    databaseNames.push(`portcullis_test_${randomUUID().slice(0, 8)}`);
    return databaseNames.at(-1) ?? '';
  };

  afterAll(async () => {
    const connection = await mongoose.createConnection(uri).asPromise();
    for (const name of databaseNames) await connection.useDb(name).dropDatabase();
    await connection.destroy();
    await ownSet?.stop();
  });

  /** As the server opens it: indexes on a busy set of three may take more than one attempt. */
  const open = (databaseName: string): Promise<Storage> =>
    untilAvailable(
      () => openMongoStorage({ uri, databaseName }),
      () => undefined,
      AbortSignal.timeout(30_000),
    );

  storageContract('MongoDB', () => open(newDatabase()));

  test('MongoDB reads a key set that was written without the names of keys that were retired', async () => {
    const databaseName = newDatabase();
    const storage = await open(databaseName);
    const key = { kid: 'a', alg: 'RS256', sealedJwk: '…', createdAt: 1, signsFrom: 1 };
    const connection = await mongoose.createConnection(uri, { dbName: databaseName }).asPromise();
    // Its ids are texts, which the driver's own types do not expect.
    const collection = connection.collection<{ _id: string; version: number; keys: string }>('key_sets');
    await collection.insertOne({ _id: 'signing-keys', version: 3, keys: JSON.stringify([key]) });
    await connection.destroy();
    expect(await storage.signingKeys.read()).toEqual({ version: 3, keys: [key], retired: [] });
    expect(await storage.signingKeys.write(3, { keys: [], retired: ['a'] })).toBe(true);
    expect(await storage.signingKeys.read()).toEqual({ version: 4, keys: [], retired: ['a'] });
    await storage.close();
  });

  describe('MongoDB keeps it in one database in two processes', () => {
    let storage: Storage;
    let workers: readonly RaceWorker[];

    beforeAll(async () => {
      const databaseName = newDatabase();
      storage = await open(databaseName);
      const start = () => startRaceWorker('mongo', uri, databaseName);
      workers = await Promise.all([start(), start()]);
    });

    afterAll(async () => {
      await Promise.all(workers.map((worker) => worker.stop()));
      await storage.close();
    });

    for (const [name, { fact }] of raceEntries) {
      test(
        fact,
        async () => expect(await raceInTwoProcesses(storage, name, workers)).toEqual([]),
        RACE_TIMEOUT_MS,
      );
    }
  });
}
