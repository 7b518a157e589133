/** `GET /vpn/revocations`: what is in it, who reads it, and that nobody can leave anything out. */
import { beforeAll, expect, test } from '@jest/globals';
import { randomUUID } from 'node:crypto';

import { storeUnavailable } from '../../src/errors.ts';
import type { Account, Storage } from '../../src/storage/port.ts';
import { apply, basic, createClient, createVpnNode, form, getToken, json } from '../support/clients.ts';
import type { Credentials } from '../support/clients.ts';
import { describeOnBothStores } from '../support/server.ts';
import { PASSWORD, startSignInServer, useSignInServer } from '../support/sign-in.ts';
import { feedOf } from './feed.ts';
import type { Feed } from './feed.ts';
import { createNode, DOORS, ID_TOKEN, resourceOf, signInAt } from './world.ts';

const HOUR = 3_600;
const DAY = 86_400;
const OFF = { access_token: '' };

/** A VPN JWT of the node itself. */
async function vpnJwt(
  server: { request: (path: string, init?: RequestInit) => Promise<Response> },
  token: string,
) {
  const answer = await server.request('/vpn/auth', {
    method: 'POST',
    headers: { authorization: `Bearer ${token}` },
  });
  return String((await json(answer))['access_token']);
}

const claimsOf = (jwt: string): Readonly<Record<string, unknown>> =>
  JSON.parse(Buffer.from(jwt.split('.')[1] ?? '', 'base64url').toString()) as Record<string, unknown>; // its claims

