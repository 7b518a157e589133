/** examples/vpn-node over HTTP, at the real server: every endpoint for every level, sessions, forms, and sign-in. */
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import Koa from 'koa';

import { createFailures } from '../../examples/vpn-node/failures.ts';
import { enrol, readNodeSettings, VpnClientError } from '../../src/sdk/node/node.ts';
import { findFreePort } from '../cli/serve-process.ts';
import { apply, json } from '../support/clients.ts';
import {
  createNodeVisitor,
  jwtOf,
  PEOPLE,
  startNodeAtServer,
  TEST_SECRET,
  TIMEOUT_MS,
} from '../support/vpn-node.ts';
import type { NodeAtServer, NodeVisitor } from '../support/vpn-node.ts';

let it: NodeAtServer;

beforeAll(async () => {
  it = await startNodeAtServer();
}, TIMEOUT_MS);

afterAll(async () => {
  await it.stop();
});

const call: NodeAtServer['call'] = (...request) => it.call(...request);
const createVisitor = (origin = it.node.origin): NodeVisitor => createNodeVisitor(origin);

/** Path by path: what is asked for, and the least level that may. */
const CHANGES = [
  ['POST', '/auth/vpn/auth/', 30],
  ['POST', '/auth/vpn/refresh/', 30],
  ['POST', '/auth/vpn/token/', 30],
  ['POST', '/auth/vpn/clear-cache/', 50],
  ['DELETE', '/auth/vpn/token/', 50],
] as const;

