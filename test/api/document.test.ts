/** The frame of the JSON API: its document and the page that shows it, its limits, its refusals, its neighbours. */
import { beforeAll, describe, expect, test } from '@jest/globals';
import { Validator } from '@seriousme/openapi-schema-validator';

import { createApiClient, enter } from '../support/api.ts';
import type { ApiAnswer, ApiCall, ApiClient } from '../support/api.ts';
import { apply } from '../support/clients.ts';
import { describeOnBothStores, startTestServer, useTestServer } from '../support/server.ts';

const AUTH = '/api/v1/auth';
const ORIGIN = 'https://front.example.com';
const CLIENT_ORIGIN = 'https://app.example.com';

describeOnBothStores('the JSON API', (store) => {
  const server = useTestServer(store, {
    CORS_ALLOWED_ORIGINS: ORIGIN,
    RATE_LIMIT_IP: '100000',
    RATE_LIMIT_USER: '100000',
  });
  let api: ApiClient;
  beforeAll(async () => {
    api = await createApiClient(server());
  });
  const login = (call: ApiCall): Promise<ApiAnswer> => api.call('POST', `${AUTH}/login`, call);
  const refusalOf = ({ status, body }: ApiAnswer): readonly unknown[] => [status, body?.['detail']];

  describe('its document', () => {
    test('is OpenAPI 3.1, and valid', async () => {
      const answer = await server().request('/openapi.json');
      expect(answer.headers.get('content-type')).toContain('application/json');
      const document = (await answer.json()) as Record<string, unknown>;
      expect(document['openapi']).toMatch(/^3\.1\./);
      expect(await new Validator().validate(document)).toMatchObject({ valid: true });
      expect((await server().request('/openapi.json/')).status).toBe(200);
    });

    test('says that a body may be left out where no member is required', () => {
      const bodyOf = (path: string) =>
        (api.document.paths[path]?.['post'] as { requestBody?: { required: boolean } }).requestBody?.required;
      expect(bodyOf(`${AUTH}/login`)).toBe(true);
      expect(bodyOf('/api/v1/customers/{username}/tokens')).toBe(false);
      expect(bodyOf('/api/v1/admin/users/{user_id}/reset-password')).toBe(false);
    });

    test('names each request once', () => {
      const operations = Object.values(api.document.paths).flatMap((item) => Object.values(item));
      const ids = operations.map((operation) => (operation as { operationId?: string }).operationId);
      expect(ids.length).toBeGreaterThanOrEqual(13);
      expect(new Set(ids).size).toBe(ids.length);
    });

    test('is read at /docs, without a script', async () => {
      for (const language of ['en', 'de']) {
        const headers = { accept: 'text/html', 'accept-language': language };
        const answer = await server().request('/docs', { headers });
        const html = await answer.text();
        expect(answer.status).toBe(200);
        expect(answer.headers.get('content-security-policy')).toContain("default-src 'none'");
        expect(html).not.toMatch(/<script|undefined|\[object/);
        for (const path of Object.keys(api.document.paths)) expect(html).toContain(` ${path}</code>`);
        expect(html).toContain('remember_me');
        // As the document is in English, so is all around it.
        expect(html).toContain('<html lang="en">');
        expect(html).toContain('>optional</span>');
        expect(html).not.toMatch(/`|Inhalt/);
      }
    });
  });

  describe('its paths', () => {
    test('work with and without a slash at their end', async () => {
      const me = await enter(api);
      for (const path of ['profile', 'profile/']) {
        expect((await api.call('GET', `${AUTH}/${path}`, { token: me.token })).status).toBe(200);
      }
    });

    test.each(['/api/v1/auth/nothing', '/api/v1/AUTH/login', '/api/v2/auth/login', '/api/v1/auth//login'])(
      '%s is no path of it',
      async (path) => {
        expect((await api.call('POST', path, { body: {} })).status).toBe(404);
      },
    );

    test('answer another method with 405 and the methods that there are', async () => {
      const answer = await api.call('PUT', `${AUTH}/login`, { body: {} });
      expect([answer.status, answer.headers.get('allow')]).toEqual([405, 'POST']);
    });
  });

  describe('its bodies', () => {
    test.each([
      ['a form', 'application/x-www-form-urlencoded', 'username=a&password=b'],
      ['plain text', 'text/plain', '{"username":"a","password":"b"}'],
      ['a relative of JSON', 'application/problem+json', '{"username":"a","password":"b"}'],
    ])('are JSON: %s is refused', async (_name, type, text) => {
      expect((await login({ text, headers: { 'content-type': type } })).status).toBe(415);
    });

    test('come without an encoding', async () => {
      const answer = await login({ text: '{}', headers: { 'content-encoding': 'gzip' } });
      expect(answer.status).toBe(415);
    });

    test('have at most 64 KiB', async () => {
      const answer = await login({ body: { username: 'a', password: 'b'.repeat(64 * 1_024) } });
      expect(answer.status).toBe(413);
    });

    test.each([
      ['none', undefined, 'username: this field is missing'],
      ['no JSON', '{"username":', 'The body is not valid JSON.'],
      ['deep JSON', `${'['.repeat(40)}${']'.repeat(40)}`, '1000 values or 32 levels'],
      ['much JSON', `[${'1,'.repeat(1_000)}1]`, '1000 values or 32 levels'],
      ['a key twice', '{"username":"a","username":"b","password":"c"}', 'has the key "username" twice'],
      ['a key twice, spelt in two ways', '{"a":{"b":1,"\\u0062":2}}', 'has the key "b" twice'],
      ['__proto__', '{"username":"a","password":"b","__proto__":{"admin":true}}', 'the key "__proto__"'],
      ['constructor, deep inside', '{"a":[{"constructor":{}}]}', 'the key "constructor"'],
      ['a list', '[]', 'expected a mapping of fields, found a list'],
    ])('refuse %s', async (_name, text, detail) => {
      const answer = await login(text === undefined ? {} : { text });
      expect(refusalOf(answer)).toEqual([400, expect.stringContaining(detail)]);
    });

    test('may hold in texts what may not be a key', async () => {
      const body = { username: 'a "__proto__": {', password: '{"a":1,"a":2} \\' };
      expect((await login({ body })).status).toBe(401);
    });

    test('are empty where none is asked for', async () => {
      const me = await enter(api);
      const logout = (text: string) => api.call('POST', `${AUTH}/logout`, { token: me.token, text });
      expect((await logout('{"all":true}')).status).toBe(400);
      expect((await logout('{}')).status).toBe(204);
    });
  });

  describe('who calls', () => {
    const profile = (headers: Readonly<Record<string, string>>): Promise<ApiAnswer> =>
      api.call('GET', `${AUTH}/profile`, { headers });

    test('says so by a token; without one nothing is told but that', async () => {
      const answer = await profile({});
      expect([answer.status, answer.headers.get('www-authenticate')]).toEqual([401, 'Bearer']);
    });

    test.each([
      ['Basic YTpi'],
      ['Bearer'],
      ['Bearer a b'],
      [`Bearer ${'x'.repeat(43)}`],
      ['Bearer eyJhbGciOiJub25lIn0.e30.'],
    ])('is refused with %s', async (authorization) => {
      const answer = await profile({ authorization });
      expect(answer.status).toBe(401);
      expect(answer.headers.get('www-authenticate')).toContain('error="invalid_token"');
    });

    test('says it once', async () => {
      const me = await enter(api);
      const headers = { authorization: `Bearer ${me.token}`, 'x-api-key': 'pcl_1' };
      expect((await profile(headers)).status).toBe(400);
    });

    test('is known by no cookie and no parameter', async () => {
      const me = await enter(api);
      const query = `?access_token=${me.token}`;
      expect((await api.call('GET', `${AUTH}/profile${query}`)).status).toBe(401);
      expect((await profile({ cookie: `portcullis_session=${me.token}` })).status).toBe(401);
    });
  });

  describe('scripts of other origins', () => {
    const preflight = (origin: string, path = `${AUTH}/login`): Promise<Response> =>
      server().request(path, {
        method: 'OPTIONS',
        headers: { origin, 'access-control-request-method': 'POST' },
      });

    test('read it from configured origins and those of clients, and refusals, too', async () => {
      const client = { client_id: 'cors-app', redirect_uris: [`${CLIENT_ORIGIN}/callback`], scope: 'openid' };
      await apply(server().administration, {
        clients: [{ ...client, grant_types: ['authorization_code'], token_endpoint_auth_method: 'none' }],
      });
      for (const origin of [ORIGIN, CLIENT_ORIGIN]) {
        const asked = await preflight(origin);
        expect(asked.status).toBe(204);
        expect(asked.headers.get('access-control-allow-origin')).toBe(origin);
        expect(asked.headers.get('access-control-allow-methods')).toContain('POST');
        expect(asked.headers.get('access-control-allow-headers')).toContain('X-API-Key');
        const answer = await login({ body: {}, headers: { origin } });
        expect(answer.headers.get('access-control-allow-origin')).toBe(origin);
        expect(answer.headers.get('access-control-allow-credentials')).toBeNull();
        expect(answer.headers.get('vary')).toContain('Origin');
      }
    });

    test.each(['https://evil.example', 'null', `${ORIGIN}.evil.example`])('not from %s', async (origin) => {
      expect((await preflight(origin)).headers.get('access-control-allow-origin')).toBeNull();
      const answer = await login({ body: {}, headers: { origin } });
      expect(answer.headers.get('access-control-allow-origin')).toBeNull();
    });
  });

  describe('limits', () => {
    const limited = async (
      env: Readonly<Record<string, string>>,
      facts: (own: ApiClient) => Promise<void>,
    ) => {
      const own = await startTestServer(store, env);
      await createApiClient(own)
        .then(facts)
        .finally(() => own.stop());
    };

    test('count a user’s requests, whatever the session', async () => {
      await limited({ RATE_LIMIT_USER: '2' }, async (own) => {
        const me = await enter(own);
        const read = () => own.call('GET', `${AUTH}/profile`, { token: me.token });
        const first = await read();
        expect(first.headers.get('ratelimit-policy')).toBe('"user";q=2;w=3600');
        expect(first.headers.get('ratelimit')).toMatch(/^"user";r=1;t=\d+$/);
        expect((await read()).status).toBe(200);
        const refused = await read();
        expect(refused.status).toBe(429);
        expect(Number(refused.headers.get('retry-after'))).toBeGreaterThan(3_000);
        const other = await enter(own);
        expect((await own.call('GET', `${AUTH}/profile`, { token: other.token })).status).toBe(200);
      });
    });

    test('count a network’s where nobody says who they are', async () => {
      await limited({ RATE_LIMIT_IP: '2' }, async (own) => {
        const body = { email: 'nobody@example.com' };
        for (const status of [202, 202, 429]) {
          expect((await own.call('POST', `${AUTH}/forgot-password`, { body })).status).toBe(status);
        }
      });
    });
  });
});
