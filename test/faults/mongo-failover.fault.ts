/**
 * The primary of a replica set is lost under the load of two servers: it dies, it dies alone with what nobody else
 * has, it hangs and comes back. Until a new one is elected, and three seconds more, an answer may be a 503; nothing
 * that was acknowledged is lost, since a majority had it.
 */
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { setTimeout as sleep } from 'node:timers/promises';

import { createCleanup } from './support/cleanup.ts';
import { createFaultLoad } from './support/fault-load.ts';
import { createHttpClient } from './support/http-client.ts';
import type { HttpClient } from './support/http-client.ts';
import { createInstallation } from './support/installation.ts';
import type { Installation } from './support/installation.ts';
import { createJournal } from './support/journal.ts';
import type { Journal } from './support/journal.ts';
import { createLedger, findLost } from './support/ledger.ts';
import type { Ledger } from './support/ledger.ts';
import { startClosedLoad, startOpenLoad } from './support/load.ts';
import type { Load } from './support/load.ts';
import { progress } from './support/progress.ts';
import { startBreakableReplicaSet } from './support/replica-set.ts';
import type { ReplicaSet } from './support/replica-set.ts';
import { findFreePort, startServerProcess } from './support/server-process.ts';
import type { ServerProcess } from './support/server-process.ts';
import { describeWithMongod } from './support/stores.ts';

const MEMBERS = 3;
const SERVERS = 2;
/** How long the primary goes on without its secondaries: nobody else has what it is told then. */
const ALONE_MS = 600;
const AT_ONCE = 20;
/** Tokens beside the load that waits for its answers, so that a server is asked also when that all waits. */
const TOKENS_PER_SECOND = 40;
/** How long a new primary works before the deposed one goes on. */
const DEPOSED_MS = 2_000;
const CONNECTIONS = 300;
const MAX_REQUESTS = 100_000;
const MAX_SECONDS = 120;
const QUIET_MS = 1_000;
const ELECTION_MS = 30_000;
const REJOIN_MS = 30_000;
const READY_MS = 20_000;
/** After the election. */
const MAX_ERROR_WINDOW_MS = 3_000;
const STEADY_MS = 4_000;
const MAX_ANSWER_MS = 3_000;

/** Each takes the primary away and gives when a new one was there. */
const FAILOVERS = [
  { how: 'by its death', failOver: killPrimary },
  { how: 'after its secondaries were', failOver: killPrimaryAlone },
  { how: 'by hanging, and comes back,', failOver: hangPrimary },
];

/** One server, the load on it, and what it answered. */
interface Loaded {
  readonly server: ServerProcess;
  readonly http: HttpClient;
  readonly journal: Journal;
  readonly ledger: Ledger;
  readonly loads: readonly Load[];
}

await describeWithMongod('a primary that is lost', () => {
  const cleanup = createCleanup();
  let set: ReplicaSet;
  let installation: Installation;
  let servers: readonly ServerProcess[];

  beforeAll(async () => {
    set = await startBreakableReplicaSet(MEMBERS);
    cleanup.add(() => set.stop());
    installation = await createInstallation({ databaseUrl: set.uri });
    cleanup.add(() => installation.remove());
    const ports = await Promise.all(Array.from({ length: SERVERS }, findFreePort));
    servers = ports.map((port) => startServerProcess(installation.env, port));
    for (const server of servers) cleanup.add(() => server.end());
    await Promise.all(servers.map((server) => server.ready(READY_MS)));
  });
  afterAll(() => cleanup.run());

  for (const { how, failOver } of FAILOVERS) {
    test(`${how} costs 503s until the election and ${MAX_ERROR_WINDOW_MS} ms more, and loses nothing`, async () => {
      await set.waitForMembers(MEMBERS, REJOIN_MS);
      const loaded = await Promise.all(servers.map((server) => startLoad(server, installation)));
      cleanup.add(() => stopLoads(loaded));
      await sleep(QUIET_MS);
      const wasQuiet = loaded.every(({ journal }) => journal.unavailable() === null);
      const electedAt = await failOver(set);
      await sleep(STEADY_MS);
      await stopLoads(loaded);
      const windowsMs = loaded.map(({ journal }) => (journal.unavailable()?.lastAt ?? electedAt) - electedAt);
      const lost = await findLostOnOthers(loaded);
      tell(loaded, windowsMs, lost);
      set.restart(set.ports);

      expect(wasQuiet).toBe(true);
      expect(lost).toEqual([]);
      for (const { journal } of loaded) {
        expect(journal.wrong).toEqual({ count: 0, first: [] });
        const { right, unavailable } = journal.slowest();
        expect(Math.max(right, unavailable)).toBeLessThan(MAX_ANSWER_MS);
      }
      expect(Math.max(...windowsMs)).toBeLessThan(MAX_ERROR_WINDOW_MS);
      expect(servers.every((server) => server.isRunning())).toBe(true);
    });
  }
});

