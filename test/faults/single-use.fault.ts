/**
 * Single use over HTTP: one client assertion (its `jti`) sent twenty times at once to two server processes on one
 * store gives one token. Round after round, since a race that is lost once in a thousand is lost.
 */
import { afterAll, beforeAll, expect, test } from '@jest/globals';

import { createCleanup } from './support/cleanup.ts';
import { createHttpClient } from './support/http-client.ts';
import type { Answer, HttpClient } from './support/http-client.ts';
import { createInstallation } from './support/installation.ts';
import type { Installation } from './support/installation.ts';
import { startClosedLoad } from './support/load.ts';
import { progress } from './support/progress.ts';
import { describeAnswer, membersOf, requests, signAssertion, tokenOf } from './support/relying-party.ts';
import { findFreePort, startServerProcess } from './support/server-process.ts';
import { describeOnEachStore } from './support/stores.ts';
import type { FreshStore } from './support/stores.ts';

const ROUNDS = 1_000;
const REQUESTS_AT_ONCE = 20;
const SERVERS = 2;
// Two rounds overlap, so that the servers are never idle while this process counts.
const ROUNDS_AT_ONCE = 2;
const MAX_SECONDS = 240;
const READY_MS = 20_000;

await describeOnEachStore('a client assertion', (store) => {
  const cleanup = createCleanup();
  let installation: Installation;
  let clients: readonly HttpClient[];

  beforeAll(async () => {
    installation = await createInstallation({ databaseUrl: await store.create(cleanup) });
    cleanup.add(() => installation.remove());
    const ports = await Promise.all(Array.from({ length: SERVERS }, findFreePort));
    const servers = ports.map((port) => startServerProcess(installation.env, port));
    for (const server of servers) cleanup.add(() => server.end());
    await Promise.all(servers.map((server) => server.ready(READY_MS)));
    clients = ports.map((port) => createHttpClient(port, (REQUESTS_AT_ONCE / SERVERS) * ROUNDS_AT_ONCE));
    for (const client of clients) cleanup.add(() => client.close());
  });
  afterAll(() => cleanup.run());

  test(`is taken once of ${REQUESTS_AT_ONCE} times at once by ${SERVERS} servers, in each of ${ROUNDS} rounds`, async () => {
    const unfair = await race(store, installation, clients);
    expect({ count: unfair.length, first: unfair[0] }).toEqual({ count: 0, first: undefined });
  });

  test('is refused by every server afterwards', async () => {
    const assertion = await signAssertion(installation);
    const [first, ...later] = await inTurn([...clients, ...clients], assertion);
    expect(first?.status).toBe(200);
    expect(later.map(({ status }) => status)).toEqual([401, 401, 401]);
  });
});

/** Gives the rounds that did not have one winner, with what was answered. */
async function race({ name }: FreshStore, installation: Installation, clients: readonly HttpClient[]) {
  const unfair: string[] = [];
  const begin = performance.now();
  const load = startClosedLoad({
    atOnce: ROUNDS_AT_ONCE,
    maxRuns: ROUNDS,
    maxSeconds: MAX_SECONDS,
    run: async (round) => {
      const request = requests.assertionToken(await signAssertion(installation));
      const senders = Array.from({ length: REQUESTS_AT_ONCE / SERVERS }, () => clients).flat();
      const answers = await Promise.all(senders.map((client) => client.send(request)));
      if (!isFair(answers)) unfair.push(`round ${round}: ${summarize(answers)}`);
      if ((round + 1) % 250 === 0) progress(`${name}: ${round + 1} rounds, ${unfair.length} unfair`);
    },
  });
  const rounds = await load.finished();
  progress(
    `${name}: ${rounds} rounds in ${((performance.now() - begin) / 1000).toFixed(1)} s, ${unfair.length} unfair`,
  );
  expect(rounds).toBe(ROUNDS);
  return unfair;
}

function isFair(answers: readonly Answer[]): boolean {
  const winners = answers.filter((answer) => tokenOf(answer) !== null);
  const refused = answers.filter(
    (answer) => answer.status === 401 && membersOf(answer)['error'] === 'invalid_client',
  );
  return winners.length === 1 && refused.length === REQUESTS_AT_ONCE - 1;
}

function summarize(answers: readonly Answer[]): string {
  const statuses = answers.map(({ status, failure }) => failure ?? status).toSorted();
  const odd = answers.find(({ status }) => status !== 200 && status !== 401);
  return statuses.join(' ') + (odd === undefined ? '' : ` (${describeAnswer(odd)})`);
}

async function inTurn(clients: readonly HttpClient[], assertion: string): Promise<Answer[]> {
  const answers: Answer[] = [];
  for (const client of clients) answers.push(await client.send(requests.assertionToken(assertion)));
  return answers;
}
