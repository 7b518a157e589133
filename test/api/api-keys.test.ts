/** API keys at the JSON API: each request, each refusal, and what a key opens for how long. */
import { beforeAll, describe, expect, test } from '@jest/globals';

import { openStorage } from '../../src/storage/open.ts';
import {
  askForKey,
  detailOf,
  inSeconds,
  KEYS,
  makeKey,
  PROFILE,
  statusOf,
  UNLIMITED,
} from '../support/api-keys.ts';
import { createApiClient, enter, PASSWORD } from '../support/api.ts';
import type { ApiAnswer, ApiCall, ApiClient, SignedIn } from '../support/api.ts';
import { withLatency } from '../support/latency.ts';
import { describeOnBothStores, useTestServer } from '../support/server.ts';

const SESSIONS = '/api/v1/auth/sessions';
const MAX_KEYS = 50;
const AT_ONCE = 20;
const DAY = 86_400;
const MOST = Number(UNLIMITED.RATE_LIMIT_USER);
const OWN = ['profile:read', 'profile:write', 'sessions:read', 'sessions:write'];

describeOnBothStores('API keys', (store) => {
  const server = useTestServer(store, UNLIMITED);
  let api: ApiClient;
  beforeAll(async () => {
    api = await createApiClient(server());
  });

  const create = (me: SignedIn, body: object = {}, call: Pick<ApiCall, 'origin'> = {}) =>
    askForKey(api, me, body, call);
  const make = (me: SignedIn, body: object = {}) => makeKey(api, me, body);
  const list = (me: SignedIn, query = '') => api.call('GET', `${KEYS}${query}`, { token: me.token });
  const itemsOf = ({ body }: ApiAnswer) => body?.['items'] as readonly Record<string, unknown>[];
  const asAdministrator = async (): Promise<SignedIn> => {
    const me = await enter(api);
    await server().administration.users.update(me.username, { role: 'admin' });
    return me;
  };

  describe('making one', () => {
    test('shows its secret once, and never again', async () => {
      const me = await enter(api);
      const { body } = await create(me, { name: '  Nightly build  ' });
      const { secret, ...told } = body ?? {};
      expect(secret).toMatch(/^pcl_[0-9A-Za-z]{49}$/);
      expect(told).toEqual({
        key_id: expect.stringMatching(/^[0-9A-Za-z]{19}$/),
        name: 'Nightly build',
        scopes: OWN,
        rate_limit: null,
        created_at: expect.any(String),
        expires_at: null,
        expired: false,
        last_used_at: null,
        previous_secret_until: null,
      });
      expect(itemsOf(await list(me))).toEqual([told]);
      const read = await api.call('GET', `${KEYS}/${String(told['key_id'])}`, { token: me.token });
      expect([read.status, read.body]).toEqual([200, told]);
      expect(read.headers.get('cache-control')).toBe('no-store');
    });

    test('takes scopes and an end, each scope once', async () => {
      const me = await enter(api);
      const expires_at = inSeconds(DAY);
      const { body } = await create(me, { scopes: ['profile:read', 'profile:read'], expires_at });
      expect(body).toMatchObject({ scopes: ['profile:read'], expires_at, expired: false });
      expect((await create(me, { scopes: [], expires_at: null })).body).toMatchObject({ scopes: [] });
    });

    test.each([
      ['no name', { name: undefined }, 'name'],
      ['an empty name', { name: '  ' }, 'name'],
      ['a long name', { name: 'x'.repeat(101) }, 'name'],
      ['a name with a line feed', { name: 'a\nb' }, 'name'],
      ['a scope that there is none of', { scopes: ['profile:burn'] }, 'scopes.0'],
      ['the making of keys', { scopes: ['profile:read', 'api-keys:write'] }, 'scopes.1'],
      ['scopes as a text', { scopes: 'profile:read' }, 'scopes'],
      ['a past end', { expires_at: '2020-01-01T00:00:00Z' }, 'expires_at'],
      ['an end in six years', { expires_at: inSeconds(6 * 366 * DAY) }, 'expires_at'],
      ['an end without a time', { expires_at: '2099-01-01' }, 'expires_at'],
      ['an end as a number', { expires_at: 4_000_000_000 }, 'expires_at'],
      ['a field that there is none of', { role: 'admin' }, 'role'],
      ['an owner', { account_id: 'x' }, 'account_id'],
    ])('refuses %s', async (_name, fields, path) => {
      const me = await enter(api);
      const answer = await create(me, fields);
      expect([answer.status, answer.body?.['errors']]).toEqual([400, [expect.objectContaining({ path })]]);
      expect(itemsOf(await list(me))).toEqual([]);
    });

    test('refuses a scope that the owner has not got', async () => {
      const me = await enter(api);
      const answer = await create(me, { scopes: ['profile:read', 'admin:users:read'] });
      expect(detailOf(answer)).toEqual([403, expect.stringContaining('admin:users:read')]);
    });

    test('takes a rate limit up to the owner’s, and a greater one of administrators alone', async () => {
      const me = await enter(api);
      const { id } = await make(me);
      const patch = (rate_limit: number | null) =>
        api.call('PATCH', `${KEYS}/${id}`, { token: me.token, body: { rate_limit } });
      for (const rate_limit of [1, MOST, null]) {
        const made = await create(me, { rate_limit });
        expect([made.status, made.body?.['rate_limit']]).toEqual([201, rate_limit]);
        expect((await patch(rate_limit)).body).toMatchObject({ rate_limit });
      }
      for (const answer of [await create(me, { rate_limit: MOST + 1 }), await patch(1_000_000)]) {
        const message = `at most ${MOST}, as its owner has: an administrator alone gives a key more`;
        expect(detailOf(answer)).toEqual([403, `rate_limit: ${message}`]);
        expect(answer.body?.['errors']).toEqual([{ path: 'rate_limit', message }]);
      }
      const admin = await asAdministrator();
      expect((await create(admin, { rate_limit: 500_000 })).body).toMatchObject({ rate_limit: 500_000 });
      for (const rate_limit of [0, -1, 1.5, 1_000_001, '5']) {
        expect((await create(admin, { rate_limit })).status).toBe(400);
      }
    });

    test('gives an administrator’s key nothing of administration unless it is named', async () => {
      const admin = await asAdministrator();
      expect((await create(admin)).body).toMatchObject({ scopes: OWN });
      const { body } = await create(admin, { scopes: ['admin:users:read'] });
      expect(body).toMatchObject({ scopes: ['admin:users:read'] });
    });

    test('needs the permission, which a guest has not', async () => {
      const me = await enter(api);
      await server().administration.users.update(me.username, { role: 'guest' });
      expect((await create(me)).status).toBe(403);
      expect((await list(me)).status).toBe(403);
    });
  });

  describe('the limit', () => {
    test(`of ${MAX_KEYS} holds for ${AT_ONCE} at once, who get what is left`, async () => {
      const me = await enter(api);
      for (let number = 0; number < MAX_KEYS - 3; number += 1) await make(me);
      const answers = await Promise.all(Array.from({ length: AT_ONCE }, () => create(me)));
      expect(answers.filter(({ status }) => status === 201)).toHaveLength(3);
      expect(answers.filter(({ status }) => status === 409)).toHaveLength(AT_ONCE - 3);
      expect(itemsOf(await list(me, '?limit=200'))).toHaveLength(MAX_KEYS);
      const [{ key_id: id } = {}] = itemsOf(await list(me));
      await api.call('DELETE', `${KEYS}/${String(id)}`, { token: me.token });
      expect((await create(me)).status).toBe(201);
    });

    test('holds on two instances of a slow store', async () => {
      const open: typeof openStorage = async (...at) => withLatency(await openStorage(...at));
      const { origin } = await server().startInstance({ open });
      const me = await enter(api);
      for (let number = 0; number < MAX_KEYS - 5; number += 1) await make(me);
      const answers = await Promise.all(
        Array.from({ length: AT_ONCE }, (_, index) => create(me, {}, index % 2 === 0 ? { origin } : {})),
      );
      const made = answers.filter(({ status }) => status === 201).length;
      expect(made).toBeGreaterThan(0);
      expect(made).toBeLessThanOrEqual(5);
      expect(itemsOf(await list(me, '?limit=200'))).toHaveLength(MAX_KEYS - 5 + made);
      for (const { status, body } of answers)
        if (status === 201) expect(await statusOf(api, String(body?.['secret']))).toBe(200);
    });
  });

  describe('the list', () => {
    test('is paged, oldest first', async () => {
      const me = await enter(api);
      for (const name of ['one', 'two', 'three']) await make(me, { name });
      const seen: unknown[] = [];
      for (let after: string | null = ''; after !== null;) {
        const answer = await list(me, `?limit=1${after}`);
        expect(itemsOf(answer)).toHaveLength(1);
        seen.push(itemsOf(answer)[0]?.['name']);
        const next = answer.body?.['next'];
        after = typeof next === 'string' ? `&after=${next}` : null;
      }
      expect(seen.toSorted()).toEqual(['one', 'three', 'two']);
    });

    test('takes a cursor from the one it was given to, of this list alone', async () => {
      const [me, other] = [await enter(api), await enter(api)];
      for (const name of ['one', 'two']) {
        await make(me, { name });
        await make(other, { name });
      }
      const next = String((await list(me, '?limit=1')).body?.['next']);
      expect((await list(me, `?after=${next}`)).status).toBe(200);
      const forged = `${next.slice(0, 43)}${Buffer.from('0').toString('base64url')}`;
      for (const bad of [forged, next.slice(1), `${next}A`, 'x', "'; DROP TABLE api_keys; --"]) {
        const answer = await list(me, `?after=${encodeURIComponent(bad)}`);
        expect([answer.status, answer.body?.['errors']]).toEqual([
          400,
          [expect.objectContaining({ path: 'after' })],
        ]);
      }
      expect((await list(other, `?after=${next}`)).status).toBe(400);
    });

    test.each([
      'limit=0',
      'limit=201',
      'limit=1e2',
      'limit=-1',
      'limit=1&limit=2',
      'offset=1',
      'after[$gt]=',
    ])('refuses %s', async (query) => {
      const me = await enter(api);
      expect((await list(me, `?${query}`)).status).toBe(400);
    });
  });

  describe('somebody else’s', () => {
    test('is not there, as one that nobody has', async () => {
      const [me, other] = [await enter(api), await enter(api)];
      const { id, secret } = await make(me);
      for (const at of [`${KEYS}/${id}`, `${KEYS}/nobodys`, `${KEYS}/${'x'.repeat(100)}`]) {
        const call = { token: other.token };
        const answers = [
          await api.call('GET', at, call),
          await api.call('PATCH', at, { ...call, body: { name: 'mine' } }),
          await api.call('POST', `${at}/rotate`, { ...call, body: {} }),
          await api.call('DELETE', at, call),
        ];
        expect(answers.map(detailOf)).toEqual(answers.map(() => [404, 'There is no such API key.']));
      }
      expect(await statusOf(api, secret)).toBe(200);
      expect(itemsOf(await list(other))).toEqual([]);
    });
  });

  describe('changing one', () => {
    test('changes what is named', async () => {
      const me = await enter(api);
      const { id, secret } = await make(me, { scopes: ['profile:read'] });
      const patch = (body: object) => api.call('PATCH', `${KEYS}/${id}`, { token: me.token, body });
      expect((await patch({ name: 'other' })).body).toMatchObject({
        name: 'other',
        scopes: ['profile:read'],
      });
      expect((await patch({ scopes: ['sessions:read'] })).body).toMatchObject({
        name: 'other',
        scopes: ['sessions:read'],
      });
      expect(await statusOf(api, secret)).toBe(403);
      const expires_at = inSeconds(2 * DAY);
      expect((await patch({ expires_at })).body).toMatchObject({ expires_at });
      expect((await patch({ expires_at: null })).body).toMatchObject({ expires_at: null });
      for (const body of [{}, { key_id: 'x' }, { secrets: [] }, { name: null }, { scopes: null }]) {
        expect((await patch(body)).status).toBe(400);
      }
      expect((await patch({ scopes: ['admin:users:write'] })).status).toBe(403);
    });

    test('many at once each change what they name', async () => {
      const me = await enter(api);
      const { id } = await make(me);
      const patch = (body: object) => api.call('PATCH', `${KEYS}/${id}`, { token: me.token, body });
      const answers = await Promise.all([
        patch({ name: 'renamed' }),
        patch({ scopes: ['sessions:read'] }),
        patch({ expires_at: inSeconds(DAY) }),
        api.call('POST', `${KEYS}/${id}/rotate`, { token: me.token, body: {} }),
      ]);
      expect(answers.map(({ status }) => status)).toEqual([200, 200, 200, 200]);
      const [key] = itemsOf(await list(me));
      expect(key).toMatchObject({
        name: 'renamed',
        scopes: ['sessions:read'],
        expires_at: expect.any(String),
      });
      expect(await statusOf(api, String(answers[3].body?.['secret']))).toBe(403);
    });
  });

  describe('using one', () => {
    test('is by Authorization or X-API-Key, and not by both', async () => {
      const me = await enter(api);
      const { secret } = await make(me);
      const read = (headers: Readonly<Record<string, string>>) => api.call('GET', PROFILE, { headers });
      for (const headers of [{ authorization: `Bearer ${secret}` }, { 'x-api-key': secret }]) {
        const answer = await read(headers);
        expect([answer.status, answer.body?.['username']]).toEqual([200, me.username]);
      }
      expect((await read({ authorization: `Bearer ${secret}`, 'x-api-key': secret })).status).toBe(400);
      expect((await read({ authorization: `Bearer ${me.token}`, 'x-api-key': secret })).status).toBe(400);
      expect((await read({ authorization: `Basic ${secret}` })).status).toBe(401);
      expect((await read({ 'x-api-key': me.token })).status).toBe(401);
      expect((await api.call('GET', `${PROFILE}?api_key=${secret}`)).status).toBe(401);
    });

    test('opens what its scopes name, and no more', async () => {
      const me = await enter(api);
      const { secret } = await make(me, { scopes: ['sessions:read'] });
      expect((await api.call('GET', SESSIONS, { token: secret })).status).toBe(200);
      const refused = await api.call('GET', PROFILE, { token: secret });
      expect(detailOf(refused)).toEqual([403, 'This needs an API key with the scope profile:read.']);
      expect(refused.headers.get('www-authenticate')).toContain('error="insufficient_scope"');
      const nothing = await make(me, { scopes: [] });
      expect(await statusOf(api, nothing.secret)).toBe(403);
    });

    test('opens nothing that is a person’s own to do', async () => {
      const me = await enter(api);
      const { id, secret } = await make(me);
      const tried: readonly (readonly [string, string, object?])[] = [
        ['POST', KEYS, { name: 'another' }],
        ['GET', KEYS],
        ['GET', `${KEYS}/${id}`],
        ['PATCH', `${KEYS}/${id}`, { name: 'other' }],
        ['POST', `${KEYS}/${id}/rotate`, {}],
        ['DELETE', `${KEYS}/${id}`],
        [
          'POST',
          '/api/v1/auth/change-password',
          { current_password: PASSWORD, new_password: 'Another-1-Secret' },
        ],
        ['POST', '/api/v1/auth/logout'],
        ['PATCH', PROFILE, { email: 'thief@example.com' }],
      ];
      for (const [method, path, body] of tried) {
        expect([method, path, (await api.call(method, path, { token: secret, body })).status]).toEqual([
          method,
          path,
          403,
        ]);
      }
      const renamed = await api.call('PATCH', PROFILE, { token: secret, body: { full_name: 'Ada' } });
      expect(renamed.body).toMatchObject({ full_name: 'Ada', email: me.email });
    });

    test('is by nobody’s leave but its owner’s present role', async () => {
      const admin = await asAdministrator();
      const { secret } = await make(admin, { scopes: ['admin:users:read', 'sessions:read'] });
      expect((await api.call('GET', SESSIONS, { token: secret })).status).toBe(200);
      await server().administration.users.update(admin.username, { role: 'service_account' });
      expect((await api.call('GET', SESSIONS, { token: secret })).status).toBe(401);
      const guest = await enter(api);
      const kept = await make(guest);
      await server().administration.users.update(guest.username, { role: 'guest' });
      expect(await statusOf(api, kept.secret)).toBe(200);
      const write = await api.call('PATCH', PROFILE, { token: kept.secret, body: { full_name: 'Ada' } });
      expect(write.status).toBe(403);
      await server().administration.users.update(guest.username, { role: 'user' });
      const again = await api.call('PATCH', PROFILE, { token: kept.secret, body: { full_name: 'Ada' } });
      expect(again.status).toBe(200);
    });

    test('is no bearer at the protocol’s endpoints', async () => {
      const me = await enter(api);
      const { secret } = await make(me);
      const headers = { authorization: `Bearer ${secret}` };
      expect((await server().request('/userinfo', { headers })).status).toBe(401);
      expect((await server().request('/vpn/auth/', { method: 'POST', headers })).status).toBe(401);
    });

    test('tells a gateway whose it is', async () => {
      const me = await enter(api);
      const { secret } = await make(me, { scopes: ['profile:read'] });
      const answer = await api.call('GET', '/api/v1/verify?role=user', { token: secret });
      expect([answer.status, answer.headers.get('x-auth-username')]).toEqual([200, me.username]);
      expect(answer.headers.get('x-auth-scopes')).toBe('profile:read');
      expect((await api.call('GET', '/api/v1/verify?role=admin', { token: secret })).status).toBe(403);
    });
  });
});
