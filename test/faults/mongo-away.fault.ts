/**
 * MongoDB that hangs, dies and comes back under load. While it is away every answer is a 503 in time, or right; a
 * server that starts in the meantime waits for it; and all is well again without anybody's help.
 */
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { setTimeout as sleep } from 'node:timers/promises';

import { createCleanup } from './support/cleanup.ts';
import { expectHonest, expectWaiting, expectWellAgain } from './support/expect-honest.ts';
import { runFault } from './support/fault-run.ts';
import { createInstallation } from './support/installation.ts';
import type { Installation } from './support/installation.ts';
import { startBreakableReplicaSet } from './support/replica-set.ts';
import type { ReplicaSet } from './support/replica-set.ts';
import { findFreePort, startServerProcess } from './support/server-process.ts';
import type { ServerProcess } from './support/server-process.ts';
import { describeWithMongod } from './support/stores.ts';

const MEMBERS = 3;
const AWAY_MS = 8_000;
/** Below the two seconds after which a call gives up. */
const STILL_MS = 1_500;
const MOVING_MS = 40;
const PRIMARY_MS = 40_000;
const READY_MS = 20_000;
// A set that was hung as a whole may elect again when it goes on, which takes its election timeout and this.
const MAX_ERROR_WINDOW_MS = { hung: 12_000, killed: 3_000 };
const WELL_AGAIN_MS = 10_000;

await describeWithMongod('a replica set', () => {
  const cleanup = createCleanup();
  let set: ReplicaSet;
  let installation: Installation;
  let server: ServerProcess;

  beforeAll(async () => {
    set = await startBreakableReplicaSet(MEMBERS);
    cleanup.add(() => set.stop());
    installation = await createInstallation({ databaseUrl: set.uri });
    cleanup.add(() => installation.remove());
    server = await start();
    await server.ready(READY_MS);
  });
  afterAll(() => cleanup.run());

  const start = async (): Promise<ServerProcess> => {
    const started = startServerProcess(installation.env, await findFreePort());
    cleanup.add(() => started.end());
    return started;
  };

  test('that hangs is told by 503 in time, and is back by itself', async () => {
    const report = await runFault(server, installation, {
      name: 'MongoDB hangs',
      lastsMs: AWAY_MS,
      begin: async () => set.signal(set.ports, 'SIGSTOP'),
      end: async () => {
        set.signal(set.ports, 'SIGCONT');
        await set.waitForPrimary(PRIMARY_MS);
      },
    });
    expectHonest(report, 503);
    expect(report.errorWindowMs).toBeLessThan(MAX_ERROR_WINDOW_MS.hung);
  });

  test('that stands still again and again is told by 503 in time, however many calls a request makes', async () => {
    const isOver = new AbortController();
    cleanup.add(() => isOver.abort());
    let stutter = Promise.resolve();
    const report = await runFault(server, installation, {
      name: 'MongoDB stutters',
      lastsMs: AWAY_MS,
      begin: async () => {
        stutter = standStillAgainAndAgain(set, isOver.signal);
      },
      end: async () => {
        isOver.abort();
        await stutter;
        await set.waitForPrimary(PRIMARY_MS);
      },
    });
    expectHonest(report, null);
    expect(report.errorWindowMs).toBeLessThan(MAX_ERROR_WINDOW_MS.hung);
  });

  test('that died as a whole and was started again is back by itself, also for a server that started without it', async () => {
    let second: ServerProcess | undefined;
    const report = await runFault(server, installation, {
      name: 'MongoDB dies',
      lastsMs: AWAY_MS,
      begin: async () => {
        await set.kill(set.ports);
        second = await start();
        await expectWaiting(second);
      },
      end: async () => {
        set.restart(set.ports);
        await set.waitForPrimary(PRIMARY_MS);
      },
    });
    expectHonest(report, 503);
    expect(report.errorWindowMs).toBeLessThan(MAX_ERROR_WINDOW_MS.killed);
    if (second !== undefined) await expectWellAgain(second, WELL_AGAIN_MS);
    expect(second).toBeDefined();
  });
});

/** The store answers a call now and then, so that a request gets as far as its next one. */
async function standStillAgainAndAgain(set: ReplicaSet, isOver: AbortSignal): Promise<void> {
  while (!isOver.aborted) {
    set.signal(set.ports, 'SIGSTOP');
    await sleep(STILL_MS);
    set.signal(set.ports, 'SIGCONT');
    await sleep(MOVING_MS);
  }
}
