/** The guard as middleware, over HTTP: where a credential may stand, and how each refusal is answered. */
import { afterAll, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { IncomingMessage, RequestListener, Server } from 'node:http';
import type { AddressInfo } from 'node:net';

import Koa from 'koa';

import { createGuard, GuardError, isGuardError, toRefusal } from '../../src/sdk/guard/guard.ts';
import type { Auth, Guard, Requirements } from '../../src/sdk/guard/guard.ts';
import { json } from '../support/clients.ts';
import { createIssuer, ISSUER } from './issuer.ts';
import type { TestIssuer } from './issuer.ts';

const METADATA = 'https://shop.example.com/.well-known/oauth-protected-resource';
const API_KEY = `pcl_${'k'.repeat(49)}`;

let issuer: TestIssuer;
let guard: Guard;

beforeEach(async () => {
  issuer = await createIssuer();
  issuer.introspection = () => ({ active: true, token_type: 'api_key', iss: ISSUER, sub: 'person-2' });
  guard = createGuard({ ...issuer.options, introspection: { clientId: 'shop', clientSecret: 'secret' } });
});

/** What the routes require; a test sets it. */
let requirements: Requirements | undefined;

const koaListener = (): RequestListener => {
  const app = new Koa<{ auth: Auth }>();
  app.use((ctx, next) => guard.koa(requirements)(ctx, next));
  app.use((ctx) => {
    ctx.body = ctx.state.auth;
  });
  const handle = app.callback();
  return (request, response) => void handle(request, response);
};

const nodeListener = (): RequestListener => (request: IncomingMessage & { auth?: Auth }, response) => {
  guard.node(requirements)(request, response, () => response.end(JSON.stringify(request.auth)));
};

const FORMS: readonly [string, () => RequestListener][] = [
  ['koa', koaListener],
  ['(req, res, next)', nodeListener],
];

describe.each(FORMS)('%s', (_name, makeListener) => {
  let server: Server;
  let origin: string;

  beforeAll(async () => {
    server = createServer(makeListener()).listen(0, '127.0.0.1');
    await once(server, 'listening');
    origin = `http://127.0.0.1:${(server.address() as AddressInfo).port}`; // it listens on a port
  });

  afterAll(() => {
    server.close();
    server.closeAllConnections();
  });

  const call = (headers: Readonly<Record<string, string>> = {}): Promise<Response> =>
    fetch(origin, { headers });
  const bearer = (token: string): Promise<Response> => call({ authorization: `Bearer ${token}` });

  beforeEach(() => {
    requirements = undefined;
  });

  test('tells the route who calls', async () => {
    const answer = await bearer(await issuer.token());
    expect(answer.status).toBe(200);
    expect(await json(answer)).toMatchObject({ subject: 'person-1', clientId: 'app-1', role: 'user' });
  });

  test('takes an API key in either header', async () => {
    for (const headers of [{ authorization: `bearer ${API_KEY}` }, { 'x-api-key': API_KEY }]) {
      expect(await json(await call(headers))).toMatchObject({ subject: 'person-2', clientId: null });
    }
  });

  test('asks for a token where there is none, without calling one bad', async () => {
    for (const headers of [{}, { authorization: 'Basic x' }, { authorization: '' }, { cookie: 'token=x' }]) {
      const answer = await call(headers);
      expect([answer.status, answer.headers.get('www-authenticate')]).toEqual([401, 'Bearer']);
      expect(answer.headers.get('content-type')).toBe('application/problem+json');
      expect(answer.headers.get('cache-control')).toBe('no-store');
      expect(await json(answer)).toEqual({
        type: 'about:blank',
        title: 'Unauthorized',
        status: 401,
        detail: 'Send an access token as: Authorization: Bearer TOKEN.',
      });
    }
  });

  test('refuses a bad token, and one that is malformed, by 401', async () => {
    const bad = ['Bearer x.y.z', 'Bearer', 'Bearer a b', 'Bearer a,b', 'Bearer "x"'];
    for (const authorization of bad) {
      const answer = await call({ authorization });
      expect([authorization.slice(0, 20), answer.status]).toEqual([authorization.slice(0, 20), 401]);
      expect(answer.headers.get('www-authenticate')).toMatch(
        /^Bearer error="invalid_token", error_description="/,
      );
    }
    const misplaced = await call({ 'x-api-key': await issuer.token() });
    expect(misplaced.status).toBe(401);
  });

  test('refuses two credentials by 400', async () => {
    const answer = await call({ authorization: `Bearer ${await issuer.token()}`, 'x-api-key': API_KEY });
    expect(answer.status).toBe(400);
    expect(answer.headers.get('www-authenticate')).toContain('error="invalid_request"');
  });

  test('tells a missing scope by 403 and its name', async () => {
    requirements = { scopes: ['orders:read', 'orders:delete'] };
    const answer = await bearer(await issuer.token());
    expect(answer.status).toBe(403);
    expect(answer.headers.get('www-authenticate')).toBe(
      'Bearer error="insufficient_scope", error_description="This needs the scope orders:read orders:delete.", ' +
        'scope="orders:read orders:delete"',
    );
  });

  test('tells a missing role by 403, without asking for another token', async () => {
    requirements = { roles: ['admin', 'developer'] };
    const answer = await bearer(await issuer.token());
    expect([answer.status, answer.headers.get('www-authenticate')]).toEqual([403, null]);
    expect(await json(answer)).toMatchObject({ detail: 'This needs the role admin or developer.' });
  });

  test('says 503 and when to come back where nobody can tell', async () => {
    issuer.isAway = true;
    for (const token of [await issuer.token(), API_KEY]) {
      const answer = await bearer(token);
      expect([answer.status, answer.headers.get('retry-after')]).toEqual([503, '2']);
      expect(answer.headers.get('www-authenticate')).toBeNull();
    }
  });

  test('names the metadata of the resource where there are some', async () => {
    guard = createGuard({ ...issuer.options, resourceMetadata: METADATA });
    expect((await call()).headers.get('www-authenticate')).toBe(`Bearer resource_metadata="${METADATA}"`);
    expect((await bearer('x.y.z')).headers.get('www-authenticate')).toContain(
      `", resource_metadata="${METADATA}"`,
    );
  });
});

describe('other failures', () => {
  const broken = (): never => {
    throw new Error('the clock stopped');
  };

  test('are the application’s', async () => {
    const { node, koa } = createGuard({ ...issuer.options, now: broken });
    const request = { headers: { authorization: `Bearer ${await issuer.token()}` } };
    const handedOn = await new Promise((resolve) => {
      node()(request, { statusCode: 200, setHeader: broken, end: broken }, resolve);
    });
    expect(handedOn).toMatchObject({ message: 'the clock stopped' });
    const context = { ...request, state: {}, status: 404, body: null, set: broken };
    await expect(koa()(context, async () => undefined)).rejects.toThrow('the clock stopped');
    expect(context).toMatchObject({ state: {}, status: 404 });
  });

  test('are no GuardErrors', () => {
    const refusal = new GuardError('ERR_GUARD_TOKEN_MISSING', 'Send one.');
    expect([isGuardError(refusal), isGuardError(refusal, 'ERR_GUARD_TOKEN_EXPIRED')]).toEqual([true, false]);
    for (const other of [new Error('x'), { name: 'GuardError', code: 'x' }, null, 'GuardError']) {
      expect(isGuardError(other)).toBe(false);
    }
    expect(toRefusal(refusal)).toMatchObject({ status: 401, headers: { 'WWW-Authenticate': 'Bearer' } });
  });
});