describe('the endpoints of the node', () => {
  test('get, tell, renew and forget its JWT', async () => {
    const jwt = await jwtOf('admin');
    await call('DELETE', '/auth/vpn/token/', jwt);
    const about = { client_id: 'node-example', issuer: it.server.issuer, audience: 'vpn-node' };
    const none = { valid: false, subject: null, expires_at: null, expires_in: 0, ...about };
    expect(await json(await call('GET', '/auth/vpn/status/', null))).toEqual(none);

    const first = await call('POST', '/auth/vpn/auth/', jwt);
    expect([first.status, first.headers.get('cache-control')]).toEqual([200, 'no-store']);
    const { access_token: token, ...told } = await json(first);
    const held = {
      ...{ valid: true, subject: 'node-example', expires_at: expect.stringMatching(/Z$/) },
      ...{ expires_in: expect.any(Number), ...about },
    };
    expect(told).toEqual({ token_type: 'Bearer', ...held });
    for (const path of ['/auth/vpn/status/', '/auth/vpn/status', '/auth/vpn/token/']) {
      expect(await json(await call('GET', path, null))).toEqual(held);
    }

    const tokenOf = async (path: string, body?: unknown): Promise<unknown> =>
      (await json(await call('POST', path, jwt, body)))['access_token'];
    expect(await tokenOf('/auth/vpn/auth/')).toBe(token);
    expect(await tokenOf('/auth/vpn/token/')).toBe(token);
    expect(await tokenOf('/auth/vpn/token/', { force_refresh: false })).toBe(token);
    const forced = await tokenOf('/auth/vpn/token/', { force_refresh: true });
    expect(forced).not.toBe(token);
    const refreshed = await tokenOf('/auth/vpn/refresh/');
    expect([forced, token]).not.toContain(refreshed);

    for (const [method, path] of [
      ['POST', '/auth/vpn/clear-cache/'],
      ['DELETE', '/auth/vpn/token/'],
    ] as const) {
      await tokenOf('/auth/vpn/auth/');
      expect(await json(await call(method, path, jwt))).toEqual({ cleared: true });
      expect(await json(await call('GET', '/auth/vpn/token/', null))).toEqual(none);
    }
  });

  test.each(CHANGES)('%s %s needs the level %i', async (method, path, least) => {
    const none = await call(method, path, null);
    expect([none.status, none.headers.get('www-authenticate')]).toEqual([401, 'Bearer']);
    for (const [, role, level] of PEOPLE) {
      const answer = await call(method, path, await jwtOf(role));
      expect([role, answer.status]).toEqual([role, level >= least ? 200 : 403]);
      if (level >= least) continue;
      expect(answer.headers.get('content-type')).toBe('application/problem+json');
      expect((await json(answer))['detail']).toMatch(/^some_\w+ lacks the right token:\w+ at this node\.$/);
    }
    // The node itself is no operator of the node.
    const own = (await json(await call('POST', '/auth/vpn/auth/', await jwtOf('admin'))))['access_token'];
    expect((await call(method, path, String(own))).status).toBe(403);
    expect((await call(method, path, 'x.y.z')).status).toBe(401);
    const key = await fetch(it.node.origin + path, {
      method,
      headers: { 'x-api-key': `pcl_${'k'.repeat(49)}` },
    });
    expect(key.status).toBe(401);
  });

  test.each<[string, string, string | undefined, number]>([
    ['a number for a truth', 'application/json', '{"force_refresh":1}', 400],
    ['a field that nobody knows', 'application/json', '{"role":"admin"}', 400],
    ['a list', 'application/json', '[]', 400],
    ['no JSON', 'application/json', '{', 400],
    ['text', 'text/plain', 'force_refresh=true', 415],
    ['40 KB', 'application/json', JSON.stringify({ csrf: 'x'.repeat(40_000) }), 413],
    ['a form', 'application/x-www-form-urlencoded', 'force_refresh=true', 200],
  ])('a body of %s', async (_name, type, body, status) => {
    const answer = await fetch(`${it.node.origin}/auth/vpn/token/`, {
      method: 'POST',
      headers: { authorization: `Bearer ${await jwtOf('admin')}`, 'content-type': type },
      body: body ?? null,
    });
    expect(answer.status).toBe(status);
  });

  test('what there is not is told as a Problem, and as a page to a browser', async () => {
    expect((await call('GET', '/auth/vpn/nothing/', null)).status).toBe(404);
    const wrong = await call('PUT', '/auth/vpn/token/', null);
    expect([wrong.status, (await json(wrong))['detail']]).toEqual([
      405,
      expect.stringMatching(/^\/auth\/vpn\/token\/ takes .*DELETE/),
    ]);
    const page = await fetch(`${it.node.origin}/nothing`, { headers: { accept: 'text/html' } });
    expect([page.status, page.headers.get('content-type')]).toEqual([404, 'text/html; charset=utf-8']);
  });

  test('an outage of the server is told as one, and the pages go on', async () => {
    const lost = { ...it.env, PARENT_ISSUER: `http://localhost:${await findFreePort()}`, NODE_ENV: 'test' };
    const settings = readNodeSettings({ ...lost, VPN_TEST_SECRET: TEST_SECRET });
    const alone = await it.startNode({ settings });
    const asked = await fetch(`${alone.origin}/auth/login/start/`);
    expect([asked.status, await asked.text()]).toEqual([503, expect.stringContaining('could not be asked')]);
    expect((await fetch(`${alone.origin}/`)).status).toBe(200);
    await alone.close();
  });

  test.each([
    ['ERR_VPN_UNAVAILABLE', 503, '7', 'Portcullis cannot be asked just now. Try again in a moment.'],
    ['ERR_VPN_ANSWER_INVALID', 502, null, 'Portcullis refuses this node; its terminal says why.'],
    ['ERR_VPN_SUBJECT_REFUSED', 403, null, 'Portcullis does not know this sign-in any more. Sign in again.'],
    [null, 500, null, 'Something went wrong in the node; its terminal says what.'],
  ] as const)('what the client fails with is told: %s', async (code, status, retryAfter, detail) => {
    const told: unknown[] = [];
    const error =
      code === null ? new Error('x') : new VpnClientError(code, 'secret', { retryAfterSeconds: 7 });
    const app = new Koa();
    app.use(createFailures((failure) => told.push(failure)));
    app.use(() => {
      throw error;
    });
    const handle = app.callback();
    const server = createServer((request, response) => void handle(request, response)).listen(0, '127.0.0.1');
    await once(server, 'listening');
    const { port } = server.address() as AddressInfo; // it listens on a port
    const answer = await fetch(`http://127.0.0.1:${port}/`);
    expect([answer.status, answer.headers.get('retry-after')]).toEqual([status, retryAfter]);
    expect((await json(answer))['detail']).toBe(detail);
    expect(told).toEqual([error]);
    server.close();
    server.closeAllConnections();
  });

  test('a node that is refused says so, and its terminal says why', async () => {
    const wrong = await it.startNode({ settings: { ...it.settings, clientSecret: 'wrong' } });
    const answer = await fetch(`${wrong.origin}/auth/vpn/auth/`, {
      method: 'POST',
      headers: { authorization: `Bearer ${await jwtOf('admin')}` },
    });
    expect([answer.status, (await json(answer))['detail']]).toEqual([
      502,
      'Portcullis refuses this node; its terminal says why.',
    ]);
    expect(it.reported.at(-1)).toMatchObject({ code: 'ERR_VPN_NODE_REFUSED', status: 401 });
    await wrong.close();
  });
});

