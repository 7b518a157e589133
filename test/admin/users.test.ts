/** What administrators do with users over HTTP: each request, each refusal, and the record of each change. */
import { describe, expect, test } from '@jest/globals';

import { MAX_FAILURES } from '../../src/accounts/lockout.ts';
import { login, newPerson as newName, PASSWORD } from '../support/api.ts';
import { createClient, getToken } from '../support/clients.ts';
import { lastMail } from '../support/mail.ts';
import { describeOnBothStores } from '../support/server.ts';
import { itemsOf, pathsOf, useAdminWorld, USERS } from './world.ts';
import type { AdminWorld, Person } from './world.ts';

const OTHER_PASSWORD = 'An0ther-Secret!';
const AUTH = '/api/v1/auth';

describeOnBothStores('the users of the admin API', (kind) => {
  const world = useAdminWorld(kind);
  const call: AdminWorld['call'] = (...request) => world().call(...request);
  const isIn = async ({ token }: Person): Promise<boolean> =>
    (await world().api.call('GET', `${AUTH}/profile`, { token })).status === 200;
  /** The last record of the person, which must not hold a secret. */
  const lastRecord = async ({ id }: Person): Promise<unknown> => {
    const records = await world().recordsOf(`account:${id}`);
    expect(JSON.stringify(records)).not.toMatch(/argon2|Tr0ub4dor|An0ther|passwordHash/);
    return records.at(-1);
  };
  const byAdmin = (): object => ({
    actor: `account:${world().admin.id}`,
    ip: '127.0.0.1',
    requestId: expect.stringMatching(/^[\da-f-]{36}$/),
  });

  describe('who may ask', () => {
    const requests = (id: string): readonly (readonly [string, string, object?])[] => [
      ['GET', '/api/v1/admin/stats'],
      ['GET', '/api/v1/admin/audit'],
      ['GET', USERS],
      ['POST', USERS, { username: 'nobody', email: 'nobody@example.com' }],
      ['GET', `${USERS}/${id}`],
      ['PATCH', `${USERS}/${id}`, { full_name: 'X' }],
      ['DELETE', `${USERS}/${id}`],
      ['POST', `${USERS}/${id}/unlock`],
      ['POST', `${USERS}/${id}/lock`],
      ['POST', `${USERS}/${id}/reset-password`, {}],
      ['GET', `${USERS}/${id}/sessions`],
      ['DELETE', `${USERS}/${id}/sessions`],
    ];
    /** The statuses of all requests, each once. */
    const statusesOf = async (token?: string): Promise<readonly number[]> => {
      const person = await world().newPerson();
      const statuses = new Set<number>();
      for (const [method, path, body] of requests(person.id)) {
        const answer = await world().api.call(method, path, {
          ...(token && { token }),
          ...(body && { body }),
        });
        statuses.add(answer.status);
      }
      expect((await world().server.administration.users.show(person.username)).full_name).toBe(null);
      return [...statuses];
    };

    test('nobody without a token, or with one that is none', async () => {
      expect(await statusesOf()).toEqual([401]);
      expect(await statusesOf('x'.repeat(43))).toEqual([401]);
    });

    test.each(['user', 'developer', 'guest'])('nobody of the role %s', async (role) => {
      expect(await statusesOf((await world().newPerson(role)).token)).toEqual([403]);
    });

    test('no administrator from whom the role was taken a moment ago, or who was disabled', async () => {
      const former = await world().newPerson('admin');
      expect((await call('GET', USERS, { token: former.token })).status).toBe(200);
      await world().server.administration.users.update(former.username, { role: 'user' });
      expect(await statusesOf(former.token)).toEqual([403]);
      const disabled = await world().newPerson('admin');
      await world().server.administration.users.lock(disabled.username);
      expect(await statusesOf(disabled.token)).toEqual([401]);
    });

    test('no client without the scope admin, nor one that lost it', async () => {
      expect([401, 403]).toContain((await statusesOf(await world().clientToken('read')))[0]);
      const { server } = world();
      const client = await createClient(server, 'admin read');
      const token = await getToken(server, client, { scope: 'admin' });
      expect((await call('GET', USERS, { token })).status).toBe(200);
      await server.administration.saveClient('update', client.id, false, { scope: 'read' });
      expect((await call('GET', USERS, { token })).status).toBe(401);
    });

    test('a client that was registered with the scope admin, under its own name', async () => {
      const person = await world().newPerson();
      const token = await world().clientToken('admin');
      const answer = await call('PATCH', `${USERS}/${person.id}`, {
        token,
        body: { full_name: 'By a client' },
      });
      expect(answer.status).toBe(200);
      expect(await lastRecord(person)).toMatchObject({ actor: expect.stringMatching(/^client:client-/) });
    });

    test('no client gets the scope for people, and none that was not registered with it', async () => {
      const { saveClient } = world().server.administration;
      const asked = { scope: 'admin openid', redirect_uris: ['https://app.example.com/cb'] };
      expect(await saveClient('create', 'people-admin', false, asked)).toMatchObject({
        ok: false,
        faults: [expect.stringContaining('client_credentials is its only grant')],
      });
      const other = await createClient(world().server, 'read');
      await expect(getToken(world().server, other, { scope: 'admin' })).rejects.toThrow('invalid_scope');
    });
  });

  describe('the list', () => {
    test('goes through all users page by page, each once, in the order of their names', async () => {
      for (let n = 0; n < 5; n += 1) await world().newPerson();
      const names: unknown[] = [];
      for (let after = ''; ;) {
        const answer = await call('GET', `${USERS}?limit=2${after}`);
        expect(answer.status).toBe(200);
        names.push(...itemsOf(answer).map(({ username }) => username));
        const next = answer.body?.['next'];
        if (typeof next !== 'string') break;
        after = `&after=${next}`;
      }
      const { items } = await world().server.administration.users.list({ limit: 200 });
      expect(names).toEqual(items.map(({ username }) => username));
      expect(names.length).toBeGreaterThan(5);
    });

    test('is filtered by the start of a name or an address, by role and by status', async () => {
      const person = await world().newPerson('developer');
      const find = async (query: string): Promise<readonly unknown[]> =>
        itemsOf(await call('GET', `${USERS}?limit=200&${query}`)).map(({ id }) => id);
      const start = person.username.slice(0, -1);
      expect(await find(`q=${start}`)).toContain(person.id);
      expect(await find(`q=${person.email.toUpperCase()}`)).toEqual([person.id]);
      expect(await find(`q=${person.username}&role=admin`)).toEqual([]);
      expect(await find('role=developer')).toContain(person.id);
      expect(await find(`q=${person.username}&status=disabled`)).toEqual([]);
      await call('POST', `${USERS}/${person.id}/lock`);
      expect(await find('role=developer&status=disabled')).toContain(person.id);
      expect(await find('status=locked')).not.toContain(person.id);
      expect(await find('q=%25&sort=username')).toEqual([]);
    });

    test('finds who is locked by wrong passwords, until they are unlocked', async () => {
      const person = await world().newPerson();
      await failToSignIn(person);
      const locked = await call('GET', `${USERS}?status=locked`);
      expect(itemsOf(locked).map(({ id }) => id)).toContain(person.id);
      await call('POST', `${USERS}/${person.id}/unlock`);
      const after = await call('GET', `${USERS}?status=locked&q=${person.username}`);
      expect(itemsOf(after)).toEqual([]);
    });

    test.each([
      ['limit=0', 'limit'],
      ['limit=201', 'limit'],
      ['limit=x', 'limit'],
      ['status=gone', 'status'],
      ['role=root', 'role'],
      ['sort=password', 'sort'],
      ['q=', 'q'],
      ['filter=x', 'filter'],
      ['after=nonsense', 'after'],
    ])('refuses %s', async (query, path) => {
      const answer = await call('GET', `${USERS}?${query}`);
      expect([answer.status, pathsOf(answer)]).toEqual([400, [path]]);
    });

    test('refuses a cursor of another filter, another list and another caller, and one that was changed', async () => {
      const cursor = String((await call('GET', `${USERS}?limit=1`)).body?.['next']);
      const other = await world().newPerson('admin');
      expect((await call('GET', `${USERS}?limit=1&after=${cursor}`)).status).toBe(200);
      expect((await call('GET', `${USERS}?limit=3&after=${cursor}`)).status).toBe(200);
      const refused = [
        await call('GET', `${USERS}?limit=1&role=admin&after=${cursor}`),
        await call('GET', `/api/v1/admin/audit?after=${cursor}`),
        await call('GET', `${USERS}?limit=1&after=${cursor}`, { token: other.token }),
        await call('GET', `${USERS}?limit=1&after=${cursor.slice(0, -2)}AA`),
        await call('GET', `${USERS}?limit=1&after=${cursor.slice(43)}`),
      ];
      expect(refused.map((answer) => [answer.status, pathsOf(answer)])).toEqual(
        refused.map(() => [400, ['after']]),
      );
    });
  });

  /** Until the account is locked. */
  async function failToSignIn({ username }: Person): Promise<void> {
    for (let n = 0; n < MAX_FAILURES; n += 1) {
      const body = { username, password: 'Wrong-Passw0rd' };
      await world().api.call('POST', `${AUTH}/login`, { body });
    }
  }

  describe('one user', () => {
    test('is shown with all but what signs them in', async () => {
      const person = await world().newPerson();
      const { status, body } = await call('GET', `${USERS}/${person.id}`);
      expect(status).toBe(200);
      expect(body).toMatchObject({
        ...{ id: person.id, username: person.username, email: person.email, role: 'user', roles: {} },
        ...{ disabled: false, has_password: true, locked_until: null },
      });
      expect(JSON.stringify(body)).not.toMatch(/argon2|hash/i);
    });

    test('that is not there is 404, for every request', async () => {
      const requests: readonly (readonly [string, string, object?])[] = [
        ['GET', ''],
        ['PATCH', '', { full_name: 'X' }],
        ['DELETE', ''],
        ['POST', '/unlock'],
        ['POST', '/lock'],
        ['POST', '/reset-password', {}],
        ['GET', '/sessions'],
        ['DELETE', '/sessions'],
      ];
      for (const [method, rest, body] of requests) {
        const answer = await call(method, `${USERS}/nobody-here${rest}`, { ...(body && { body }) });
        expect([method, rest, answer.status]).toEqual([method, rest, 404]);
      }
      const byName = await call('GET', `${USERS}/${world().admin.username}`);
      expect(byName.status).toBe(404);
    });

    test('is made, with the record of it under their id', async () => {
      const { username, email } = newName();
      const body = { username, email, password: PASSWORD, full_name: 'Ada', role: 'developer' };
      const answer = await call('POST', USERS, { body });
      expect([answer.status, answer.body?.['role']]).toEqual([201, 'developer']);
      const id = String(answer.body?.['id']);
      const [record, ...rest] = await world().recordsOf(`account:${id}`);
      expect(rest).toEqual([]);
      expect(record).toMatchObject({
        ...byAdmin(),
        action: 'account.create',
        details: { before: null, after: { email, full_name: 'Ada', role: 'developer', disabled: false } },
      });
      expect(JSON.stringify(record)).not.toContain(PASSWORD);
      expect((await login(world().api, { username, email, password: PASSWORD })).token).not.toBe('');
    });

    test.each([
      [
        'a name that is taken',
        (person: Person) => ({ username: person.username, email: 'new@example.com' }),
        409,
      ],
      ['an address that is taken', (person: Person) => ({ username: 'new-name', email: person.email }), 409],
      ['no address', () => ({ username: 'new-name' }), 400],
      ['a weak password', () => ({ username: 'new-name', email: 'new@example.com', password: 'a' }), 400],
      ['a hash', () => ({ username: 'new-name', email: 'new@example.com', password_hash: '$argon2' }), 400],
      ['an id', () => ({ username: 'new-name', email: 'new@example.com', id: 'x' }), 400],
      ['an unknown role', () => ({ username: 'new-name', email: 'new@example.com', role: 'root' }), 400],
    ])('is not made with %s', async (_name, bodyOf, status) => {
      const answer = await call('POST', USERS, { body: bodyOf(await world().newPerson()) });
      expect(answer.status).toBe(status);
      expect(pathsOf(answer)).not.toEqual([]);
    });

    test('is changed in what is named, with before and after in the record', async () => {
      const person = await world().newPerson();
      const body = { full_name: 'Grace Hopper', role: 'developer', email: `new-${person.email}` };
      const answer = await call('PATCH', `${USERS}/${person.id}`, { body });
      expect(answer.status).toBe(200);
      expect(answer.body).toMatchObject({ ...body, disabled: false, username: person.username });
      expect(await lastRecord(person)).toMatchObject({
        ...byAdmin(),
        action: 'account.update',
        details: { before: { full_name: null, role: 'user', email: person.email }, after: body },
      });
      const { length } = await world().recordsOf(`account:${person.id}`);
      expect((await call('PATCH', `${USERS}/${person.id}`, { body })).status).toBe(200);
      expect((await call('PATCH', `${USERS}/${person.id}`, { body: {} })).status).toBe(200);
      expect(await world().recordsOf(`account:${person.id}`)).toHaveLength(length);
    });

    test.each([
      ['the username', { username: 'other' }, ['username']],
      ['a password', { password: OTHER_PASSWORD }, ['password']],
      ['a hash', { passwordHash: 'x' }, ['passwordHash']],
      ['the version', { version: 9 }, ['version']],
      ['a role for this server among the others', { roles: { portcullis: 'admin' } }, ['roles']],
      ['an audience that there is not', { roles: { nowhere: 'admin' } }, ['roles.nowhere']],
      ['an operator in the place of a name', { full_name: { $ne: null } }, ['full_name']],
    ])('is not changed in %s', async (_name, body, paths) => {
      const person = await world().newPerson();
      const answer = await call('PATCH', `${USERS}/${person.id}`, { body });
      expect(answer.status).toBe(400);
      expect(pathsOf(answer)).toEqual(paths);
    });

    test('who is locked is out at once, and in again once unlocked', async () => {
      const person = await world().newPerson();
      const locked = await call('POST', `${USERS}/${person.id}/lock`);
      expect([locked.status, locked.body?.['disabled']]).toEqual([200, true]);
      expect(await lastRecord(person)).toMatchObject({
        ...byAdmin(),
        action: 'account.lock',
        details: { before: { disabled: false }, after: { disabled: true } },
      });
      expect(await isIn(person)).toBe(false);
      await expect(login(world().api, person)).rejects.toThrow('401');
      const unlocked = await call('POST', `${USERS}/${person.id}/unlock`);
      expect([unlocked.status, unlocked.body?.['disabled']]).toEqual([200, false]);
      expect(await lastRecord(person)).toMatchObject({
        ...byAdmin(),
        action: 'account.unlock',
        details: { before: { disabled: true }, after: { disabled: false, locked_until: null } },
      });
      expect(await isIn({ ...person, ...(await login(world().api, person)) })).toBe(true);
    });

    test('who typed too many wrong passwords is unlocked', async () => {
      const person = await world().newPerson();
      await failToSignIn(person);
      await expect(login(world().api, person)).rejects.toThrow('423');
      const { body } = await call('GET', `${USERS}/${person.id}`);
      expect(Date.parse(String(body?.['locked_until']))).toBeGreaterThan(Date.now());
      expect((await call('POST', `${USERS}/${person.id}/unlock`)).status).toBe(200);
      expect(await lastRecord(person)).toMatchObject({
        action: 'account.unlock',
        details: { before: { disabled: false, locked_until: expect.any(Number) } },
      });
      expect((await login(world().api, person)).token).not.toBe('');
    });

    test('gets a new password, and every session ends', async () => {
      const person = await world().newPerson();
      const path = `${USERS}/${person.id}/reset-password`;
      expect((await call('POST', path, { body: { password: OTHER_PASSWORD } })).status).toBe(204);
      expect(await lastRecord(person)).toMatchObject({ ...byAdmin(), action: 'account.reset_password' });
      expect(await isIn(person)).toBe(false);
      expect((await login(world().api, { ...person, password: OTHER_PASSWORD })).token).not.toBe('');
      const weak = await call('POST', path, { body: { password: 'short' } });
      expect([weak.status, pathsOf(weak)]).toEqual([400, ['password']]);
      expect(await lastRecord(person)).toMatchObject({ action: 'account.reset_password' });
    });

    test('is mailed a link to set their own password', async () => {
      const person = await world().newPerson();
      const path = `${USERS}/${person.id}/reset-password`;
      for (const body of [{}, undefined]) expect((await call('POST', path, { body })).status).toBe(202);
      expect(await lastRecord(person)).toMatchObject({ ...byAdmin(), action: 'account.mail_reset_link' });
      expect((await lastMail(world().server, person.email, 'password')).link).toContain('token=');
      await call('POST', `${USERS}/${person.id}/lock`);
      expect((await call('POST', path, { body: {} })).status).toBe(409);
    });

    test('has sessions, which end', async () => {
      const person = await world().newPerson();
      const path = `${USERS}/${person.id}/sessions`;
      const sessions = (await call('GET', path)).body?.['sessions'];
      expect(sessions).toMatchObject([{ kind: 'api', device: 'Firefox, Linux', current: false }]);
      expect((await call('DELETE', path)).status).toBe(204);
      expect(await lastRecord(person)).toMatchObject({ ...byAdmin(), action: 'account.sessions_end' });
      expect((await call('GET', path)).body).toEqual({ sessions: [] });
      expect(await isIn(person)).toBe(false);
    });

    test('is deleted, and nobody is called so again', async () => {
      const person = await world().newPerson();
      expect((await call('DELETE', `${USERS}/${person.id}`)).status).toBe(204);
      expect(await lastRecord(person)).toMatchObject({
        ...byAdmin(),
        action: 'account.delete',
        details: { before: { username: person.username, email: person.email }, after: null },
      });
      expect(await isIn(person)).toBe(false);
      expect((await call('GET', `${USERS}/${person.id}`)).status).toBe(404);
      const body = { username: person.username, email: 'again@example.com' };
      expect((await call('POST', USERS, { body })).status).toBe(409);
    });
  });
});
