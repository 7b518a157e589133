/** `GET /api/v1/verify`: what a gateway is told of each kind of credential, and what it is refused. */
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import fc from 'fast-check';

import { toHeaders } from '../../src/verify/headers.ts';
import { makeKey } from '../support/api-keys.ts';
import { createApiClient, enter } from '../support/api.ts';
import type { ApiAnswer, ApiClient } from '../support/api.ts';
import { basic, createClient, createVpnNode, form, getToken, json } from '../support/clients.ts';
import { AUDIENCE, RESOURCE, startProtectedApiServer } from '../support/protected-api.ts';
import type { ProtectedApiServer } from '../support/protected-api.ts';
import { signIn } from '../support/relying-party.ts';
import { describeOnBothStores } from '../support/server.ts';

describeOnBothStores('GET /api/v1/verify', (store) => {
  let it: ProtectedApiServer;
  let api: ApiClient;

  beforeAll(async () => {
    it = await startProtectedApiServer(store);
    api = await createApiClient(it.server);
  });

  afterAll(async () => {
    await it.server.stop();
  });

  /** Each answer is checked against the API's document. */
  const verify = (token: string | null, query: Readonly<Record<string, string>> = {}): Promise<ApiAnswer> =>
    api.call(
      'GET',
      `/api/v1/verify?${new URLSearchParams(query).toString()}`,
      token === null ? {} : { token },
    );
  const told = ({ headers }: ApiAnswer): unknown =>
    Object.fromEntries([...headers].filter(([name]) => name.startsWith('x-auth-')));
  const statusOf = async (token: string | null, query?: Readonly<Record<string, string>>): Promise<number> =>
    (await verify(token, query)).status;

  test('tells who calls with a JWT of a resource server, with the role of the moment', async () => {
    const { account, token } = await it.signIn('developer');
    const answer = await verify(token, { audience: AUDIENCE });
    expect([answer.status, answer.headers.get('cache-control')]).toEqual([200, 'no-store']);
    expect(answer.headers.get('content-length')).toBe('0');
    expect(told(answer)).toEqual({
      'x-auth-subject': account.id,
      'x-auth-username': account.username,
      'x-auth-role': 'developer',
      'x-auth-scopes': 'api:read api:write',
      'x-auth-client-id': it.party.id,
      'x-auth-audience': AUDIENCE,
    });
    await it.server.changeAccount(account, { roles: { [AUDIENCE]: 'user' } });
    expect((await verify(token, { audience: AUDIENCE })).headers.get('x-auth-role')).toBe('user');
    expect(await statusOf(token, { audience: AUDIENCE, role: 'developer' })).toBe(403);
  });

  test('requires the role and the scopes that the gateway names', async () => {
    const { token } = await it.signIn('user', 'api:read');
    const cases: readonly (readonly [Readonly<Record<string, string>>, number])[] = [
      [{ role: 'user' }, 200],
      [{ role: 'admin user' }, 200],
      [{ role: 'admin' }, 403],
      [{ role: 'use' }, 403],
      [{ scope: 'api:read' }, 200],
      [{ scope: 'api:read api:write' }, 403],
      [{ scope: 'api' }, 403],
      [{ role: 'user', scope: 'api:read' }, 200],
    ];
    for (const [query, status] of cases) {
      expect([query, await statusOf(token, { audience: AUDIENCE, ...query })]).toEqual([query, status]);
    }
    const lacking = await verify(token, { audience: AUDIENCE, scope: 'api:write' });
    expect(lacking.headers.get('www-authenticate')).toContain('error="insufficient_scope"');
    expect(lacking.body).toMatchObject({ status: 403, title: 'Forbidden' });
  });

  test('takes a JWT for the audience that the gateway names, for no other and not without a name', async () => {
    const { token } = await it.signIn('admin');
    expect(await statusOf(token, { audience: 'other-api' })).toBe(401);
    expect(await statusOf(token, { audience: 'portcullis' })).toBe(401);
    expect(await statusOf(token)).toBe(401);
  });

  test('refuses a JWT at once that was revoked, or whose account, client or API is no more', async () => {
    const query = { audience: AUDIENCE };
    const { account, token } = await it.signIn('user');
    const revoked = await it.tokenFor(account);
    await it.server.request('/revoke', form({ token: revoked }, basic(it.party)));
    expect(await statusOf(revoked, query)).toBe(401);
    expect(await statusOf(token, query)).toBe(200);
    await it.server.changeAccount(account, { status: 'disabled' });
    expect(await statusOf(token, query)).toBe(401);

    const client = await createClient(it.server, 'api:read');
    const own = await getToken(it.server, client, { scope: 'api:read', resource: RESOURCE });
    const answer = await verify(own, query);
    expect(told(answer)).toMatchObject({
      'x-auth-subject': client.id,
      'x-auth-username': '',
      'x-auth-role': '',
    });
    expect(await statusOf(own, { ...query, role: 'guest' })).toBe(403);
    await it.server.administration.deleteClient(client.id, false);
    expect(await statusOf(own, query)).toBe(401);
  });

  test('takes a token of the JSON API as one for this server itself, until its session ends', async () => {
    const me = await enter(api);
    const answer = await verify(me.token, { role: 'user' });
    expect(told(answer)).toMatchObject({
      'x-auth-username': me.username,
      'x-auth-role': 'user',
      'x-auth-client-id': 'portcullis-api',
      'x-auth-audience': 'portcullis',
    });
    expect(await statusOf(me.token, { audience: 'portcullis' })).toBe(200);
    expect(await statusOf(me.token, { audience: AUDIENCE })).toBe(401);
    expect(await statusOf(me.token, { role: 'admin' })).toBe(403);
    expect((await api.call('POST', '/api/v1/auth/logout', { token: me.token })).status).toBe(204);
    expect(await statusOf(me.token)).toBe(401);
  });

  test('takes an API key with the role of its owner at the audience, until the owner may not be used', async () => {
    const me = await enter(api);
    const { secret } = await makeKey(api, me, { scopes: ['profile:read'] });
    const account = await it.server.storage.accounts.findByUsername(me.username);
    if (account === null) throw new Error(`there is no ${me.username}`);
    expect(told(await verify(secret))).toEqual({
      'x-auth-subject': account.id,
      'x-auth-username': me.username,
      'x-auth-role': 'user',
      'x-auth-scopes': 'profile:read',
      'x-auth-client-id': '',
      'x-auth-audience': 'portcullis',
    });
    const there = await api.call('GET', `/api/v1/verify?audience=${AUDIENCE}`, {
      headers: { 'x-api-key': secret },
    });
    expect(told(there)).toMatchObject({ 'x-auth-role': 'guest', 'x-auth-audience': AUDIENCE });
    expect(await statusOf(secret, { audience: 'no-such-api', role: 'guest' })).toBe(403);
    expect(await statusOf(secret, { scope: 'profile:write' })).toBe(403);
    await it.server.changeAccount(account, { status: 'disabled' });
    expect(await statusOf(secret)).toBe(401);
  });

  test('an opaque token of another client has no role here, whoever its person is', async () => {
    const account = await it.server.createAccount({ roles: { portcullis: 'admin' } });
    const { tokens } = await signIn(it.server, it.party, account, { parameters: { scope: 'openid' } });
    const answer = await verify(tokens.access_token, { scope: 'openid' });
    expect([answer.status, told(answer)]).toEqual([
      200,
      expect.objectContaining({ 'x-auth-subject': account.id, 'x-auth-role': '', 'x-auth-audience': '' }),
    ]);
    expect(await statusOf(tokens.access_token, { role: 'admin' })).toBe(403);
    expect(await statusOf(tokens.access_token, { audience: 'portcullis' })).toBe(401);
    expect(await statusOf(tokens.access_token, { audience: AUDIENCE })).toBe(401);
    expect(await statusOf(tokens.refresh_token ?? '')).toBe(401);
    expect(await statusOf(tokens.id_token ?? '')).toBe(401);
    await it.server.changeAccount(account, { status: 'disabled' });
    expect(await statusOf(tokens.access_token)).toBe(401);
  });

  test('tells a client’s own opaque token, and refuses a VPN JWT', async () => {
    const node = await createVpnNode(it.server);
    const token = await getToken(it.server, node);
    expect(told(await verify(token))).toMatchObject({ 'x-auth-subject': node.id, 'x-auth-scopes': 'read' });
    const exchanged = await it.server.request('/vpn/auth/', {
      method: 'POST',
      headers: { authorization: `Bearer ${token}` },
    });
    const jwt = String((await json(exchanged))['access_token']);
    for (const query of [{}, { audience: 'vpn-node' }]) expect(await statusOf(jwt, query)).toBe(401);
    await it.server.administration.deleteClient(node.id, true);
    expect(await statusOf(token)).toBe(401);
  });

  test('asks for credentials where there are none, and refuses what is none', async () => {
    const none = await verify(null);
    expect([none.status, none.headers.get('www-authenticate')]).toEqual([401, 'Bearer']);
    expect(told(none)).toEqual({});
    for (const token of ['x', 'a.b.c', `pcl_${'x'.repeat(49)}`]) expect(await statusOf(token)).toBe(401);
    const both = { authorization: 'Bearer x', 'x-api-key': 'pcl_x' };
    expect((await api.call('GET', '/api/v1/verify', { headers: both })).status).toBe(400);
  });

  test('refuses a query that could mean two things', async () => {
    const { token } = await it.signIn('admin');
    for (const query of ['audience=a&audience=b', 'aud=a', 'role=', 'scope=%20', 'audience=']) {
      expect([query, (await api.call('GET', `/api/v1/verify?${query}`, { token })).status]).toEqual([
        query,
        400,
      ]);
    }
  });

  test('is in the API’s document, and counts nobody’s requests', async () => {
    expect(api.document.paths).toHaveProperty(['/api/v1/verify', 'get', 'responses', '200']);
    const { token } = await it.signIn('user');
    expect((await verify(token, { audience: AUDIENCE })).headers.get('ratelimit')).toBeNull();
  });
});

describe('the headers for what is behind a gateway', () => {
  const nobody = { username: null, role: null, scopes: [], clientId: null, audience: null, customer: null };

  test('hold any text, and can be read back', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), (subject) => {
        const { 'X-Auth-Subject': value = '' } = toHeaders({ ...nobody, subject });
        expect(value).toMatch(/^[ -~]*$/);
        expect(decodeURIComponent(value)).toBe(subject);
      }),
    );
  });

  test('keep plain text as it is', () => {
    expect(
      toHeaders({ ...nobody, subject: 'ada@example.com, "a" b', scopes: ['api:read', 'x'] }),
    ).toMatchObject({
      'X-Auth-Subject': 'ada@example.com, "a" b',
      'X-Auth-Scopes': 'api:read x',
      'X-Auth-Role': '',
    });
  });
});
