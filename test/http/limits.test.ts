/** Clients that stall: headers and bodies that come too slowly are cut, on the real server, and nothing of ours failed. */
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { subscribe, unsubscribe } from 'node:diagnostics_channel';
import { once } from 'node:events';
import type { Server } from 'node:http';
import { connect } from 'node:net';
import type { Socket } from 'node:net';

import { basic, createVpnNode, getToken } from '../support/clients.ts';
import { startTestServer } from '../support/server.ts';
import type { TestServer } from '../support/server.ts';

const QUICK_HEADERS_MS = 200;
const QUICK_REQUEST_MS = 400;
// The server looks each second, not each 30 s as Node would by default.
const LOOK_MS = 1_000;
const SLACK_MS = 8_000;
const CHANNEL = 'http.server.request.start';

/** The server that answers at an address, as Node tells about each request. */
async function serverOf(origin: string): Promise<Server> {
  const found = Promise.withResolvers<Server>();
  const onRequest = (message: unknown): void => {
    const { server, request } = message as { server: Server; request: { url: string } }; // Node's documentation
    if (request.url === '/healthz?limits') found.resolve(server);
  };
  subscribe(CHANNEL, onRequest);
  try {
    await fetch(`${origin}/healthz?limits`);
    return await found.promise;
  } finally {
    unsubscribe(CHANNEL, onRequest);
  }
}

/** Sends a piece every 20 ms until the server closes; gives what it said and how long it bore with it. */
async function dribble(
  { origin }: TestServer,
  start: string,
  piece: string,
): Promise<{ said: string; tookMs: number }> {
  const socket: Socket = connect(Number(new URL(origin).port), '127.0.0.1');
  const chunks: Buffer[] = [];
  socket.on('data', (chunk) => chunks.push(chunk)).on('error', () => undefined); // it is cut
  await once(socket, 'connect');
  const from = performance.now();
  socket.write(start);
  const timer = setInterval(() => socket.write(piece), 20);
  await new Promise((resolve) => socket.once('close', resolve)); // once() of node:events would reject at a reset
  clearInterval(timer);
  return { said: Buffer.concat(chunks).toString(), tookMs: performance.now() - from };
}

const headers = (path: string, authorization: string, type: string, length: string): string =>
  `POST ${path} HTTP/1.1\r\nHost: localhost:8011\r\nAuthorization: ${authorization}\r\n` +
  `Content-Type: ${type}\r\n${length}\r\n\r\n`;

describe('a client that stalls', () => {
  let server: TestServer;
  let http: Server;
  let authorization: string;
  let bearer: string;

  beforeAll(async () => {
    server = await startTestServer('SQLite');
    const node = await createVpnNode(server);
    authorization = basic(node);
    bearer = `Bearer ${await getToken(server, node)}`;
    http = await serverOf(server.origin);
  });
  afterAll(() => server.stop());

  test('has 15 s for its headers and 30 s for its request, at most', () => {
    expect(http.headersTimeout).toBeGreaterThanOrEqual(5_000);
    expect(http.headersTimeout).toBeLessThanOrEqual(15_000 - LOOK_MS);
    expect(http.requestTimeout).toBeGreaterThan(http.headersTimeout);
    expect(http.requestTimeout).toBeLessThanOrEqual(30_000 - LOOK_MS);
    expect(http.maxConnections).toBeLessThanOrEqual(10_000);
  });

  test('holds up a stop for a second at most where it says nothing', async () => {
    const { origin, stop } = await startTestServer('SQLite');
    const socket = connect(Number(new URL(origin).port), '127.0.0.1');
    socket.on('error', () => undefined);
    await once(socket, 'connect');
    const answered = await fetch(`${origin}/healthz`); // its connection is kept alive
    expect(answered.status).toBe(200);
    const begun = performance.now();
    await stop();
    expect(performance.now() - begun).toBeLessThan(8_000);
    expect(socket.destroyed || (await once(socket, 'close'))).toBeTruthy();
  });

  describe('is cut at the limit, while others are served', () => {
    beforeAll(() => {
      http.headersTimeout = QUICK_HEADERS_MS;
      http.requestTimeout = QUICK_REQUEST_MS;
    });

    const expectCut = async (start: string, piece: string, limitMs: number): Promise<void> => {
      const [{ said, tookMs }, other] = await Promise.all([
        dribble(server, start, piece),
        server.request('/readyz'),
      ]);
      expect(other.status).toBe(200);
      expect(tookMs).toBeGreaterThanOrEqual(limitMs);
      expect(tookMs).toBeLessThan(limitMs + LOOK_MS + SLACK_MS);
      // A piece that is still on its way when the server closes makes the system throw the answer away.
      if (said !== '') expect(said).toMatch(/HTTP\/1\.1 408 Request Timeout\r\nConnection: close\r\n\r\n$/);
      expect(server.logs()).not.toContain('server_failed');
    };

    test.each([
      ['in its request line', 'GET /hea'],
      ['in its headers', 'GET /healthz HTTP/1.1\r\nHost: localhost:8011\r\nX: '],
    ])('%s', async (_name, start) => {
      await expectCut(start, 'a', QUICK_HEADERS_MS);
    });

    const FORM = 'application/x-www-form-urlencoded';
    const LENGTH = 'Content-Length: 50000';
    test.each([
      ['in a form', () => headers('/token', authorization, FORM, LENGTH), 'a'],
      [
        'in a form in chunks',
        () => headers('/token', authorization, FORM, 'Transfer-Encoding: chunked'),
        '1\r\na\r\n',
      ],
      ['in JSON', () => headers('/vpn/auth', bearer, 'application/json', LENGTH), ' '],
      ['in a body that nobody reads', () => headers('/healthz', bearer, 'text/plain', LENGTH), 'a'],
    ])('%s', async (_name, start, piece) => {
      await expectCut(start(), piece, QUICK_REQUEST_MS);
    });
  });
});