describeOnBothStores('the revocation feed', (store) => {
  const server = useSignInServer(store);
  let node: Credentials;
  let feed: Feed;

  beforeAll(async () => {
    node = await createVpnNode(server());
    feed = await feedOf(server(), node);
  });

  /** What of it is new after some work. */
  const newAfter = async (work: () => Promise<unknown>): Promise<readonly object[]> => {
    const begin = await feed.end();
    await work();
    return feed.since(begin);
  };
  const person = (fields: Partial<Account> = {}): Promise<Account> => server().createAccount(fields);
  const users = () => server().administration.users;
  const applyUser = (account: Account, fields: object): Promise<unknown> =>
    apply(server().administration, { users: [{ username: account.username, ...fields }] });

  test.each([
    ['is disabled', (it: Account) => users().lock(it.username)],
    ['is disabled by a file', (it: Account) => applyUser(it, { disabled: true })],
    ['is deleted', (it: Account) => users().delete(it.username)],
    ['has another role at VPN nodes', (it: Account) => applyUser(it, { roles: { 'vpn-node': 'manager' } })],
    ['has every session ended', (it: Account) => users().endSessions(it.username)],
    [
      'gets another password',
      (it: Account) => users().setPassword(it.username, async () => randomUUID() + 'aA1!'),
    ],
    [
      'signs out everywhere',
      async (it: Account) => {
        const body = JSON.stringify({ username: it.username, password: PASSWORD });
        const headers = { 'content-type': 'application/json' };
        const login = await server().request('/api/v1/auth/login', { method: 'POST', headers, body });
        const { access_token: token } = { ...OFF, ...(await json(login)) };
        await server().request('/api/v1/auth/logout?all=true', {
          method: 'POST',
          headers: { authorization: `Bearer ${token}` },
        });
      },
    ],
  ])('names a person who %s', async (_, work) => {
    const account = await person();
    expect(await newAfter(() => work(account))).toEqual([{ sub: account.username }]);
  });

  test.each([
    ['has another name', (it: Account) => applyUser(it, { full_name: 'Another' })],
    ['has another role at this server', (it: Account) => users().update(it.username, { role: 'developer' })],
    [
      'is given the role that everybody has',
      (it: Account) => applyUser(it, { roles: { 'vpn-node': 'basic' } }),
    ],
    ['is unlocked', (it: Account) => users().unlock(it.username)],
  ])('does not name a person who %s', async (_, work) => {
    const account = await person();
    expect(await newAfter(() => work(account))).toEqual([]);
  });

  const { saveClient, rotateSecret, deleteClient } = {
    saveClient: (id: string, fields: object) =>
      server().administration.saveClient('update', id, true, fields),
    rotateSecret: (id: string, overlap: number) => server().administration.rotateSecret(id, true, overlap),
    deleteClient: (id: string) => server().administration.deleteClient(id, true),
  };

  test.each([
    ['is deleted', deleteClient],
    ['has a new secret at once', (id: string) => rotateSecret(id, 0)],
    ['has another secret', (id: string) => saveClient(id, { client_secret: randomUUID() + randomUUID() })],
  ])('names a node that %s', async (_, work) => {
    const { id } = await createVpnNode(server());
    expect(await newAfter(() => work(id))).toEqual([{ client_id: id }]);
  });

  test('does not name a node with a new name, or a new secret beside the old one, nor any other client', async () => {
    const { id } = await createVpnNode(server());
    const client = await createClient(server(), 'read');
    const quietly = async (): Promise<void> => {
      await saveClient(id, { name: 'Another' });
      await rotateSecret(id, HOUR);
      await server().administration.rotateSecret(client.id, false, 0);
      await server().administration.deleteClient(client.id, false);
    };
    expect(await newAfter(quietly)).toEqual([]);
    expect(await newAfter(() => rotateSecret(id, 0))).toEqual([{ client_id: id }]);
  });

  /** Whether what was read of the feed names a token. */
  const isNamed = (
    revoked: readonly object[],
    { sub, client_id, iat }: Readonly<Record<string, unknown>>,
  ): boolean =>
    revoked.some((it) => {
      const { before = 0, ...named } = it as { before?: number; sub?: string; client_id?: string };
      return (named.sub === sub || named.client_id === client_id) && Number(iat) < before;
    });

  test('names what was issued before a change, and nothing that is issued after it, in whatever second', async () => {
    const people = await createNode(server());
    const account = await person();
    const { tokens } = await signInAt(server(), people, account);
    const subject = { token: tokens.id_token ?? '', type: ID_TOKEN };
    const begin = await feed.end();
    for (const role of ['manager', 'admin', 'basic']) {
      const before = await DOORS['/vpn/auth'](server(), people, subject);
      await applyUser(account, { roles: { 'vpn-node': role } });
      const [after, ofNode, byCode] = await Promise.all([
        DOORS['/token'](server(), people, subject),
        vpnJwt(server(), await getToken(server(), people)),
        signInAt(server(), people, account, { scope: 'openid read', resource: resourceOf(server()) }),
      ]);
      const { revoked } = await feed.page(begin);
      expect(isNamed(revoked, claimsOf(String(before.body['access_token'])))).toBe(true);
      const fresh = [String(after.body['access_token']), ofNode, byCode.tokens.access_token].map(claimsOf);
      expect(fresh.map((claims) => isNamed(revoked, claims))).toEqual([false, false, false]);
      expect(fresh.map((claims) => claims['role'])).toEqual([role, 'node', role]);
    }
  });

  test('keeps a JWT from being issued while it names it by a clock that is ahead', async () => {
    const ahead = await createVpnNode(server());
    const token = await getToken(server(), ahead);
    const now = Math.floor(Date.now() / 1000);
    const entry = { kind: 'node', subject: ahead.id, issuedBefore: now + 60, expiresAt: now + HOUR } as const;
    await server().storage.revocations.append(entry, now);
    const answer = await server().request('/vpn/auth', {
      method: 'POST',
      headers: { authorization: `Bearer ${token}` },
    });
    expect([answer.status, answer.headers.get('retry-after')]).toEqual([503, '2']);
  });

  test('ends what a node got by a secret that is taken from it', async () => {
    const robbed = await createVpnNode(server());
    const own = await feedOf(server(), robbed);
    await rotateSecret(robbed.id, HOUR);
    expect((await own.ask()).status).toBe(200);
    const jwt = await vpnJwt(server(), own.token);
    const isActive = async (): Promise<unknown> =>
      (await json(await server().request('/introspect', form({ token: jwt }, basic(node)))))['active'];
    expect(await isActive()).toBe(true);
    await rotateSecret(robbed.id, 0);
    expect((await own.ask()).status).toBe(401);
    expect(await isActive()).toBe(false);
  });

  test('names a JWT that its node revokes, and no token of another kind', async () => {
    const token = await getToken(server(), node);
    const jwt = await vpnJwt(server(), token);
    const { jti, exp } = claimsOf(jwt);
    const revoke = (value: string) => server().request('/revoke', form({ token: value }, basic(node)));
    const begin = await feed.end();
    await revoke(token);
    await revoke(jwt);
    await revoke(jwt);
    const { revoked } = await feed.page(begin);
    expect(revoked).toEqual([{ jti, exp: Number(exp) + 120 }]);
  });

  test('says until when what was issued ended, for as long as a JWT may live', async () => {
    const account = await person();
    const begin = await feed.end();
    await users().lock(account.username);
    const now = Math.floor(Date.now() / 1000);
    const { revoked, iat, from, to, more, iss, aud } = await feed.page(begin);
    const [{ before, exp } = {}] = revoked;
    expect([now, now + 1]).toContain(before);
    expect(Number(exp) - Number(before)).toBeGreaterThanOrEqual(DAY);
    expect([iss, aud, from, more]).toEqual([server().issuer, 'vpn-node', begin, false]);
    expect(to).toBeGreaterThan(begin);
    expect(now - iat).toBeLessThanOrEqual(1);
  });

  test('is there before a change is acknowledged, and before it is made', async () => {
    const own = await startSignInServer(store, {}, failing);
    try {
      const ownNode = await createVpnNode(own);
      const ownFeed = await feedOf(own, ownNode);
      const account = await own.createAccount();
      const headers = { 'content-type': 'application/json' };
      const body = JSON.stringify({ username: account.username, password: PASSWORD });
      const login = await own.request('/api/v1/auth/login', { method: 'POST', headers, body });
      const { access_token: token } = { ...OFF, ...(await json(login)) };
      const signOut = await own.request('/api/v1/auth/logout?all=true', {
        method: 'POST',
        headers: { authorization: `Bearer ${token}` },
      });
      expect(signOut.status).toBe(503);
      expect(await ownFeed.since(0)).toEqual([{ sub: account.username }]);
    } finally {
      await own.stop();
    }
  });

  test('that cannot be written keeps a change from being made', async () => {
    const away = {
      ...server().storage.revocations,
      append: async () => Promise.reject(storeUnavailable('away')),
    };
    const own = await startSignInServer(store, {}, (storage) => ({ ...storage, revocations: away }));
    try {
      const ownNode = await createVpnNode(own);
      const jwt = await vpnJwt(own, await getToken(own, ownNode));
      const revoke = () => own.request('/revoke', form({ token: jwt }, basic(ownNode)));
      expect((await revoke()).status).toBe(503);
      const { active } = await json(await own.request('/introspect', form({ token: jwt }, basic(ownNode))));
      expect(active).toBe(true);
    } finally {
      await own.stop();
    }
  });

  test('is read to its end by pages, each of which says whether there is another', async () => {
    const begin = await feed.end();
    const now = Math.floor(Date.now() / 1000);
    const subjects = Array.from({ length: 503 }, (_, index) => `${randomUUID()}-${index}`);
    const { revocations } = server().storage;
    await Promise.all(
      subjects.map((subject) =>
        revocations.append({ kind: 'person', subject, issuedBefore: now, expiresAt: now + HOUR }, now),
      ),
    );
    const first = await feed.page(begin);
    expect([first.revoked.length, first.more]).toEqual([500, true]);
    const second = await feed.page(first.to);
    expect([second.from, second.revoked.length, second.more]).toEqual([first.to, 3, false]);
    const read = [...first.revoked, ...second.revoked].map(({ sub }) => sub);
    expect(new Set(read)).toEqual(new Set(subjects));
    expect(await feed.page(second.to)).toMatchObject({
      from: second.to,
      to: second.to,
      revoked: [],
      more: false,
    });
  });

  test('says 304 to whoever has the page, until there is something new', async () => {
    const begin = await feed.end();
    const first = await feed.ask(`?since=${begin}`);
    const etag = first.headers.get('etag') ?? '';
    expect(first.headers.get('content-type')).toBe('application/jwt');
    expect(first.headers.get('cache-control')).toBe('private, no-cache');
    const again = await feed.ask(`?since=${begin}`, { 'if-none-match': etag });
    expect([again.status, await again.text()]).toEqual([304, '']);
    await users().lock((await person()).username);
    const changed = await feed.ask(`?since=${begin}`, { 'if-none-match': etag });
    expect([changed.status, changed.headers.get('etag') === etag]).toEqual([200, false]);
  });

  test.each(['?since=-1', '?since=x', '?since=1&since=2', '?since=99999999999999999', '?limit=5'])(
    'refuses %s',
    async (query) => {
      const answer = await feed.ask(query);
      expect([answer.status, (await json(answer))['error']]).toEqual([400, 'invalid_request']);
    },
  );

  test('refuses a Last-Event-ID that is no cursor', async () => {
    const answer = await feed.ask('', { accept: 'text/event-stream', 'last-event-id': 'x' });
    expect(answer.status).toBe(400);
  });

  test('is for VPN nodes alone, by their access tokens', async () => {
    const people = await createNode(server());
    const account = await person();
    const { tokens } = await signInAt(server(), people, account);
    const { tokens: vpn } = await signInAt(server(), people, account, {
      ...{ scope: 'openid read', resource: resourceOf(server()) },
    });
    const client = await createClient(server(), 'read');
    const statusOf = async (authorization: string, accept: string): Promise<string> => {
      const answer = await server().request('/vpn/revocations', { headers: { authorization, accept } });
      return `${answer.status} ${String((await json(answer))['error'])}`;
    };
    for (const accept of ['application/jwt', 'text/event-stream']) {
      const bearer = (token: string): Promise<string> => statusOf(`Bearer ${token}`, accept);
      expect(await statusOf('', accept)).toBe('401 invalid_token');
      expect(await bearer('unknown')).toBe('401 invalid_token');
      expect(await bearer(tokens.access_token)).toBe('401 invalid_token');
      expect(await bearer(vpn.access_token)).toBe('401 invalid_token');
      expect(await bearer(await vpnJwt(server(), feed.token))).toBe('401 invalid_token');
      expect(await bearer(await getToken(server(), client))).toBe('403 unauthorized_client');
      expect(await bearer(await getToken(server(), node, {}))).toBe('403 insufficient_scope');
    }
  });

  test('is not for a node that was deleted', async () => {
    const gone = await createVpnNode(server());
    const own = await feedOf(server(), gone);
    await server().administration.deleteClient(gone.id, true);
    expect((await own.ask()).status).toBe(401);
  });

  test('is read 180 times a minute by a node, by pages and streams together', async () => {
    const own = await startSignInServer(store, { RATE_LIMITS: 'on' });
    try {
      const busy = await feedOf(own, await createVpnNode(own));
      const statuses = await Promise.all(Array.from({ length: 180 }, async () => (await busy.ask()).status));
      expect(new Set(statuses)).toEqual(new Set([200]));
      const refused = await busy.ask('', { accept: 'text/event-stream' });
      expect(refused.status).toBe(429);
      expect(Number(refused.headers.get('retry-after'))).toBeGreaterThan(0);
      const calm = await feedOf(own, await createVpnNode(own));
      expect((await calm.ask()).status).toBe(200);
    } finally {
      await own.stop();
    }
  });
});

/** A store that goes away when everything of an account is to end. */
const failing = (storage: Storage): Storage => ({
  ...storage,
  artifacts: {
    ...storage.artifacts,
    revokeAccount: async () => {
      throw storeUnavailable(new Error('away'));
    },
  },
});
