/**
 * An SQLite file that cannot be written, under load: locked by another process, on a full disk, made read-only,
 * closed to this process. Writes are answered by 503 in time, reads go on, and all is well again without help.
 */
import { afterEach, describe, expect, test } from '@jest/globals';
import { rm } from 'node:fs/promises';
import { join } from 'node:path';

import { createCleanup } from './support/cleanup.ts';
import {
  emptyDisk,
  fillDisk,
  findAbilities,
  holdLock,
  limitFileSize,
  mountSmallDisk,
  setReadOnly,
  unmount,
} from './support/disk.ts';
import type { HeldLock } from './support/disk.ts';
import { expectHonest, expectWaiting, expectWellAgain } from './support/expect-honest.ts';
import { runFault } from './support/fault-run.ts';
import type { Fault } from './support/fault-run.ts';
import { createInstallation, makeFolder } from './support/installation.ts';
import type { Installation } from './support/installation.ts';
import { findFreePort, startServerProcess } from './support/server-process.ts';
import type { ServerProcess } from './support/server-process.ts';

const LOCKED_MS = 8_000;
const UNWRITABLE_MS = 4_000;
const READY_MS = 20_000;
const WELL_AGAIN_MS = 10_000;
const MAX_ERROR_WINDOW_MS = 3_000;

const can = await findAbilities();

/** Skips, with the reason, what this machine does not allow. */
const testWhere = (isAllowed: boolean, reason: string) => (fact: string, run: () => Promise<void>) => {
  if (isAllowed) test(fact, run);
  else test.skip(`${fact} (skipped: ${reason})`, run);
};

describe('an SQLite file', () => {
  const cleanup = createCleanup();
  afterEach(() => cleanup.run());

  const install = async (folder?: string): Promise<Installation> => {
    const installation = await createInstallation(folder === undefined ? {} : { folder });
    cleanup.add(() => installation.remove());
    return installation;
  };
  const start = async ({ env }: Installation): Promise<ServerProcess> => {
    const server = startServerProcess(env, await findFreePort());
    cleanup.add(() => server.end());
    return server;
  };
  const survive = async (installation: Installation, server: ServerProcess, fault: Fault): Promise<void> => {
    const report = await runFault(server, installation, fault);
    expectHonest(report, null);
    expect(report.errorWindowMs).toBeLessThan(MAX_ERROR_WINDOW_MS);
  };

  test('that another process has locked lets reads go on, and is written again when it lets go', async () => {
    const installation = await install();
    const server = await start(installation);
    await server.ready(READY_MS);
    let lock: HeldLock | null = null;
    await survive(installation, server, {
      name: 'SQLite locked',
      lastsMs: LOCKED_MS,
      begin: async () => {
        lock = await holdLock(fileOf(installation));
        cleanup.add(lock.release);
      },
      end: async () => lock?.release(),
    });
  });

  test('that is locked when the server starts is waited for', async () => {
    const installation = await install();
    const lock = await holdLock(fileOf(installation));
    cleanup.add(lock.release);
    const server = await start(installation);
    await expectWaiting(server);
    await lock.release();
    await expectWellAgain(server, WELL_AGAIN_MS);
  });

  testWhere(can.mount, 'this user may not mount a disk')(
    'on a full disk lets reads go on, and is written again when there is space',
    async () => {
      const folder = await makeFolder();
      cleanup.add(() => rm(folder, { recursive: true }));
      await mountSmallDisk(folder);
      cleanup.add(() => unmount(folder));
      const installation = await install(join(folder, 'var'));
      const server = await start(installation);
      await server.ready(READY_MS);
      await survive(installation, server, {
        name: 'SQLite on a full disk',
        lastsMs: UNWRITABLE_MS,
        begin: async () => fillDisk(folder),
        end: () => emptyDisk(folder),
      });
    },
  );

  testWhere(can.readOnly, 'this user, or this disk, cannot make a file read-only for everybody')(
    'that became read-only lets reads go on, and is written again afterwards',
    async () => {
      const installation = await install();
      const server = await start(installation);
      await server.ready(READY_MS);
      const setFiles = async (isReadOnly: boolean): Promise<void> => {
        expect(await setReadOnly(fileOf(installation), isReadOnly)).toBe(true);
      };
      cleanup.add(() => setFiles(false));
      await survive(installation, server, {
        name: 'SQLite read-only',
        lastsMs: UNWRITABLE_MS,
        begin: () => setFiles(true),
        end: () => setFiles(false),
      });
    },
  );

  testWhere(can.limit, 'there is no prlimit')(
    'that the process may not write lets reads go on, and is written again when it may',
    async () => {
      const installation = await install();
      const server = await start(installation);
      await server.ready(READY_MS);
      const limit = async (bytes: number | null): Promise<void> => {
        expect(await limitFileSize(server.pid, bytes)).toBe(true);
      };
      await survive(installation, server, {
        name: 'SQLite not writable',
        lastsMs: UNWRITABLE_MS,
        begin: () => limit(0),
        end: () => limit(null),
      });
    },
  );
});

const fileOf = ({ databaseUrl }: Installation): string => databaseUrl.slice('sqlite:'.length);
