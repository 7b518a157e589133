/**
 * What a crowd at the sign-in page costs everybody else: the latency of `/token` (client_credentials) with nobody at
 * the page, and with so many people there all the time that every place to wait is taken and others are turned away;
 * in turns on one server, so that the machine's noise meets both. Two loads: as in the benchmark of the endpoint
 * (64 connections, always busy), and at a fixed rate, where latency counts from when a request was due. Prints both
 * as bars, and what became of the sign-ins. Ends with 1 where p99 of the best round with a crowd is over 3 times that of
 * the best quiet one (what else runs on the machine only adds), also when it is measured once more, or where somebody
 * was turned away without 503 and Retry-After.
 * `BENCH_SECONDS` a phase (3), `BENCH_ROUNDS` rounds (5), `BENCH_RATE` tokens a second (100).
 */
import { once } from 'node:events';
import { Agent } from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';

import type { CrowdReport } from './crowd.ts';
import { CLIENT_FORM, load, OPAQUE_TOKEN } from './load.ts';
import { ask } from './page-form.ts';
import { bounded, start } from './server-process.ts';
import type { Server } from './server-process.ts';
import { ascending, bars, quantile } from './statistics.ts';

const SECONDS = bounded(process.env['BENCH_SECONDS'], 3, 60);
const ROUNDS = bounded(process.env['BENCH_ROUNDS'], 5, 50);
const RATE = bounded(process.env['BENCH_RATE'], 100, 2_000);
const CONNECTIONS = 64;
const PEOPLE = 200;
const MAX_RATIO = 3;
/** Below, p99 is the machine's own: a quiet value of 1 ms would make a ratio of 10 of one slice of the scheduler. */
const LEAST_P99_MS = 8;
/** Until the queue is full. */
const FILL_MS = 1_000;

interface Latency {
  readonly p50: number;
  readonly p99: number;
}

interface Phase {
  readonly busy: Latency;
  readonly steady: readonly number[];
}

interface Round {
  readonly quiet: Phase;
  readonly crowded: Phase;
  readonly crowd: CrowdReport;
}

const agent = new Agent({ keepAlive: true });
const server = await start('Portcullis', 'portcullis-server.ts', {
  BENCH_SETTINGS: JSON.stringify({ RATE_LIMIT_IP: '1000000' }),
});
const crowd = await start('crowd', 'crowd.ts', {}, [server.origin, String(PEOPLE)]);
try {
  await measurePhase(); // code that was never run is slow
  const isGood = (await judge()) || (console.log('\nonce more:\n'), await judge());
  process.exitCode = isGood ? 0 : 1;
} finally {
  agent.destroy();
  crowd.child.disconnect();
  server.child.disconnect();
}

async function judge(): Promise<boolean> {
  const rounds: Round[] = [];
  for (let round = 0; round < ROUNDS; round += 1) rounds.push(await measure(crowd));
  return report(rounds);
}

async function measure({ child }: Server): Promise<Round> {
  const quiet = await measurePhase();
  child.send('go');
  await sleep(FILL_MS);
  const crowded = await measurePhase();
  child.send('rest');
  const [told] = (await once(child, 'message', { signal: AbortSignal.timeout(30_000) })) as [CrowdReport];
  return { quiet, crowded, crowd: told };
}

async function measurePhase(): Promise<Phase> {
  const request = {
    url: `${server.origin}/token`,
    method: 'POST',
    headers: CLIENT_FORM,
    body: OPAQUE_TOKEN,
  } as const;
  const busy = await load(request, CONNECTIONS, SECONDS);
  if (busy.failures > 0) throw new Error(`${busy.failures} answers of /token were not 2xx`);
  return { busy, steady: await loadSteadily() };
}

/** The latencies at the fixed rate, in milliseconds, ascending. */
async function loadSteadily(): Promise<readonly number[]> {
  const startedAt = performance.now();
  const pending: Promise<number>[] = [];
  for (let nth = 0; nth < SECONDS * RATE; nth += 1) {
    const dueAt = startedAt + (nth * 1_000) / RATE;
    const early = dueAt - performance.now();
    if (early > 0) await sleep(early);
    pending.push(getToken(dueAt));
  }
  return ascending(await Promise.all(pending));
}

