/** Tokens of customers: what they say, who may verify them and how, how they end, and that no door here takes one. */
import { beforeAll, describe, expect, test } from '@jest/globals';
import { createLocalJWKSet, decodeJwt, decodeProtectedHeader, jwtVerify, SignJWT } from 'jose';
import type { JSONWebKeySet } from 'jose';
import { createPublicKey, randomUUID, verify } from 'node:crypto';

import { pathsOf, useAdminWorld } from '../admin/world.ts';
import type { AdminWorld } from '../admin/world.ts';
import { apply, basic, createClient, createVpnNode, form, json } from '../support/clients.ts';
import type { Credentials } from '../support/clients.ts';
import { describeOnBothStores } from '../support/server.ts';

const BASE = '/api/v1/customers';

describeOnBothStores('tokens of customers', (kind) => {
  const world = useAdminWorld(kind);
  let gateway: Credentials;
  beforeAll(async () => {
    const made = await apply(world().server.administration, {
      clients: [{ client_id: 'petstore', scope: 'read' }],
    });
    gateway = { id: 'petstore', secret: made.get('petstore') ?? '' };
  });
  const call: AdminWorld['call'] = (...request) => world().call(...request);
  const make = async (fields: object = {}): Promise<string> => {
    const username = `T-${randomUUID().slice(0, 8)}`;
    const body = { username, customer_type: 'premium', ...fields };
    expect((await call('POST', BASE, { body })).status).toBe(201);
    return username;
  };
  const issue = async (username: string, body: object = {}): Promise<string> => {
    const answer = await call('POST', `${BASE}/${username}/tokens`, { body });
    expect(answer.status).toBe(201);
    return String(answer.body?.['access_token']);
  };
  const jwks = async (): Promise<JSONWebKeySet> =>
    (await (await world().server.request('/jwks')).json()) as JSONWebKeySet;
  const introspect = async (token: string, by = gateway): Promise<Record<string, unknown>> =>
    json(await world().server.request('/introspect', form({ token }, basic(by))));
  const isLive = async (token: string): Promise<unknown> => (await introspect(token))['active'];

  test('say what the contract says, by ES256 with a key of the JWKS', async () => {
    const metadata = { region: 'eu', rate_limit: 7, features: ['a', { b: null }], '10': 1, $ne: 'inert' };
    const name = await make({ company: 'Acme Ü', additional_metadata: metadata });
    const answer = await call('POST', `${BASE}/${name.toLowerCase()}/tokens`, { body: { expires_in: 120 } });
    expect(answer.body).toMatchObject({ token_type: 'Bearer', expires_in: 120 });
    const token = String(answer.body?.['access_token']);
    const { payload, protectedHeader } = await jwtVerify(token, createLocalJWKSet(await jwks()), {
      ...{ issuer: world().server.issuer, audience: 'petstore', algorithms: ['ES256'], typ: 'JWT' },
    });
    expect(Object.keys(protectedHeader).toSorted()).toEqual(['alg', 'kid', 'typ']);
    expect(payload).toEqual({
      ...{ iss: world().server.issuer, aud: 'petstore', sub: name, username: name },
      ...{ iat: expect.any(Number), exp: Number(payload.iat) + 120, jti: answer.body?.['jti'] },
      customer_type: 'premium',
      customer: {
        ...{ username: name, customer_type: 'premium', company: 'Acme Ü', api_access_level: 'full' },
        ...metadata,
      },
    });
  });

  test('live an hour, or as long as is asked for, up to a day', async () => {
    const name = await make();
    const lifeOf = (token: string): number => Number(decodeJwt(token).exp) - Number(decodeJwt(token).iat);
    expect(lifeOf(await issue(name))).toBe(3_600);
    expect((await call('POST', `${BASE}/${name}/tokens`)).body).toMatchObject({ expires_in: 3_600 });
    expect(lifeOf(await issue(name, { expires_in: 86_400 }))).toBe(86_400);
    for (const expires_in of [86_401, 0, -1, 1.5, '60', null]) {
      const answer = await call('POST', `${BASE}/${name}/tokens`, { body: { expires_in } });
      expect([expires_in, answer.status, pathsOf(answer)]).toEqual([expires_in, 400, ['expires_in']]);
    }
    expect((await call('POST', `${BASE}/${randomUUID()}/tokens`, { body: {} })).status).toBe(404);
  });

  test('change with their customer at the next token', async () => {
    const name = await make();
    await issue(name);
    await call('PATCH', `${BASE}/${name}`, { body: { customer_type: 'free' } });
    const { customer } = decodeJwt(await issue(name));
    expect(customer).toEqual({
      ...{ username: name, customer_type: 'free', rate_limit: 100, api_access_level: 'basic' },
    });
  });

  test('are introspected by the client whose id is their audience, and by nobody else', async () => {
    const token = await issue(await make());
    expect(await introspect(token)).toEqual({ active: true, token_type: 'Bearer', ...decodeJwt(token) });
    expect(await introspect(token, await createClient(world().server, 'read'))).toEqual({ active: false });
    expect(await introspect(`${token.slice(0, -4)}AAAA`)).toEqual({ active: false });
    const revoking = await world().server.request('/revoke', form({ token }, basic(gateway)));
    expect([revoking.status, await isLive(token)]).toEqual([200, true]);
  });

  test('end one by one by their jti', async () => {
    const [name, other] = [await make(), await make()];
    const [one, two] = [await issue(name), await issue(name)];
    const path = `${BASE}/${name}/tokens/${String(decodeJwt(one).jti)}`;
    expect((await call('DELETE', path)).status).toBe(204);
    expect((await call('DELETE', path)).status).toBe(204);
    expect([await isLive(one), await isLive(two)]).toEqual([false, true]);
    const foreign = String(decodeJwt(await issue(other)).jti);
    expect((await call('DELETE', `${BASE}/${name}/tokens/${foreign}`)).status).toBe(404);
  });

  test('end all at once, in the very second in which another one is issued, which lives', async () => {
    const [name, other] = [await make(), await make()];
    const before = [await issue(name), await issue(name)];
    const foreign = await issue(other);
    expect((await call('DELETE', `${BASE}/${name}/tokens`)).status).toBe(204);
    const after = await issue(name);
    expect(await Promise.all([...before, after, foreign].map(isLive))).toEqual([false, false, true, true]);
  });

  test('end with their customer, and do not come back with another one of the same name', async () => {
    const name = await make();
    const token = await issue(name);
    await call('DELETE', `${BASE}/${name}`);
    expect(await isLive(token)).toBe(false);
    await call('POST', BASE, { body: { username: name, customer_type: 'premium' } });
    expect(await isLive(token)).toBe(false);
  });

  test('expire', async () => {
    const token = await issue(await make(), { expires_in: 60 });
    const another = await issue(await make(), { expires_in: 86_400 });
    world().server.advance(61);
    expect([await isLive(token), await isLive(another)]).toEqual([false, true]);
  });

  test('are no other token of this server in disguise, nor that one of theirs', async () => {
    const name = await make();
    const token = await issue(name);
    const api = { identifier: `urn:${name}`, audience: `api-${name}`, scopes: [`orders:${name}`] };
    await apply(world().server.administration, { resource_servers: [api] });
    const jwt = new SignJWT(decodeJwt(token)).setProtectedHeader({ alg: 'HS256' }).sign(Buffer.alloc(32));
    expect(await isLive(await jwt)).not.toBe(true);
  });

  describe('are for gateways alone:', () => {
    const doors = (token: string): readonly (readonly [string, string, RequestInit?])[] => {
      const headers = { authorization: `Bearer ${token}` };
      return [
        ['userinfo', '/userinfo', { headers }],
        ['the JSON API', '/api/v1/auth/profile', { headers }],
        ['administration', BASE, { headers }],
        ['as an API key', '/api/v1/auth/profile', { headers: { 'x-api-key': token } }],
        ['the gateway’s question', '/api/v1/verify', { headers }],
        ['the same for another audience', '/api/v1/verify?audience=pets', { headers }],
        ['the VPN exchange', '/vpn/auth/', { method: 'POST', headers }],
      ];
    };

    test('every door of this server refuses one', async () => {
      const token = await issue(await make());
      for (const [door, path, init] of doors(token)) {
        expect([door, (await world().server.request(path, init)).status]).toEqual([door, 401]);
      }
    });

    test('no exchange takes one as a subject token, nor a refresh or a sign-out', async () => {
      const { server } = world();
      const token = await issue(await make());
      const node = await createVpnNode(server);
      const exchange = 'urn:ietf:params:oauth:grant-type:token-exchange';
      for (const type of ['id_token', 'access_token', 'jwt']) {
        const subject = {
          subject_token: token,
          subject_token_type: `urn:ietf:params:oauth:token-type:${type}`,
        };
        const answer = await server.request(
          '/token',
          form({ grant_type: exchange, ...subject }, basic(node)),
        );
        expect([type, answer.status]).toEqual([type, 400]);
      }
      const refresh = form({ grant_type: 'refresh_token', refresh_token: token }, basic(gateway));
      expect((await server.request('/token', refresh)).status).toBe(400);
    });
  });

  test('are verified by a bare implementation of RFC 7515, by the PEM of the key', async () => {
    const token = await issue(await make({ company: 'Acme Ü' }));
    const { keys } = await jwks();
    const jwk = keys.find(({ kid }) => kid === decodeProtectedHeader(token).kid) ?? { kty: '' };
    const pem = createPublicKey({ key: jwk, format: 'jwk' }).export({ format: 'pem', type: 'spki' });
    const [head = '', body = '', signature = ''] = token.split('.');
    const isSigned = verify(
      'sha256',
      Buffer.from(`${head}.${body}`),
      { key: createPublicKey(pem), dsaEncoding: 'ieee-p1363' },
      Buffer.from(signature, 'base64url'),
    );
    expect(isSigned).toBe(true);
  });
});
