/** What a snapshot and a restore promise, on both stores and from each to the other. */
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { randomUUID } from 'node:crypto';

import mongoose from 'mongoose';

import { openRestoreTarget, openStorage } from '../../src/storage/open.ts';
import { RESTORE_REFUSALS, STORE_NAMES } from '../../src/storage/port.ts';
import type { RestoreTarget, Storage, StoredRecord } from '../../src/storage/port.ts';
import { INDEXES } from '../../src/storage/mongo/index-specs.ts';
import { TABLES as COLLECTIONS } from '../../src/storage/mongo/tables.ts';
import { TABLES } from '../../src/storage/sqlite/tables.ts';
import { describeOnBothStores, dropDatabase, testConfig } from '../support/server.ts';
import type { StoreKind } from '../support/server.ts';
import { contentOf, fill, FILL, recordsOf } from './filled.ts';
import { newClient, newRevocation } from './races.ts';

const NOW = 1_800_000_000;
// More than any driver reads at a time.
const MANY = 1_000;

const mongoUri = process.env['PORTCULLIS_TEST_MONGODB_URI'];
const folder = mkdtempSync(join(tmpdir(), 'portcullis-snapshot-'));
const urls: string[] = [];

afterAll(async () => {
  for (const url of urls) await dropDatabase(url);
  rmSync(folder, { recursive: true });
});

/** A store that nobody has opened yet. */
function newUrl(store: StoreKind): string {
  if (store === 'SQLite') return `sqlite:${join(folder, `${randomUUID()}.db`)}`;
  const url = testConfig(store, folder).secrets.databaseUrl;
  urls.push(url);
  return url;
}

/** Everything of `from`, in a store of its own. */
async function copy(from: { snapshot: Storage['snapshot'] }, url: string): Promise<void> {
  const target = await openRestoreTarget(url);
  await target.begin(NOW);
  for await (const batch of from.snapshot()) await target.write(batch);
  await target.finish();
  await target.close();
}

async function using<T>(url: string, work: (storage: Storage) => Promise<T>): Promise<T> {
  const storage = await openStorage(url);
  try {
    return await work(storage);
  } finally {
    await storage.close();
  }
}

const kinds: readonly StoreKind[] = mongoUri === undefined ? ['SQLite'] : ['SQLite', 'MongoDB'];

