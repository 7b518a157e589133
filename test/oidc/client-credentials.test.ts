/** RFC 6749 4.4: a client gets an access token for itself, by every way to authenticate, or is refused. */
import { expect, test } from '@jest/globals';
import * as oauth from 'oauth4webapi';
import * as openid from 'openid-client';

import {
  apply,
  assertion,
  assertionForm,
  basic,
  createClient,
  createKeyClient,
  form,
  getToken,
  json,
} from '../support/clients.ts';
import { describeOnBothStores, startTestServer, useTestServer } from '../support/server.ts';

// The issuer of a test is on loopback, without TLS. The libraries mark this so that nobody uses it elsewhere.
/* eslint-disable @typescript-eslint/no-deprecated */
const allowHttp = openid.allowInsecureRequests;
const overHttp = { [oauth.allowInsecureRequests]: true } as const;
/* eslint-enable @typescript-eslint/no-deprecated */

const GRANT = { grant_type: 'client_credentials' } as const;

describeOnBothStores('client_credentials', (store) => {
  const server = useTestServer(store);

  /** Sends what a library asks of the issuer to the test's own port. */
  const toServer = (url: string, init: object): Promise<Response> => {
    const { pathname, search } = new URL(url);
    return server().request(pathname + search, init);
  };

  test('openid-client gets a token by discovery alone', async () => {
    const { id, secret } = await createClient(server(), 'read');
    const config = await openid.discovery(new URL(server().issuer), id, secret, undefined, {
      execute: [allowHttp],
      [openid.customFetch]: toServer,
    });
    const tokens = await openid.clientCredentialsGrant(config, { scope: 'read' });
    expect(tokens).toMatchObject({ token_type: 'bearer', expires_in: 3600, scope: 'read' });
    const introspected = await openid.tokenIntrospection(config, tokens.access_token);
    expect(introspected).toMatchObject({ active: true, client_id: id, scope: 'read', iss: server().issuer });
    await openid.tokenRevocation(config, tokens.access_token);
    expect(await openid.tokenIntrospection(config, tokens.access_token)).toEqual({ active: false });
  });

  test('oauth4webapi gets a token by RFC 8414 discovery and private_key_jwt', async () => {
    const client = await createKeyClient(server());
    const options = { [oauth.customFetch]: toServer, ...overHttp } as const;
    const issuer = new URL(server().issuer);
    const discovered = await oauth.discoveryRequest(issuer, { ...options, algorithm: 'oauth2' });
    const as = await oauth.processDiscoveryResponse(issuer, discovered);
    const authentication = oauth.PrivateKeyJwt({ key: client.privateKey, kid: 'one' });
    const answer = await oauth.clientCredentialsGrantRequest(
      as,
      { client_id: client.id },
      authentication,
      { scope: 'read' },
      options,
    );
    const tokens = await oauth.processClientCredentialsResponse(as, { client_id: client.id }, answer);
    expect(tokens.access_token).toMatch(/^[\w-]{43}$/);
  });

  test('takes the secret in the body as well', async () => {
    const { id, secret } = await createClient(server(), 'read', {
      token_endpoint_auth_method: 'client_secret_post',
    });
    const answer = await server().request('/token', form({ ...GRANT, client_id: id, client_secret: secret }));
    expect(answer.status).toBe(200);
    expect(answer.headers.get('cache-control')).toBe('no-store');
  });

  test('answers an unknown client and a wrong secret alike', async () => {
    const known = await createClient(server(), 'read');
    const wrong = await server().request('/token', form(GRANT, basic({ ...known, secret: 'x'.repeat(43) })));
    const unknown = await server().request(
      '/token',
      form(GRANT, basic({ id: 'nobody', secret: 'x'.repeat(43) })),
    );
    expect([wrong.status, unknown.status]).toEqual([401, 401]);
    expect(wrong.headers.get('www-authenticate')).toContain('Basic');
    expect(await wrong.json()).toEqual({
      error: 'invalid_client',
      error_description: 'client authentication failed',
    });
    expect(await unknown.json()).toEqual({
      error: 'invalid_client',
      error_description: 'client authentication failed',
    });
  });

  test.each(['/token', '/o/token/', '/introspect', '/revoke', '/device/auth'])(
    'answers a request to %s that names no client by 401 invalid_client and a challenge',
    async (path) => {
      for (const parameters of [{ ...GRANT, token: 'x' }, { client_id: '' }]) {
        const answer = await server().request(path, form(parameters));
        expect([answer.status, answer.headers.get('www-authenticate')]).toEqual([
          401,
          `Basic realm="${server().issuer}"`,
        ]);
        expect(await json(answer)).toEqual({
          error: 'invalid_client',
          error_description: expect.stringMatching(
            /^no client is named: send its id and secret by HTTP Basic/,
          ),
        });
      }
    },
  );

  test('asks a public client for no secret, and calls what it sends malformed as before', async () => {
    const fields = { redirect_uris: ['https://app.example.com/'], token_endpoint_auth_method: 'none' };
    const { id } = await createClient(server(), 'openid', fields);
    const parameters = { grant_type: 'authorization_code', client_id: id };
    const answer = await server().request('/token', form(parameters));
    expect([answer.status, answer.headers.get('www-authenticate')]).toEqual([400, null]);
    expect(await json(answer)).toMatchObject({ error: 'invalid_request' });
  });

  test('does not take the digest that the store keeps for the secret', async () => {
    const client = await createClient(server(), 'read');
    const { hash } = await import('node:crypto');
    const digest = hash('sha256', client.secret, 'base64url');
    const answer = await server().request('/token', form(GRANT, basic({ id: client.id, secret: digest })));
    expect(answer.status).toBe(401);
  });

  test('refuses two ways to authenticate at once', async () => {
    const client = await createClient(server(), 'read');
    const both = form({ ...GRANT, client_id: client.id, client_secret: client.secret }, basic(client));
    const answer = await server().request('/token', both);
    expect(answer.status).toBe(400);
    expect(await json(answer)).toMatchObject({ error: 'invalid_request' });
  });

  test('refuses a scope that the client was not registered for', async () => {
    const client = await createClient(server(), 'openid');
    const answer = await server().request('/token', form({ ...GRANT, scope: 'read' }, basic(client)));
    expect(answer.status).toBe(400);
    expect(await json(answer)).toMatchObject({ error: 'invalid_scope' });
  });

  test('gives a client that has only scopes of an API no scope of this server', async () => {
    const client = await createClient(server(), 'invoices:read');
    const answer = await server().request('/token', form({ ...GRANT, scope: 'read' }, basic(client)));
    expect(await json(answer)).toMatchObject({ error: 'invalid_scope' });
  });

  test.each([
    'authorization_code',
    'password',
    'implicit',
    'refresh_token',
    'urn:ietf:params:oauth:grant-type:token-exchange',
  ])('refuses the grant %s', async (grant_type) => {
    const client = await createClient(server(), 'read');
    const answer = await server().request(
      '/token',
      form({ grant_type, code: 'x', refresh_token: 'x' }, basic(client)),
    );
    expect(answer.status).toBe(400);
    expect((await json(answer))['error']).toMatch(/^(unsupported_grant_type|invalid_request)$/);
  });

  test('takes an assertion once', async () => {
    const client = await createKeyClient(server());
    const once = await assertion(client, server().issuer);
    expect((await server().request('/token', assertionForm(once))).status).toBe(200);
    const again = await server().request('/token', assertionForm(once));
    expect(again.status).toBe(401);
    expect(await json(again)).toMatchObject({ error: 'invalid_client' });
  });

  test('takes one of twenty simultaneous uses of an assertion, on two instances', async () => {
    const second = await server().startInstance();
    const client = await createKeyClient(server());
    for (let round = 0; round < 10; round += 1) {
      const once = await assertion(client, server().issuer);
      const origins = Array.from({ length: 20 }, (_, index) =>
        index % 2 === 0 ? server().origin : second.origin,
      );
      const answers = await Promise.all(
        origins.map((origin) => fetch(`${origin}/token`, assertionForm(once))),
      );
      expect(answers.map(({ status }) => status).sort()).toEqual([200, ...Array<number>(19).fill(401)]);
    }
  });

  test.each([
    ['for the token endpoint', { aud: 'http://localhost:8011/token' }],
    ['for the issuer in a list', { aud: ['http://localhost:8011'] }],
    ['that lives longer than five minutes', { exp: Math.floor(Date.now() / 1000) + 3600 }],
    ['that is expired', { exp: Math.floor(Date.now() / 1000) - 60 }],
    ['from the future', { iat: Math.floor(Date.now() / 1000) + 120 }],
    ['without jti', { jti: undefined }],
    ['of another issuer', { iss: 'somebody' }],
  ])('refuses an assertion %s', async (_name, claims) => {
    const client = await createKeyClient(server());
    const answer = await server().request(
      '/token',
      assertionForm(await assertion(client, server().issuer, claims)),
    );
    expect(answer.status).toBe(401);
  });

  test('takes an assertion whose times are fractions', async () => {
    const client = await createKeyClient(server());
    const now = Date.now() / 1000;
    const fractional = await assertion(client, server().issuer, { iat: now, exp: now + 60.5 });
    expect((await server().request('/token', assertionForm(fractional))).status).toBe(200);
  });

  test('refuses an assertion signed by another key', async () => {
    const [client, other] = [await createKeyClient(server()), await createKeyClient(server())];
    const forged = await assertion({ ...other, id: client.id }, server().issuer);
    expect((await server().request('/token', assertionForm(forged))).status).toBe(401);
  });

  test('honours the old secret for the overlap of a rotation, and no longer', async () => {
    const client = await createClient(server(), 'read');
    const fresh = await server().administration.rotateSecret(client.id, false, 600);
    const status = async (secret: string): Promise<number> =>
      (await server().request('/token', form(GRANT, basic({ id: client.id, secret })))).status;
    expect([await status(client.secret), await status(fresh ?? '')]).toEqual([200, 200]);
    server().advance(601);
    expect([await status(client.secret), await status(fresh ?? '')]).toEqual([401, 200]);
  });

  test('refuses a deleted client and counts its tokens no more', async () => {
    const [client, node] = [
      await createClient(server(), 'read'),
      await apply(server().administration, { vpn_nodes: [{ client_id: 'gone' }] }),
    ];
    const gone = { id: 'gone', secret: node.get('gone') ?? '' };
    const { access_token } = await json(
      await server().request('/token', form({ ...GRANT, scope: 'read' }, basic(gone))),
    );
    await server().administration.deleteClient('gone', true);
    await server().administration.deleteClient(client.id, false);
    expect((await server().request('/token', form(GRANT, basic(gone)))).status).toBe(401);
    const exchange = await server().request('/vpn/auth', {
      method: 'POST',
      headers: { authorization: `Bearer ${String(access_token)}` },
    });
    expect(exchange.status).toBe(401);
  });

  test('a client that was deleted and made anew does not inherit tokens', async () => {
    const first = await createClient(server(), 'read');
    const token = await getToken(server(), first);
    await server().administration.deleteClient(first.id, false);
    const again = { client_id: first.id, client_secret: first.secret, scope: 'read' };
    await apply(server().administration, { clients: [again] });
    const answer = await server().request('/introspect', form({ token }, basic(first)));
    expect(await json(answer)).toEqual({ active: false });
  });

  test('tells in development why it refused, where DEBUG asks for it', async () => {
    const own = await startTestServer(store, { DEBUG: 'true' });
    try {
      const answer = await own.request('/token', form(GRANT, basic({ id: 'nobody', secret: 'x' })));
      expect(await json(answer)).toMatchObject({ error: 'invalid_client', error_detail: 'client not found' });
    } finally {
      await own.stop();
    }
  });

  test('an access token dies after its lifetime', async () => {
    const own = await startTestServer(store, { ACCESS_TOKEN_LIFETIME: '60' });
    try {
      const client = await createClient(own, 'read');
      const { access_token, expires_in } = await json(
        await own.request('/token', form(GRANT, basic(client))),
      );
      expect(expires_in).toBe(60);
      const introspect = async (): Promise<unknown> =>
        json(await own.request('/introspect', form({ token: String(access_token) }, basic(client))));
      expect(await introspect()).toMatchObject({ active: true });
      own.advance(61);
      expect(await introspect()).toEqual({ active: false });
    } finally {
      await own.stop();
    }
  });
});
