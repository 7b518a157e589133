/** examples/protected-api over HTTP, with tokens of the real server: every route for every role, and whose is whose. */
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';

import { ROLES, ROUTES } from '../../examples/protected-api/routes.ts';
import type { Role } from '../../examples/protected-api/routes.ts';
import { startProtectedApi } from '../../examples/protected-api/server.ts';
import type { ProtectedApi } from '../../examples/protected-api/server.ts';
import { findFreePort } from '../cli/serve-process.ts';
import { createClient, form, getToken, json } from '../support/clients.ts';
import { RESOURCE, SCOPES, startProtectedApiServer } from '../support/protected-api.ts';
import type { Caller, ProtectedApiServer } from '../support/protected-api.ts';
import { fieldsOf } from '../support/relying-party.ts';
import { answer } from '../support/sign-in.ts';

const START_TIMEOUT_MS = 60_000;

/** Said here anew, so that a change of the routes shows. */
const MAY: Readonly<Record<string, readonly Role[]>> = {
  'get /agents': ['admin', 'user', 'developer', 'guest', 'service_account'],
  'post /agents': ['admin', 'developer'],
  'delete /agents/:id': ['admin', 'developer'],
  'get /conversations': ['admin', 'user', 'developer', 'service_account'],
  'post /conversations': ['admin', 'user', 'developer', 'service_account'],
  'delete /conversations/:id': ['admin', 'user', 'developer', 'service_account'],
  'get /workflows': ['admin', 'developer', 'service_account'],
  'post /workflows': ['admin', 'developer'],
  'delete /workflows/:id': ['admin', 'developer'],
  'get /analytics': ['admin', 'developer'],
  'get /system/status': ['admin'],
  'delete /system/data': ['admin'],
};

const BODIES: Readonly<Record<string, object>> = {
  '/agents': { name: 'Ada', model: 'large' },
  '/conversations': { title: 'Hello', message: 'How are you?' },
  '/workflows': { name: 'Nightly', steps: ['fetch', 'sum'] },
};