describeOnBothStores('a snapshot', (store) => {
  let storage: Storage;
  let url = '';

  beforeAll(async () => {
    url = newUrl(store);
    storage = await openStorage(url);
    await fill(storage);
  });

  afterAll(() => storage.close());

  test('knows every part of a store', () => {
    const parts = Object.entries(storage).filter(([, member]) => typeof member === 'object');
    expect([...STORE_NAMES].toSorted()).toEqual(parts.map(([name]) => name).toSorted());
  });

  test('has something of each part, in their order, and audit records in theirs', async () => {
    const records = await recordsOf(storage.snapshot());
    expect([...new Set(records.map((record) => record.store))]).toEqual([...STORE_NAMES]);
    const audit = records.flatMap((it) => (it.store === 'audit' ? [it.record.seq] : []));
    expect(audit).toEqual(Array.from({ length: 12 }, (_, index) => index + 1));
  });

  test('gives records as they were put', async () => {
    const records = await recordsOf(storage.snapshot());
    const of = (name: string) => records.filter((it) => it.store === name).map(({ record }) => record);
    expect(of('signingKeys')).toEqual([{ ...(await storage.signingKeys.read()) }]);
    expect(of('accounts')).toEqual(
      expect.arrayContaining([...(await storage.accounts.list({ limit: 9 })).items]),
    );
    expect(of('apiKeys')).toEqual(
      expect.arrayContaining([...(await storage.apiKeys.list({ limit: 9 })).items]),
    );
    expect(of('clients')).toEqual([await storage.clients.find('Billing')]);
    expect(of('outbox')).toEqual(
      expect.arrayContaining([...(await storage.outbox.list({ limit: 9 }, NOW)).items]),
    );
    const [used] = of('artifacts').filter((it) => 'id' in it && it.id === 'used');
    expect(used).toEqual({
      model: 'AuthorizationCode',
      id: 'used',
      payload: {},
      expiresAt: NOW + 60,
      consumedAt: NOW,
    });
    expect(of('counters')).toContainEqual({ key: 'a key', count: 3, resetsAt: NOW + 60 });
    expect(of('statistics')).toEqual([{ series: 'sign-in', hourAt: NOW, count: 7, expiresAt: NOW + 65 }]);
  });

  test('is of one moment, that of its first batch', async () => {
    await using(newUrl(store), async (own) => {
      for (let n = 0; n < MANY; n += 1) await own.names.claim(`name-${n}`, 'account');
      await own.clients.create(newClient('before'));
      const batches = own.snapshot()[Symbol.asyncIterator]();
      const first = await batches.next();
      await own.clients.create(newClient('after'));
      await own.clients.delete('before');
      await own.names.claim('zzz', 'account');
      const seen: StoredRecord[] = [...(first.done === true ? [] : first.value)];
      for (let next = await batches.next(); next.done !== true; next = await batches.next()) {
        expect(next.value.length).toBeLessThanOrEqual(MANY / 2);
        seen.push(...next.value);
      }
      expect(seen.filter((it) => it.store === 'names')).toHaveLength(MANY);
      expect(seen.flatMap((it) => (it.store === 'clients' ? [it.record.clientId] : []))).toEqual(['before']);
    });
  });

  test('may be left before its end, and the store closed', async () => {
    await using(url, async (own) => {
      for await (const batch of own.snapshot()) {
        expect(batch.length).toBeGreaterThan(0);
        break;
      }
    });
  });

  test.each(kinds)('fills an empty store on %s with the same', async (other) => {
    const there = newUrl(other);
    await copy(storage, there);
    expect(await using(there, contentOf)).toEqual(await contentOf(storage));
    const back = newUrl(store);
    await using(there, (copied) => copy(copied, back));
    expect(await using(back, contentOf)).toEqual(await contentOf(storage));
    expect(await using(back, ({ signingKeys }) => signingKeys.read())).toEqual(
      await storage.signingKeys.read(),
    );
  });

  test('gives a store that goes on where the other one was', async () => {
    const there = newUrl(store);
    await copy(storage, there);
    await using(there, async ({ artifacts, apiKeys, audit, names, resourceServers, signingKeys }) => {
      expect(await artifacts.consume('AuthorizationCode', 'used', NOW)).toBe(false);
      expect(await artifacts.findBy('Session', 'uid', 'u', NOW)).not.toBeNull();
      const [key] = (await apiKeys.list({ limit: 1 })).items;
      expect(await apiKeys.findByHash(key?.secrets[0]?.hash ?? '')).toEqual(key);
      expect((await audit.last())?.seq).toBe(12);
      expect(await names.claim('ada', 'service')).toBe('account');
      const server = await resourceServers.find('urn:x');
      if (server === null) throw new Error('the resource server is not there');
      expect(await resourceServers.replace(server, { ...server, sealedSecret: 'anew' })).toBe(true);
      expect(await signingKeys.write(1, { keys: [], retired: [] })).toBe(false);
    });
  });
});

