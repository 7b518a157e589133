/** MongoDB that is absent, stopped, alone, or set up wrongly: what is told, and how soon. */
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import mongoose from 'mongoose';
import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { createServer } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';

import { openMongoStorage } from '../../src/storage/mongo/storage.ts';
import type { Storage } from '../../src/storage/port.ts';
import { cannotTest } from '../support/missing.ts';
import { startReplicaSet, startStandalone } from '../support/mongod.ts';
import type { TestMongo } from '../support/mongod.ts';
import { newAccount, newApiKey, newAuditRecord, newClient, newMessage, newOneTimeToken } from './races.ts';

const NOW = 1_800_000_000;
const LATER = NOW + 60;
const UNAVAILABLE = { name: 'AppError', code: 'store_unavailable' };
// The port's STORE_TIMEOUT_MS, and what a busy machine adds to one call, and to hundreds at once.
const MAX_WAIT_MS = 3_000;
const MAX_CROWDED_MS = 6_000;

const started = await startReplicaSet();

test('is unavailable in time where nobody listens', async () => {
  const uri = `mongodb://127.0.0.1:${await findFreePort()}/?replicaSet=rs0`;
  await expectUnavailable(() => openMongoStorage({ uri }));
});

if (started.mongo === null) {
  cannotTest('MongoDB that fails', started.reason);
} else {
  const { mongo } = started;
  afterAll(() => mongo.stop());

  describe('a mongod that is stopped', () => stoppedMongod(mongo));
  describe('indexes', () => indexes(mongo));

  test('refuses a server that is no replica set, and says what to do', async () => {
    const { mongo: standalone } = await startStandalone();
    await expect(openMongoStorage({ uri: standalone?.uri ?? '' })).rejects.toThrow(/rs\.initiate\(\)/);
    await standalone?.stop();
  });

  test('refuses a wrong password as what it is, not as a store that is down', async () => {
    const uri = mongo.uri.replace('//', '//nobody:wrong@');
    await expect(openMongoStorage({ uri })).rejects.toThrow(/refuses the user name or the password/);
  });

  test('cannot be weakened by the URI', async () => {
    const uri = `${mongo.uri}&w=0&journal=false&retryWrites=false&readPreference=secondary&readConcernLevel=available`;
    const storage = await openMongoStorage({ uri, databaseName: 'weakened' });
    const id = randomUUID();
    const artifact = { model: 'ReplayDetection', id, payload: {}, expiresAt: LATER };
    // Unacknowledged writes would all seem to succeed.
    expect(await storage.artifacts.insert(artifact, NOW)).toBe(true);
    expect(await storage.artifacts.insert(artifact, NOW)).toBe(false);
    await storage.close();
  });
}

function stoppedMongod({ uri, members }: TestMongo): void {
  const signal = (name: 'SIGSTOP' | 'SIGCONT'): void => {
    for (const { pid } of members) process.kill(pid, name);
  };
  /** Its threads go on until they get to know of it. */
  const stop = async (): Promise<void> => {
    signal('SIGSTOP');
    await sleep(100);
  };
  let storage: Storage;
  beforeAll(async () => {
    storage = await openMongoStorage({ uri, databaseName: 'stopped' });
  });
  afterAll(() => storage.close());

  test('makes every call fail as unavailable in time, also those that queue behind others', async () => {
    const calls = everyCall(storage);
    await stop();
    const outcomes = calls.map((call) => expectUnavailable(call, MAX_CROWDED_MS));
    // These find a turn of the group under way.
    await nextTurn();
    const queued = calls.flatMap((call) =>
      Array.from({ length: 20 }, () => expectUnavailable(call, MAX_CROWDED_MS)),
    );
    const opening = expectUnavailable(() => openMongoStorage({ uri }), MAX_CROWDED_MS);
    try {
      await Promise.all([...outcomes, ...queued, opening]);
    } finally {
      signal('SIGCONT');
    }
  });

  test('bounds the number of callers that wait', async () => {
    const { artifacts } = storage;
    await stop();
    try {
      const waiting = Array.from({ length: 10_000 }, () =>
        expect(artifacts.find('A', 'a', NOW)).rejects.toMatchObject(UNAVAILABLE),
      );
      const cause = { message: 'too many calls wait for the store' };
      await expect(artifacts.consume('A', 'a', NOW)).rejects.toMatchObject({ ...UNAVAILABLE, cause });
      await Promise.all(waiting);
    } finally {
      signal('SIGCONT');
    }
  });

  test('is back as soon as it goes on, with all that it acknowledged', async () => {
    const { artifacts } = storage;
    const artifact = { model: 'AuthorizationCode', id: randomUUID(), payload: {}, expiresAt: LATER };
    await artifacts.upsert(artifact);
    await stop();
    try {
      await expectUnavailable(() => artifacts.consume(artifact.model, randomUUID(), NOW));
    } finally {
      signal('SIGCONT');
    }
    const begin = performance.now();
    await succeed(() => storage.ping());
    expect(performance.now() - begin).toBeLessThan(MAX_CROWDED_MS);
    expect(await artifacts.find(artifact.model, artifact.id, NOW)).not.toBeNull();
    const winners = await Promise.all(
      Array.from({ length: 20 }, () => artifacts.consume(artifact.model, artifact.id, NOW)),
    );
    expect(winners.filter(Boolean)).toHaveLength(1);
  });
}

