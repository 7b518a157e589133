/** POST /vpn/auth: a VPN node exchanges its access token for its VPN JWT; every refusal of the contract. */
import { beforeAll, expect, test } from '@jest/globals';
import { createLocalJWKSet, jwtVerify } from 'jose';
import type { JSONWebKeySet } from 'jose';

import { openStorage } from '../../src/storage/open.ts';
import type { Storage } from '../../src/storage/port.ts';
import { apply, basic, createClient, createVpnNode, form, getToken, json } from '../support/clients.ts';
import type { Credentials } from '../support/clients.ts';
import { describeOnBothStores, startTestServer, useTestServer } from '../support/server.ts';
import type { TestServer } from '../support/server.ts';

const exchange = (
  server: TestServer,
  token: string,
  init: RequestInit = {},
  path = '/vpn/auth/',
): Promise<Response> =>
  server.request(path, {
    method: 'POST',
    ...init,
    headers: { authorization: `Bearer ${token}`, ...Object.fromEntries(new Headers(init.headers)) },
  });

const jsonBody = (body: unknown): RequestInit => ({
  body: JSON.stringify(body),
  headers: { 'content-type': 'application/json' },
});

describeOnBothStores('the VPN exchange', (store) => {
  const server = useTestServer(store, { VPN_RATE_LIMIT: '50' });
  let node: Credentials;

  beforeAll(async () => {
    node = await createVpnNode(server());
  });

  test('gives a node its JWT in two requests at the paths that nodes know', async () => {
    const body = form({ grant_type: 'client_credentials', scope: 'read' }, basic(node));
    const { access_token } = await json(await server().request('/o/token/', body));
    const answer = await exchange(server(), String(access_token));
    expect(answer.status).toBe(200);
    expect(answer.headers.get('cache-control')).toBe('no-store');
    const { access_token: jwt, ...rest } = await json(answer);
    expect(rest).toEqual({
      token_type: 'Bearer',
      expires_in: 3600,
      scope: 'read',
      issued_token_type: 'urn:ietf:params:oauth:token-type:access_token',
    });
    const jwks = (await (await server().request('/o/.well-known/jwks.json')).json()) as JSONWebKeySet; // RFC 7517 5
    const { payload, protectedHeader } = await jwtVerify(String(jwt), createLocalJWKSet(jwks), {
      issuer: server().issuer,
      audience: 'vpn-node',
      algorithms: ['RS256'],
      typ: 'at+jwt',
    });
    expect(protectedHeader).toEqual({ alg: 'RS256', typ: 'at+jwt', kid: expect.any(String) });
    const { iat = 0, exp = 0, jti, ...claims } = payload;
    expect(exp - iat).toBe(3600);
    expect(jti).toMatch(/^[\w-]{20,}$/);
    expect(claims).toEqual({
      iss: server().issuer,
      aud: 'vpn-node',
      sub: node.id,
      client_id: node.id,
      scope: 'read',
      username: node.id,
      role: 'node',
      level: 0,
    });
  });

  test('gives each JWT an id of its own, with and without the trailing slash, with an empty object as body', async () => {
    const token = await getToken(server(), node);
    const answers = [
      await exchange(server(), token),
      await exchange(server(), token, {}, '/vpn/auth'),
      await exchange(server(), token, jsonBody({})),
    ];
    const jwts = await Promise.all(answers.map(async (answer) => (await json(answer))['access_token']));
    expect(new Set(jwts).size).toBe(3);
  });

  test('refuses a request without a bearer, and a malformed one', async () => {
    for (const authorization of [
      undefined,
      '',
      'Bearer',
      'Bearer ',
      'Bearer a b',
      'Bearer ü',
      basic(node),
      `Bearer ${'x'.repeat(17_000)}`,
    ]) {
      const headers: Record<string, string> =
        authorization === undefined ? {} : { authorization: encodeURI(authorization) };
      const answer = await server().request('/vpn/auth/', { method: 'POST', headers });
      if (answer.status === 431) continue; // Node's own limit for headers
      expect(answer.status).toBe(401);
      expect(answer.headers.get('www-authenticate')).toMatch(/^Bearer error="invalid_token"/);
      expect(await json(answer)).toMatchObject({ error: 'invalid_token' });
    }
  });

  test('takes the bearer from no other place', async () => {
    const token = await getToken(server(), node);
    expect((await server().request(`/vpn/auth/?access_token=${token}`, { method: 'POST' })).status).toBe(401);
    expect((await server().request('/vpn/auth/', form({ access_token: token }))).status).toBe(401);
  });

  test('refuses an expired and a revoked access token', async () => {
    const own = await startTestServer(store);
    try {
      const credentials = await createVpnNode(own);
      const [revoked, expired] = [await getToken(own, credentials), await getToken(own, credentials)];
      await own.request('/revoke', form({ token: revoked }, basic(credentials)));
      expect((await exchange(own, revoked)).status).toBe(401);
      expect((await exchange(own, expired)).status).toBe(200);
      own.advance(3601);
      const answer = await exchange(own, expired);
      expect([answer.status, (await json(answer))['error']]).toEqual([401, 'invalid_token']);
    } finally {
      await own.stop();
    }
  });

  test('refuses a client that is no VPN node', async () => {
    const client = await createClient(server(), 'read');
    const answer = await exchange(server(), await getToken(server(), client));
    expect([answer.status, (await json(answer))['error']]).toEqual([403, 'unauthorized_client']);
  });

  test('refuses an access token without the scope read', async () => {
    const answer = await exchange(server(), await getToken(server(), node, {}));
    expect([answer.status, (await json(answer))['error']]).toEqual([403, 'insufficient_scope']);
    expect(answer.headers.get('www-authenticate')).toContain('error="insufficient_scope"');
  });

  test('refuses its own JWT and a JWT for a resource server as bearer', async () => {
    const { access_token: vpnJwt } = await json(await exchange(server(), await getToken(server(), node)));
    await apply(server().administration, {
      resource_servers: [{ identifier: 'urn:api', audience: 'api', scopes: ['api'] }],
    });
    const apiJwt = await getToken(server(), await createClient(server(), 'api'), {
      scope: 'api',
      resource: 'urn:api',
    });
    for (const jwt of [String(vpnJwt), apiJwt]) expect((await exchange(server(), jwt)).status).toBe(401);
  });

  test.each([
    [
      'a subject token',
      { subject_token: 'x', subject_token_type: 'urn:ietf:params:oauth:token-type:id_token' },
    ],
    ['an empty subject token', { subject_token: '' }],
    ['a subject token without its type', { subject_token: 'x' }],
    [
      'a subject token of 17,000 characters',
      { subject_token: 'x'.repeat(17_000), subject_token_type: 'urn:ietf:params:oauth:token-type:id_token' },
    ],
    ['a subject token type alone', { subject_token_type: 'urn:ietf:params:oauth:token-type:access_token' }],
    ['a subject token of another type', { subject_token: { $ne: null } }],
    ['a role', { role: 'admin' }],
    ['a lifetime', { expires_in: 999_999 }],
    ['a username', { username: 'root' }],
    ['a list', []],
    ['a text', 'x'],
    ['null', null],
  ])('refuses a body with %s, and never answers with a JWT', async (_name, body) => {
    const answer = await exchange(server(), await getToken(server(), node), jsonBody(body));
    const { error, access_token } = await json(answer);
    expect([answer.status, error, access_token]).toEqual([400, 'invalid_request', undefined]);
  });

  test.each([
    ['no JSON', 'application/json', '{', 400],
    ['bytes that are no UTF-8', 'application/json', new Uint8Array([0xff, 0xfe]), 400],
    ['JSON of depth 40', 'application/json', '['.repeat(40) + ']'.repeat(40), 400],
    ['JSON of depth 20,000', 'application/json', '['.repeat(20_000) + ']'.repeat(20_000), 400],
    [
      'a thousand keys',
      'application/json',
      JSON.stringify(Object.fromEntries(Array.from({ length: 1_001 }, (_, i) => [`k${i}`, 1]))),
      400,
    ],
    ['a form', 'application/x-www-form-urlencoded', 'a=b', 415],
    ['text', 'text/plain', '{}', 415],
    ['70 KB', 'application/json', JSON.stringify('x'.repeat(70_000)), 413],
  ])('refuses a body of %s', async (_name, type, body, status) => {
    const answer = await exchange(server(), await getToken(server(), node), {
      body,
      headers: { 'content-type': type },
    });
    expect([answer.status, (await json(answer))['error']]).toEqual([status, 'invalid_request']);
  });

  test('nothing in the query or the headers changes a claim', async () => {
    const token = await getToken(server(), node);
    const headers = { 'x-user': 'root', 'x-role': 'admin', 'x-forwarded-user': 'root' };
    const answer = await exchange(server(), token, { headers }, '/vpn/auth/?role=admin&sub=root&level=50');
    const [, payload = ''] = String((await json(answer))['access_token']).split('.');
    const claims: unknown = JSON.parse(Buffer.from(payload, 'base64url').toString());
    expect(claims).toMatchObject({ sub: node.id, role: 'node', level: 0 });
  });

  test('refuses a subject token in the query, where it would be overlooked', async () => {
    const answer = await exchange(server(), await getToken(server(), node), {}, '/vpn/auth/?subject_token=x');
    expect([answer.status, await json(answer)]).toEqual([
      400,
      expect.objectContaining({
        error: 'invalid_request',
        error_description: expect.stringContaining('body'),
      }),
    ]);
  });

  test('says when to come back once a node asked too often, on every instance and path', async () => {
    const own = await startTestServer(store, { VPN_RATE_LIMIT: '3' });
    try {
      const second = await own.startInstance();
      const [busy, calm] = [await createVpnNode(own), await createVpnNode(own)];
      const token = await getToken(own, busy);
      for (const path of ['/vpn/auth', '/vpn/auth/', '/vpn/auth'])
        expect((await exchange(own, token, {}, path)).status).toBe(200);
      const refused = await fetch(`${second.origin}/vpn/auth/`, {
        method: 'POST',
        headers: { authorization: `Bearer ${token}` },
      });
      expect(refused.status).toBe(429);
      expect(Number(refused.headers.get('retry-after'))).toBeGreaterThan(0);
      expect((await exchange(own, await getToken(own, calm))).status).toBe(200);
      own.advance(61);
      expect((await exchange(own, await getToken(own, busy))).status).toBe(200);
    } finally {
      await own.stop();
    }
  });

  test('gives nothing to a node that is deleted between any two looks at it', async () => {
    let looks = 0;
    let deletedAfter = Infinity;
    const own = await startTestServer(
      store,
      {},
      {
        open: async (...at) => {
          const storage = await openStorage(...at);
          const find: Storage['clients']['find'] = async (id) => {
            const found = await storage.clients.find(id);
            looks += 1;
            if (looks === deletedAfter) await storage.clients.delete(id);
            return found;
          };
          return { ...storage, clients: { ...storage.clients, find } };
        },
      },
    );
    try {
      const statusOf = async (after: number): Promise<number> => {
        const token = await getToken(own, await createVpnNode(own));
        looks = 0;
        deletedAfter = after;
        return (await exchange(own, token)).status;
      };
      expect(await statusOf(Infinity)).toBe(200);
      const all = looks;
      expect(all).toBeGreaterThan(1);
      for (let after = 1; after < all; after += 1) expect([401, 403]).toContain(await statusOf(after));
    } finally {
      await own.stop();
    }
  });

  test.each(['GET', 'PUT', 'DELETE', 'PATCH'])('answers %s with 405 and Allow', async (method) => {
    const answer = await server().request('/vpn/auth/', { method });
    expect([answer.status, answer.headers.get('allow')]).toEqual([405, 'POST']);
  });
});
