/** Service accounts: nobody signs in as one, and programs act as it by API keys and by client credentials. */
import { beforeAll, describe, expect, test } from '@jest/globals';
import { randomUUID } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

import { KEYS, PROFILE, statusOf, UNLIMITED } from '../support/api-keys.ts';
import { createApiClient, enter, PASSWORD } from '../support/api.ts';
import type { ApiClient } from '../support/api.ts';
import { apply, basic, createClient, form, getToken, json } from '../support/clients.ts';
import type { Credentials } from '../support/clients.ts';
import { lastMail } from '../support/mail.ts';
import { describeOnBothStores, useTestServer } from '../support/server.ts';

const AUTH = '/api/v1/auth';

describeOnBothStores('a service account', (store) => {
  const server = useTestServer(store, UNLIMITED);
  let api: ApiClient;
  beforeAll(async () => {
    api = await createApiClient(server());
  });

  const make = async (fields: object = {}): Promise<string> => {
    const username = `bot-${randomUUID().slice(0, 8)}`;
    await server().administration.users.create({ username, role: 'service_account', ...fields }, null);
    return username;
  };
  const tie = (username: string): Promise<Credentials> =>
    createClient(server(), 'read', { service_account: username });
  const tokenOf = (client: Credentials): Promise<string> => getToken(server(), client);
  const verify = (token: string, query = '') => api.call('GET', `/api/v1/verify${query}`, { token });

  describe('at the doors of people', () => {
    test('is a wrong password, whatever is tried, and locks as others do', async () => {
      const username = await make();
      for (const password of ['', PASSWORD, 'null', username]) {
        const body = { username, password };
        expect([400, 401]).toContain((await api.call('POST', `${AUTH}/login`, { body })).status);
      }
      const body = { username: `${username}@service.invalid`, password: PASSWORD };
      expect((await api.call('POST', `${AUTH}/login`, { body })).status).toBe(401);
    });

    test('is mailed no link', async () => {
      const email = `${randomUUID().slice(0, 8)}@example.com`;
      await make({ email, email_verified: false });
      const me = await enter(api);
      for (const request of ['forgot-password', 'resend-verification']) {
        expect((await api.call('POST', `${AUTH}/${request}`, { body: { email } })).status).toBe(202);
      }
      await api.call('POST', `${AUTH}/forgot-password`, { body: { email: me.email } });
      await lastMail(server(), me.email, 'Choose a new password');
      const folder = join(server().folder, 'mail');
      const sent = readdirSync(folder).map((file) => readFileSync(join(folder, file), 'utf8'));
      expect(sent.filter((mail) => mail.includes(email))).toEqual([]);
    });

    test('is made by nobody who registers', async () => {
      const username = `bot-${randomUUID().slice(0, 8)}`;
      const person = { username, email: `${username}@example.com`, password: PASSWORD };
      for (const fields of [{ role: 'service_account' }, { roles: { portcullis: 'admin' } }]) {
        expect((await api.call('POST', `${AUTH}/register`, { body: { ...person, ...fields } })).status).toBe(
          400,
        );
      }
    });

    test('ends what a person had who becomes one, also the link that was mailed', async () => {
      const me = await enter(api);
      await api.call('POST', `${AUTH}/forgot-password`, { body: { email: me.email } });
      const { link } = await lastMail(server(), me.email, 'Choose a new password');
      await server().administration.users.update(me.username, { role: 'service_account' });
      expect(await statusOf(api, me.token)).toBe(401);
      expect(
        (await api.call('POST', `${AUTH}/refresh`, { body: { refresh_token: me.refreshToken } })).status,
      ).toBe(401);
      const token = new URL(link, server().issuer).searchParams.get('token');
      const body = { token, new_password: 'Another-1-Secret' };
      expect((await api.call('POST', `${AUTH}/reset-password`, { body })).status).toBe(400);
      const login = { username: me.username, password: me.password };
      expect((await api.call('POST', `${AUTH}/login`, { body: login })).status).toBe(401);
    });

    test('takes no password from an administrator', async () => {
      const username = await make();
      const { users } = server().administration;
      await expect(users.setPassword(username, async () => PASSWORD)).rejects.toMatchObject({
        code: 'invalid_request',
      });
      const fields = { username: `bot-${randomUUID()}`, role: 'service_account', password: PASSWORD };
      await expect(users.create(fields, null)).rejects.toMatchObject({ errors: [{ path: 'password' }] });
    });

    test('is declared by apply without a password, and never with one', async () => {
      const username = `bot-${randomUUID().slice(0, 8)}`;
      const user = { username, role: 'service_account' };
      await apply(server().administration, { users: [user] });
      expect(await server().administration.users.show(username)).toMatchObject({ has_password: false });
      for (const field of ['password', 'password_hash']) {
        const file = JSON.stringify({ users: [{ ...user, [field]: PASSWORD }] });
        const outcome = await server().administration.apply(file, {}, false);
        expect(outcome).toMatchObject({ ok: false });
        expect(JSON.stringify(outcome)).toContain(`users[0].${field}`);
      }
    });
  });

  describe('by an API key', () => {
    test('reads its profile, and makes no other key', async () => {
      const username = await make();
      const { secret } = await server().administration.apiKeys.create(username, { name: 'a key' });
      const answer = await api.call('GET', PROFILE, { token: secret });
      expect(answer.body).toMatchObject({ username, role: 'service_account' });
      expect((await api.call('POST', KEYS, { token: secret, body: { name: 'another' } })).status).toBe(403);
    });

    test('is refused while it is locked, and its key with it', async () => {
      const username = await make();
      const { secret } = await server().administration.apiKeys.create(username, { name: 'a key' });
      await server().administration.users.lock(username);
      expect(await statusOf(api, secret)).toBe(401);
      await server().administration.users.unlock(username);
      expect(await statusOf(api, secret)).toBe(401);
    });
  });

  describe('by a client that acts for it', () => {
    test('is who calls, with the rights of its role', async () => {
      const username = await make();
      const token = await tokenOf(await tie(username));
      const answer = await api.call('GET', PROFILE, { token });
      expect([answer.status, answer.body]).toEqual([
        200,
        expect.objectContaining({ username, role: 'service_account' }),
      ]);
      expect(answer.headers.get('ratelimit-policy')).toContain('"user"');
      expect((await api.call('PATCH', PROFILE, { token, body: { full_name: 'x' } })).status).toBe(403);
      expect((await api.call('GET', KEYS, { token })).status).toBe(403);
      expect((await api.call('POST', `${AUTH}/logout`, { token })).status).toBe(403);
    });

    test('is told so to a gateway', async () => {
      const username = await make();
      const client = await tie(username);
      const answer = await verify(await tokenOf(client), '?role=service_account');
      expect(answer.status).toBe(200);
      expect(answer.headers.get('x-auth-username')).toBe(username);
      expect(answer.headers.get('x-auth-role')).toBe('service_account');
      expect(answer.headers.get('x-auth-client-id')).toBe(client.id);
    });

    test('is itself at the protocol’s own endpoints', async () => {
      const client = await tie(await make());
      const token = await tokenOf(client);
      const told = await json(await server().request('/introspect', form({ token }, basic(client))));
      expect(told).toMatchObject({ active: true, client_id: client.id });
    });

    test.each<readonly [string, (username: string) => Promise<unknown>]>([
      ['is locked', (username) => server().administration.users.lock(username)],
      ['is deleted', (username) => server().administration.users.delete(username)],
      ['becomes a person', (username) => server().administration.users.update(username, { role: 'user' })],
    ])('is refused at once when it %s', async (_name, end) => {
      const username = await make();
      const client = await tie(username);
      const token = await tokenOf(client);
      expect(await statusOf(api, token)).toBe(200);
      await end(username);
      expect(await statusOf(api, token)).toBe(401);
      expect(await statusOf(api, await tokenOf(client))).toBe(401);
    });

    test('is refused at once when the client acts for it no more, or is gone', async () => {
      const username = await make();
      const { administration } = server();
      const [untied, gone] = [await tie(username), await tie(username)];
      const tokens = [await tokenOf(untied), await tokenOf(gone)];
      await administration.saveClient('update', untied.id, false, { service_account: undefined });
      await administration.deleteClient(gone.id, false);
      for (const token of tokens) expect(await statusOf(api, token)).toBe(401);
    });

    test('is nobody for a client that is tied to none', async () => {
      const token = await getToken(server(), await createClient(server(), 'read'));
      expect(await statusOf(api, token)).toBe(401);
    });

    test('can be declared in the same file', async () => {
      const username = `bot-${randomUUID().slice(0, 8)}`;
      const client_id = `client-${randomUUID().slice(0, 8)}`;
      const secrets = await apply(server().administration, {
        clients: [{ client_id, scope: 'read', service_account: username }],
        users: [{ username, role: 'service_account' }],
      });
      const token = await tokenOf({ id: client_id, secret: secrets.get(client_id) ?? '' });
      expect((await api.call('GET', PROFILE, { token })).body).toMatchObject({ username });
    });

    test.each<readonly [string, object, string]>([
      ['nobody', { service_account: 'nobody-there' }, 'there is no service account "nobody-there"'],
      ['a name in upper case', { service_account: 'CI' }, 'in lower case'],
      [
        'one that people sign in by',
        { redirect_uris: ['https://app.example.com/cb'], scope: 'openid' },
        'only for a client that has the grant client_credentials',
      ],
      ['one that administers', { scope: 'admin' }, 'and not both'],
      [
        'a public one',
        { token_endpoint_auth_method: 'none' },
        'client_credentials needs a client that can authenticate',
      ],
    ])('is not for %s', async (_name, fields, sentence) => {
      const service_account = await make();
      const client = {
        client_id: `client-${randomUUID().slice(0, 8)}`,
        scope: 'read',
        service_account,
        ...fields,
      };
      const outcome = await server().administration.apply(JSON.stringify({ clients: [client] }), {}, false);
      expect(outcome.ok).toBe(false);
      expect(JSON.stringify(outcome).replaceAll('\\"', '"')).toContain(sentence);
    });

    test('is no person', async () => {
      const { username } = await enter(api);
      const fields = { scope: 'read', service_account: username };
      const saving = server().administration.saveClient('create', `client-${randomUUID()}`, false, fields);
      await expect(saving).rejects.toMatchObject({
        code: 'invalid_request',
        errors: [{ path: 'service_account' }],
      });
    });
  });
});