/** Signs in by the form for test tokens. */
async function enter(visitor: NodeVisitor, role: string): Promise<void> {
  const token = await jwtOf(role);
  const answer = await visitor.post('/auth/login/authenticate/', { token, csrf: await visitor.csrf() });
  expect([answer.status, answer.headers.get('location')]).toEqual([303, '/']);
}

describe('a session', () => {
  test('does what its person may, with the token of the page', async () => {
    const visitor = createVisitor();
    await enter(visitor, 'admin');
    const csrf = await visitor.csrf('/');
    for (const [, path] of CHANGES.filter(([method]) => method === 'POST')) {
      const answer = await visitor.post(path, { csrf });
      expect([path, answer.status, answer.headers.get('location')]).toEqual([path, 303, '/']);
    }
    const deleted = await visitor.send('/auth/vpn/token/', {
      method: 'DELETE',
      headers: { 'x-csrf-token': csrf, accept: 'application/json' },
    });
    expect(await json(deleted)).toEqual({ cleared: true });
  });

  test('does nothing without that token, with a wrong one, another’s, or one from before the sign-in', async () => {
    const [visitor, other] = [createVisitor(), createVisitor()];
    const before = await visitor.csrf();
    await enter(visitor, 'admin');
    await enter(other, 'admin');
    const csrf = await visitor.csrf('/');
    const wrong = ['', 'x', before, await other.csrf('/'), csrf.slice(0, -2), `${csrf}AAAA`];
    for (const token of wrong) {
      for (const [method, path] of CHANGES) {
        const answer = await visitor.send(path, { method, headers: { 'x-csrf-token': token } });
        expect([path, answer.status]).toEqual([path, 403]);
      }
      expect((await visitor.post('/auth/logout/', { csrf: token })).status).toBe(403);
    }
    for (const headers of [
      { 'sec-fetch-site': 'cross-site' },
      { 'sec-fetch-site': 'same-site' },
      { origin: 'https://evil.example' },
      { origin: 'null' },
    ]) {
      expect((await visitor.post('/auth/vpn/refresh/', { csrf }, headers)).status).toBe(403);
    }
    const own = { 'sec-fetch-site': 'same-origin', origin: it.node.origin };
    expect((await visitor.post('/auth/vpn/refresh/', { csrf }, own)).status).toBe(303);
  });

  test('does no more than its person may, and a bearer beside it is the one that counts', async () => {
    const visitor = createVisitor();
    await enter(visitor, 'manager');
    const csrf = await visitor.csrf('/');
    expect((await visitor.post('/auth/vpn/clear-cache/', { csrf })).status).toBe(403);
    const headers = { authorization: `Bearer ${await jwtOf('basic')}` };
    expect((await visitor.post('/auth/vpn/refresh/', { csrf }, headers)).status).toBe(403);
  });

  test('is new at each sign-in, over with signing out, and kept from scripts', async () => {
    const visitor = createVisitor();
    await enter(visitor, 'admin');
    const first = visitor.jar.get('vpn_node_session') ?? '';
    await enter(visitor, 'basic');
    const second = visitor.jar.get('vpn_node_session');
    expect(second).not.toBe(first);
    visitor.jar.set('vpn_node_session', first);
    expect(await (await visitor.send('/')).text()).toContain('Sign in');
    visitor.jar.set('vpn_node_session', second ?? '');
    const out = await visitor.post('/auth/logout/', { csrf: await visitor.csrf('/') });
    expect(out.headers.getSetCookie()).toEqual([
      'vpn_node_session=; Path=/; HttpOnly; SameSite=Lax; Max-Age=0',
    ]);
    visitor.jar.set('vpn_node_session', second ?? '');
    expect(await (await visitor.send('/')).text()).toContain('Sign in');
    expect((await visitor.send('/auth/vpn/refresh/', { method: 'POST' })).status).toBe(401);
  });

  test('over https has cookies that are for https alone, and takes its own forms', async () => {
    const port = await findFreePort();
    const secure = await it.startNode({ port, origin: 'https://node.example.com/' });
    expect(secure.origin).toBe('https://node.example.com');
    const visitor = createVisitor(`http://localhost:${port}`);
    const csrf = await visitor.csrf();
    const token = await jwtOf('admin');
    const headers = { origin: secure.origin, 'sec-fetch-site': 'same-origin' };
    const entered = await visitor.post('/auth/login/authenticate/', { token, csrf }, headers);
    expect([entered.status, entered.headers.getSetCookie()]).toEqual([
      303,
      [
        expect.stringMatching(
          /^__Host-vpn_node_session=[\w-]{43}; Path=\/; HttpOnly; SameSite=Lax; Max-Age=86400; Secure$/,
        ),
      ],
    ]);
    const begun = await visitor.send('/auth/login/start/');
    expect(begun.headers.get('location')).toContain(encodeURIComponent(`${secure.origin}/auth/callback/`));
    await secure.close();
  });

  test('is no node’s', async () => {
    const visitor = createVisitor();
    const own = (await json(await call('POST', '/auth/vpn/auth/', await jwtOf('admin'))))['access_token'];
    const csrf = await visitor.csrf();
    const answer = await visitor.post('/auth/login/authenticate/', { token: String(own), csrf });
    expect([answer.status, await answer.text()]).toEqual([403, expect.stringContaining('no person’s')]);
  });
});

