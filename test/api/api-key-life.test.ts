/** The life of an API key at the JSON API: its uses, its rotations, its end, and how often it may be used. */
import { beforeAll, describe, expect, test } from '@jest/globals';

import {
  alone,
  askForKey,
  detailOf,
  inSeconds,
  KEYS,
  makeKey,
  PROFILE,
  statusOf,
  UNLIMITED,
} from '../support/api-keys.ts';
import { createApiClient, enter, login, register } from '../support/api.ts';
import type { ApiClient, SignedIn } from '../support/api.ts';
import { describeOnBothStores, useTestServer } from '../support/server.ts';

const AT_ONCE = 20;
const DAY = 86_400;

describeOnBothStores('the life of an API key', (store) => {
  const server = useTestServer(store, UNLIMITED);
  let api: ApiClient;
  beforeAll(async () => {
    api = await createApiClient(server());
  });

  describe('the last use', () => {
    test('is noted, once a minute at most', async () => {
      await alone(store, UNLIMITED, async (own, client) => {
        const me = await enter(client);
        const { id, secret } = await makeKey(client, me);
        const lastUse = async () =>
          (await client.call('GET', `${KEYS}/${id}`, { token: me.token })).body?.['last_used_at'];
        const noted = async (before: unknown): Promise<unknown> => {
          for (let tries = 0; tries < 200; tries += 1) {
            const value = await lastUse();
            if (value !== before) return value;
          }
          throw new Error('no use was noted');
        };
        expect(await lastUse()).toBeNull();
        expect(await statusOf(client, secret)).toBe(200);
        const first = await noted(null);
        expect(await statusOf(client, secret)).toBe(200);
        own.advance(30);
        expect(await statusOf(client, secret)).toBe(200);
        expect(await lastUse()).toBe(first);
        own.advance(40);
        expect(await statusOf(client, secret)).toBe(200);
        const second = await noted(first);
        expect(Date.parse(String(second)) - Date.parse(String(first))).toBeGreaterThanOrEqual(60_000);
      });
    });
  });

  describe('rotation', () => {
    const rotate = (me: SignedIn, id: string, body: object = {}, client = api) =>
      client.call('POST', `${KEYS}/${id}/rotate`, { token: me.token, body });

    test('gives a new secret at once, and ends the old one', async () => {
      const me = await enter(api);
      const { id, secret } = await makeKey(api, me, { scopes: ['profile:read'], name: 'kept' });
      const { status, body } = await rotate(me, id);
      expect([status, body]).toEqual([
        200,
        expect.objectContaining({ key_id: id, name: 'kept', scopes: ['profile:read'] }),
      ]);
      expect(await statusOf(api, String(body?.['secret']))).toBe(200);
      expect(await statusOf(api, secret)).toBe(401);
    });

    test('lets the old one go on until the overlap ends, on every instance', async () => {
      await alone(store, UNLIMITED, async (own, client) => {
        const me = await enter(client, { remember_me: true });
        const { id, secret } = await makeKey(client, me);
        const { body } = await rotate(me, id, { overlap: 600 }, client);
        const next = String(body?.['secret']);
        const until = Date.parse(String(body?.['previous_secret_until']));
        expect(until - Date.now()).toBeGreaterThan(590_000);
        const { origin } = await own.startInstance();
        const at = async (token: string) => (await client.call('GET', PROFILE, { token, origin })).status;
        expect([await at(secret), await at(next)]).toEqual([200, 200]);
        own.advance(590);
        expect([await at(secret), await at(next)]).toEqual([200, 200]);
        own.advance(20);
        expect([await at(secret), await at(next)]).toEqual([401, 200]);
        const shown = await client.call('GET', `${KEYS}/${id}`, { token: me.token });
        expect(shown.body?.['previous_secret_until']).toBeNull();
      });
    });

    test('again within the overlap ends the oldest', async () => {
      const me = await enter(api);
      const { id, secret } = await makeKey(api, me);
      const second = String((await rotate(me, id, { overlap: 600 })).body?.['secret']);
      const third = String((await rotate(me, id, { overlap: 600 })).body?.['secret']);
      expect([await statusOf(api, secret), await statusOf(api, second), await statusOf(api, third)]).toEqual([
        401, 200, 200,
      ]);
      const fourth = String((await rotate(me, id)).body?.['secret']);
      expect([await statusOf(api, third), await statusOf(api, fourth)]).toEqual([401, 200]);
    });

    test.each([
      { overlap: -1 },
      { overlap: 30 * DAY + 1 },
      { overlap: 1.5 },
      { overlap: '60' },
      { seconds: 60 },
    ])('refuses %j', async (body) => {
      const me = await enter(api);
      const { id, secret } = await makeKey(api, me);
      expect((await rotate(me, id, body)).status).toBe(400);
      expect(await statusOf(api, secret)).toBe(200);
    });
  });

  describe('the end of one', () => {
    test('is at its time, and for good', async () => {
      await alone(store, UNLIMITED, async (own, client) => {
        const me = await enter(client, { remember_me: true });
        const { id, secret } = await makeKey(client, me, { expires_at: inSeconds(300) });
        own.advance(290);
        expect(await statusOf(client, secret)).toBe(200);
        own.advance(20);
        expect(await statusOf(client, secret)).toBe(401);
        const at = `${KEYS}/${id}`;
        expect((await client.call('GET', at, { token: me.token })).body).toMatchObject({ expired: true });
        const changes = { token: me.token, body: { expires_at: inSeconds(DAY) } };
        expect((await client.call('PATCH', at, changes)).status).toBe(409);
        expect((await client.call('POST', `${at}/rotate`, { token: me.token, body: {} })).status).toBe(409);
        expect((await client.call('DELETE', at, { token: me.token })).status).toBe(204);
      });
    });

    test('is at once where it is deleted, also in the middle of its use, and on every instance', async () => {
      const { origin } = await server().startInstance();
      const me = await enter(api);
      const { id, secret } = await makeKey(api, me);
      const read = (at?: string) =>
        api.call('GET', PROFILE, { token: secret, ...(at !== undefined && { origin: at }) });
      const uses = Array.from({ length: AT_ONCE }, (_, index) => read(index % 2 === 0 ? origin : undefined));
      const deleted = await api.call('DELETE', `${KEYS}/${id}`, { token: me.token });
      expect(deleted.status).toBe(204);
      expect([(await read()).status, (await read(origin)).status]).toEqual([401, 401]);
      for (const { status } of await Promise.all(uses)) expect([200, 401]).toContain(status);
      expect((await api.call('DELETE', `${KEYS}/${id}`, { token: me.token })).status).toBe(404);
      const { body } = await api.call('GET', KEYS, { token: me.token });
      expect(body).toEqual({ items: [], next: null });
    });

    test('is once, of many who delete it', async () => {
      const me = await enter(api);
      const { id } = await makeKey(api, me);
      const deleting = () => api.call('DELETE', `${KEYS}/${id}`, { token: me.token });
      const answers = await Promise.all(Array.from({ length: AT_ONCE }, deleting));
      expect(answers.map(({ status }) => status).toSorted()).toEqual([
        204,
        ...Array.from({ length: AT_ONCE - 1 }, () => 404),
      ]);
    });

    test('is not the end of the server: a key is good after a restart', async () => {
      const me = await enter(api);
      const { secret } = await makeKey(api, me);
      const { origin } = await server().startInstance();
      expect((await api.call('GET', PROFILE, { token: secret, origin })).status).toBe(200);
    });

    test('is with the account, and with a lock of it', async () => {
      const [gone, locked] = [await enter(api), await enter(api)];
      const [keyOfGone, keyOfLocked] = [await makeKey(api, gone), await makeKey(api, locked)];
      await server().administration.users.delete(gone.username);
      await server().administration.users.lock(locked.username);
      expect([await statusOf(api, keyOfGone.secret), await statusOf(api, keyOfLocked.secret)]).toEqual([
        401, 401,
      ]);
    });

    test('is not told apart from a key that never was', async () => {
      const me = await enter(api);
      const { id, secret } = await makeKey(api, me);
      await api.call('DELETE', `${KEYS}/${id}`, { token: me.token });
      const [ended, other] = [
        await api.call('GET', PROFILE, { token: secret }),
        await api.call('GET', PROFILE, { token: 'pcl_x' }),
      ];
      expect(detailOf(ended)).toEqual(detailOf(other));
    });
  });

  describe('making one while the password is changed', () => {
    test('leaves none that the change did not end', async () => {
      for (let round = 0; round < 5; round += 1) {
        const me = await register(api);
        const [first, second] = [await login(api, me), await login(api, me)];
        const body = { current_password: me.password, new_password: `N3w-Secret-${round}!` };
        const [, ...made] = await Promise.all([
          api.call('POST', '/api/v1/auth/change-password', { token: first.token, body }),
          ...Array.from({ length: 10 }, () => askForKey(api, second)),
        ]);
        const secrets = made.flatMap(({ status, body: told }) =>
          status === 201 ? [String(told?.['secret'])] : [],
        );
        for (const secret of secrets) expect(await statusOf(api, secret)).toBe(401);
      }
    });
  });

  describe('its own rate', () => {
    test('is the owner’s, or what an administrator set on it', async () => {
      await alone(store, { RATE_LIMIT_IP: '100000' }, async (own, client) => {
        const me = await enter(client);
        await own.administration.users.update(me.username, { role: 'admin' });
        const limited = await makeKey(client, me, { rate_limit: 2 });
        const plain = await makeKey(client, me);
        const answers = [1, 2, 3].map(() => () => client.call('GET', PROFILE, { token: limited.secret }));
        const statuses: number[] = [];
        for (const ask of answers) statuses.push((await ask()).status);
        expect(statuses).toEqual([200, 200, 429]);
        const refused = await client.call('GET', PROFILE, { token: limited.secret });
        expect(refused.headers.get('ratelimit-policy')).toBe('"key";q=2;w=3600');
        expect(Number(refused.headers.get('retry-after'))).toBeGreaterThan(3_000);
        const answer = await client.call('GET', PROFILE, { token: plain.secret });
        expect([answer.status, answer.headers.get('ratelimit-policy')]).toEqual([
          200,
          '"admin";q=1000;w=3600',
        ]);
      });
    });

    const ask = async (client: ApiClient, token: string, origin?: string) => {
      const { status, headers } = await client.call('GET', PROFILE, { token, ...(origin && { origin }) });
      return [status, headers.get('ratelimit-policy')];
    };

    test('counts as the owner’s, too, unless an administrator allowed it more', async () => {
      await alone(store, { RATE_LIMIT_USER: '6' }, async (own, client) => {
        const me = await enter(client);
        const slow = await makeKey(client, me, { rate_limit: 2 });
        const equal = await makeKey(client, me, { rate_limit: 6 });
        const both = (rate: number) => `"key";q=${rate};w=3600, "user";q=6;w=3600`;
        expect(await ask(client, slow.secret)).toEqual([200, both(2)]);
        expect(await ask(client, slow.secret)).toEqual([200, both(2)]);
        expect(await ask(client, slow.secret)).toEqual([429, '"key";q=2;w=3600']);
        expect(await ask(client, equal.secret)).toEqual([200, both(6)]);
        expect(await ask(client, equal.secret)).toEqual([200, both(6)]);
        expect(await ask(client, equal.secret)).toEqual([429, both(6)]);
        await own.administration.apiKeys.update(equal.id, null, { rate_limit: 7 });
        expect(await ask(client, equal.secret)).toEqual([200, '"key";q=7;w=3600']);
      });
    });

    test('that its owner set stays below the owner’s, where that is lowered', async () => {
      await alone(store, {}, async (own, client) => {
        const me = await enter(client);
        const [mine, given] = [await makeKey(client, me, { rate_limit: 90 }), await makeKey(client, me)];
        await own.administration.apiKeys.update(given.id, null, { rate_limit: 90 });
        const config = { ...own.config, rateLimit: { ...own.config.rateLimit, userPerHour: 50 } };
        const { origin } = await own.startInstance({ config });
        expect(await ask(client, mine.secret, origin)).toEqual([
          200,
          '"key";q=90;w=3600, "user";q=50;w=3600',
        ]);
        expect(await ask(client, given.secret, origin)).toEqual([200, '"key";q=90;w=3600']);
      });
    });
  });
});
