/** What people do, and what is tried on them, in the audit log; and the store that does not take a record. */
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';

import { createRefusalCounts } from '../../src/audit/refusals.ts';
import { storeUnavailable } from '../../src/errors.ts';
import { openStorage } from '../../src/storage/open.ts';
import type { AuditRecord, Storage } from '../../src/storage/port.ts';
import { createApiClient, enter, login, PASSWORD } from '../support/api.ts';
import type { ApiClient, SignedIn } from '../support/api.ts';
import { createClient } from '../support/clients.ts';
import { createVisitor } from '../support/visitor.ts';
import { describeOnBothStores, startTestServer } from '../support/server.ts';
import type { TestServer } from '../support/server.ts';

const AUTH = '/api/v1/auth';
const USERS = '/api/v1/admin/users';
const NEXT_PASSWORD = 'An0ther-Secret!';
const ENV = { RATE_LIMIT_IP: '100000', RATE_LIMIT_USER: '100000', RATE_LIMIT_ADMIN: '100000' };

describeOnBothStores('the audit log of a server', (kind) => {
  let isAway = false;
  let server: TestServer;
  let api: ApiClient;
  beforeEach(async () => {
    isAway = false;
    server = await startTestServer(kind, ENV, { open: async (url) => withoutAudit(await openStorage(url)) });
    api = await createApiClient(server);
  });
  afterEach(() => server.stop());

  /** The real store, whose audit log takes nothing while it is away. */
  const withoutAudit = (storage: Storage): Storage => ({
    ...storage,
    audit: {
      ...storage.audit,
      append: async (record) => {
        if (isAway) throw storeUnavailable(new Error('down'));
        return storage.audit.append(record);
      },
    },
  });
  /** Stops the server, which writes what waits, and reads everything. */
  const readAll = async (): Promise<readonly AuditRecord[]> => {
    const storage = await openStorage(server.secrets.databaseUrl);
    try {
      const { items } = await storage.audit.list({ limit: 1_000 }, {}, 'oldest');
      return items;
    } finally {
      await storage.close();
    }
  };
  const idOf = async ({ username }: { username: string }): Promise<string> =>
    (await server.administration.users.show(username)).id;
  const actionsOf = (records: readonly AuditRecord[], target: string): readonly string[] =>
    records.filter((record) => record.target === target).map(({ action }) => action);
  const becomeAdministrator = async (person: SignedIn): Promise<SignedIn> => {
    await server.administration.users.update(person.username, { role: 'admin' });
    return login(api, person);
  };

  test('has what a person does, under their own name and address', async () => {
    const person = await enter(api);
    const id = await idOf(person);
    const other = await login(api, person);
    const sessions = await api.call('GET', `${AUTH}/sessions`, { token: person.token });
    const [session] = (sessions.body?.['sessions'] as { id: string; current: boolean }[]).filter(
      ({ current }) => !current,
    );
    await api.call('DELETE', `${AUTH}/sessions/${session?.id ?? ''}`, { token: person.token });
    const key = await api.call('POST', `${AUTH}/api-keys`, { token: person.token, body: { name: 'a key' } });
    const body = { current_password: PASSWORD, new_password: NEXT_PASSWORD };
    await api.call('POST', `${AUTH}/change-password`, { token: person.token, body });
    expect(other.token).not.toBe('');
    await server.stopInstances();

    const records = await readAll();
    expect(actionsOf(records, `account:${id}`)).toEqual([
      'account.register',
      'account.sign_in',
      'account.sign_in',
      'account.session_end',
      'account.sessions_end',
      'account.password',
    ]);
    expect(actionsOf(records, `api-key:${String(key.body?.['key_id'])}`)).toEqual(['api_key.create']);
    const ofPerson = records.filter(({ actor }) => actor === `account:${id}`);
    expect(ofPerson).toHaveLength(7);
    for (const done of ['account.sign_in', 'account.password'])
      expect(ofPerson.find(({ action }) => action === done)?.ip).toBe('127.0.0.1');
    expect(JSON.stringify(records)).not.toMatch(/argon2|Tr0ub4dor|An0ther|pcl_/);
    expect(await server.administration.audit.verify(null)).toMatchObject({ ok: true });
  });

  test('has one record of many refused sign-ins, and one of the lock', async () => {
    const person = await enter(api);
    const id = await idOf(person);
    for (let n = 0; n < 12; n += 1) {
      const body = { username: person.username, password: 'Wrong-Passw0rd' };
      await api.call('POST', `${AUTH}/login`, { body });
    }
    for (let n = 0; n < 7; n += 1) {
      await api.call('POST', `${AUTH}/login`, { body: { username: `nobody-${n}`, password: PASSWORD } });
    }
    await server.stopInstances();
    const records = (await readAll()).filter(({ actor }) => actor === 'anonymous');
    expect(records.map(({ action, target, ip, details }) => [action, target, ip, details])).toEqual([
      ['account.lockout', `account:${id}`, '127.0.0.1', {}],
      ['account.sign_in_refused', `account:${id}`, '127.0.0.1', { reason: 'wrong_password', count: 5 }],
      ['account.sign_in_refused', `account:${id}`, '127.0.0.1', { reason: 'locked', count: 7 }],
      ['account.sign_in_refused', null, '127.0.0.1', { reason: 'unknown', count: 7 }],
    ]);
  });

  test('has what a person allows an application, and takes back', async () => {
    const { username } = await enter(api);
    const id = await idOf({ username });
    const redirectUri = 'https://app.example.com/callback';
    const client = await createClient(server, 'openid email', { redirect_uris: [redirectUri] });
    const visitor = createVisitor(server);
    const query = new URLSearchParams({
      ...{ client_id: client.id, redirect_uri: redirectUri, response_type: 'code', scope: 'openid email' },
      ...{ code_challenge: 'E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM', code_challenge_method: 'S256' },
    });
    const asked = await visitor.open(`/authorize?${query.toString()}`);
    const consent = await visitor.send(asked, { login: username, password: PASSWORD });
    await visitor.send(consent, { decision: 'allow' });
    const account = await visitor.open('/account/applications');
    await visitor.send(account, {}, '/account/applications/remove');
    await server.stopInstances();
    const records = await readAll();
    const given = records.filter(({ action }) => action.startsWith('consent.'));
    expect(given.map(({ action, actor, details }) => [action, actor, details])).toEqual([
      ['consent.grant', `account:${id}`, { client_id: client.id, scopes: ['openid', 'email'] }],
      ['consent.revoke', `account:${id}`, { client_id: client.id }],
    ]);
  });

  test('has no record of a consent that was not there to take back', async () => {
    const { username } = await enter(api);
    const visitor = createVisitor(server);
    const page = await visitor.send(await visitor.open('/account'), { login: username, password: PASSWORD });
    const csrf = /name="csrf" value="([^"]+)"/.exec(page.html)?.[1] ?? '';
    const cookie = [...visitor.cookies()].map((pair) => pair.join('=')).join('; ');
    const headers = { cookie, 'sec-fetch-site': 'same-origin' };
    const remove = (id: string) =>
      server.request('/account/applications/remove', {
        ...{ method: 'POST', redirect: 'manual', headers },
        body: new URLSearchParams({ csrf, id }),
      });
    const answers = await Promise.all(Array.from({ length: 50 }, (_, n) => remove(`invented-${n}`)));
    expect(new Set(answers.map(({ status }) => status))).toEqual(new Set([303]));
    await server.stopInstances();
    expect((await readAll()).filter(({ action }) => action === 'consent.revoke')).toEqual([]);
  });

  test('has the keys that the server made, and what was done by the command line', async () => {
    const client = await createClient(server, 'read');
    await server.administration.rotateSecret(client.id, false, 60);
    await server.administration.saveClient('update', client.id, false, { scope: 'read openid' });
    await server.administration.deleteClient(client.id, false);
    const records = await readAll();
    expect(records[0]).toMatchObject({
      ...{ seq: 1, actor: 'server', action: 'keys.change', target: null },
      details: {
        added: [{ alg: 'RS256' }, { alg: 'RS256' }, { alg: 'ES256' }, { alg: 'ES256' }],
        ...{ scheduled: [], removed: [] },
      },
    });
    const ofClient = records.filter(({ target }) => target === `client:${client.id}`);
    expect(ofClient.map(({ actor, action }) => [actor, action])).toEqual([
      ['cli', 'client.create'],
      ['cli', 'client.rotate_secret'],
      ['cli', 'client.update'],
      ['cli', 'client.delete'],
    ]);
    expect(ofClient[2]?.details).toEqual({ before: { scope: 'read' }, after: { scope: 'read openid' } });
    expect(JSON.stringify(records)).not.toContain(client.secret);
  });

  test('where it cannot be written an administrator changes nothing, and is told so by 503', async () => {
    const admin = await becomeAdministrator(await enter(api));
    const person = await enter(api);
    const id = await idOf(person);
    const changes: readonly (readonly [string, string, object?])[] = [
      ['PATCH', '', { full_name: 'X', role: 'admin' }],
      ['POST', '/lock'],
      ['POST', '/reset-password', { password: NEXT_PASSWORD }],
      ['DELETE', '/sessions'],
      ['DELETE', ''],
    ];
    isAway = true;
    for (const [method, rest, body] of changes) {
      const answer = await api.call(method, `${USERS}/${id}${rest}`, {
        token: admin.token,
        ...(body && { body }),
      });
      expect([method, rest, answer.status]).toEqual([method, rest, 503]);
      expect(answer.body?.['detail']).toContain('Nothing was changed');
      expect(answer.headers.get('retry-after')).toMatch(/^\d+$/);
    }
    const made = { username: 'somebody-new', email: 'somebody@example.com' };
    expect((await api.call('POST', USERS, { token: admin.token, body: made })).status).toBe(503);
    // What people do themselves goes on, and so does reading.
    const after = await login(api, person);
    expect((await api.call('GET', `${USERS}/${id}`, { token: admin.token })).body).toMatchObject({
      ...{ full_name: null, role: 'user', disabled: false },
    });
    expect((await api.call('GET', `${USERS}?q=somebody-new`, { token: admin.token })).body).toMatchObject({
      items: [],
    });

    isAway = false;
    expect((await api.call('POST', `${USERS}/${id}/lock`, { token: admin.token })).status).toBe(200);
    expect((await api.call('GET', `${AUTH}/profile`, { token: after.token })).status).toBe(401);
    await server.stopInstances();
    const actions = actionsOf(await readAll(), `account:${id}`);
    expect(actions.filter((action) => action === 'account.sign_in')).toHaveLength(2);
    expect(actions.filter((action) => action === 'account.lock')).toHaveLength(1);
    expect(await server.administration.audit.verify(null)).toMatchObject({ ok: true });
  });
});

describe('refused sign-ins', () => {
  test('are told apart by account and reason, up to a bound, and the rest together', () => {
    const counts = createRefusalCounts();
    for (let n = 0; n < 1_000; n += 1) {
      counts.add({ accountId: `a${n % 100}`, ip: `192.0.2.${n % 10}`, reason: 'wrong_password' });
    }
    const entries = counts.take();
    expect(entries.length).toBeLessThanOrEqual(21);
    expect(entries.reduce((sum, { details }) => sum + Number(details['count']), 0)).toBe(1_000);
    expect(entries.at(-1)).toMatchObject({ target: null, details: { reason: 'several' } });
    expect(counts.take()).toEqual([]);
  });

  test('name a few of the addresses', () => {
    const counts = createRefusalCounts();
    for (let n = 0; n < 50; n += 1)
      counts.add({ accountId: 'a', ip: `192.0.2.${n}`, reason: 'wrong_password' });
    const [entry] = counts.take();
    expect(entry?.by.ip).toBe('192.0.2.0');
    expect(entry?.details['other_addresses']).toHaveLength(4);
  });
});