describeOnBothStores('a restore', (store) => {
  let batch: readonly StoredRecord[] = [];
  let filled: Storage;

  beforeAll(async () => {
    filled = await openStorage(newUrl(store));
    await fill(filled);
    batch = await recordsOf(filled.snapshot());
  });

  afterAll(() => filled.close());

  const cut = async (url: string): Promise<RestoreTarget> => {
    const target = await openRestoreTarget(url);
    await target.begin(NOW);
    await target.write(batch);
    return target;
  };

  test.each(STORE_NAMES)('refuses a store that holds something of %s, and changes nothing', async (part) => {
    const url = newUrl(store);
    await using(url, FILL[part]);
    const before = await using(url, contentOf);
    const target = await openRestoreTarget(url);
    await expect(target.begin(NOW)).rejects.toMatchObject({
      code: 'conflict',
      message: RESTORE_REFUSALS.used,
    });
    await target.close();
    expect(await using(url, contentOf)).toEqual(before);
  });

  test('that was cut leaves a store that does not open, and begins anew', async () => {
    const url = newUrl(store);
    await (await cut(url)).close();
    await expect(openStorage(url)).rejects.toThrow(RESTORE_REFUSALS.unfinished);
    const target = await openRestoreTarget(url);
    expect(await target.begin(NOW)).toBe('anew');
    expect(await contentOf(target)).toEqual([]);
    await target.write(batch.slice(0, 3));
    await target.finish();
    await target.close();
    expect(await using(url, contentOf)).toHaveLength(3);
  });

  test('keeps the guards and indexes of a store that began anew', async () => {
    const url = newUrl(store);
    await (await cut(url)).close();
    await copy(filled, url);
    if (store === 'SQLite') {
      const database = new DatabaseSync(url.slice('sqlite:'.length));
      expect(() => database.exec('DELETE FROM audit')).toThrow('never deleted');
      database.close();
    } else {
      const connection = await mongoose.createConnection(url).asPromise();
      const indexes = await connection.collection('artifacts').listIndexes().toArray();
      expect(indexes.map(({ name }) => name as string).toSorted()).toEqual(
        ['_id_', ...INDEXES.artifacts.map(({ name }) => name)].toSorted(),
      );
      await connection.destroy();
    }
    expect(await using(url, contentOf)).toEqual(await contentOf(filled));
  });

  test('ends where another one takes the store', async () => {
    const url = newUrl(store);
    const first = await cut(url);
    const second = await openRestoreTarget(url);
    expect(await second.begin(NOW)).toBe('anew');
    const taken = { code: 'conflict', message: RESTORE_REFUSALS.taken };
    await expect(first.write(batch)).rejects.toMatchObject(taken);
    await expect(first.finish()).rejects.toMatchObject(taken);
    await second.write(batch);
    await second.finish();
    await Promise.all([first.close(), second.close()]);
    expect(await using(url, contentOf)).toEqual(await contentOf(filled));
  });

  test('ends where something is there already that it writes', async () => {
    const target = await cut(newUrl(store));
    const written = { code: 'conflict', message: RESTORE_REFUSALS.written };
    await expect(target.write(batch.filter((it) => it.store === 'names'))).rejects.toMatchObject(written);
    await target.close();
  });

  test('keeps a revocation that another one outdoes, where the other store had not deleted it yet', async () => {
    const outdone = newRevocation('eve', { issuedBefore: NOW });
    const later = { ...outdone, issuedBefore: NOW + 1 };
    const target = await openRestoreTarget(newUrl(store));
    await target.begin(NOW);
    // As a snapshot gives them: the latest first.
    await target.write([
      { store: 'revocations', record: { ...later, cursor: 2 } },
      { store: 'revocations', record: { ...outdone, cursor: 1 } },
    ]);
    const held = await recordsOf(target.snapshot());
    expect(held.flatMap((it) => (it.store === 'revocations' ? [it.record.cursor] : []))).toEqual([2, 1]);
    await target.close();
  });

  test('keeps what has expired until it is finished, so that all of it can be counted', async () => {
    const target = await cut(newUrl(store));
    const names = (records: readonly StoredRecord[]) => records.map((it) => it.store);
    expect(names(await recordsOf(target.snapshot()))).toEqual(names(batch));
    await target.close();
  });
});

describe('what holds a record', () => {
  test('is a table of a store, on SQLite', async () => {
    const url = newUrl('SQLite');
    await using(url, async () => undefined);
    const database = new DatabaseSync(url.slice('sqlite:'.length));
    const tables = database.prepare("SELECT name FROM sqlite_schema WHERE type = 'table'").all();
    database.close();
    const covered = Object.values(TABLES).map(({ name }) => name);
    // The mark of a restore, and what triggers keep of another table.
    const others = ['restores', 'api_key_hashes'];
    expect(tables.map(({ name }) => name as string).toSorted()).toEqual([...covered, ...others].toSorted());
  });

  test('is a collection of a store, on MongoDB', () => {
    const covered = Object.values(COLLECTIONS).map(({ name }) => name);
    // The mark of a restore, and what a ping writes.
    const others = ['restores', 'probes'];
    expect(Object.keys(INDEXES).toSorted()).toEqual([...covered, ...others].toSorted());
  });
});
