/** What holds for a server whose store is away, whatever the store and the fault. */
import { expect } from '@jest/globals';
import { setTimeout as sleep } from 'node:timers/promises';

import type { FaultReport } from './fault-run.ts';
import { createHttpClient } from './http-client.ts';
import type { Answer } from './http-client.ts';
import { waitUntil } from './load.ts';
import { progress } from './progress.ts';
import { describeAnswer, getToken, requests } from './relying-party.ts';
import type { ServerProcess } from './server-process.ts';

const MAX_ANSWER_MS = 3_000;
const MAX_HEALTH_MS = 1_000;
/** The heap of a server under full load grows by a hundred before it settles; work that piles up takes more. */
const MAX_GROWTH_MIB = 256;
const LISTENS_MS = 15_000;
const WATCHED_MS = 3_000;
const PROBE_EVERY_MS = 100;

/**
 * Nothing wrong, nothing late, nothing lost. `readiness` is what /readyz says while the fault lasts; null where
 * reads go on, so that either may be said.
 */
export function expectHonest(report: FaultReport, readiness: number | null): void {
  expect(report.wrong).toEqual({ count: 0, first: [] });
  expect(report.lost).toEqual([]);
  expect(report.isQuietBefore).toBe(true);
  expect(report.slowestUnavailableMs).toBeLessThan(MAX_ANSWER_MS);
  expect(report.slowestRightMs).toBeLessThan(MAX_ANSWER_MS);
  expect(report.unhealthy).toEqual([]);
  expect(report.slowestHealthMs).toBeLessThan(MAX_HEALTH_MS);
  if (readiness !== null) expect(report.readiness).toEqual([readiness]);
  expect(report.slowestReadinessMs).toBeLessThan(MAX_ANSWER_MS);
  const [before, most] = report.memory;
  expect(most - before).toBeLessThan(MAX_GROWTH_MIB);
}

/** A server that was started without its store lives, says that it is not ready, and answers 503 in time. */
export async function expectWaiting(server: ServerProcess): Promise<void> {
  const health = await watchHealth(server);
  const http = createHttpClient(server.port, 1);
  const ready = await server.probe('/readyz');
  const token = await http.send(requests.token());
  const keys = await http.send(requests.jwks());
  http.close();
  for (const answer of [ready, token, keys]) progress(`without its store: ${describeAnswer(answer)}`);
  expect(ready.status).toBe(503);
  for (const answer of [token, keys]) {
    expect(answer.status).toBe(503);
    expect(Number(answer.headers['retry-after'])).toBeGreaterThan(0);
    expect(answer.ms).toBeLessThan(MAX_ANSWER_MS);
  }
  expect(server.isRunning()).toBe(true);
  expect(health.failed).toEqual([]);
  expect(Math.max(health.slowestMs, ready.ms)).toBeLessThan(MAX_HEALTH_MS);
}

/** Asks /healthz from the moment that it listens, again and again: it tries to open its store all the time. */
async function watchHealth(server: ServerProcess): Promise<{ slowestMs: number; failed: string[] }> {
  const answers: Answer[] = [];
  const listens = async (): Promise<boolean> => {
    const answer = await server.probe('/healthz');
    if (answer.failure !== 'ECONNREFUSED') answers.push(answer);
    return answers.length > 0;
  };
  await waitUntil('it listens', listens, LISTENS_MS);
  const end = performance.now() + WATCHED_MS;
  while (performance.now() < end) {
    answers.push(await server.probe('/healthz'));
    await sleep(PROBE_EVERY_MS);
  }
  const slowestMs = Math.max(...answers.map(({ ms }) => ms));
  progress(`without its store: ${answers.length} × /healthz, the slowest after ${slowestMs.toFixed(0)} ms`);
  return { slowestMs, failed: answers.filter(({ status }) => status !== 200).map(describeAnswer) };
}

/** The same server, once the store is there: ready by itself, and it gives tokens. */
export async function expectWellAgain(server: ServerProcess, maxMs: number): Promise<void> {
  const isReady = async (): Promise<boolean> => (await server.probe('/readyz')).status === 200;
  const ms = await waitUntil('/readyz says 200', isReady, maxMs);
  progress(`the server that started without its store was ready ${ms.toFixed(0)} ms later`);
  const http = createHttpClient(server.port, 1);
  await getToken(http, requests.token());
  http.close();
}
