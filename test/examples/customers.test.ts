/** A real nginx as the gateway of an API for customers, by the nginx.conf of the example. */
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { IncomingHttpHeaders, Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';

import { findFreePort, ROOT } from '../cli/serve-process.ts';
import { createClient, getToken, json } from '../support/clients.ts';
import { describeWithNginx, startNginx } from '../support/nginx.ts';
import type { Nginx } from '../support/nginx.ts';
import { startTestServer } from '../support/server.ts';
import type { TestServer } from '../support/server.ts';

const START_TIMEOUT_MS = 60_000;
const TEMPLATE = readFileSync(join(ROOT, 'examples/customers/nginx.conf'), 'utf8');

describeWithNginx('examples/customers', () => {
  let server: TestServer;
  let api: Server;
  let nginx: Nginx;
  let origin: string;
  let admin: string;
  const heard: IncomingHttpHeaders[] = [];

  beforeAll(async () => {
    server = await startTestServer('SQLite', { RATE_LIMIT_ADMIN: '100000' });
    admin = await getToken(server, await createClient(server, 'admin'), { scope: 'admin' });
    api = createServer(({ headers }, response) => {
      heard.push(headers);
      response.end('pets');
    }).listen(0, '127.0.0.1');
    await once(api, 'listening');
    const port = await findFreePort();
    const configuration = TEMPLATE.replaceAll('127.0.0.1:8011', new URL(server.origin).host)
      .replaceAll('localhost:8011', new URL(server.issuer).host)
      .replaceAll('127.0.0.1:8022', `127.0.0.1:${(api.address() as AddressInfo).port}`) // it listens on a port
      .replaceAll('127.0.0.1:8080', `127.0.0.1:${port}`);
    nginx = await startNginx(configuration, port);
    origin = `http://127.0.0.1:${port}`;
  }, START_TIMEOUT_MS);

  afterAll(async () => {
    await nginx.stop();
    api.close();
    api.closeAllConnections();
    await server.stop();
  });

  const ask = async (method: string, path: string, body: object): Promise<Record<string, unknown>> => {
    const headers = { authorization: `Bearer ${admin}`, 'content-type': 'application/json' };
    return json(
      await server.request(`/api/v1/customers${path}`, { method, headers, body: JSON.stringify(body) }),
    );
  };
  const enter = async (customer_type: string): Promise<{ username: string; token: string }> => {
    const username = `n-${randomUUID().slice(0, 8)}`;
    await ask('POST', '', { username, customer_type });
    const { access_token: token } = await ask('POST', `/${username}/tokens`, {});
    return { username, token: String(token) };
  };
  const call = (token: string | null, headers: Readonly<Record<string, string>> = {}): Promise<Response> =>
    fetch(`${origin}/pets`, {
      headers: { ...headers, ...(token !== null && { authorization: `Bearer ${token}` }) },
    });

  test('tells the API of the customer, whatever the caller wrote in the place of that', async () => {
    const { username, token } = await enter('standard');
    const forged = {
      'x-customer-username': 'root',
      'x-customer-type': 'premium',
      'x-customer-access-level': 'full',
    };
    const answer = await call(token, forged);
    expect([answer.status, await answer.text()]).toEqual([200, 'pets']);
    expect(heard.at(-1)).toMatchObject({
      ...{ 'x-customer-username': username, 'x-customer-type': 'standard' },
      'x-customer-access-level': 'standard',
    });
    expect(answer.headers.get('ratelimit')).toMatch(/^"customer";r=499;t=\d+$/);
  });

  test('keeps out who has no token, or a bad one', async () => {
    expect((await call(null)).status).toBe(401);
    expect((await call('a.b.c')).status).toBe(401);
  });

  test.each([
    ['free', 100],
    ['standard', 500],
    ['premium', 1_000],
  ])(
    'refuses what a %s customer sends after %d requests of the hour, until it may more',
    async (type, limit) => {
      const { username, token } = await enter(type);
      const statuses = new Set<number>();
      for (let sent = 0; sent < limit; sent += 25) {
        const answers = await Promise.all(Array.from({ length: 25 }, () => call(token)));
        for (const { status } of answers) statuses.add(status);
      }
      expect(statuses).toEqual(new Set([200]));
      const beyond = await call(token);
      expect([beyond.status, (await json(beyond))['title']]).toEqual([429, 'Too Many Requests']);
      expect(Number(beyond.headers.get('retry-after'))).toBeGreaterThan(0);
      expect(beyond.headers.get('ratelimit')).toMatch(/^"customer";r=0;/);
      await ask('PATCH', `/${username}`, { additional_metadata: { rate_limit: 5_000 } });
      expect((await call(token)).status).toBe(200);
    },
  );

  test('lets nobody in while Portcullis does not answer, and calls nobody’s token bad', async () => {
    const { token } = await enter('free');
    await server.stopInstances();
    const answer = await call(token);
    expect([answer.status, (await json(answer))['title']]).toEqual([503, 'Service Unavailable']);
  });
});