describe('a sign-in', () => {
  test('begins by code + PKCE with state and nonce, bound to the browser by a cookie', async () => {
    const answer = await createVisitor().send('/auth/login/start/');
    const url = new URL(answer.headers.get('location') ?? '');
    expect([answer.status, url.origin + url.pathname]).toEqual([303, `${it.server.issuer}/authorize`]);
    expect(Object.fromEntries(url.searchParams)).toEqual({
      client_id: 'node-example',
      code_challenge: expect.stringMatching(/^[\w-]{43}$/),
      code_challenge_method: 'S256',
      nonce: expect.stringMatching(/^[\w-]{43}$/),
      redirect_uri: `${it.node.origin}/auth/callback/`,
      response_type: 'code',
      scope: 'openid',
      state: expect.stringMatching(/^[\w-]{43}$/),
    });
    expect(answer.headers.get('set-cookie')).toMatch(
      /^vpn_node_sign_in=[\w-]{200,600}; Path=\/; HttpOnly; SameSite=Lax; Max-Age=900$/,
    );
  });

  test('takes no answer that this browser did not ask for, and each one once', async () => {
    const begin = async (visitor: NodeVisitor): Promise<string> => {
      const answer = await visitor.send('/auth/login/start/');
      return new URL(answer.headers.get('location') ?? '').searchParams.get('state') ?? '';
    };
    const outcome = async (visitor: NodeVisitor, parameters: Readonly<Record<string, string>>) => {
      const answer = await visitor.send(`/auth/callback/?${new URLSearchParams(parameters).toString()}`);
      return [answer.status, /role="alert">([^<]*)</.exec(await answer.text())?.[1]];
    };
    const old = [400, 'This sign-in is too old, or was begun in another browser. Begin it again.'];
    const [visitor, stranger] = [createVisitor(), createVisitor()];
    const state = await begin(visitor);
    await begin(stranger);
    expect(await outcome(stranger, { code: 'x', state, iss: it.server.issuer })).toEqual(old);
    expect(await outcome(visitor, { code: 'x', iss: it.server.issuer })).toEqual(old);
    const denied = { error: '<b>access_denied', state, iss: it.server.issuer };
    expect(await outcome(visitor, denied)).toEqual([403, 'Portcullis refused: &lt;b&gt;access_denied.']);
    expect(await outcome(visitor, denied)).toEqual(old);
    const notAllowed = { error: 'access_denied', state: await begin(visitor), iss: it.server.issuer };
    expect(await outcome(visitor, notAllowed)).toEqual([
      403,
      'You did not allow it, so you are not signed in.',
    ]);
    const foreign = { code: 'x', state: await begin(visitor), iss: 'https://evil.example' };
    expect(await outcome(visitor, foreign)).toEqual([
      400,
      expect.stringMatching(/^The answer was not accepted \(OAUTH_INVALID_RESPONSE\)/),
    ]);
    const unknown = { code: 'x', state: await begin(visitor), iss: it.server.issuer };
    expect(await outcome(visitor, unknown)).toEqual([403, 'Portcullis refused: invalid_grant.']);
  });

  test('is made by a node that has a key in the place of a secret', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'portcullis-node-'));
    const { administration, issuer } = it.server;
    const privateKeyFile = join(folder, 'key.json');
    const settings = { ...it.settings, clientId: 'node-keyed', clientSecret: undefined, privateKeyFile };
    const keyed = await it.startNode({ port: await findFreePort(), settings });
    await apply(administration, {
      vpn_nodes: [{ client_id: 'node-keyed', redirect_uris: [`${keyed.origin}/auth/callback/`] }],
    });
    const offered = await administration.nodes.enrol('node-keyed', 60, undefined);
    await enrol({ issuer, privateKeyFile, code: offered.ok ? offered.code : '' });
    const own = await fetch(`${keyed.origin}/auth/vpn/auth/`, {
      method: 'POST',
      headers: { authorization: `Bearer ${await jwtOf('admin')}` },
    });
    expect(await json(own)).toMatchObject({ valid: true, subject: 'node-keyed' });
    const visitor = createVisitor(keyed.origin);
    const begun = await visitor.send('/auth/login/start/');
    const state = new URL(begun.headers.get('location') ?? '').searchParams.get('state') ?? '';
    const parameters = new URLSearchParams({ code: 'x', state, iss: issuer });
    const answer = await visitor.send(`/auth/callback/?${parameters.toString()}`);
    // It is the code that is refused, and not the node.
    expect(await answer.text()).toContain('Portcullis refused: invalid_grant.');
    await keyed.close();
    rmSync(folder, { recursive: true, force: true });
  });

  test('shows a form for test tokens in development alone', async () => {
    const production = await it.startNode({
      settings: readNodeSettings({ ...it.env, NODE_ENV: 'production' }),
    });
    const page = await (await fetch(`${production.origin}/auth/login/`)).text();
    expect(page).toContain('Sign in with Portcullis');
    expect(page).not.toContain('Test token');
    const visitor = createVisitor(production.origin);
    for (const path of ['/auth/login/test-token/', '/auth/login/authenticate/']) {
      expect((await visitor.post(path, { csrf: 'x' })).status).toBe(404);
    }
    const bearer = { authorization: `Bearer ${await jwtOf('admin')}` };
    const answer = await fetch(`${production.origin}/auth/vpn/refresh/`, { method: 'POST', headers: bearer });
    expect(answer.status).toBe(401);
    await production.close();
  });

  test('makes no test token of what is no person, and takes none that is wrong', async () => {
    const visitor = createVisitor();
    const csrf = await visitor.csrf();
    const good = { username: 'ada', email: 'ada@example.com', role: 'admin' };
    for (const changes of [
      { username: ' ' },
      { email: 'ada' },
      { role: 'root' },
      { username: 'x'.repeat(65) },
    ]) {
      const answer = await visitor.post('/auth/login/test-token/', { ...good, ...changes, csrf });
      expect([changes, answer.status]).toEqual([changes, 400]);
    }
    expect((await visitor.post('/auth/login/test-token/', good)).status).toBe(403);
    expect((await visitor.post('/auth/login/authenticate/', { csrf, token: 'x' })).status).toBe(401);
    expect((await visitor.post('/auth/login/authenticate/', { token: 'x' })).status).toBe(403);
  });
});

describe('the pages', () => {
  test('let nothing in that is not the node’s own', async () => {
    const answer = await fetch(`${it.node.origin}/auth/login/`);
    expect(answer.headers.get('content-security-policy')).toBe(
      "default-src 'none'; style-src 'self'; img-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'",
    );
    expect(await answer.text()).not.toMatch(/<script|style=|https?:/);
    for (const path of ['/style.css', '/icon.svg'])
      expect((await fetch(it.node.origin + path)).status).toBe(200);
    for (const path of ['/server.ts', '/..%2fserver.ts', '/__proto__']) {
      expect((await fetch(it.node.origin + path)).status).toBe(404);
    }
  });
});
