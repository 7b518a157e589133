/** examples/spa: what its server serves, and which tokens its API takes from the real server. */
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';

import { startSpa } from '../../examples/spa/server.ts';
import { findFreePort } from '../cli/serve-process.ts';
import { apply, getToken, json } from '../support/clients.ts';
import { startTestServer } from '../support/server.ts';
import type { TestServer } from '../support/server.ts';

const RESOURCE = 'https://api.example.test';

type Spa = Awaited<ReturnType<typeof startSpa>>;

describe('examples/spa', () => {
  let server: TestServer;
  let spa: Spa;

  beforeAll(async () => {
    const port = String(await findFreePort());
    // The example finds the server by its issuer, so this one listens where its issuer says.
    server = await startTestServer('SQLite', { ISSUER: `http://localhost:${port}`, PORT: port });
    spa = await startSpa({ issuer: server.issuer, port: 0 });
  });

  afterAll(async () => {
    await spa.close();
    await server.stop();
  });

  /** A client's own token; what the API checks does not depend on the grant. */
  const tokenFor = async (scope: string, resource: string, audience: string): Promise<string> => {
    const id = `client-of-${audience}`;
    const secrets = await apply(server.administration, {
      resource_servers: [{ identifier: resource, audience, scopes: ['greetings:read', 'greetings:write'] }],
      clients: [{ client_id: id, scope: 'greetings:read greetings:write' }],
    });
    const secret = secrets.get(id) ?? (await server.administration.rotateSecret(id, false, 0)) ?? '';
    return getToken(server, { id, secret }, { scope, resource });
  };
  const call = (authorization?: string): Promise<Response> =>
    fetch(`${spa.origin}/api/greeting`, {
      headers: { ...(authorization !== undefined && { authorization }) },
    });

  test('serves every file that its pages name, under a policy that lets nothing else in', async () => {
    const page = await fetch(`${spa.origin}/`);
    expect(page.headers.get('content-security-policy')).toBe(
      "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; " +
        `connect-src 'self' ${server.issuer}; base-uri 'none'; form-action 'none'; ` +
        "frame-ancestors 'none'; require-trusted-types-for 'script'",
    );
    const texts = [await page.text(), await (await fetch(`${spa.origin}/callback.html`)).text()];
    const named = texts.flatMap((text) =>
      [...text.matchAll(/(?:src|href)="(\/[^"]+)"/g)].map(([, path]) => path),
    );
    expect(named).toContain('/oidc-client-ts.min.js');
    for (const path of [...named, '/session.js', '/settings.js']) {
      const answer = await fetch(`${spa.origin}${path ?? ''}`);
      expect([path, answer.status, answer.headers.get('x-content-type-options')]).toEqual([
        path,
        200,
        'nosniff',
      ]);
    }
    expect(texts.join()).not.toMatch(/<script(?![^>]* src=)|style=|https?:/);
  });

  test('serves nothing else', async () => {
    for (const path of ['/server.ts', '/..%2fserver.ts', '/__proto__', '/constructor']) {
      expect((await fetch(spa.origin + path)).status).toBe(404);
    }
    expect((await fetch(`${spa.origin}/`, { method: 'POST' })).status).toBe(405);
  });

  test('its API greets whoever brings a token for it', async () => {
    const answer = await call(`Bearer ${await tokenFor('greetings:read', RESOURCE, 'example-api')}`);
    expect(answer.status).toBe(200);
    expect(await json(answer)).toMatchObject({ client_id: 'client-of-example-api', scope: 'greetings:read' });
  });

  test('its API refuses tokens of another audience, opaque ones, changed ones and none', async () => {
    const other = await tokenFor('greetings:read', 'https://other.example.test', 'other-api');
    const own = await tokenFor('greetings:read', RESOURCE, 'example-api');
    const changed = own.replace(/\.[^.]+$/, `.${'A'.repeat(342)}`);
    for (const token of [other, changed, 'opaque', `${own.split('.').slice(0, 2).join('.')}.`]) {
      const answer = await call(`Bearer ${token}`);
      expect(answer.status).toBe(401);
      expect(answer.headers.get('www-authenticate')).toBe('Bearer error="invalid_token"');
    }
    const none = await call();
    expect([none.status, none.headers.get('www-authenticate')]).toEqual([401, 'Bearer']);
    expect((await call(`Basic ${own}`)).status).toBe(401);
  });

  test('its API refuses a token without its scope by 403', async () => {
    const answer = await call(`Bearer ${await tokenFor('greetings:write', RESOURCE, 'example-api')}`);
    expect(answer.status).toBe(403);
    expect(answer.headers.get('www-authenticate')).toContain('insufficient_scope');
  });

  test('its API calls no token bad because the keys cannot be had', async () => {
    const token = await tokenFor('greetings:read', RESOURCE, 'example-api');
    const astray = await startSpa({ issuer: `http://localhost:${await findFreePort()}`, port: 0 });
    const answer = await fetch(`${astray.origin}/api/greeting`, {
      headers: { authorization: `Bearer ${token}` },
    });
    expect([answer.status, answer.headers.get('retry-after')]).toEqual([503, '2']);
    await astray.close();
  });
});
