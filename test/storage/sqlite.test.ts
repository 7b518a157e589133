/** The storage contract on SQLite: on files of this process alone, and on one that two processes share. */
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { randomUUID } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import type { Storage } from '../../src/storage/port.ts';
import { openSqliteStorage } from '../../src/storage/sqlite/storage.ts';
import { storageContract } from './contract.ts';
import { newOneTimeToken } from './races.ts';
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
  }
  expect(await storage.deleteExpired(now)).toBe(4);
  expect(await storage.deleteExpired(now)).toBe(0);
  expect(await storage.deleteExpired(later)).toBe(4);
  await storage.close();
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