describe('examples/protected-api', () => {
  let it: ProtectedApiServer;
  let api: ProtectedApi;
  const callers = new Map<Role, Caller>();

  beforeAll(async () => {
    it = await startProtectedApiServer('SQLite');
    api = await startProtectedApi({ issuer: it.server.issuer, port: 0 });
    for (const role of ROLES) callers.set(role, await it.signIn(role));
  }, START_TIMEOUT_MS);

  afterAll(async () => {
    await api.close();
    await it.server.stop();
  });

  const tokenOf = (role: Role): string => callers.get(role)?.token ?? '';
  const call = (token: string | null, method: string, path: string, body?: object): Promise<Response> =>
    fetch(api.origin + path, {
      method: method.toUpperCase(),
      headers: { ...(token !== null && { authorization: `Bearer ${token}` }) },
      ...(body && { body: JSON.stringify(body) }),
    });
  const make = async (token: string, path: string): Promise<string> =>
    String((await json(await call(token, 'post', path, BODIES[path])))['id']);
  const namesAt = async (token: string, path: string): Promise<unknown> =>
    ((await json(await call(token, 'get', path)))['items'] as { id: string }[]).map(({ id }) => id);

  test('has the routes that are listed here', () => {
    const listed = ROUTES.map(({ method, path }) => `${method} ${path}`);
    expect(listed).toEqual(Object.keys(MAY));
  });

  test.each(Object.entries(MAY).flatMap(([route, may]) => ROLES.map((role) => [route, role, may] as const)))(
    '%s as %s',
    async (route, role, may) => {
      const [method = '', path = ''] = route.split(' ');
      // Something of the caller's own to delete, where it may make such a thing.
      const own =
        path.endsWith('/:id') && may.includes(role) ? await make(tokenOf(role), path.slice(0, -4)) : 'x';
      const answer = await call(
        tokenOf(role),
        method,
        path.replace(':id', own),
        method === 'post' ? BODIES[path] : undefined,
      );
      if (may.includes(role)) {
        expect(answer.status).toBe(method === 'post' ? 201 : method === 'delete' ? 204 : 200);
        return;
      }
      expect(answer.status).toBe(403);
      expect(answer.headers.get('content-type')).toBe('application/problem+json');
      expect(await json(answer)).toMatchObject({
        status: 403,
        detail: expect.stringContaining('This needs the role'),
      });
    },
  );

  test.each(Object.keys(MAY))('%s asks for a token, and for its scope', async (route) => {
    const [method = '', path = ''] = route.split(' ');
    const none = await call(null, method, path);
    expect([none.status, none.headers.get('www-authenticate')]).toEqual([401, 'Bearer']);
    const { account } = callers.get('admin') ?? (await it.signIn('admin'));
    const other = method === 'get' ? 'api:write' : 'api:read';
    const needed = method === 'get' ? 'api:read' : 'api:write';
    const answer = await call(await it.tokenFor(account, other), method, path);
    expect(answer.status).toBe(403);
    expect(answer.headers.get('www-authenticate')).toContain(`error="insufficient_scope"`);
    expect(answer.headers.get('www-authenticate')).toContain(`scope="${needed}"`);
  });

  test('whoever has no role there is a guest; a client that calls for itself is nobody', async () => {
    const { token } = await it.signIn(null);
    expect((await call(token, 'get', '/agents')).status).toBe(200);
    expect((await call(token, 'get', '/conversations')).status).toBe(403);
    const client = await createClient(it.server, 'api:read');
    const own = await getToken(it.server, client, { scope: 'api:read', resource: RESOURCE });
    expect((await call(own, 'get', '/agents')).status).toBe(403);
  });

  test('the command line of resources.yaml gets its token by a device code, as the README says', async () => {
    const client_id = 'protected-api-cli';
    const account = await it.server.createAccount();
    const begun = await json(
      await it.server.request('/device/auth', form({ client_id, scope: SCOPES, resource: RESOURCE })),
    );
    const browser = it.server.browser();
    const { answer: page } = await browser.open(String(begun['verification_uri_complete']));
    const confirm = await browser.send('/device', form(fieldsOf(await page.text())));
    const confirmed = form({
      ...fieldsOf(await confirm.text()),
      user_code: String(begun['user_code']),
      confirm: 'yes',
    });
    const { prompts } = await answer(browser, '/device', { account }, confirmed);
    expect(prompts).toEqual(['login', 'consent']);
    const grant = { grant_type: 'urn:ietf:params:oauth:grant-type:device_code', client_id };
    const polled = await it.server.request(
      '/token',
      form({ ...grant, device_code: String(begun['device_code']) }),
    );
    const token = String((await json(polled))['access_token']);
    expect((await call(token, 'get', '/agents')).status).toBe(200);
  });

  test('people see and delete their own conversations; an administrator everybody’s', async () => {
    const [first, second] = [await it.signIn('user'), await it.signIn('user')];
    const id = await make(first.token, '/conversations');
    expect(await namesAt(first.token, '/conversations')).toEqual([id]);
    expect(await namesAt(second.token, '/conversations')).toEqual([]);
    expect(await namesAt(tokenOf('admin'), '/conversations')).toContain(id);
    const path = `/conversations/${id}`;
    expect((await call(second.token, 'delete', path)).status).toBe(404);
    expect((await call(tokenOf('developer'), 'delete', path)).status).toBe(404);
    expect((await call(tokenOf('admin'), 'delete', path)).status).toBe(204);
    expect((await call(first.token, 'delete', path)).status).toBe(404);
  });

  test('nobody deletes another builder’s agent but an administrator', async () => {
    const { token } = await it.signIn('developer');
    const id = await make(token, '/agents');
    expect((await call(tokenOf('developer'), 'delete', `/agents/${id}`)).status).toBe(404);
    expect((await call(tokenOf('admin'), 'delete', `/agents/${id}`)).status).toBe(204);
  });

  test('takes a hundred things of one person, and no more', async () => {
    const { token } = await it.signIn('user');
    const made = await Promise.all(
      Array.from(
        { length: 110 },
        async () => (await call(token, 'post', '/conversations', { title: 'x' })).status,
      ),
    );
    expect(made.filter((status) => status === 201)).toHaveLength(100);
    expect(made.filter((status) => status === 409)).toHaveLength(10);
  });

  test('answers what it does not take with Problems', async () => {
    const token = tokenOf('admin');
    const cases: readonly (readonly [string, string, object | undefined, number])[] = [
      ['get', '/nothing', undefined, 404],
      ['get', '/Agents', undefined, 404],
      ['put', '/agents', undefined, 405],
      ['post', '/agents', undefined, 400],
      ['post', '/agents', { name: 'x' }, 400],
      ['post', '/agents', { name: 'x', model: 'y', owner: 'me' }, 400],
      ['post', '/agents', { name: 'x'.repeat(20_000), model: 'y' }, 413],
    ];
    for (const [method, path, body, status] of cases) {
      const answer = await call(token, method, path, body);
      expect([path, answer.status, answer.headers.get('content-type')]).toEqual([
        path,
        status,
        'application/problem+json',
      ]);
      expect(await json(answer)).toMatchObject({ type: 'about:blank', status });
    }
  });

  test('calls no token bad because the keys cannot be had', async () => {
    const told: string[] = [];
    const issuer = `http://localhost:${await findFreePort()}`;
    const astray = await startProtectedApi({ issuer, port: 0, report: (line) => told.push(line) });
    const answer = await fetch(`${astray.origin}/agents`, {
      headers: { authorization: `Bearer ${tokenOf('admin')}` },
    });
    expect([answer.status, answer.headers.get('retry-after')]).toEqual([503, '2']);
    expect(told).toEqual([expect.stringMatching(/^ERR_GUARD_KEYS_UNAVAILABLE: .*ECONNREFUSED/s)]);
    await astray.close();
  });
});
