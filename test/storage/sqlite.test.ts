/** The storage contract on SQLite: on files of this process alone, and on one that two processes share. */
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { randomUUID } from 'node:crypto';
import {
  copyFileSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';

import type { Storage } from '../../src/storage/port.ts';
import { migrate, MIGRATIONS } from '../../src/storage/sqlite/migrations.ts';
import { openSqliteStorage } from '../../src/storage/sqlite/storage.ts';
import { storageContract } from './contract.ts';
import { newAccount, newAuditRecord, newMessage, newOneTimeToken } from './races.ts';
import { RACE_TIMEOUT_MS, raceEntries, raceInTwoProcesses, startRaceWorker } from './rounds.ts';
import type { RaceWorker } from './rounds.ts';

const folder = mkdtempSync(join(tmpdir(), 'portcullis-'));
const newPath = (): string => join(folder, `${randomUUID()}.db`);

afterAll(() => rmSync(folder, { recursive: true }));

storageContract('SQLite', () => openSqliteStorage({ path: newPath() }));

test('SQLite deletes what expired, of every kind, and nothing else', async () => {
  const storage = await openSqliteStorage({ path: newPath() });
  const [now, later] = [1_800_000_000, 1_800_000_060];
  for (const expiresAt of [now, later]) {
    const id = randomUUID();
    await storage.artifacts.upsert({ model: 'Session', id, payload: {}, expiresAt });
    await storage.oneTimeTokens.put(newOneTimeToken(id, { expiresAt }));
    await storage.oneTimeTokens.put(newOneTimeToken(id, { expiresAt, purpose: 'verify-email' }));
    await storage.counters.hit(id, 60, expiresAt - 60);
    await storage.outbox.put([newMessage(now, { expiresAt })]);
    await storage.statistics.add([{ series: id, hourAt: now, count: 1 }], expiresAt);
  }
  expect(await storage.deleteExpired(now)).toBe(6);
  expect(await storage.deleteExpired(now)).toBe(0);
  expect(await storage.statistics.read(now)).toHaveLength(1);
  expect(await storage.deleteExpired(later)).toBe(6);
  expect(await storage.statistics.read(now)).toEqual([]);
  await storage.close();
});

test('SQLite deletes expired messages and statistics in batches', async () => {
  const storage = await openSqliteStorage({ path: newPath() });
  const now = 1_800_000_000;
  const [messages, counts] = [600, 700];
  await storage.outbox.put(Array.from({ length: messages }, () => newMessage(now, { expiresAt: now })));
  await storage.statistics.add(
    Array.from({ length: counts }, (_, n) => ({ series: String(n), hourAt: now, count: 1 })),
    now,
  );
  expect(await storage.deleteExpired(now)).toBe(1_000);
  expect(await storage.deleteExpired(now)).toBe(messages + counts - 1_000);
  await storage.close();
});

test('SQLite refuses to change or delete an audit record, whoever asks', async () => {
  const path = newPath();
  const storage = await openSqliteStorage({ path });
  const [first, second] = [newAuditRecord(1), newAuditRecord(2)];
  for (const record of [first, second]) await storage.audit.append(record);
  const database = new DatabaseSync(path);
  expect(() => database.exec("UPDATE audit SET actor = 'forger'")).toThrow('never changed');
  expect(() => database.exec('DELETE FROM audit WHERE seq = 1')).toThrow('never deleted');
  database.exec("REPLACE INTO audit VALUES (1, 1, 'forger', 'a', NULL, '{}')");
  database.close();
  expect((await storage.audit.list({ limit: 9 })).items).toEqual([second, first]);
  await storage.close();
});

test('SQLite brings a store of the first schema up to date, with all that it holds', async () => {
  const path = newPath();
  const database = new DatabaseSync(path);
  database.exec(`${MIGRATIONS[0] ?? ''}; PRAGMA user_version = 1`);
  const account = newAccount(randomUUID(), { roles: { portcullis: 'admin' }, status: 'disabled' });
  const { id, username, emailKey } = account;
  const insert = database.prepare('INSERT INTO accounts VALUES (?, ?, ?, 1, ?)');
  insert.run(id, username, emailKey, JSON.stringify(account));
  const key = { kid: 'a', alg: 'RS256', sealedJwk: '…', createdAt: 1, signsFrom: 1 };
  database.prepare('INSERT INTO key_sets VALUES (1, 3, ?)').run(JSON.stringify([key]));
  database.close();
  const storage = await openSqliteStorage({ path });
  const { accounts, signingKeys } = storage;
  expect(await signingKeys.read()).toEqual({ version: 3, keys: [key], retired: [] });
  expect((await accounts.list({ limit: 9 }, { role: 'admin', status: 'disabled' })).items).toEqual([account]);
  expect(await accounts.count()).toEqual([{ role: 'admin', status: 'disabled', count: 1 }]);
  expect(await accounts.replace({ ...account, version: 2, status: 'active' })).toBe(true);
  expect(await accounts.count()).toEqual([{ role: 'admin', status: 'active', count: 1 }]);
  await storage.close();
});

test('SQLite tells why a migration failed, also where the engine has rolled it back by itself', () => {
  const database = new DatabaseSync(newPath());
  database.exec('PRAGMA page_size = 512; PRAGMA max_page_count = 4'); // as a disk that is full
  expect(() => migrate(database)).toThrow('database or disk is full');
  database.exec('PRAGMA max_page_count = 100000');
  migrate(database);
  database.close();
});

test('SQLite opens a store that is up to date without writing it, also while another holds it', async () => {
  const path = newPath();
  await (await openSqliteStorage({ path })).close();
  const other = new DatabaseSync(path);
  other.exec('BEGIN IMMEDIATE');
  const storage = await openSqliteStorage({ path });
  expect((await storage.clients.list({ limit: 1 })).items).toEqual([]);
  other.exec('ROLLBACK');
  other.close();
  await storage.close();
});

test('SQLite tells a ping that nothing can be written, from the first write that fails to the next that does not', async () => {
  const path = newPath();
  const storage = await openSqliteStorage({ path });
  const other = new DatabaseSync(path);
  other.exec('BEGIN IMMEDIATE');
  await storage.ping();
  await expect(storage.counters.hit('a', 60, 1)).rejects.toMatchObject({ code: 'store_unavailable' });
  await expect(storage.ping()).rejects.toMatchObject({ code: 'store_unavailable' });
  other.exec('ROLLBACK');
  other.close();
  await storage.ping();
  await storage.close();
});

describe('SQLite refuses a file that waiting does not mend, by its path and with a remedy:', () => {
  const opening = (path: string): Promise<Storage> => openSqliteStorage({ path });

  test('a folder', async () => {
    const path = newPath();
    mkdirSync(path);
    await expect(opening(path)).rejects.toThrow(
      `The store ${path} is a folder: name a file in DATABASE_URL, such as sqlite:${path}/portcullis.db.`,
    );
  });

  test('a file of another kind, and a path through a file', async () => {
    const path = newPath();
    writeFileSync(path, 'no database. '.repeat(100));
    await expect(opening(path)).rejects.toThrow(`The store ${path} is a file of another kind`);
    await expect(opening(join(path, 'store.db'))).rejects.toThrow(
      `The folder ${path} of the store is a file`,
    );
  });

  test('a damaged file', async () => {
    const [path, whole] = [newPath(), newPath()];
    await (await opening(whole)).close();
    copyFileSync(whole, path);
    truncateSync(path, readFileSync(whole).length / 2);
    await expect(opening(path)).rejects.toThrow(`The store ${path} is damaged: restore a backup`);
  });

  const may = process.getuid?.() === 0 ? test.skip : test;
  may('one that may not be written', async () => {
    const path = newPath();
    writeFileSync(path, '', { mode: 0o400 });
    await expect(opening(path)).rejects.toThrow(
      `The store ${path} cannot be written (EACCES): make the file`,
    );
  });
});

describe('SQLite keeps it on one file in two processes', () => {
  let storage: Storage;
  let workers: readonly RaceWorker[];

  beforeAll(async () => {
    const path = newPath();
    storage = await openSqliteStorage({ path });
    workers = await Promise.all([startRaceWorker('sqlite', path), startRaceWorker('sqlite', path)]);
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