async function startLoad(server: ServerProcess, installation: Installation): Promise<Loaded> {
  const http = createHttpClient(server.port, CONNECTIONS);
  const journal = createJournal();
  const ledger = createLedger();
  const { run, runToken } = await createFaultLoad(http, installation, journal, ledger);
  const loads = [
    startClosedLoad({ atOnce: AT_ONCE, maxRuns: MAX_REQUESTS, maxSeconds: MAX_SECONDS, run }),
    startOpenLoad({ perSecond: TOKENS_PER_SECOND, maxSeconds: MAX_SECONDS, run: runToken }),
  ];
  return { server, http, journal, ledger, loads };
}

async function stopLoads(loaded: readonly Loaded[]): Promise<void> {
  await Promise.all(loaded.flatMap(({ loads }) => loads.map((load) => load.stop())));
}

async function killPrimary(set: ReplicaSet): Promise<number> {
  const primary = await set.waitForPrimary(ELECTION_MS);
  await set.kill([primary]);
  return waitForElection(set, primary);
}

/** What the primary is told while it is alone dies with it, so a store must not have acknowledged it. */
async function killPrimaryAlone(set: ReplicaSet): Promise<number> {
  const primary = await set.waitForPrimary(ELECTION_MS);
  const secondaries = set.ports.filter((port) => port !== primary);
  await set.kill(secondaries);
  await sleep(ALONE_MS);
  await set.kill([primary]);
  set.restart(secondaries);
  return waitForElection(set, primary);
}

/** It still believes to be the primary when it goes on: what it would read and write then is out of date. */
async function hangPrimary(set: ReplicaSet): Promise<number> {
  const primary = await set.waitForPrimary(ELECTION_MS);
  set.signal([primary], 'SIGSTOP');
  const electedAt = await waitForElection(set, primary);
  await sleep(DEPOSED_MS);
  set.signal([primary], 'SIGCONT');
  return electedAt;
}

/** Gives when the new primary was there. */
async function waitForElection(set: ReplicaSet, lost: number): Promise<number> {
  const lostAt = performance.now();
  await set.waitForPrimary(ELECTION_MS, lost);
  const electedAt = performance.now();
  progress(`MongoDB: a new primary ${(electedAt - lostAt).toFixed(0)} ms after the old one was lost`);
  return electedAt;
}

/** What one server acknowledged is asked of the other. */
async function findLostOnOthers(loaded: readonly Loaded[]): Promise<string[]> {
  const lost: string[] = [];
  for (const [n, { ledger }] of loaded.entries()) {
    const other = loaded[(n + 1) % loaded.length];
    if (other !== undefined) lost.push(...(await findLost(ledger, other.http)));
  }
  for (const { http } of loaded) http.close();
  return lost;
}

function tell(loaded: readonly Loaded[], windowsMs: readonly number[], lost: readonly string[]): void {
  for (const [n, { journal, ledger }] of loaded.entries()) {
    const { firstAt = 0, lastAt = 0 } = journal.unavailable() ?? {};
    progress(`server ${n + 1}: right/503/wrong: ${journal.summary()}`);
    progress(
      `server ${n + 1}: 503s for ${(lastAt - firstAt).toFixed(0)} ms, the last one ${(windowsMs[n] ?? 0).toFixed(0)} ms after ` +
        `the election; the slowest took ${journal.slowest().unavailable.toFixed(0)} ms, the slowest right answer ` +
        `${journal.slowest().right.toFixed(0)} ms; ${ledger.active.length} tokens and ${ledger.revoked.length} revocations acknowledged`,
    );
    for (const line of journal.wrong.first) progress(`server ${n + 1}: wrong: ${line}`);
  }
  progress(`${lost.length} lost`);
}
