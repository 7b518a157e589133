/**
 * Backups and restores that are killed, or find no room. A backup leaves a whole file or none; a restore leaves a store
 * that nothing opens until one has come to its end, which begins anew.
 */
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { randomUUID } from 'node:crypto';
import { existsSync, readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { setTimeout as sleep } from 'node:timers/promises';

import mongoose from 'mongoose';

import { openStorage } from '../../src/storage/open.ts';
import { start } from '../cli/serve-process.ts';
import type { Ended, ServeProcess } from '../cli/serve-process.ts';
import { createCleanup } from './support/cleanup.ts';
import { createInstallation } from './support/installation.ts';
import type { Installation } from './support/installation.ts';
import { findFreePort, startServerProcess } from './support/server-process.ts';
import { describeOnEachStore } from './support/stores.ts';

const MAIN = join(import.meta.dirname, '../../src/main.ts');
const NAMES = 20_000;
const AT_ONCE = 1_000;
/** How far a restore is when it is killed: soon enough for the kill to come before its end, on a busy machine, too. */
const KILLED_AT = [0, 4_000, 8_000];
const POLL_MS = 2;
const HALF = 'The store is only half restored';

/** Makes an installation with much in its store, and a backup of it. */
async function install(cleanup: ReturnType<typeof createCleanup>): Promise<[Installation, string]> {
  const installation = await createInstallation();
  cleanup.add(() => installation.remove());
  const storage = await openStorage(installation.databaseUrl);
  for (let claimed = 0; claimed < NAMES; claimed += AT_ONCE)
    await Promise.all(Array.from({ length: AT_ONCE }, () => storage.names.claim(randomUUID(), 'account')));
  await storage.close();
  const file = join(installation.folder, 'backup.age');
  expect(await command(installation, ['backup', '--output', file]).ended).toMatchObject({ code: 0, err: '' });
  return [installation, file];
}

const command = ({ folder, env }: Installation, argv: readonly string[], more: object = {}): ServeProcess =>
  start(process.execPath, ['--disable-proto=throw', MAIN, ...argv], {
    cwd: folder,
    env: { ...env, ...more },
  });

/** In a process that may not write more than so many blocks of 512 bytes into one file, as where a disk is full. */
const commandWithRoom = (
  blocks: number,
  { folder, env }: Installation,
  argv: readonly string[],
  more: object = {},
) =>
  start('/bin/sh', ['-c', `ulimit -f ${blocks}; exec "$@"`, 'sh', process.execPath, MAIN, ...argv], {
    cwd: folder,
    env: { ...env, ...more },
  });

await describeOnEachStore('a restore that is killed', ({ name, create }) => {
  const cleanup = createCleanup();
  let installation: Installation;
  let file = '';
  let databaseUrl = '';

  beforeAll(async () => {
    [installation, file] = await install(cleanup);
    databaseUrl = (await create(cleanup)) ?? `sqlite:${join(installation.folder, 'restored.db')}`;
  });
  afterAll(() => cleanup.run());

  test('leaves a store that nothing opens, and the next one makes it whole', async () => {
    const there = { DATABASE_URL: databaseUrl };
    for (const count of KILLED_AT) {
      const child = command(installation, ['restore', file], there);
      await Promise.race([untilWritten(databaseUrl, count), child.ended]);
      child.signal('SIGKILL');
      expect((await child.ended).code).toBeNull(); // it did not come to its end
      await expectHalf(installation, there);
    }
    const { code, out, err } = await command(installation, ['restore', file], there).ended;
    expect([code, err]).toEqual([0, 'The store held a restore that was cut: it was emptied first.\n']);
    expect(out).toContain(`names: ${NAMES + 4}`); // those of the installation's clients and resource server, too
    await expectServed(installation, there);
  });

  test(`is refused on ${name} where the store holds anything`, async () => {
    const refused = await command(installation, ['restore', file], { DATABASE_URL: databaseUrl }).ended;
    expect([refused.code, refused.err]).toEqual([1, expect.stringContaining('holds something already')]);
  });
});

async function expectHalf(installation: Installation, there: object): Promise<void> {
  const listed = await command(installation, ['users', 'list'], there).ended;
  expect([listed.code, listed.err]).toEqual([1, expect.stringContaining(HALF)]);
}

/** A server starts on the store and serves what was restored. */
async function expectServed({ env }: Installation, there: object): Promise<void> {
  const server = startServerProcess({ ...env, ...there }, await findFreePort());
  try {
    await server.ready(20_000);
  } finally {
    await server.end();
  }
}

/** Resolves when the mark is there and so many names. */
async function untilWritten(databaseUrl: string, count: number): Promise<void> {
  const look = databaseUrl.startsWith('sqlite:')
    ? lookAtFile(databaseUrl.slice('sqlite:'.length))
    : await lookAtMongo(databaseUrl);
  while (!(await look.hasBegun(count))) await sleep(POLL_MS);
  await look.close();
}

interface Look {
  hasBegun(count: number): Promise<boolean>;
  close(): Promise<void>;
}

function lookAtFile(path: string): Look {
  const read = (count: number): boolean => {
    const database = new DatabaseSync(path, { readOnly: true });
    try {
      const names = Number(database.prepare('SELECT count(*) AS names FROM names').get()?.['names']);
      return (
        names >= count && names < NAMES && database.prepare('SELECT 1 FROM restores').get() !== undefined
      );
    } finally {
      database.close();
    }
  };
  return {
    hasBegun: async (count) => {
      try {
        return read(count);
      } catch {
        return false; // it is not there yet
      }
    },
    close: async () => undefined,
  };
}

async function lookAtMongo(uri: string): Promise<Look> {
  const connection = await mongoose.createConnection(uri, { dbName: 'portcullis' }).asPromise();
  return {
    hasBegun: async (count) => {
      const names = await connection.collection('names').countDocuments({});
      return (
        names >= count && names < NAMES && (await connection.collection('restores').countDocuments({})) > 0
      );
    },
    close: () => connection.destroy(),
  };
}

describe('no room', () => {
  const cleanup = createCleanup();
  let installation: Installation;
  let file = '';

  beforeAll(async () => {
    [installation, file] = await install(cleanup);
  });
  afterAll(() => cleanup.run());

  test('for a backup: nothing of it is left, and it is told so', async () => {
    const other = join(installation.folder, 'other.age');
    const { code, err } = await commandWithRoom(64, installation, ['backup', '--output', other]).ended;
    expect([code, err]).toEqual([
      1,
      expect.stringMatching(
        /other\.age cannot be written, since the disk is full \(E\w+\): nothing of it is left\./,
      ),
    ]);
    expect(readdirSync(installation.folder).filter((name) => name.startsWith('other'))).toEqual([]);
    expect(statSync(file).size).toBeGreaterThan(64 * 512); // what did not fit
  });

  test('for a restore: the store does not open until there was room for one', async () => {
    const there = { DATABASE_URL: `sqlite:${join(installation.folder, 'restored.db')}` };
    const { code, err } = await commandWithRoom(1_024, installation, ['restore', file], there).ended;
    expect([code, err]).toEqual([
      1,
      expect.stringMatching(/^The store cannot be written \(.*\)\. The restore did not come to its end/),
    ]);
    await expectHalf(installation, there);
    const again: Ended = await command(installation, ['restore', file], there).ended;
    expect(again).toMatchObject({ code: 0, err: expect.stringContaining('was emptied first') });
    await expectServed(installation, there);
  });

  test('for a backup that is killed: what bears its name is whole, or not there', async () => {
    const output = join(installation.folder, 'killed.age');
    const child = command(installation, ['backup', '--output', output]);
    while (!existsSync(`${output}.partial`) && !existsSync(output)) await sleep(POLL_MS);
    child.signal('SIGKILL');
    await child.ended;
    expect(existsSync(output)).toBe(false);
    const { code, err } = await command(installation, ['backup', '--output', output]).ended;
    expect([code, err]).toEqual([1, expect.stringContaining('killed.age.partial is there already')]);
  });
});
