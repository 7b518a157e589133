/** RFC 8707 and RFC 9068: JWTs for declared resource servers; RFC 7662 and 7009 for them and for opaque tokens. */
import { beforeAll, expect, test } from '@jest/globals';
import { createLocalJWKSet, decodeProtectedHeader, jwtVerify, SignJWT } from 'jose';
import type { JSONWebKeySet } from 'jose';

import { apply, basic, createClient, createVpnNode, form, getToken, json } from '../support/clients.ts';
import type { Credentials } from '../support/clients.ts';
import { describeOnBothStores, useTestServer } from '../support/server.ts';

const RS256 = 'https://api.test/rs256';
const ES256 = 'https://api.test/es256';
const HS256 = 'https://api.test/hs256';
const HS256_SECRET = 'a-shared-secret-of-at-least-32-bytes';

describeOnBothStores('resource servers', (store) => {
  const server = useTestServer(store);
  let client: Credentials;
  let api: Credentials;

  beforeAll(async () => {
    await apply(server().administration, {
      resource_servers: [
        { identifier: RS256, audience: 'api-rs', scopes: ['stock', 'orders'], access_token_lifetime: 120 },
        { identifier: ES256, audience: 'api-es', signing_alg: 'ES256', scopes: ['orders'] },
        {
          identifier: HS256,
          audience: 'api-hs',
          signing_alg: 'HS256',
          secret: HS256_SECRET,
          scopes: ['orders'],
        },
      ],
    });
    client = await createClient(server(), 'read orders');
    const made = await apply(server().administration, {
      clients: [{ client_id: 'api-rs', scope: 'openid' }],
    });
    api = { id: 'api-rs', secret: made.get('api-rs') ?? '' };
  });

  const jwks = async (origin = server().origin): Promise<JSONWebKeySet> =>
    (await (await fetch(`${origin}/jwks`)).json()) as JSONWebKeySet; // RFC 7517 5

  const introspect = async (token: string, by: Credentials): Promise<Record<string, unknown>> =>
    json(await server().request('/introspect', form({ token }, basic(by))));

  test.each([
    [RS256, 'api-rs', 'RS256'],
    [ES256, 'api-es', 'ES256'],
  ])('a token for %s is an RFC 9068 JWT that jose verifies by our JWKS', async (resource, audience, alg) => {
    const token = await getToken(server(), client, { scope: 'orders', resource });
    const { payload, protectedHeader } = await jwtVerify(token, createLocalJWKSet(await jwks()), {
      issuer: server().issuer,
      audience,
      typ: 'at+jwt',
      algorithms: [alg],
    });
    expect(protectedHeader.kid).toBeDefined();
    expect(payload).toMatchObject({ sub: client.id, client_id: client.id, scope: 'orders' });
    expect(payload.jti).toBeDefined();
  });

  test('EdDSA signs once there is a key for it', async () => {
    const resource = 'https://api.test/eddsa';
    const declared = { identifier: resource, audience: 'api-ed', signing_alg: 'EdDSA', scopes: ['orders'] };
    const declare = () => apply(server().administration, { resource_servers: [declared] });
    await expect(declare()).rejects.toThrow('portcullis keys create --alg EdDSA');
    await server().administration.keys.create('EdDSA');
    await declare();
    const { origin } = await server().startInstance(); // it has the key from the start
    const asked = form({ grant_type: 'client_credentials', resource, scope: 'orders' }, basic(client));
    const { access_token: token } = await json(await fetch(`${origin}/token`, asked));
    const verified = await jwtVerify(String(token), createLocalJWKSet(await jwks(origin)), {
      ...{ audience: 'api-ed', typ: 'at+jwt', algorithms: ['EdDSA'] },
    });
    expect(verified.payload).toMatchObject({ client_id: client.id, scope: 'orders' });
  });

  test('its lifetime is that of the resource server', async () => {
    const body = form({ grant_type: 'client_credentials', resource: RS256, scope: 'orders' }, basic(client));
    expect(await json(await server().request('/token', body))).toMatchObject({ expires_in: 120 });
  });

  test('HS256 is signed by the resource server’s own secret', async () => {
    const token = await getToken(server(), client, { scope: 'orders', resource: HS256 });
    const { payload } = await jwtVerify(token, new TextEncoder().encode(HS256_SECRET), {
      algorithms: ['HS256'],
    });
    expect(payload.aud).toBe('api-hs');
  });

  test('refuses a scope that the client was not registered for, or that nobody knows', async () => {
    const limited = await createClient(server(), 'read stock');
    for (const scope of ['orders', 'stock orders', 'raed', 'openid', 'stock unknown']) {
      const body = { grant_type: 'client_credentials', scope };
      for (const parameters of [body, { ...body, resource: RS256 }]) {
        const answer = await server().request('/token', form(parameters, basic(limited)));
        expect([scope, answer.status, (await json(answer))['error']]).toEqual([scope, 400, 'invalid_scope']);
      }
    }
    const token = await getToken(server(), limited, { scope: 'stock', resource: RS256 });
    expect(await introspect(token, limited)).toMatchObject({ active: true, scope: 'stock' });
  });

  test.each([
    ['an unknown resource', 'https://api.test/unknown'],
    ['a resource that is no URI', 'api'],
    ['a resource of whose scopes the client has none', ES256],
  ])('refuses %s', async (_name, resource) => {
    const limited = await createClient(server(), 'read');
    const body = form({ grant_type: 'client_credentials', resource, scope: 'orders' }, basic(limited));
    const answer = await server().request('/token', body);
    expect(answer.status).toBe(400);
    expect(await json(answer)).toMatchObject({ error: 'invalid_target' });
  });

  test('refuses a token for two resources at once', async () => {
    const body = `grant_type=client_credentials&scope=orders&resource=${encodeURIComponent(RS256)}&resource=${encodeURIComponent(ES256)}`;
    const answer = await server().request('/token', { ...form({}, basic(client)), body });
    expect(await json(answer)).toMatchObject({ error: 'invalid_target' });
  });

  test('a JWT is active for its client and its resource server, for nobody else', async () => {
    const token = await getToken(server(), client, { scope: 'orders', resource: RS256 });
    const stranger = await createClient(server(), 'read');
    expect(await introspect(token, client)).toMatchObject({
      active: true,
      client_id: client.id,
      aud: 'api-rs',
    });
    expect(await introspect(token, api)).toMatchObject({ active: true, scope: 'orders' });
    expect(await introspect(token, stranger)).toEqual({ active: false });
  });

  test('an opaque token is active for its client, for nobody else', async () => {
    const token = await getToken(server(), client);
    expect(await introspect(token, client)).toMatchObject({ active: true, client_id: client.id });
    expect(await introspect(token, api)).toEqual({ active: false });
  });

  test('a revoked JWT is active for nobody', async () => {
    const token = await getToken(server(), client, { scope: 'orders', resource: RS256 });
    const revoked = await server().request('/revoke', form({ token }, basic(client)));
    const type = revoked.headers.get('content-type');
    expect([revoked.status, type, await revoked.text()]).toEqual([200, null, '']);
    expect(await introspect(token, client)).toEqual({ active: false });
    expect(await introspect(token, api)).toEqual({ active: false });
  });

  test('a JWT of a deleted client is active for nobody', async () => {
    const gone = await createClient(server(), 'orders');
    const token = await getToken(server(), gone, { scope: 'orders', resource: RS256 });
    expect(await introspect(token, api)).toMatchObject({ active: true });
    await server().administration.deleteClient(gone.id, false);
    expect(await introspect(token, api)).toEqual({ active: false });
  });

  test('a JWT by HS256, which this server never verifies, is refused as such and not called inactive', async () => {
    const token = await getToken(server(), client, { scope: 'orders', resource: HS256 });
    for (const path of ['/introspect', '/revoke']) {
      const answer = await server().request(path, form({ token }, basic(client)));
      expect([answer.status, (await json(answer))['error']]).toEqual([400, 'unsupported_token_type']);
    }
  });

  test('a client revokes nobody else’s tokens', async () => {
    const stranger = await createClient(server(), 'read');
    const opaque = await getToken(server(), client);
    const jwt = await getToken(server(), client, { scope: 'orders', resource: RS256 });
    for (const token of [opaque, jwt]) {
      expect((await server().request('/revoke', form({ token }, basic(stranger)))).status).toBe(200);
      expect((await server().request('/revoke', form({ token }, basic(api)))).status).toBe(200);
      expect(await introspect(token, client)).toMatchObject({ active: true });
    }
  });

  test('forged, foreign and malformed JWTs are not active', async () => {
    const token = await getToken(server(), client, { scope: 'orders', resource: RS256 });
    const [header = '', payload = '', signature = ''] = token.split('.');
    const { kid = '' } = decodeProtectedHeader(token);
    const none = `${Buffer.from('{"alg":"none","typ":"at+jwt"}').toString('base64url')}.${payload}.`;
    const rsa = (await jwks()).keys.find((key) => key.kid === kid);
    const confused = await new SignJWT({ client_id: client.id })
      .setProtectedHeader({ alg: 'HS256', typ: 'at+jwt', kid })
      .setIssuer(server().issuer)
      .setAudience('api-rs')
      .setJti('x')
      .setExpirationTime('1h')
      .sign(new TextEncoder().encode(rsa?.n));
    const bad = [
      none,
      `${header}.${payload}`,
      `${header}.${payload}.${signature.slice(0, -6)}AAAAAA`,
      `${token}.x.y`,
      'x'.repeat(20_000),
    ];
    const answer = await server().request('/introspect', form({ token: confused }, basic(client)));
    expect([answer.status, (await json(answer))['error']]).toEqual([400, 'unsupported_token_type']);
    for (const forged of bad) expect(await introspect(forged, client)).toEqual({ active: false });
  });

  test('the JWKS shows public members only, each key with alg, use and kid', async () => {
    const { keys } = await jwks();
    const always = keys.map(({ alg }) => alg).filter((alg) => alg !== 'EdDSA');
    // Of each the one that signs and the one that is to sign after it.
    expect(always.sort()).toEqual(['ES256', 'ES256', 'RS256', 'RS256']);
    for (const key of keys) {
      expect(key).toMatchObject({
        use: 'sig',
        kid: expect.any(String),
        alg: expect.any(String),
      });
      for (const member of ['d', 'p', 'q', 'dp', 'dq', 'qi', 'k']) expect(key).not.toHaveProperty(member);
    }
  });

  test('introspection and revocation refuse a request without client authentication or token', async () => {
    const node = await createVpnNode(server());
    for (const path of ['/introspect', '/revoke']) {
      expect((await server().request(path, form({ token: 'x' }))).status).toBe(401);
      const wrong = { ...node, secret: 'x'.repeat(43) };
      expect((await server().request(path, form({ token: 'x' }, basic(wrong)))).status).toBe(401);
      expect((await server().request(path, form({}, basic(node)))).status).toBe(400);
    }
  });
});
