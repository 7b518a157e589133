/**
 * One fault under load, from the quiet second before it to the recovery after it, and the report: what was
 * answered and how fast, what the health endpoints said, how much memory it took, and whether anything was lost.
 */
import { setTimeout as sleep } from 'node:timers/promises';

import { createFaultLoad } from './fault-load.ts';
import { createHttpClient } from './http-client.ts';
import type { Answer } from './http-client.ts';
import type { Installation } from './installation.ts';
import { createJournal } from './journal.ts';
import { createLedger, findLost } from './ledger.ts';
import { startClosedLoad, startOpenLoad, waitUntil } from './load.ts';
import { progress } from './progress.ts';
import type { ServerProcess } from './server-process.ts';

const CONNECTIONS = 14;
const FLOOD_PER_SECOND = 100;
const FLOOD_CONNECTIONS = 1_000;
const MAX_REQUESTS = 200_000;
const MAX_SECONDS = 90;
const QUIET_MS = 1_000;
const PROBE_EVERY_MS = 250;
/** /readyz keeps its answer for a second, and gives the store one more. */
const NOTICE_MS = 2_500;
/** Recovered: this long without a 503. */
const STEADY_MS = 1_500;
const MAX_RECOVERY_MS = 30_000;

export interface Fault {
  readonly name: string;
  readonly lastsMs: number;
  readonly begin: () => Promise<void>;
  /** Resolves when the store could be used again. */
  readonly end: () => Promise<void>;
}

export interface FaultReport {
  readonly wrong: { readonly count: number; readonly first: readonly string[] };
  /** 503s before the fault began. */
  readonly isQuietBefore: boolean;
  /** Milliseconds of the slowest answer that was right, of the slowest 503, of the slowest of /healthz. */
  readonly slowestRightMs: number;
  readonly slowestUnavailableMs: number;
  readonly slowestHealthMs: number;
  readonly unhealthy: readonly string[];
  /** What /readyz said from NOTICE_MS after the beginning until the end, each once. */
  readonly readiness: readonly number[];
  readonly slowestReadinessMs: number;
  /** From the end of the fault to the last 503; and until /readyz said 200. */
  readonly errorWindowMs: number;
  readonly readyAfterMs: number;
  /** MiB: at the beginning, at the most while it lasted, after the recovery. */
  readonly memory: readonly [number, number, number];
  readonly lost: readonly string[];
  readonly acknowledged: number;
}

/** Runs one fault against one server that is ready. */
export async function runFault(
  server: ServerProcess,
  installation: Installation,
  fault: Fault,
): Promise<FaultReport> {
  const http = createHttpClient(server.port, FLOOD_CONNECTIONS);
  const journal = createJournal();
  const ledger = createLedger();
  const { run, runToken } = await createFaultLoad(http, installation, journal, ledger);
  const bounds = { maxRuns: MAX_REQUESTS, maxSeconds: MAX_SECONDS };
  const loads = [
    startClosedLoad({ atOnce: CONNECTIONS, ...bounds, run }),
    startOpenLoad({ perSecond: FLOOD_PER_SECOND, ...bounds, run: runToken }),
  ];
  const watch = startWatch(server);
  try {
    await sleep(QUIET_MS);
    const isQuietBefore = journal.unavailable() === null;
    const memoryBefore = server.memoryMiB();
    progress(`${fault.name}: begins`);
    const beganAt = performance.now();
    await fault.begin();
    await sleep(fault.lastsMs);
    const endsAt = performance.now();
    await fault.end();
    const endedAt = performance.now();
    progress(`${fault.name}: is over, ${(endedAt - endsAt).toFixed(0)} ms after its end began`);
    const readyAfterMs = await waitUntil('/readyz says 200', () => isReady(server), MAX_RECOVERY_MS);
    await waitUntil(
      'no more 503',
      async () => performance.now() - lastUnavailable() > STEADY_MS,
      MAX_RECOVERY_MS,
    );
    await Promise.all(loads.map((load) => load.stop()));
    const errorWindowMs = Math.max(0, lastUnavailable() - endedAt);
    const health = await watch.stop();
    const during = health.ready.filter(
      ({ startedAt, ms }) => startedAt > beganAt + NOTICE_MS && startedAt + ms < endsAt,
    );
    const report: FaultReport = {
      wrong: journal.wrong,
      isQuietBefore,
      slowestRightMs: journal.slowest().right,
      slowestUnavailableMs: journal.slowest().unavailable,
      slowestHealthMs: slowestOf(health.alive),
      unhealthy: health.alive
        .filter(({ status }) => status !== 200)
        .map(({ status, failure }) => failure ?? String(status)),
      readiness: [...new Set(during.map(({ status }) => status))],
      slowestReadinessMs: slowestOf(health.ready),
      errorWindowMs,
      readyAfterMs,
      memory: [memoryBefore, health.peakMiB, server.memoryMiB()],
      lost: await findLost(ledger, http),
      acknowledged: ledger.active.length + ledger.revoked.length,
    };
    tell(fault, report, journal.summary());
    return report;
  } finally {
    await Promise.allSettled(loads.map((load) => load.stop()));
    await watch.stop();
    http.close();
  }

  function lastUnavailable(): number {
    return journal.unavailable()?.lastAt ?? 0;
  }
}

const isReady = async (server: ServerProcess): Promise<boolean> =>
  (await server.probe('/readyz')).status === 200;

const slowestOf = (answers: readonly Answer[]): number => Math.max(0, ...answers.map(({ ms }) => ms));

/** Asks both health endpoints, again and again, and reads the memory. */
function startWatch(server: ServerProcess) {
  const alive: Answer[] = [];
  const ready: Answer[] = [];
  let peakMiB = 0;
  const load = startOpenLoad({
    perSecond: 1000 / PROBE_EVERY_MS,
    maxSeconds: MAX_SECONDS,
    run: async () => {
      peakMiB = Math.max(peakMiB, server.memoryMiB());
      const answers = [server.probe('/healthz'), server.probe('/readyz')] as const;
      alive.push(await answers[0]);
      ready.push(await answers[1]);
    },
  });
  return {
    stop: async () => {
      await load.stop();
      return { alive, ready, peakMiB };
    },
  };
}

function tell({ name }: Fault, report: FaultReport, summary: string): void {
  const { wrong, lost, acknowledged, memory, readiness } = report;
  progress(`${name}: right/503/wrong: ${summary}`);
  progress(
    `${name}: slowest 503 ${report.slowestUnavailableMs.toFixed(0)} ms, right ${report.slowestRightMs.toFixed(0)} ms, /healthz ${report.slowestHealthMs.toFixed(0)} ms, ` +
      `/readyz ${readiness.join('+')} within ${report.slowestReadinessMs.toFixed(0)} ms; after it: last 503 ` +
      `${report.errorWindowMs.toFixed(0)} ms, ready ${report.readyAfterMs.toFixed(0)} ms; ` +
      `memory ${memory.map((mib) => mib.toFixed(0)).join('/')} MiB; ${acknowledged} acknowledged, ` +
      `${lost.length} lost, ${wrong.count} wrong`,
  );
  for (const line of wrong.first) progress(`${name}: wrong: ${line}`);
}