function indexes({ uri }: TestMongo): void {
  const open = async (databaseName: string): Promise<void> => {
    const storage = await openMongoStorage({ uri, databaseName });
    await storage.close();
  };
  const withCollection = async (
    databaseName: string,
    name: string,
    work: (collection: mongoose.mongo.Collection) => Promise<unknown>,
  ): Promise<void> => {
    const connection = await mongoose.createConnection(uri, { dbName: databaseName }).asPromise();
    await work(connection.collection(name));
    await connection.destroy();
  };

  test('are made where they are missing, and accepted where they are there', async () => {
    await open('indexes');
    await open('indexes');
    await withCollection('indexes', 'artifacts', async (collection) => {
      expect(await collection.indexes()).toContainEqual(
        expect.objectContaining({ key: { expiresAt: 1 }, expireAfterSeconds: 600 }),
      );
    });
    await withCollection('indexes', 'resource_servers', async (collection) => {
      expect(await collection.indexes()).toContainEqual(
        expect.objectContaining({ key: { audience: 1 }, unique: true }),
      );
    });
    await withCollection('indexes', 'accounts', async (collection) => {
      const found = await collection.indexes();
      for (const key of [{ username: 1 }, { emailKey: 1 }]) {
        expect(found).toContainEqual(expect.objectContaining({ key, unique: true }));
      }
    });
    await withCollection('indexes', 'api_keys', async (collection) => {
      expect(await collection.indexes()).toContainEqual(
        expect.objectContaining({ key: { hashes: 1 }, unique: true }),
      );
    });
    for (const name of ['one_time_tokens', 'outbox', 'statistics']) {
      await withCollection('indexes', name, async (collection) => {
        expect(await collection.indexes()).toContainEqual(
          expect.objectContaining({ key: { expiresAt: 1 }, expireAfterSeconds: 600 }),
        );
      });
    }
    await withCollection('indexes', 'audit', async (collection) => {
      const found = await collection.indexes();
      expect(found.filter(({ expireAfterSeconds }) => expireAfterSeconds !== undefined)).toEqual([]);
    });
  });

  test('that are not unique are refused with what is expected and what to run', async () => {
    await withCollection('not_unique', 'resource_servers', (collection) =>
      collection.createIndexes([{ key: { audience: 1 }, name: 'audience' }]),
    );
    await expect(open('not_unique')).rejects.toThrow(
      'The index "audience" of the collection "resource_servers" is {"key":{"audience":1}}, expected ' +
        '{"key":{"audience":1},"unique":true}. In mongosh, on the database "not_unique", run ' +
        'db.resource_servers.dropIndex("audience") and start again.',
    );
    await withCollection('not_unique', 'resource_servers', (collection) => collection.dropIndex('audience'));
    await open('not_unique');
  });

  test('that expire too early, or under another name, are refused', async () => {
    await withCollection('expiry', 'artifacts', (collection) =>
      collection.createIndexes([{ key: { expiresAt: 1 }, name: 'expiry', expireAfterSeconds: 0 }]),
    );
    await expect(open('expiry')).rejects.toThrow(
      /"expireAfterSeconds":0}, expected .*"expireAfterSeconds":600}/,
    );
    await withCollection('other_name', 'artifacts', (collection) =>
      collection.createIndexes([{ key: { expiresAt: 1 }, name: 'mine', expireAfterSeconds: 600 }]),
    );
    await expect(open('other_name')).rejects.toThrow(
      /cannot be made \(.*mine.*run db\.artifacts\.createIndex\(/,
    );
  });

  test('that cannot be unique are refused', async () => {
    await withCollection('twice', 'resource_servers', (collection) =>
      collection.insertMany([{ audience: 'same' }, { audience: 'same' }]),
    );
    await expect(open('twice')).rejects.toThrow(
      /"audience" .* cannot be made \(.*duplicate key.*"unique":true/,
    );
  });
}

/** One call of each kind. */
function everyCall(storage: Storage): (() => Promise<unknown>)[] {
  const { artifacts, accounts, oneTimeTokens, clients, resourceServers, names, signingKeys, counters } =
    storage;
  const { outbox, apiKeys, audit, statistics } = storage;
  const artifact = () => ({ model: 'AccessToken', id: randomUUID(), payload: {}, expiresAt: LATER });
  return [
    () => artifacts.upsert(artifact()),
    () => artifacts.upsert({ ...artifact(), id: 'same' }),
    () => artifacts.insert(artifact(), NOW),
    () => artifacts.find('AccessToken', randomUUID(), NOW),
    () => artifacts.findBy('Session', 'uid', 'a', NOW),
    () => artifacts.consume('AccessToken', 'a', NOW),
    () => artifacts.destroy('AccessToken', 'a'),
    () => artifacts.revokeGrant('a'),
    () => artifacts.revokeAccount('a'),
    () => artifacts.extend('AccessToken', 'a', LATER, NOW),
    () => artifacts.listOfAccount('Session', 'a', { limit: 1 }, NOW),
    () => artifacts.count('Session', NOW),
    () => accounts.create(newAccount(randomUUID())),
    () => accounts.find(randomUUID()),
    () => accounts.findByUsername('a'),
    () => accounts.findByEmail('a'),
    () => accounts.replace(newAccount('a', { version: 2 })),
    () => accounts.delete('a'),
    () => accounts.list({ limit: 1 }),
    () => accounts.list({ limit: 1 }, { startsWith: 'a', role: 'a', status: 'active' }),
    () => accounts.count(),
    () => oneTimeTokens.put(newOneTimeToken('a')),
    () => oneTimeTokens.find('reset-password', 'a', NOW),
    () => oneTimeTokens.consume('reset-password', 'a', NOW),
    () => oneTimeTokens.revokeAccount('a'),
    () => clients.create(newClient(randomUUID())),
    () => clients.find(randomUUID()),
    () => clients.replace({ ...newClient('a'), version: 2 }),
    () => clients.delete('a'),
    () => clients.list({ limit: 1 }),
    () => resourceServers.find('a'),
    () => resourceServers.findByAudience('a'),
    () => resourceServers.delete('a'),
    () => resourceServers.list({ limit: 1 }),
    () => names.claim('a', 'account'),
    () => signingKeys.read(),
    () => signingKeys.write(0, { keys: [], retired: [] }),
    () => counters.hit('a', 60, NOW),
    () => counters.find('a', NOW),
    () => counters.clear('a'),
    () => outbox.put([newMessage(NOW)]),
    () => outbox.take(10, LATER, NOW),
    () => outbox.delete('a'),
    () => outbox.defer('a', { dueAt: LATER, lastError: null, failedAt: null }),
    () => outbox.list({ limit: 1 }, NOW, { isFailed: true }),
    () => apiKeys.create(newApiKey(randomUUID())),
    () => apiKeys.find(randomUUID()),
    () => apiKeys.findByHash('a'),
    () => apiKeys.replace(newApiKey('a', { version: 2 })),
    () => apiKeys.touch('a', NOW),
    () => apiKeys.delete('a'),
    () => apiKeys.deleteOfAccount('a'),
    () => apiKeys.list({ limit: 1 }),
    () => apiKeys.count(),
    () => audit.append(newAuditRecord(1)),
    () => audit.last(),
    () => audit.list({ limit: 1 }, { from: NOW }),
    () => statistics.add([{ series: 'a', hourAt: NOW, count: 1 }], LATER),
    () => statistics.read(NOW),
    () => storage.ping(),
  ];
}

async function expectUnavailable(call: () => Promise<unknown>, withinMs = MAX_WAIT_MS): Promise<void> {
  const begin = performance.now();
  await expect(call()).rejects.toMatchObject(UNAVAILABLE);
  expect(performance.now() - begin).toBeLessThan(withinMs);
}

/** Tries until it succeeds; each try takes its own time to fail. */
async function succeed(call: () => Promise<unknown>): Promise<void> {
  try {
    await call();
  } catch {
    await succeed(call);
  }
}

function nextTurn(): Promise<void> {
  return new Promise((resolve) => void setImmediate(() => resolve()));
}

async function findFreePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  server.close();
  await once(server, 'close');
  return typeof address === 'object' && address !== null ? address.port : 0;
}
