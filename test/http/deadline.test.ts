/** A request has an answer within 3 s, also where each call to the store is in time and their sum is not. */
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { setTimeout as sleep } from 'node:timers/promises';

import { openStorage } from '../../src/storage/open.ts';
import { basic, createVpnNode, form, getToken, json } from '../support/clients.ts';
import type { Credentials } from '../support/clients.ts';
import { withLatency } from '../support/latency.ts';
import { startTestServer } from '../support/server.ts';
import type { TestServer } from '../support/server.ts';

const CONTRACT_MS = 3_000;
// Each call takes twice this, which a store may: three calls are more than a request has.
const SLOW_MS = 600;

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
      { open: async (url) => withLatency(await openStorage(url), delay) },
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
      expect(tookMs).toBeLessThan(CONTRACT_MS);
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
