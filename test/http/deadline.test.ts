/** A request has an answer within 3 s, also where each call to the store is in time and their sum is not. */
import { afterAll, beforeAll, describe, expect, jest, test } from '@jest/globals';
import { IncomingMessage } from 'node:http';
import { Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';

import { createDeadline } from '../../src/http/deadline.ts';
import { openStorage } from '../../src/storage/open.ts';
import { basic, createVpnNode, form, getToken, json } from '../support/clients.ts';
import type { Credentials } from '../support/clients.ts';
import { withLatency } from '../support/latency.ts';
import { startTestServer } from '../support/server.ts';
import type { TestServer } from '../support/server.ts';

const CONTRACT_MS = 3_000;
// A busy machine adds this; that the time is the contract's is shown by a clock that it cannot hold up.
const SLACK_MS = 2_000;
// Each call takes twice this, which a store may: three calls are more than a request has.
const SLOW_MS = 600;

describe('the deadline', () => {
  test.each([
    ['ends a request after 2.8 s and within 3 s', true, ['overloaded']],
    ['does not end one whose body is on the way', false, []],
  ])('%s', async (_, complete, refusals) => {
    jest.useFakeTimers();
    try {
      const told: unknown[] = [];
      const never = Promise.withResolvers<undefined>();
      const message = Object.assign(new IncomingMessage(new Socket()), { complete });
      createDeadline()(message, performance.now(), never.promise).catch((error: unknown) => told.push(error));
      await jest.advanceTimersByTimeAsync(CONTRACT_MS - 200);
      expect(told).toEqual([]);
      await jest.advanceTimersByTimeAsync(199);
      expect(told).toMatchObject(refusals.map((code) => ({ code })));
    } finally {
      jest.useRealTimers();
    }
  });
});

describe('the deadline of a request', () => {
  let isSlow = false;
  let server: TestServer;
  let node: Credentials;
  let authorization: string;

  beforeAll(async () => {
    const delay = (): Promise<void> => (isSlow ? sleep(SLOW_MS) : Promise.resolve());
    server = await startTestServer(
      'SQLite',
      {},
      { deadlineMs: undefined, open: async (url) => withLatency(await openStorage(url), delay) },
    );
    node = await createVpnNode(server);
    authorization = `Bearer ${await getToken(server, node)}`;
  });
  afterAll(() => server.stop());

  const exchange = (): Promise<Response> =>
    server.request('/vpn/auth', { method: 'POST', headers: { authorization } });

  test('calls that add up end with 503 and Retry-After in time, and the server goes on', async () => {
    isSlow = true;
    const from = performance.now();
    const answers = await Promise.all(
      Array.from({ length: 10 }, async () => {
        const answer = await exchange();
        return { answer, tookMs: performance.now() - from, body: await json(answer) };
      }),
    );
    for (const { answer, tookMs, body } of answers) {
      expect(answer.status).toBe(503);
      expect(tookMs).toBeLessThan(CONTRACT_MS + SLACK_MS);
      expect(answer.headers.get('retry-after')).toMatch(/^\d+$/);
      expect(answer.headers.get('cache-control')).toBe('no-store');
      expect(body).toMatchObject({ error: 'temporarily_unavailable' });
    }
    isSlow = false;
    expect((await exchange()).status).toBe(200);
    await sleep(2 * SLOW_MS); // the handlers that went on have ended, and answered nobody
    expect(server.logs()).not.toContain('server_failed');
    expect((await exchange()).status).toBe(200);
  });

  test('the time in which a client sends its body does not count', async () => {
    const text = 'grant_type=client_credentials&scope=read';
    const slowly = new ReadableStream<Uint8Array>({
      start: async (controller) => {
        controller.enqueue(Buffer.from(text.slice(0, 10)));
        await sleep(CONTRACT_MS + 200);
        controller.enqueue(Buffer.from(text.slice(10)));
        controller.close();
      },
    });
    const answer = await server.request('/token', { ...form({}, basic(node)), body: slowly, duplex: 'half' });
    expect(answer.status).toBe(200);
  });
});
