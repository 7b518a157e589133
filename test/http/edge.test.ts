/** What holds for every request: host, paths, methods, bodies, origins, headers, error pages. */
import { beforeAll, expect, test } from '@jest/globals';
import { request as httpRequest } from 'node:http';
import { connect } from 'node:net';

import { basic, createVpnNode, form, getToken, json } from '../support/clients.ts';
import type { Credentials } from '../support/clients.ts';
import { describeOnBothStores, startTestServer, useTestServer } from '../support/server.ts';

const GRANT = { grant_type: 'client_credentials', scope: 'read' } as const;

/** Sends bytes as they are and gives the whole answer; the server closes the connection. */
function raw(origin: string, bytes: string): Promise<string> {
  const { port } = new URL(origin);
  return new Promise((resolve, reject) => {
    const socket = connect(Number(port), '127.0.0.1', () => socket.end(bytes));
    const chunks: Buffer[] = [];
    socket.on('data', (chunk) => chunks.push(chunk));
    socket.on('close', () => resolve(Buffer.concat(chunks).toString()));
    socket.on('error', reject);
  });
}

/** `fetch` does not let a program choose its Host header, and asks for a fresh answer where there is an ETag. */
function statusOf(origin: string, path: string, headers: Record<string, string>): Promise<number> {
  return new Promise((resolve, reject) => {
    httpRequest(`${origin}${path}`, { headers }, (answer) => {
      answer.resume();
      resolve(answer.statusCode ?? 0);
    })
      .on('error', reject)
      .end();
  });
}

