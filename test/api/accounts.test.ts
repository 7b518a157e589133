/** Each request of the JSON API of accounts, and each of its refusals, over HTTP on both stores. */
import { beforeAll, describe, expect, test } from '@jest/globals';
import { randomUUID } from 'node:crypto';

import {
  createApiClient,
  enter,
  login,
  newPerson,
  OTHER_BROWSER,
  PASSWORD,
  register,
} from '../support/api.ts';
import type { ApiAnswer, ApiClient } from '../support/api.ts';
import { lastMail } from '../support/mail.ts';
import { describeOnBothStores, startTestServer, useTestServer } from '../support/server.ts';
import type { TestServer } from '../support/server.ts';
import { createVisitor } from '../support/visitor.ts';

const AUTH = '/api/v1/auth';
const NEXT_PASSWORD = 'An0ther-Secret!';
const ENV = { RATE_LIMIT_IP: '100000' };

const pathsOf = ({ body }: ApiAnswer): readonly unknown[] =>
  (body?.['errors'] as readonly { readonly path: string }[] | undefined)?.map(({ path }) => path) ?? [];

const tokenIn = (link: string): string => new URL(link, 'http://localhost').searchParams.get('token') ?? '';

describeOnBothStores('the JSON API of accounts', (store) => {
  const server = useTestServer(store, ENV);
  let api: ApiClient;
  beforeAll(async () => {
    api = await createApiClient(server());
  });
  const post = (path: string, body: unknown, token?: string): Promise<ApiAnswer> =>
    api.call('POST', `${AUTH}/${path}`, { body, ...(token !== undefined && { token }) });

  describe('register', () => {
    test('makes an account of the role user, and mails a link to prove the address', async () => {
      const person = newPerson();
      const answer = await post('register', { ...person, full_name: '  Ada Lovelace ' });
      expect(answer.status).toBe(201);
      expect(answer.body).toMatchObject({
        username: person.username,
        email: person.email,
        email_verified: false,
        full_name: 'Ada Lovelace',
        role: 'user',
      });
      const token = tokenIn((await lastMail(server(), person.email, 'Confirm')).link);
      expect((await post('verify-email', { token })).status).toBe(204);
      expect(pathsOf(await post('verify-email', { token }))).toEqual(['token']);
      const { token: access } = await login(api, person);
      const { body } = await api.call('GET', `${AUTH}/profile`, { token: access });
      expect(body).toMatchObject({ email_verified: true });
    });

    test('refuses a name or an address that is taken, in any spelling', async () => {
      const person = await register(api);
      const name = await post('register', { ...newPerson(), username: person.username.toUpperCase() });
      expect([name.status, pathsOf(name)]).toEqual([409, ['username']]);
      const address = await post('register', { ...newPerson(), email: person.email.toUpperCase() });
      expect([address.status, pathsOf(address)]).toEqual([409, ['email']]);
    });

    test.each(['portcullis', 'vpn-node', 'Petstore', 'vpn-nodes'])(
      'refuses %s, which tokens name as their audience',
      async (username) => {
        const answer = await post('register', { ...newPerson(), username });
        expect([answer.status, pathsOf(answer)]).toEqual([400, ['username']]);
      },
    );

    test('tells every fault of the input at once', async () => {
      const answer = await post('register', { username: 'x', email: 'no', password: 'short' });
      expect([answer.status, pathsOf(answer)]).toEqual([400, ['username', 'email', 'password']]);
    });

    test.each([
      ['a role', { role: 'admin' }, 'role'],
      ['roles', { roles: { portcullis: 'admin' } }, 'roles'],
      ['a verified address', { email_verified: true }, 'email_verified'],
      ['a name that is no text', { username: { $ne: null } }, 'username'],
      ['a full name with control characters', { full_name: 'a\u0007b' }, 'full_name'],
    ])('refuses %s', async (_name, fields, path) => {
      const answer = await post('register', { ...newPerson(), ...fields });
      expect([answer.status, pathsOf(answer)]).toEqual([400, [path]]);
    });
  });

  describe('login', () => {
    test('takes the name or the address, in any spelling', async () => {
      const person = await register(api);
      for (const username of [person.username, person.email, person.email.toUpperCase()]) {
        const answer = await post('login', { username, password: PASSWORD });
        expect(answer.body).toMatchObject({
          token_type: 'bearer',
          expires_in: 3_600,
          user: { username: person.username, email: person.email, role: 'user' },
        });
        expect(answer.headers.get('cache-control')).toBe('no-store');
        expect(answer.headers.getSetCookie()).toEqual([]);
      }
    });

    test('gives one answer for an unknown name, a wrong password and a disabled account', async () => {
      const person = await register(api);
      const disabled = await register(api);
      await server().administration.users.lock(disabled.username);
      const answers = await Promise.all([
        post('login', { username: person.username, password: 'Wrong-Passw0rd' }),
        post('login', { username: `nobody-${randomUUID()}`, password: PASSWORD }),
        post('login', { username: disabled.username, password: PASSWORD }),
      ]);
      expect(new Set(answers.map(({ status, body }) => JSON.stringify([status, body]))).size).toBe(1);
      expect(answers[0].status).toBe(401);
      expect(answers[0].headers.get('www-authenticate')).toBe('Bearer');
    });

    test('locks after five failures, under any of the names, also for a name that nobody has', async () => {
      const person = await register(api);
      const nobody = `nobody-${randomUUID()}`;
      for (const username of [
        person.username,
        person.email,
        person.username,
        person.email,
        person.username,
      ]) {
        expect((await post('login', { username, password: 'Wrong-Passw0rd' })).status).toBe(401);
        expect((await post('login', { username: nobody, password: 'Wrong-Passw0rd' })).status).toBe(401);
      }
      for (const username of [person.username, person.email, nobody]) {
        const locked = await post('login', { username, password: PASSWORD });
        expect(locked.status).toBe(423);
        const seconds = Number(locked.headers.get('retry-after'));
        expect(seconds).toBeGreaterThan(1_700);
        expect(seconds).toBeLessThanOrEqual(1_800);
      }
    });

    test.each([
      ['no password', { username: 'a' }, 'password'],
      ['an operator in the place of a password', { username: 'a', password: { $gt: '' } }, 'password'],
      ['a list in the place of a name', { username: ['a'], password: 'b' }, 'username'],
      ['remember_me as a text', { username: 'a', password: 'b', remember_me: 'yes' }, 'remember_me'],
      ['a field that there is not', { username: 'a', password: 'b', admin: true }, 'admin'],
    ])('refuses %s', async (_name, body, path) => {
      const answer = await post('login', body);
      expect([answer.status, pathsOf(answer)]).toEqual([400, [path]]);
    });

    test('refuses a password that is too long before anything is hashed', async () => {
      const person = await register(api);
      const answer = await post('login', { username: person.username, password: 'a'.repeat(300) });
      expect(answer.status).toBe(400);
    });
  });

  describe('profile', () => {
    test('is read, and its name changed', async () => {
      const me = await enter(api);
      const named = await api.call('PATCH', `${AUTH}/profile`, {
        token: me.token,
        body: { full_name: 'Ada' },
      });
      expect(named.body).toMatchObject({ username: me.username, full_name: 'Ada' });
      const read = await api.call('GET', `${AUTH}/profile`, { token: me.token });
      expect(read.body).toEqual(named.body);
      const none = await api.call('PATCH', `${AUTH}/profile`, { token: me.token, body: { full_name: null } });
      expect(none.body).toMatchObject({ full_name: null });
    });

    test.each([
      ['username', { username: 'other' }],
      ['role', { role: 'admin' }],
      ['email', { email: 'no address' }],
      ['full_name', { full_name: 7 }],
      ['full_name', { full_name: 'x'.repeat(300) }],
    ])('refuses a bad or foreign %s', async (path, body) => {
      const me = await enter(api);
      const answer = await api.call('PATCH', `${AUTH}/profile`, { token: me.token, body });
      expect([answer.status, pathsOf(answer)]).toEqual([400, [path]]);
    });

    test('takes a new address once its mail was read, and tells the old one', async () => {
      const me = await enter(api);
      const { email } = newPerson();
      const answer = await api.call('PATCH', `${AUTH}/profile`, { token: me.token, body: { email } });
      expect(answer.body).toMatchObject({ email: me.email });
      const token = tokenIn((await lastMail(server(), email, 'Confirm')).link);
      expect((await post('verify-email', { token })).status).toBe(204);
      await lastMail(server(), me.email, 'changed');
      const read = await api.call('GET', `${AUTH}/profile`, { token: me.token });
      expect(read.body).toMatchObject({ email, email_verified: true });
    });

    test('tells nobody that the new address is another account’s', async () => {
      const [me, other] = [await enter(api), await register(api)];
      const body = { email: other.email };
      const answer = await api.call('PATCH', `${AUTH}/profile`, { token: me.token, body });
      expect([answer.status, answer.body?.['email']]).toEqual([200, me.email]);
      await lastMail(server(), other.email, 'already');
    });

    test('asks for the password before a new address where the sign-in is not recent', async () => {
      const own = await startTestServer(store, ENV);
      try {
        const ownApi = await createApiClient(own);
        const me = await enter(ownApi);
        own.advance(1_000);
        const patch = (fields: object): Promise<ApiAnswer> =>
          ownApi.call('PATCH', `${AUTH}/profile`, {
            token: me.token,
            body: { email: 'new@example.com', ...fields },
          });
        expect(pathsOf(await patch({}))).toEqual(['current_password']);
        expect(pathsOf(await patch({ current_password: 'Wrong-Passw0rd' }))).toEqual(['current_password']);
        expect((await patch({ current_password: PASSWORD })).status).toBe(200);
        await lastMail(own, 'new@example.com', 'Confirm');
      } finally {
        await own.stop();
      }
    });
  });

  describe('change-password', () => {
    test('sets the new one, ends the other sessions and tells the person', async () => {
      const me = await enter(api);
      const other = await login(api, me);
      const body = { current_password: PASSWORD, new_password: NEXT_PASSWORD };
      expect((await post('change-password', body, me.token)).status).toBe(204);
      expect((await api.call('GET', `${AUTH}/profile`, { token: other.token })).status).toBe(401);
      expect((await api.call('GET', `${AUTH}/profile`, { token: me.token })).status).toBe(200);
      expect((await post('refresh', { refresh_token: other.refreshToken })).status).toBe(401);
      expect((await post('refresh', { refresh_token: me.refreshToken })).status).toBe(200);
      expect((await post('login', { username: me.username, password: PASSWORD })).status).toBe(401);
      await login(api, { ...me, password: NEXT_PASSWORD });
      await lastMail(server(), me.email, 'password');
    });

    test('counts a wrong password as a guess', async () => {
      const me = await enter(api);
      const body = { current_password: 'Wrong-Passw0rd', new_password: NEXT_PASSWORD };
      for (let guess = 0; guess < 5; guess += 1) {
        const answer = await post('change-password', body, me.token);
        expect([answer.status, pathsOf(answer)]).toEqual([400, ['current_password']]);
      }
      expect((await post('change-password', body, me.token)).status).toBe(423);
      expect((await post('login', { username: me.username, password: PASSWORD })).status).toBe(423);
    });

    test.each([
      ['a weak one', 'weak'],
      ['the same', PASSWORD],
      ['a common one', 'Password1!'],
    ])('refuses %s as the new one', async (_name, new_password) => {
      const me = await enter(api);
      const answer = await post('change-password', { current_password: PASSWORD, new_password }, me.token);
      expect([answer.status, pathsOf(answer)]).toEqual([400, ['new_password']]);
    });
  });

  describe('recovery', () => {
    test('sets a new password by the mailed token, once, and ends every session and the lock', async () => {
      const me = await enter(api);
      for (let guess = 0; guess < 6; guess += 1) {
        await post('login', { username: me.username, password: 'Wrong-Passw0rd' });
      }
      expect((await post('forgot-password', { email: me.email })).status).toBe(202);
      const token = tokenIn((await lastMail(server(), me.email, 'Choose a new password')).link);
      const weak = await post('reset-password', { token, new_password: 'weak' });
      expect([weak.status, pathsOf(weak)]).toEqual([400, ['new_password']]);
      const body = { token, new_password: NEXT_PASSWORD };
      expect((await post('reset-password', body)).status).toBe(204);
      expect(pathsOf(await post('reset-password', body))).toEqual(['token']);
      expect((await api.call('GET', `${AUTH}/profile`, { token: me.token })).status).toBe(401);
      expect((await post('refresh', { refresh_token: me.refreshToken })).status).toBe(401);
      await login(api, { ...me, password: NEXT_PASSWORD });
    });

    test.each(['forgot-password', 'resend-verification'])(
      '%s answers alike whoever has the address',
      async (path) => {
        const person = await register(api);
        for (const email of [person.email, newPerson().email, 'no address']) {
          const answer = await post(path, { email });
          expect([answer.status, answer.body]).toEqual([202, undefined]);
        }
      },
    );

    test('sends the link to prove an address again', async () => {
      const person = await register(api);
      const mail = await lastMail(server(), person.email, 'Confirm');
      await post('resend-verification', { email: person.email });
      const first = tokenIn(mail.link);
      const newest = tokenIn((await lastMail(server(), person.email, 'Confirm', mail)).link);
      expect((await post('verify-email', { token: first })).status).toBe(400);
      expect((await post('verify-email', { token: newest })).status).toBe(204);
    });

    test.each([
      ['reset-password', { token: null, new_password: NEXT_PASSWORD }],
      ['reset-password', { token: '', new_password: NEXT_PASSWORD }],
      ['reset-password', { token: { $ne: null }, new_password: NEXT_PASSWORD }],
      ['reset-password', { new_password: NEXT_PASSWORD }],
      ['reset-password', { token: 'x'.repeat(43), new_password: NEXT_PASSWORD }],
      ['verify-email', { token: ['x'] }],
      ['verify-email', { token: 'x'.repeat(43) }],
    ])('%s refuses %j', async (path, body) => {
      const answer = await post(path, body);
      expect([answer.status, pathsOf(answer)]).toEqual([400, ['token']]);
    });
  });

  describe('sessions', () => {
    const sessionsOf = async (token: string) => {
      const { body } = await api.call('GET', `${AUTH}/sessions`, { token });
      return body?.['sessions'] as readonly Record<string, unknown>[];
    };

    test('are listed with their devices, those of browsers among them', async () => {
      const me = await enter(api);
      await login(api, me, {}, { 'user-agent': OTHER_BROWSER });
      const visitor = createVisitor(server());
      await visitor.send(await visitor.open('/account'), { login: me.username, password: PASSWORD });
      const sessions = await sessionsOf(me.token);
      const told = sessions.map(({ kind, device, current }) => [kind, device, current]);
      expect(told).toHaveLength(3);
      expect(told).toEqual(
        expect.arrayContaining([
          ['api', 'Firefox, Linux', true],
          ['api', 'Safari, iOS', false],
          ['browser', 'node', false],
        ]),
      );
      expect(sessions.map(({ ip }) => ip)).toEqual(['127.0.0.1', '127.0.0.1', '127.0.0.1']);
      expect(new Set(sessions.map(({ fingerprint }) => fingerprint)).size).toBe(3);
      expect((await visitor.open('/account/sessions')).html).toContain('Safari, iOS');
    });

    test('end one by one, and a person’s own only', async () => {
      const [me, stranger] = [await enter(api), await enter(api)];
      const other = await login(api, me);
      const { id } = (await sessionsOf(me.token)).find(({ current }) => current === false) ?? {};
      const path = `${AUTH}/sessions/${String(id)}`;
      expect((await api.call('DELETE', path, { token: stranger.token })).status).toBe(404);
      expect((await api.call('GET', `${AUTH}/profile`, { token: other.token })).status).toBe(200);
      expect((await api.call('DELETE', path, { token: me.token })).status).toBe(204);
      expect((await api.call('GET', `${AUTH}/profile`, { token: other.token })).status).toBe(401);
      expect((await api.call('DELETE', path, { token: me.token })).status).toBe(404);
      expect(await sessionsOf(me.token)).toHaveLength(1);
    });

    test('end from the account page, too', async () => {
      const me = await enter(api);
      const visitor = createVisitor(server());
      await visitor.send(await visitor.open('/account'), { login: me.username, password: PASSWORD });
      await visitor.send(await visitor.open('/account/sessions'), {}, '/account/sessions/end-others');
      expect((await api.call('GET', `${AUTH}/profile`, { token: me.token })).status).toBe(401);
    });
  });

  describe('logout', () => {
    test('ends the session that asks, and no other', async () => {
      const me = await enter(api);
      const other = await login(api, me);
      expect((await api.call('POST', `${AUTH}/logout`, { token: me.token })).status).toBe(204);
      expect((await api.call('POST', `${AUTH}/logout`, { token: me.token })).status).toBe(401);
      expect((await post('refresh', { refresh_token: me.refreshToken })).status).toBe(401);
      expect((await api.call('GET', `${AUTH}/profile`, { token: other.token })).status).toBe(200);
    });

    test('ends all with ?all=true', async () => {
      const me = await enter(api);
      const other = await login(api, me);
      expect((await api.call('POST', `${AUTH}/logout/?all=true`, { token: me.token })).status).toBe(204);
      for (const { token } of [me, other]) {
        expect((await api.call('GET', `${AUTH}/profile`, { token })).status).toBe(401);
      }
    });

    test.each(['all=1', 'all=true&all=false', 'everything=true'])('refuses ?%s', async (query) => {
      const me = await enter(api);
      const answer = await api.call('POST', `${AUTH}/logout?${query}`, { token: me.token });
      expect(answer.status).toBe(400);
      expect((await api.call('GET', `${AUTH}/profile`, { token: me.token })).status).toBe(200);
    });
  });

  describe('with registration concealed or off', () => {
    const served = async (
      env: Readonly<Record<string, string>>,
      facts: (own: TestServer) => Promise<void>,
    ) => {
      const own = await startTestServer(store, { ...ENV, ...env });
      await facts(own).finally(() => own.stop());
    };

    test('a taken address is told by mail alone', async () => {
      await served({ REGISTRATION_CONCEAL: 'on' }, async (own) => {
        const concealed = await createApiClient(own);
        const person = newPerson();
        const call = (body: object): Promise<ApiAnswer> =>
          concealed.call('POST', `${AUTH}/register`, { body });
        const answers = [await call(person), await call({ ...newPerson(), email: person.email })];
        expect(answers.map(({ status, body }) => [status, body])).toEqual([
          [202, undefined],
          [202, undefined],
        ]);
        expect((await call({ ...person, password: 'weak' })).status).toBe(400);
        const body = { username: person.username, password: PASSWORD };
        expect((await concealed.call('POST', `${AUTH}/login`, { body })).status).toBe(401);
        const token = tokenIn((await lastMail(own, person.email, 'Confirm')).link);
        await concealed.call('POST', `${AUTH}/verify-email`, { body: { token } });
        await login(concealed, person);
      });
    });

    test('nobody registers where it is off', async () => {
      await served({ REGISTRATION: 'off' }, async (own) => {
        const closed = await createApiClient(own);
        const answer = await closed.call('POST', `${AUTH}/register`, { body: newPerson() });
        expect(answer.status).toBe(403);
      });
    });
  });
});
