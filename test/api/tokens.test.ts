/** The tokens of the JSON API: the engine's own, rotated and ended as everybody's are, and good for nothing else. */
import { beforeAll, describe, expect, test } from '@jest/globals';

import { storeUnavailable } from '../../src/errors.ts';
import { openStorage } from '../../src/storage/open.ts';
import { BROWSER, createApiClient, enter, login, OTHER_BROWSER, PASSWORD, register } from '../support/api.ts';
import type { ApiAnswer, ApiClient } from '../support/api.ts';
import { basic, createClient, form, getToken, json } from '../support/clients.ts';
import { lastMail } from '../support/mail.ts';
import { withLatency } from '../support/latency.ts';
import { describeOnBothStores, startTestServer, useTestServer } from '../support/server.ts';
import type { TestServer } from '../support/server.ts';

const AUTH = '/api/v1/auth';
const CLIENT = 'portcullis-api';
const AT_ONCE = 20;
const ROUNDS = 5;
const DAY = 86_400;
const ENV = { RATE_LIMIT_IP: '100000', RATE_LIMIT_USER: '100000' };

const refreshTokenOf = ({ body }: ApiAnswer): string => String(body?.['refresh_token']);
const accessTokenOf = ({ body }: ApiAnswer): string => String(body?.['access_token']);