describeOnBothStores('the edge', (store) => {
  const server = useTestServer(store, { CORS_ALLOWED_ORIGINS: 'https://app.example' });
  let node: Credentials;

  beforeAll(async () => {
    node = await createVpnNode(server());
  });

  test('serves every alias, with and without the trailing slash, by the canonical checks', async () => {
    const token = form(GRANT, basic(node));
    for (const path of ['/token', '/token/', '/o/token', '/o/token/']) {
      expect((await server().request(path, token)).status).toBe(200);
    }
    const known = await getToken(server(), node);
    for (const path of ['/introspect', '/introspect/', '/o/introspect', '/o/introspect/']) {
      expect(await json(await server().request(path, form({ token: known }, basic(node))))).toMatchObject({
        active: true,
      });
    }
    for (const path of ['/revoke', '/revoke/', '/o/revoke_token', '/o/revoke_token/']) {
      expect((await server().request(path, form({ token: 'x' }, basic(node)))).status).toBe(200);
    }
    const documents = await Promise.all(
      ['/jwks', '/jwks/', '/o/jwks', '/o/jwks/', '/o/.well-known/jwks.json', '/o/.well-known/jwks.json/'].map(
        async (path) => (await server().request(path)).text(),
      ),
    );
    expect(new Set(documents).size).toBe(1);
  });

  test.each([
    '/TOKEN',
    '//token',
    '/token//',
    '/token/.',
    '/%74oken',
    '/o//token',
    '/token;x',
    '/AUTHORIZE',
    '/reg',
    '/register',
  ])('has nothing at %s', async (path) => {
    const answer = await raw(
      server().origin,
      `POST ${path} HTTP/1.1\r\nHost: localhost:8011\r\nConnection: close\r\nContent-Length: 0\r\n\r\n`,
    );
    expect(answer).toMatch(/^HTTP\/1.1 404 /);
  });

  test('discovery lists the canonical endpoints that work, and each of them answers', async () => {
    const documents = await Promise.all(
      [
        '/.well-known/openid-configuration',
        '/.well-known/oauth-authorization-server',
        '/o/.well-known/openid-configuration',
        '/o/.well-known/oauth-authorization-server/',
      ].map(async (path) => json(await server().request(path))),
    );
    const [document = {}] = documents;
    for (const other of documents) expect(other).toEqual(document);
    const at = (path: string): string => `http://localhost:8011${path}`;
    expect(document).toEqual({
      issuer: 'http://localhost:8011',
      authorization_endpoint: at('/authorize'),
      token_endpoint: at('/token'),
      userinfo_endpoint: at('/userinfo'),
      introspection_endpoint: at('/introspect'),
      revocation_endpoint: at('/revoke'),
      end_session_endpoint: at('/logout'),
      device_authorization_endpoint: at('/device/auth'),
      jwks_uri: at('/jwks'),
      grant_types_supported: [
        'authorization_code',
        'refresh_token',
        'client_credentials',
        'urn:ietf:params:oauth:grant-type:device_code',
        'urn:ietf:params:oauth:grant-type:token-exchange',
      ],
      response_types_supported: ['code'],
      response_modes_supported: ['query', 'form_post'],
      scopes_supported: [
        ...['openid', 'profile', 'email', 'phone', 'address', 'offline_access', 'read', 'customer', 'admin'],
      ],
      backchannel_logout_supported: true,
      backchannel_logout_session_supported: true,
      subject_types_supported: ['public'],
      acr_values_supported: ['1'],
      claim_types_supported: ['normal'],
      claims_parameter_supported: true,
      claims_supported: expect.arrayContaining(['sub', 'preferred_username', 'email', 'sid', 'auth_time']),
      code_challenge_methods_supported: ['S256'],
      id_token_signing_alg_values_supported: expect.arrayContaining(['ES256', 'RS256']),
      authorization_response_iss_parameter_supported: true,
      request_uri_parameter_supported: false,
      token_endpoint_auth_methods_supported: [
        'client_secret_basic',
        'client_secret_post',
        'private_key_jwt',
        'none',
      ],
      token_endpoint_auth_signing_alg_values_supported: ['RS256', 'PS256', 'ES256', 'EdDSA'],
    });
  });

  test('refuses another host, and two at once; health checks come by address', async () => {
    const own = await startTestServer(store, { NODE_ENV: 'production', ISSUER: 'https://auth.example.com' });
    try {
      const status = (host: string, path: string): Promise<number> => statusOf(own.origin, path, { host });
      expect(await status('auth.example.com', '/jwks')).toBe(200);
      expect(await status('AUTH.example.com:443', '/jwks')).toBe(200);
      for (const host of [
        'evil.example',
        'localhost',
        '127.0.0.1',
        'auth.example.com@evil.example',
        'auth.example.com:80',
        'auth.example.com.evil.example',
      ]) {
        expect(await status(host, '/jwks')).toBe(421);
        expect(await status(host, '/healthz')).toBe(200);
      }
      const two = await raw(
        own.origin,
        'GET /jwks HTTP/1.1\r\nHost: auth.example.com\r\nHost: evil.example\r\nConnection: close\r\n\r\n',
      );
      expect(two).toMatch(/^HTTP\/1.1 400 /);
    } finally {
      await own.stop();
    }
  });

  test('an absolute request target changes no URL of discovery, not even for the first request', async () => {
    const own = await startTestServer(store);
    try {
      for (const path of [
        '/.well-known/openid-configuration',
        '/.well-known/oauth-authorization-server',
        '/jwks',
      ]) {
        for (const target of [
          `http://evil.example${path}`,
          `http://localhost:8011${path}`,
          'http://[',
          '*',
          'evil.example:443',
        ]) {
          const answer = await raw(
            own.origin,
            `GET ${target} HTTP/1.1\r\nHost: localhost:8011\r\nConnection: close\r\n\r\n`,
          );
          expect(answer).toMatch(/^HTTP\/1.1 400 /);
        }
        expect(await (await own.request(path)).text()).not.toContain('evil');
      }
    } finally {
      await own.stop();
    }
  });

  test('bytes that are no HTTP, and a client that goes away, put nothing of theirs into the log', async () => {
    const head = `POST /token HTTP/1.1\r\nHost: localhost\r\nAuthorization: ${basic(node)}\r\n`;
    await raw(server().origin, `${head}Transfer-Encoding: chunked\r\n\r\nZZ\r\nclient_secret=topsecretvalue`);
    const half = await raw(
      server().origin,
      'POST /vpn/auth HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer x\r\nContent-Length: 50\r\n\r\nab',
    );
    expect(half).not.toMatch(/^HTTP\/1.1 5/);
    expect(server().logs()).not.toContain('rawPacket');
    expect(server().logs()).not.toContain('topsecretvalue');
    expect(server().logs()).not.toContain('"server_failed"');
  });

  test('no header of a request changes a URL of discovery', async () => {
    const headers = {
      'x-forwarded-host': 'evil.example',
      'x-forwarded-proto': 'https',
      forwarded: 'host=evil.example',
    };
    const own = await startTestServer(store, { TRUST_PROXY: '1' });
    try {
      const document = await json(await own.request('/.well-known/openid-configuration', { headers }));
      expect(JSON.stringify(document)).not.toContain('evil');
      expect(document['token_endpoint']).toBe('http://localhost:8011/token');
    } finally {
      await own.stop();
    }
  });

  test('a refusal is logged with the address that the trusted hops tell, never with one that the client wrote', async () => {
    const headers = { 'x-forwarded-for': '6.6.6.6, 203.0.113.9' };
    const loggedAddress = async (TRUST_PROXY: string): Promise<string | undefined> => {
      const own = await startTestServer(store, { TRUST_PROXY });
      try {
        await own.request('/vpn/auth', {
          method: 'POST',
          headers: { ...headers, authorization: `Bearer ${'x'.repeat(43)}` },
        });
        return /"vpn_token_refused".*?"ip":"([^"]*)"/.exec(own.logs())?.[1];
      } finally {
        await own.stop();
      }
    };
    expect(await loggedAddress('1')).toBe('203.0.113.9');
    expect(await loggedAddress('0')).toMatch(/127\.0\.0\.1$/);
  });

  test.each([
    ['JSON', 'application/json', JSON.stringify(GRANT), 415],
    ['multipart', 'multipart/form-data; boundary=x', '--x--', 415],
    ['text', 'text/plain', 'grant_type=client_credentials', 415],
    [
      '60 KB',
      'application/x-www-form-urlencoded',
      `grant_type=client_credentials&x=${'x'.repeat(60_000)}`,
      413,
    ],
    ['a broken escape', 'application/x-www-form-urlencoded', 'grant_type=%zz', 400],
    ['bytes that are no text', 'application/x-www-form-urlencoded', new Uint8Array([0xff, 0, 0xfe]), 400],
    ['nothing', 'application/x-www-form-urlencoded', '', 400],
    [
      'a parameter twice',
      'application/x-www-form-urlencoded',
      'grant_type=client_credentials&scope=read&scope=read',
      400,
    ],
    [
      'the grant twice',
      'application/x-www-form-urlencoded',
      'grant_type=client_credentials&grant_type=client_credentials',
      400,
    ],
    ['an array', 'application/x-www-form-urlencoded', 'grant_type[]=client_credentials', 400],
    ['a prototype', 'application/x-www-form-urlencoded', '__proto__=x&constructor=y&grant_type=none', 400],
  ])('answers a token request of %s as an OAuth error', async (_name, type, body, status) => {
    const headers = { 'content-type': type, authorization: basic(node) };
    const answer = await server().request('/token', { method: 'POST', body, headers });
    const { error } = await json(answer);
    expect([answer.status, typeof error]).toEqual([status, 'string']);
    expect(answer.headers.get('cache-control')).toBe('no-store');
  });

  test('answers a body that comes in chunks and is too large with 413', async () => {
    const body = new ReadableStream({
      start: (controller) => {
        controller.enqueue(new TextEncoder().encode(`grant_type=client_credentials&x=${'x'.repeat(80_000)}`));
        controller.close();
      },
    });
    const headers = { 'content-type': 'application/x-www-form-urlencoded', authorization: basic(node) };
    const answer = await server().request('/token', {
      method: 'POST',
      body,
      headers,
      duplex: 'half',
    });
    expect([answer.status, (await json(answer))['error']]).toEqual([413, 'invalid_request']);
  });

  test('refuses an encoded body', async () => {
    const headers = { 'content-type': 'application/x-www-form-urlencoded', 'content-encoding': 'gzip' };
    for (const path of ['/token', '/vpn/auth/']) {
      const authorization = `Bearer ${'x'.repeat(43)}`;
      const answer = await server().request(path, {
        method: 'POST',
        body: 'x',
        headers: { ...headers, authorization },
      });
      expect(answer.status).toBe(415);
    }
  });

  test.each([
    ['a list', { authorization: 'Basic' }],
    ['no base64', { authorization: 'Basic !!!' }],
    ['no colon', { authorization: `Basic ${btoa('nocolon')}` }],
    ['a broken escape', { authorization: `Basic ${btoa('a%zz:b')}` }],
    ['another scheme', { authorization: 'Digest x' }],
    ['an empty secret', { authorization: `Basic ${btoa('demo:')}` }],
    ['hostile ids', { authorization: `Basic ${btoa(encodeURIComponent('{"$ne":null}') + ':x')}` }],
    ['NUL', { authorization: `Basic ${btoa('a%00b:x')}` }],
  ])('answers client authentication of %s by 400 or 401', async (_name, headers) => {
    const answer = await server().request('/token', {
      ...form(GRANT),
      headers: { 'content-type': 'application/x-www-form-urlencoded', ...headers },
    });
    expect([400, 401]).toContain(answer.status);
    expect((await json(answer))['error']).toMatch(/^invalid_(request|client)$/);
  });

  test.each([
    [
      'both lengths',
      'POST /token HTTP/1.1\r\nHost: localhost\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n',
    ],
    [
      'two lengths',
      'POST /token HTTP/1.1\r\nHost: localhost\r\nContent-Length: 4\r\nContent-Length: 5\r\n\r\nabcd',
    ],
    ['no host', 'GET /jwks HTTP/1.1\r\n\r\n'],
    ['a bare line feed', 'GET /jwks HTTP/1.1\nHost: localhost\n\n'],
    ['nonsense', 'HELLO\r\n\r\n'],
  ])('answers a request with %s by 400', async (_name, bytes) => {
    expect(await raw(server().origin, bytes)).toMatch(/^HTTP\/1.1 400 /);
  });

  test('says which methods a protocol path takes', async () => {
    for (const [path, allow] of [
      ['/token', 'POST'],
      ['/o/token/', 'POST'],
      ['/introspect', 'POST'],
      ['/revoke', 'POST'],
    ] as const) {
      const answer = await server().request(path);
      expect([answer.status, answer.headers.get('allow')]).toEqual([405, allow]);
    }
    const posted = await server().request('/jwks', { method: 'POST' });
    expect([posted.status, posted.headers.get('allow')]).toEqual([405, 'GET']);
    expect((await server().request('/jwks', { method: 'HEAD' })).status).toBe(200);
  });

  test('lets an allowed origin read, and no other', async () => {
    const read = async (origin: string): Promise<string | null> =>
      (await server().request('/jwks', { headers: { origin } })).headers.get('access-control-allow-origin');
    expect(await read('https://app.example')).toBe('https://app.example');
    for (const origin of [
      'https://evil.example',
      'null',
      'https://app.example.evil',
      'https://APP.example',
      'http://app.example',
    ]) {
      expect(await read(origin)).toBeNull();
    }
    expect((await server().request('/jwks')).headers.get('access-control-allow-origin')).toBeNull();
    const refused = await server().request('/token', {
      ...form(GRANT),
      headers: { origin: 'https://evil.example', 'content-type': 'application/x-www-form-urlencoded' },
    });
    expect(refused.headers.get('access-control-allow-origin')).toBeNull();
    expect(refused.headers.get('access-control-allow-credentials')).toBeNull();
  });

  test('answers preflights for an allowed origin, without permission for others', async () => {
    const preflight = (origin: string): Promise<Response> =>
      server().request('/token', {
        method: 'OPTIONS',
        headers: { origin, 'access-control-request-method': 'POST' },
      });
    const allowed = await preflight('https://app.example');
    expect(allowed.status).toBe(204);
    expect(allowed.headers.get('access-control-allow-methods')).toBe('POST');
    const other = await preflight('https://evil.example');
    expect(other.headers.get('access-control-allow-origin')).toBeNull();
    expect(other.headers.get('access-control-allow-methods')).toBeNull();
  });

  test('every answer carries the security headers and its request id', async () => {
    for (const path of ['/jwks', '/token', '/nothing', '/healthz', '/vpn/auth/']) {
      const { headers } = await server().request(path);
      expect(headers.get('x-content-type-options')).toBe('nosniff');
      expect(headers.get('referrer-policy')).toBe('no-referrer');
      expect(headers.get('content-security-policy')).toContain("default-src 'none'");
      expect(headers.get('content-security-policy')).toContain("frame-ancestors 'none'");
      expect(headers.get('cross-origin-opener-policy')).toBe('same-origin');
      expect(headers.get('x-request-id')).toMatch(/^[\da-f-]{36}$/);
      expect(headers.get('x-powered-by')).toBeNull();
    }
  });

  test('JWKS and discovery may be kept for a while and are not sent twice', async () => {
    const first = await server().request('/jwks');
    expect(first.headers.get('cache-control')).toBe('public, max-age=300');
    const etag = first.headers.get('etag') ?? '';
    expect(await statusOf(server().origin, '/jwks', { 'if-none-match': etag })).toBe(304);
    expect(await statusOf(server().origin, '/jwks', { 'if-none-match': '"another"' })).toBe(200);
  });

  test('shows a browser a page in the place of an error, and escapes what it was asked', async () => {
    const answer = await server().request('/<script>alert(1)</script>', { headers: { accept: 'text/html' } });
    expect(answer.status).toBe(404);
    expect(answer.headers.get('content-type')).toContain('text/html');
    expect(answer.headers.get('content-security-policy')).toContain('style-src');
    const page = await answer.text();
    expect(page).toContain('There is no such page');
    expect(page).not.toContain('<script');
    expect(page).toContain(answer.headers.get('x-request-id'));
  });

  test('gives a Problem under /api', async () => {
    const answer = await server().request('/api/v1/nothing');
    expect(answer.headers.get('content-type')).toContain('application/problem+json');
    expect(await json(answer)).toEqual({
      type: 'about:blank',
      title: 'Not Found',
      status: 404,
      detail: 'There is nothing at GET /api/v1/nothing.',
    });
  });

  test('is alive and ready', async () => {
    expect(await json(await server().request('/healthz'))).toEqual({ status: 'ok' });
    expect(await json(await server().request('/readyz/'))).toEqual({ status: 'ready' });
  });
});
