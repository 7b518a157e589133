/**
 * SIGTERM under load, with a second server on the same store, as behind a balancer: what was sent before is
 * answered, the other server takes the rest, and the process ends by itself in time.
 */
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { setTimeout as sleep } from 'node:timers/promises';

import { createCleanup } from './support/cleanup.ts';
import { createHttpClient } from './support/http-client.ts';
import type { Answer, HttpClient } from './support/http-client.ts';
import { createInstallation } from './support/installation.ts';
import type { Installation } from './support/installation.ts';
import { createLedger, findLost, sampleOf } from './support/ledger.ts';
import { startClosedLoad } from './support/load.ts';
import { progress } from './support/progress.ts';
import { describeAnswer, requests, tokenOf } from './support/relying-party.ts';
import { findFreePort, startServerProcess } from './support/server-process.ts';
import type { ServerProcess } from './support/server-process.ts';
import { beginRequest, toText } from './support/slow-request.ts';
import { describeOnEachStore } from './support/stores.ts';

const CONNECTIONS = 32;
const ROUNDS = 5;
const WARM_MS = 700;
const AFTER_MS = 500;
const SLOW_REQUESTS = 10;
const SLOW_MS = 1_500;
const MAX_REQUESTS = 100_000;
const MAX_SECONDS = 30;
const READY_MS = 20_000;
const MAX_EXIT_MS = 10_000;
/** So long after the signal a new request may meet a closing door or the end of an idle connection; a balancer repeats it. */
const CLOSING_MS = 1_000;
const CHECKED = 3_000;

await describeOnEachStore('a server that gets SIGTERM', ({ name, create }) => {
  const cleanup = createCleanup();
  const ledger = createLedger();
  let installation: Installation;
  let stays: ServerProcess;

  beforeAll(async () => {
    installation = await createInstallation({ databaseUrl: await create(cleanup) });
    cleanup.add(() => installation.remove());
    stays = await start();
  });
  afterAll(() => cleanup.run());

  const start = async (): Promise<ServerProcess> => {
    const server = startServerProcess(installation.env, await findFreePort());
    cleanup.add(() => server.end());
    await server.ready(READY_MS);
    return server;
  };

  test(`answers every request that was sent before, while the other server goes on (${ROUNDS} times)`, async () => {
    const seen: Seen = { cut: [], answeredLater: 0, refused: 0, reset: 0, failedOnOther: [] };
    for (let round = 0; round < ROUNDS; round += 1) {
      const goes = await start();
      const exitMs = await terminateUnderLoad(goes, stays, ledger, seen);
      progress(
        `${name}: exit after ${exitMs.toFixed(0)} ms; so far ${seen.cut.length} requests cut; of later ones ` +
          `${seen.answeredLater} answered, ${seen.refused} refused, ${seen.reset} reset`,
      );
      expect(await goes.exited).toEqual({ code: 0, signal: null });
      expect(exitMs).toBeLessThan(MAX_EXIT_MS);
    }
    expect({ cut: seen.cut.length, first: seen.cut[0] }).toEqual({ cut: 0, first: undefined });
    expect(seen.failedOnOther).toEqual([]);
  });

  test('forgets nothing that it acknowledged', async () => {
    const http = createHttpClient(stays.port, CONNECTIONS);
    expect(ledger.active.length).toBeGreaterThan(0);
    expect(await findLost(sampleOf(ledger, CHECKED), http)).toEqual([]);
    http.close();
  });

  test('finishes slow requests, and says on a kept connection that it is not ready', async () => {
    const goes = await start();
    const { headers = {}, form = {} } = requests.token();
    const text = toText('/token', headers, new URLSearchParams(form).toString());
    const slow = await Promise.all(
      Array.from({ length: SLOW_REQUESTS }, () => beginRequest(goes.port, text, 10)),
    );
    const probe = await beginRequest(goes.port, 'GET /readyz HTTP/1.1\r\nHost: localhost\r\n\r\n', 4);
    for (const request of [...slow, probe]) cleanup.add(() => request.close());
    const begin = performance.now();
    goes.signal('SIGTERM');
    await sleep(SLOW_MS);
    expect(await probe.finish()).toBe('HTTP/1.1 503 Service Unavailable');
    const answers = await Promise.all(slow.map((request) => request.finish()));
    expect(answers).toEqual(answers.map(() => 'HTTP/1.1 200 OK'));
    expect(await goes.exited).toEqual({ code: 0, signal: null });
    progress(`${name}: with slow requests in flight exit after ${(performance.now() - begin).toFixed(0)} ms`);
    expect(performance.now() - begin).toBeLessThan(MAX_EXIT_MS);
  });
});

interface Seen {
  /** Requests that the server had and did not answer. */
  readonly cut: string[];
  /** Requests sent after the signal: answered, refused at the door, cut with an idle connection. */
  answeredLater: number;
  refused: number;
  reset: number;
  readonly failedOnOther: string[];
}

/** Gives the milliseconds from the signal to the exit. */
async function terminateUnderLoad(
  goes: ServerProcess,
  stays: ServerProcess,
  ledger: { readonly active: string[] },
  seen: Seen,
): Promise<number> {
  const [first, second] = [
    createHttpClient(goes.port, CONNECTIONS),
    createHttpClient(stays.port, CONNECTIONS),
  ];
  let signalledAt = Infinity;
  let isGone = false;
  const ask = async (http: HttpClient): Promise<Answer> => {
    const answer = await http.send(requests.token());
    const token = tokenOf(answer);
    if (token !== null) ledger.active.push(token);
    return answer;
  };
  const askOther = async (): Promise<void> => {
    const answer = await ask(second);
    if (answer.status !== 200) seen.failedOnOther.push(describeAnswer(answer));
  };
  const load = startClosedLoad({
    atOnce: 2 * CONNECTIONS,
    maxRuns: MAX_REQUESTS,
    maxSeconds: MAX_SECONDS,
    run: async (n) => {
      if (n % 2 === 1 || isGone) return askOther();
      const answer = await ask(first);
      const isLater = answer.startedAt > signalledAt;
      if (answer.status === 200) {
        if (isLater) seen.answeredLater += 1;
        return;
      }
      if (answer.failure === 'ECONNREFUSED') {
        isGone = true;
        seen.refused += 1;
      } else if (isLater && answer.startedAt < signalledAt + CLOSING_MS) seen.reset += 1;
      else
        seen.cut.push(
          `sent ${(answer.startedAt - signalledAt).toFixed(1)} ms after the signal: ${describeAnswer(answer)}`,
        );
      await askOther();
    },
  });
  await sleep(WARM_MS);
  signalledAt = performance.now();
  goes.signal('SIGTERM');
  await Promise.race([goes.exited, sleep(MAX_EXIT_MS * 1.5, undefined, { ref: false })]);
  const exitMs = performance.now() - signalledAt;
  await sleep(AFTER_MS);
  await load.stop();
  for (const http of [first, second]) http.close();
  return exitMs;
}