describeOnBothStores('the tokens of the JSON API', (store) => {
  const server = useTestServer(store, ENV);
  let api: ApiClient;
  beforeAll(async () => {
    api = await createApiClient(server());
  });

  const refresh = (
    refresh_token: string,
    { client = api, ...call }: { client?: ApiClient; origin?: string; headers?: Record<string, string> } = {},
  ): Promise<ApiAnswer> => client.call('POST', `${AUTH}/refresh`, { body: { refresh_token }, ...call });
  const isGood = async (token: string, client = api): Promise<boolean> =>
    (await client.call('GET', `${AUTH}/profile`, { token })).status === 200;
  const alone = async (
    env: Readonly<Record<string, string>>,
    facts: (own: TestServer, client: ApiClient) => Promise<void>,
  ): Promise<void> => {
    const own = await startTestServer(store, { ...ENV, ...env });
    await createApiClient(own)
      .then((client) => facts(own, client))
      .finally(() => own.stop());
  };

  describe('refresh', () => {
    test('gives new tokens and uses the old one up', async () => {
      const me = await enter(api);
      const answer = await refresh(me.refreshToken);
      expect(answer.body).toMatchObject({ token_type: 'bearer', user: { username: me.username } });
      expect(refreshTokenOf(answer)).not.toBe(me.refreshToken);
      expect(await isGood(accessTokenOf(answer))).toBe(true);
    });

    test('gives the very answer again within the window, also by another instance', async () => {
      const { origin } = await server().startInstance();
      const me = await enter(api);
      const first = await refresh(me.refreshToken);
      expect((await refresh(me.refreshToken)).body).toEqual(first.body);
      expect((await refresh(me.refreshToken, { origin })).body).toEqual(first.body);
      expect((await refresh(refreshTokenOf(first), { origin })).status).toBe(200);
    });

    test(`of ${AT_ONCE} at once on two instances leave one living head`, async () => {
      const open: typeof openStorage = async (...at) => withLatency(await openStorage(...at));
      const { origin } = await server().startInstance({ open });
      for (let round = 0; round < ROUNDS; round += 1) {
        const me = await enter(api);
        const answers = await Promise.all(
          Array.from({ length: AT_ONCE }, (_, index) =>
            refresh(me.refreshToken, index % 2 === 0 ? { origin } : {}),
          ),
        );
        expect(answers.map(({ status }) => status)).toEqual(answers.map(() => 200));
        expect(new Set(answers.map(refreshTokenOf)).size).toBe(1);
        expect(new Set(answers.map(accessTokenOf)).size).toBe(1);
      }
    });

    test('of a token that comes back later ends the session', async () => {
      await alone({}, async (own, client) => {
        const me = await enter(client);
        const first = await refresh(me.refreshToken, { client });
        own.advance(11);
        expect((await refresh(me.refreshToken, { client })).status).toBe(401);
        expect((await refresh(refreshTokenOf(first), { client })).status).toBe(401);
        expect(await isGood(accessTokenOf(first), client)).toBe(false);
        const again = await login(client, me);
        const { body } = await client.call('GET', `${AUTH}/sessions`, { token: again.token });
        expect(body?.['sessions']).toEqual([expect.objectContaining({ current: true })]);
      });
    });

    test.each([['x'.repeat(43)], ['portcullis'], ['#reference']])('refuses %s', async (token) => {
      const answer = await refresh(token);
      expect(answer.status).toBe(401);
      expect(answer.headers.get('www-authenticate')).toContain('error="invalid_token"');
    });

    test('refuses an access token, and a refresh token is no access token', async () => {
      const me = await enter(api);
      expect((await refresh(me.token)).status).toBe(401);
      expect(await isGood(me.refreshToken)).toBe(false);
      expect((await refresh(me.refreshToken)).status).toBe(200);
    });

    test('says 503 while the store is away, and the token stays good', async () => {
      let isAway = false;
      const open: Parameters<TestServer['startInstance']>[0] = {
        open: async (url) => {
          const storage = await openStorage(url);
          const { artifacts } = storage;
          const find: typeof artifacts.find = async (...asked) => {
            if (isAway) throw storeUnavailable(new Error('away'));
            return artifacts.find(...asked);
          };
          return { ...storage, artifacts: { ...artifacts, find } };
        },
      };
      const { origin } = await server().startInstance(open);
      const me = await enter(api);
      isAway = true;
      const answer = await refresh(me.refreshToken, { origin });
      expect(answer.status).toBe(503);
      expect(answer.headers.get('retry-after')).not.toBeNull();
      const read = await api.call('GET', `${AUTH}/profile`, { token: me.token, origin });
      expect(read.status).toBe(503);
      isAway = false;
      expect((await refresh(me.refreshToken, { origin })).status).toBe(200);
    });
  });

  describe('lifetimes', () => {
    test('an access token ends after its minutes, the session lives on', async () => {
      await alone({ JWT_ACCESS_TOKEN_LIFETIME: '5' }, async (own, client) => {
        const me = await enter(client);
        own.advance(301);
        expect(await isGood(me.token, client)).toBe(false);
        const answer = await refresh(me.refreshToken, { client });
        expect(answer.body).toMatchObject({ expires_in: 300 });
      });
    });

    test('without remember_me a refresh token ends after a day', async () => {
      await alone({}, async (own, client) => {
        const me = await enter(client);
        own.advance(DAY - 10);
        const answer = await refresh(me.refreshToken, { client });
        own.advance(DAY + 1);
        expect((await refresh(refreshTokenOf(answer), { client })).status).toBe(401);
      });
    });

    test('with remember_me it ends after its days', async () => {
      await alone({ JWT_REFRESH_TOKEN_LIFETIME: '3' }, async (own, client) => {
        const me = await enter(client, { remember_me: true });
        own.advance(3 * DAY - 10);
        expect((await refresh(me.refreshToken, { client })).status).toBe(200);
        const other = await login(client, me, { remember_me: true });
        own.advance(3 * DAY + 1);
        expect((await refresh(other.refreshToken, { client })).status).toBe(401);
      });
    });
  });

  describe('a refresh from another kind of device', () => {
    const sessionOf = async (token: string) => {
      const { body } = await api.call('GET', `${AUTH}/sessions`, { token });
      return (body?.['sessions'] as readonly Record<string, unknown>[])[0];
    };

    test('is told by mail, once, and shown in the list', async () => {
      const me = await enter(api);
      await server().administration.users.update(me.username, { email_verified: true });
      const first = await refresh(me.refreshToken, { headers: { 'user-agent': OTHER_BROWSER } });
      const mail = await lastMail(server(), me.email, 'another device');
      expect(mail.text).toContain('Safari, iOS');
      const token = accessTokenOf(first);
      expect(await sessionOf(token)).toMatchObject({
        device: 'Firefox, Linux',
        other_device: { device: 'Safari, iOS', ip: '127.0.0.1' },
      });
      const again = await refresh(refreshTokenOf(first), { headers: { 'user-agent': OTHER_BROWSER } });
      const home = await refresh(refreshTokenOf(again));
      expect(await sessionOf(accessTokenOf(home))).toMatchObject({ other_device: { device: 'Safari, iOS' } });
      const sent = server()
        .logs()
        .split('\n')
        .filter((line) => line.includes('"template":"other-device"'));
      expect(sent).toHaveLength(1);
    });

    test('is none where only a version or the language changed', async () => {
      const me = await enter(api);
      const headers = { 'user-agent': BROWSER.replaceAll('140.0', '151.0'), 'accept-language': 'de' };
      const answer = await refresh(me.refreshToken, { headers });
      expect(await sessionOf(accessTokenOf(answer))).toMatchObject({ other_device: null });
    });
  });

  describe('the client that is built in', () => {
    test('is unknown at the endpoints of the protocol', async () => {
      const me = await enter(api);
      const asked = { client_id: CLIENT, refresh_token: me.refreshToken };
      const token = await server().request('/token', form({ grant_type: 'refresh_token', ...asked }));
      expect([token.status, (await json(token))['error']]).toEqual([401, 'invalid_client']);
      const device = await server().request('/device/auth', form({ client_id: CLIENT }));
      expect(device.status).toBe(401);
      for (const path of ['/revoke', '/introspect']) {
        const answer = await server().request(path, form({ client_id: CLIENT, token: me.token }));
        expect(answer.status).toBe(401);
      }
      const query = new URLSearchParams({ client_id: CLIENT, response_type: 'code', scope: 'openid' });
      const authorize = await server().request(`/authorize?${query.toString()}`, { redirect: 'manual' });
      expect([authorize.status, authorize.headers.get('location')]).toEqual([400, null]);
      expect((await refresh(me.refreshToken)).status).toBe(200);
    });

    test('has a name that no client and no person gets', async () => {
      const declared = { clients: [{ client_id: CLIENT, scope: 'read' }] };
      const outcome = await server().administration.apply(JSON.stringify(declared), {}, false);
      expect(outcome.ok).toBe(false);
      const body = { username: CLIENT, email: 'api@example.com', password: PASSWORD };
      expect((await api.call('POST', `${AUTH}/register`, { body })).status).toBe(400);
    });
  });

  describe('kinds of tokens', () => {
    test('those of the API open nothing at the protocol', async () => {
      const me = await enter(api);
      const client = await createClient(server(), 'read');
      const headers = { authorization: `Bearer ${me.token}` };
      expect((await server().request('/userinfo', { headers })).status).toBe(403);
      expect((await server().request('/vpn/auth/', { method: 'POST', headers })).status).toBe(401);
      for (const token of [me.token, me.refreshToken]) {
        const told = await server().request('/introspect', form({ token }, basic(client)));
        expect(await json(told)).toEqual({ active: false });
        await server().request('/revoke', form({ token }, basic(client)));
      }
      expect(await isGood(me.token)).toBe(true);
    });

    test('those of clients open nothing at the API', async () => {
      const client = await createClient(server(), 'read');
      const token = await getToken(server(), client);
      expect(await isGood(token)).toBe(false);
    });

    test('an account that is disabled loses all of them, and gets none back by being enabled', async () => {
      const me = await enter(api);
      await server().administration.users.lock(me.username);
      expect(await isGood(me.token)).toBe(false);
      expect((await refresh(me.refreshToken)).status).toBe(401);
      await server().administration.users.unlock(me.username);
      expect(await isGood(me.token)).toBe(false);
      expect((await refresh(me.refreshToken)).status).toBe(401);
      await login(api, me);
    });

    test('a role counts from the moment that it is given', async () => {
      const me = await enter(api);
      await server().administration.users.update(me.username, { role: 'developer' });
      const { body } = await api.call('GET', `${AUTH}/profile`, { token: me.token });
      expect(body).toMatchObject({ role: 'developer' });
    });
  });

  test('a sign-in that overlaps a change of the password does not outlive it', async () => {
    const person = await register(api);
    const me = await login(api, person);
    const body = { current_password: PASSWORD, new_password: 'An0ther-Secret!' };
    const signIns = Array.from({ length: 4 }, () =>
      api.call('POST', `${AUTH}/login`, { body: { username: person.username, password: PASSWORD } }),
    );
    const changed = api.call('POST', `${AUTH}/change-password`, { token: me.token, body });
    const answers = await Promise.all(signIns);
    expect((await changed).status).toBe(204);
    for (const answer of answers) {
      if (answer.status === 200) expect(await isGood(accessTokenOf(answer))).toBe(false);
    }
    expect(await isGood(me.token)).toBe(true);
  });
});
