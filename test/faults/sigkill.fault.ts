/**
 * SIGKILL under load: whatever was acknowledged before is as it was acknowledged after the restart. The server and
 * a process that registers clients die together, so on SQLite nobody is left who had the file open.
 */
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { setTimeout as sleep } from 'node:timers/promises';

import { createCleanup } from './support/cleanup.ts';
import { createHttpClient } from './support/http-client.ts';
import { createInstallation } from './support/installation.ts';
import type { Installation } from './support/installation.ts';
import { addTo, countOf, createLedger, findLost, sampleOf, startRegistrar, work } from './support/ledger.ts';
import type { Ledger, Registrar } from './support/ledger.ts';
import { startClosedLoad } from './support/load.ts';
import { progress } from './support/progress.ts';
import { findFreePort, startServerProcess } from './support/server-process.ts';
import type { ServerProcess } from './support/server-process.ts';
import { describeOnEachStore } from './support/stores.ts';

// CI has twenty minutes for all; by hand it is fifty.
const KILLS = process.env['CI'] === undefined ? 50 : 10;
const CONNECTIONS = 16;
const LEAST_LOAD_MS = 150;
const MOST_LOAD_MS = 450;
const MAX_REQUESTS_A_ROUND = 5_000;
const MAX_READY_MS = 5_000;
/** Of each kind: after each restart from the last round, at the end from all rounds. */
const SAMPLE = { round: 150, end: 3_000 };

interface Running {
  readonly server: ServerProcess;
  readonly registrar: Registrar;
}

await describeOnEachStore(`a server that is killed ${KILLS} times`, ({ name, create }) => {
  const cleanup = createCleanup();
  const readyMs: number[] = [];
  const lost: string[] = [];
  const total = createLedger();
  let checked = 0;
  let installation: Installation;
  let port: number;

  beforeAll(async () => {
    installation = await createInstallation({ databaseUrl: await create(cleanup) });
    cleanup.add(() => installation.remove());
    port = await findFreePort();
  });
  afterAll(() => cleanup.run());

  const start = (round: number, ledger: Ledger): Running => {
    const server = startServerProcess(installation.env, port);
    const registrar = startRegistrar(installation.env, `round-${round}`, ledger);
    cleanup.add(() => server.end());
    cleanup.add(() => registrar.kill());
    return { server, registrar };
  };
  const check = async (ledger: Ledger): Promise<void> => {
    const http = createHttpClient(port, CONNECTIONS);
    lost.push(...(await findLost(ledger, http)));
    checked += countOf(ledger);
    http.close();
  };

  test('forgets nothing that it acknowledged', async () => {
    let last = createLedger();
    for (let round = 0; round < KILLS; round += 1) {
      const ledger = createLedger();
      const running = start(round, ledger);
      readyMs.push(await running.server.ready(MAX_READY_MS * 2));
      await check(sampleOf(last, SAMPLE.round));
      await loadUntilKilled(running, installation, ledger);
      addTo(total, ledger);
      last = ledger;
      if ((round + 1) % 10 === 0)
        progress(`${name}: ${round + 1} kills, ${countOf(total)} acknowledged, ${lost.length} lost`);
    }
    const { server, registrar } = start(KILLS, createLedger());
    readyMs.push(await server.ready(MAX_READY_MS * 2));
    await registrar.kill();
    await check(last);
    await check(sampleOf(total, SAMPLE.end));
    progress(
      `${name}: ${countOf(total)} acknowledged (${total.active.length} tokens, ${total.revoked.length} revocations, ` +
        `${total.usedAssertions.length} assertions, ${total.clients.length} clients), ${checked} checks, ${lost.length} lost`,
    );
    expect({ count: lost.length, first: lost[0] }).toEqual({ count: 0, first: undefined });
    expectWork(total);
  });

  test('is ready within 5 s of each restart', () => {
    const slowest = Math.max(...readyMs);
    progress(`${name}: ready after ${Math.min(...readyMs).toFixed(0)} to ${slowest.toFixed(0)} ms`);
    expect(readyMs).toHaveLength(KILLS + 1);
    expect(slowest).toBeLessThan(MAX_READY_MS);
  });
});

/** Kills both in the middle of the load; what was answered until then is in the ledger. */
async function loadUntilKilled(
  { server, registrar }: Running,
  installation: Installation,
  ledger: Ledger,
): Promise<void> {
  const http = createHttpClient(server.port, CONNECTIONS);
  const load = startClosedLoad({
    atOnce: CONNECTIONS,
    maxRuns: MAX_REQUESTS_A_ROUND,
    maxSeconds: 10,
    run: async (n) => {
      if (server.isRunning()) await work(ledger, http, installation, n);
    },
  });
  await sleep(LEAST_LOAD_MS + Math.random() * (MOST_LOAD_MS - LEAST_LOAD_MS));
  server.signal('SIGKILL');
  await Promise.all([server.exited, registrar.kill(), load.stop()]);
  http.close();
}

/** A check of nothing would always pass. */
function expectWork({ active, revoked, usedAssertions, clients }: Ledger): void {
  for (const list of [active, revoked, usedAssertions, clients]) expect(list.length).toBeGreaterThan(KILLS);
}
