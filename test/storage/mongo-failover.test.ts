/**
 * A replica set whose primary goes away under load: nothing acknowledged is lost, nothing is refused falsely, and
 * nothing is told but `store_unavailable`. Takes half a minute, so only CI and RACE_ROUNDS run it.
 */
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import mongoose from 'mongoose';
import { randomUUID } from 'node:crypto';

import { isAppError } from '../../src/errors.ts';
import { untilAvailable } from '../../src/background.ts';
import { openMongoStorage } from '../../src/storage/mongo/storage.ts';
import type { Storage } from '../../src/storage/port.ts';
import { cannotTest } from '../support/missing.ts';
import { startReplicaSet } from '../support/mongod.ts';
import type { TestMongo } from '../support/mongod.ts';
import { newAccount, newApiKey, newMessage, newOneTimeToken } from './races.ts';

const NOW = 1_800_000_000;
const LATER = NOW + 60;
const WORKERS = 16;
const ACKNOWLEDGED_AFTERWARDS = 200;
const TIMEOUT_MS = 90_000;

const isWanted = process.env['CI'] !== undefined || process.env['RACE_ROUNDS'] !== undefined;
const started = isWanted ? await startReplicaSet(3) : ({ mongo: null, reason: 'only with CI=1' } as const);

if (started.mongo === null) {
  cannotTest('MongoDB whose primary goes away', started.reason);
} else {
  describe('MongoDB whose primary goes away under load', () => failover(started.mongo));
}

function failover(mongo: TestMongo): void {
  let storage: Storage;
  let admin: mongoose.Connection;
  beforeAll(async () => {
    storage = await untilAvailable(
      () => openMongoStorage({ uri: mongo.uri }),
      () => undefined,
      AbortSignal.timeout(30_000),
    );
    admin = await mongoose.createConnection(mongo.uri).asPromise();
  });
  afterAll(async () => {
    await storage.close();
    await admin.destroy(true);
    await mongo.stop();
  });

  const faults = {
    'steps down': () => admin.db?.admin().command({ replSetStepDown: 5, force: true }),
    'is killed': async () => process.kill(await findPrimary(admin, mongo), 'SIGKILL'),
  };
  for (const [what, strike] of Object.entries(faults)) {
    test(`keeps every promise while its primary ${what}`, () => keepsPromises(storage, strike), TIMEOUT_MS);
  }
}

async function keepsPromises(storage: Storage, strike: () => Promise<unknown> | undefined): Promise<void> {
  const load = startLoad(storage);
  await load.acknowledged(ACKNOWLEDGED_AFTERWARDS);
  await strike();
  await load.acknowledged(ACKNOWLEDGED_AFTERWARDS);
  const { ids, wrong } = await load.end();
  expect(wrong).toEqual([]);
  const found = await Promise.all(ids.map((id) => storage.artifacts.find('AuthorizationCode', id, NOW)));
  expect(found.filter((artifact) => artifact?.consumedAt === NOW)).toHaveLength(ids.length);
}

/** Workers that each issue a code, find it, redeem it and replay it, over and over; the same with a person's things. */
function startLoad(storage: Storage) {
  const ids: string[] = [];
  const wrong: string[] = [];
  let isEnding = false;
  let watch = { count: Infinity, reached: Promise.withResolvers<undefined>() };

  const work = async (): Promise<void> => {
    while (!isEnding) {
      const id = randomUUID();
      try {
        wrong.push(
          ...(await redeem(storage, id)),
          ...(await signUp(storage, id)),
          ...(await useApiKey(storage, id)),
          ...(await deliver(storage, id)),
        );
        ids.push(id);
        if (ids.length >= watch.count) watch.reached.resolve(undefined);
      } catch (error) {
        if (!isAppError(error, 'store_unavailable')) wrong.push(String(error));
      }
    }
  };
  const workers = Promise.all(Array.from({ length: WORKERS }, work));

  return {
    /** Resolves when so many more codes were redeemed. */
    acknowledged: async (count: number) => {
      watch = { count: ids.length + count, reached: Promise.withResolvers() };
      await watch.reached.promise;
    },
    end: async () => {
      isEnding = true;
      await workers;
      return { ids, wrong };
    },
  };
}

/** What was answered wrongly; an answer that did not come is an error. */
async function redeem({ artifacts }: Storage, id: string): Promise<string[]> {
  const model = 'AuthorizationCode';
  await artifacts.upsert({ model, id, payload: {}, expiresAt: LATER });
  const found = await artifacts.find(model, id, NOW);
  const first = await artifacts.consume(model, id, NOW);
  const second = await artifacts.consume(model, id, NOW);
  return [
    ...(found === null ? [`${id} was acknowledged and not found`] : []),
    ...(first ? [] : [`${id} was refused`]),
    ...(second ? [`${id} was consumed twice`] : []),
  ];
}

async function signUp({ accounts, oneTimeTokens }: Storage, id: string): Promise<string[]> {
  const token = newOneTimeToken(id, { hash: id });
  await accounts.create(newAccount(id)); // a conflict is wrong: nobody else has the id
  await oneTimeTokens.put(token);
  const first = await oneTimeTokens.consume(token.purpose, id, NOW);
  const second = await oneTimeTokens.consume(token.purpose, id, NOW);
  const isReplaced = await accounts.replace(newAccount(id, { version: 2, isEmailVerified: true }));
  const found = await accounts.findByEmail(newAccount(id).emailKey);
  return [
    ...(first?.accountId === id ? [] : [`the link of ${id} was refused`]),
    ...(second === null ? [] : [`the link of ${id} was consumed twice`]),
    ...(isReplaced && found?.version === 2 ? [] : [`the account ${id} was not replaced`]),
  ];
}

async function useApiKey({ apiKeys }: Storage, id: string): Promise<string[]> {
  const key = newApiKey(id);
  await apiKeys.create(key); // a conflict is wrong: nobody else has the id
  const found = await apiKeys.findByHash(key.secrets[0]?.hash ?? '');
  await apiKeys.touch(id, NOW);
  const isReplaced = await apiKeys.replace({ ...key, version: 2 });
  const used = await apiKeys.find(id);
  return [
    ...(found === null ? [`the key ${id} was acknowledged and not found`] : []),
    ...(isReplaced ? [] : [`the key ${id} was not replaced`]),
    ...(used?.version === 2 && used.lastUsedAt === NOW ? [] : [`the use of the key ${id} was lost`]),
  ];
}

async function deliver({ outbox }: Storage, id: string): Promise<string[]> {
  await outbox.put([newMessage(NOW, { id })]);
  const next = { dueAt: LATER, lastError: null, failedAt: null };
  const isDeferred = await outbox.defer(id, next);
  const first = await outbox.delete(id);
  const second = await outbox.delete(id);
  return [
    ...(isDeferred ? [] : [`the message ${id} was acknowledged and not found`]),
    ...(first ? [] : [`the message ${id} was not deleted`]),
    ...(second ? [`the message ${id} was deleted twice`] : []),
  ];
}

async function findPrimary(admin: mongoose.Connection, { members }: TestMongo): Promise<number> {
  const hello = await admin.db?.admin().command({ hello: 1 });
  const primary = members.find(({ port }) => hello?.['primary'] === `127.0.0.1:${port}`);
  if (primary === undefined) throw new Error('there is no primary');
  return primary.pid;
}