async function getToken(dueAt: number): Promise<number> {
  const { status } = await ask(agent, `${server.origin}/token`, 'POST', CLIENT_FORM, OPAQUE_TOKEN);
  if (status !== 200) throw new Error(`/token said ${status}`);
  return performance.now() - dueAt;
}

function steadyLatency({ steady }: Phase): Latency {
  return { p50: quantile(steady, 0.5), p99: quantile(steady, 0.99) };
}

function ratioOf(quiet: Latency, crowded: Latency): number {
  return crowded.p99 / Math.max(LEAST_P99_MS, quiet.p99);
}

function ratioOfBest(rounds: readonly Round[], of: (phase: Phase) => Latency): number {
  const best = (phases: readonly Phase[]): Latency => {
    const [first] = phases.map(of).toSorted((a, b) => a.p99 - b.p99);
    if (first === undefined) throw new Error('no round was measured');
    return first;
  };
  return ratioOf(best(rounds.map(({ quiet }) => quiet)), best(rounds.map(({ crowded }) => crowded)));
}

function report(rounds: readonly Round[]): boolean {
  console.log(`${ROUNDS} rounds in turns, ${PEOPLE} people at the page; p50/p99 of /token in ms\n`);
  console.log(
    `round   ${CONNECTIONS} connections, quiet → crowded      ${RATE} a second, quiet → crowded       sign-ins`,
  );
  for (const [nth, round] of rounds.entries()) console.log(row(nth + 1, round));
  const quiet = rounds.flatMap((round) => round.quiet.steady);
  const crowded = rounds.flatMap((round) => round.crowded.steady);
  const most = Math.max(...[quiet, crowded].map((all) => quantile(ascending(all), 0.99)));
  console.log(`\n${RATE} a second, 0 to ${most.toFixed(1)} ms`);
  console.log(`quiet    ${bars(quiet, 0, most, 60)}\ncrowded  ${bars(crowded, 0, most, 60)}\n`);
  const faults = faultsOf(rounds);
  console.log(faults.length === 0 ? 'within the limits' : faults.join('\n'));
  return faults.length === 0;
}

function faultsOf(rounds: readonly Round[]): readonly string[] {
  const busy = ratioOfBest(rounds, (phase) => phase.busy);
  const steady = ratioOfBest(rounds, steadyLatency);
  console.log(
    `p99 of /token, crowded to quiet: ${busy.toFixed(2)} busy, ${steady.toFixed(2)} at a fixed rate`,
  );
  const statuses = new Set(rounds.flatMap((round) => Object.keys(round.crowd.statuses)));
  const strange = [...statuses].filter((status) => status !== '401' && status !== '503');
  const rude = rounds.reduce((sum, round) => sum + round.crowd.rude, 0);
  return [
    ...(Math.max(busy, steady) <= MAX_RATIO
      ? []
      : [`p99 of /token is more than ${MAX_RATIO} times its quiet value`]),
    ...(rounds.every(({ crowd: told }) => told.statuses['503'] !== undefined)
      ? []
      : ['the queue was never full']),
    ...(strange.length === 0 ? [] : [`sign-ins got ${strange.join(', ')}`]),
    ...(rude === 0 ? [] : [`${rude} were turned away without Retry-After`]),
  ];
}

function row(nth: number, { quiet, crowded, crowd: told }: Round): string {
  const pair = (before: Latency, after: Latency): string =>
    `${shown(before)} → ${shown(after)} ${ratioOf(before, after).toFixed(2).padStart(5)} ${'█'.repeat(Math.min(8, Math.round(2 * ratioOf(before, after)))).padEnd(8)}`;
  const statuses = Object.entries(told.statuses).map(([status, count]) => `${status}: ${count}`);
  const waited = `slowest ${told.slowestMs.toFixed(0)} ms`;
  return [
    String(nth).padEnd(5),
    pair(quiet.busy, crowded.busy),
    pair(steadyLatency(quiet), steadyLatency(crowded)),
    [...statuses, waited].join(', '),
  ].join('   ');
}

function shown({ p50, p99 }: Latency): string {
  return `${p50.toFixed(1)}/${p99.toFixed(1)}`.padStart(10);
}
