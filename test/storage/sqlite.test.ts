/** The storage contract on SQLite: on files of this process alone, and on one that two processes share. */
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { randomUUID } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import type { Storage } from '../../src/storage/port.ts';
import { openSqliteStorage } from '../../src/storage/sqlite/storage.ts';
import { storageContract } from './contract.ts';
import { RACE_TIMEOUT_MS, raceEntries, raceInTwoProcesses, startRaceWorker } from './rounds.ts';
import type { RaceWorker } from './rounds.ts';

const folder = mkdtempSync(join(tmpdir(), 'portcullis-'));
const newPath = (): string => join(folder, `${randomUUID()}.db`);

afterAll(() => rmSync(folder, { recursive: true }));

storageContract('SQLite', () => openSqliteStorage({ path: newPath() }));

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
