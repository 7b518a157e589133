/**
 * A real nginx in front of the protected API, by the nginx.conf of the example: whom it lets in, whom it keeps out, and
 * what reaches the API. Between nginx and the API stands an ear, which hears the headers.
 */
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { createServer, request as send } from 'node:http';
import type { IncomingHttpHeaders, Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';

import { startProtectedApi } from '../../examples/protected-api/server.ts';
import type { ProtectedApi } from '../../examples/protected-api/server.ts';
import { findFreePort, ROOT } from '../cli/serve-process.ts';
import { basic, form, json } from '../support/clients.ts';
import { describeWithNginx, startNginx } from '../support/nginx.ts';
import type { Nginx } from '../support/nginx.ts';
import { AUDIENCE, startProtectedApiServer } from '../support/protected-api.ts';
import type { Caller, ProtectedApiServer } from '../support/protected-api.ts';

const START_TIMEOUT_MS = 60_000;
const TEMPLATE = readFileSync(join(ROOT, 'examples/protected-api/nginx.conf'), 'utf8');

/** Hands every request on to the API as it came. */
async function listenBetween(api: string, heard: IncomingHttpHeaders[]): Promise<Server> {
  const server = createServer((request, response) => {
    heard.push(request.headers);
    const { method, headers, url = '' } = request;
    const onward = send(api + url, { method, headers }, (answer) => {
      response.writeHead(answer.statusCode ?? 502, answer.headers);
      answer.pipe(response);
    });
    request.pipe(onward);
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  return server;
}

describeWithNginx('examples/protected-api behind nginx', () => {
  let it: ProtectedApiServer;
  let api: ProtectedApi;
  let between: Server;
  let nginx: Nginx;
  let origin: string;
  const heard: IncomingHttpHeaders[] = [];

  /** Starts nginx with the shipped configuration on other ports. */
  const start = async (portcullis: string): Promise<{ nginx: Nginx; origin: string }> => {
    const port = await findFreePort();
    const { port: behind } = between.address() as AddressInfo; // it listens on a port
    const configuration = TEMPLATE.replaceAll('127.0.0.1:8011', portcullis)
      .replaceAll('localhost:8011', new URL(it.server.issuer).host)
      .replaceAll('127.0.0.1:8022', `127.0.0.1:${behind}`)
      .replaceAll('127.0.0.1:8080', `127.0.0.1:${port}`);
    return { nginx: await startNginx(configuration, port), origin: `http://127.0.0.1:${port}` };
  };

  beforeAll(async () => {
    it = await startProtectedApiServer('SQLite');
    api = await startProtectedApi({ issuer: it.server.issuer, port: 0 });
    between = await listenBetween(api.origin, heard);
    ({ nginx, origin } = await start(new URL(it.server.origin).host));
  }, START_TIMEOUT_MS);

  afterAll(async () => {
    await nginx.stop();
    between.close();
    between.closeAllConnections();
    await api.close();
    await it.server.stop();
  });

  const call = (path: string, token: string | null, init: RequestInit = {}, at = origin): Promise<Response> =>
    fetch(at + path, {
      ...init,
      headers: {
        ...(init.headers as Record<string, string> | undefined),
        ...(token !== null && { authorization: `Bearer ${token}` }),
      },
    });
  const statusOf = async (path: string, token: string | null): Promise<number> =>
    (await call(path, token)).status;

  /** How many requests reached the API meanwhile. */
  const reached = async (requests: () => Promise<unknown>): Promise<number> => {
    const before = heard.length;
    await requests();
    return heard.length - before;
  };

  test('lets in who may, and tells the API who it is', async () => {
    const { account, token } = await it.signIn('admin');
    const answer = await call('/agents', token);
    expect([answer.status, await json(answer)]).toEqual([200, { items: [] }]);
    expect(heard.at(-1)).toMatchObject({
      'x-auth-subject': account.id,
      'x-auth-username': account.username,
      'x-auth-role': 'admin',
      'x-auth-scopes': 'api:read api:write',
      'x-auth-client-id': it.party.id,
      'x-auth-audience': AUDIENCE,
      authorization: `Bearer ${token}`,
    });
    const made = await call('/conversations', token, {
      method: 'POST',
      body: JSON.stringify({ title: 'Hello' }),
    });
    expect(made.status).toBe(201);
    expect(await statusOf('/system/status', token)).toBe(200);
    expect(await statusOf('/analytics', token)).toBe(200);
  });

  test('keeps out who has no token, or a bad one, and says how to come in', async () => {
    const { token } = await it.signIn('admin');
    const elsewhere = await it.tokenFor((await it.signIn('user')).account, 'api:read');
    const bad = ['x', 'a.b.c', `${token.slice(0, -6)}AAAAAA`, `${elsewhere}x`];
    const count = await reached(async () => {
      const none = await call('/agents', null);
      expect([none.status, none.headers.get('www-authenticate')]).toEqual([401, 'Bearer']);
      for (const one of bad) {
        const answer = await call('/agents', one);
        expect([answer.status, answer.headers.get('www-authenticate')]).toEqual([
          401,
          expect.stringContaining('error="invalid_token"'),
        ]);
      }
    });
    expect(count).toBe(0);
  });

  test('keeps out who has another role, or not the scope', async () => {
    const [user, developer] = [await it.signIn('user'), await it.signIn('developer')];
    const writer = await it.tokenFor(developer.account, 'api:write');
    const count = await reached(async () => {
      for (const [path, token] of [
        ['/system/status', user.token],
        ['/system/status', developer.token],
        ['/analytics', user.token],
        ['/analytics', writer],
      ] as const) {
        expect([path, await statusOf(path, token)]).toEqual([path, 403]);
      }
    });
    expect(count).toBe(0);
    expect(await statusOf('/analytics', developer.token)).toBe(200);
  });

  test('keeps out a revoked token and a disabled account at once, where the API alone would not', async () => {
    const { account, token } = await it.signIn('user');
    const other = await it.tokenFor(account);
    await it.server.request('/revoke', form({ token }, basic(it.party)));
    expect([await statusOf('/agents', token), await statusOf('/agents', other)]).toEqual([401, 200]);
    await it.server.changeAccount(account, { status: 'disabled' });
    expect(await statusOf('/agents', other)).toBe(401);
    expect((await call('/agents', other, {}, api.origin)).status).toBe(200);
  });

  test('lets no caller say who they are', async () => {
    const spoofed = {
      'X-Auth-Subject': 'root',
      'X-Auth-Username': 'root',
      'X-Auth-Role': 'admin',
      'X-Auth-Scopes': 'everything',
      'X-Auth-Client-Id': 'root',
      'X-Auth-Audience': 'root',
      x_auth_role: 'admin',
    };
    const { account, token }: Caller = await it.signIn('guest');
    expect((await call('/agents', token, { headers: spoofed })).status).toBe(200);
    expect(heard.at(-1)).toMatchObject({ 'x-auth-subject': account.id, 'x-auth-role': 'guest' });
    expect(JSON.stringify(heard.at(-1))).not.toMatch(/root|everything|admin/);
    expect((await call('/system/status', token, { headers: spoofed })).status).toBe(403);
    expect((await call('/agents', null, { headers: spoofed })).status).toBe(401);
  });

  test('does not show the question itself', async () => {
    const { token } = await it.signIn('admin');
    expect(await statusOf('/_verify', token)).toBe(404);
  });

  test('lets nobody in while Portcullis is away, and calls no token bad', async () => {
    const { token } = await it.signIn('admin');
    const astray = await start(`127.0.0.1:${await findFreePort()}`);
    const count = await reached(async () => {
      for (const path of ['/agents', '/system/status']) {
        const answer = await call(path, token, {}, astray.origin);
        expect([answer.status, answer.headers.get('retry-after')]).toEqual([503, '2']);
        expect(answer.headers.get('content-type')).toBe('application/problem+json');
      }
    });
    await astray.nginx.stop();
    expect(count).toBe(0);
  });
});
