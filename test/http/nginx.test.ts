/**
 * The server behind a real nginx, by the configuration that is shipped: TLS ends there, and what leaves is what a
 * client at the issuer's address expects. Clients come from an address of loopback that is not nginx's.
 */
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { execFileSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import type { IncomingHttpHeaders, IncomingMessage } from 'node:http';
import { request as requestHttp } from 'node:http';
import { request as requestHttps } from 'node:https';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';

import { findFreePort, ROOT } from '../cli/serve-process.ts';
import { describeWithNginx, startNginx } from '../support/nginx.ts';
import type { Nginx } from '../support/nginx.ts';
import { describeOnBothStores, startTestServer } from '../support/server.ts';
import type { TestServer } from '../support/server.ts';

const TEMPLATE = readFileSync(join(ROOT, 'config/nginx.example.conf'), 'utf8');
const START_TIMEOUT_MS = 60_000;
const CLIENT = '127.0.0.2';

interface Answer {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly body: string;
}

/** A certificate for localhost, signed by itself. */
function makeCertificate(folder: string): { readonly key: string; readonly certificate: string } {
  const [key, certificate] = [join(folder, 'key.pem'), join(folder, 'certificate.pem')];
  const subject = ['-subj', '/CN=localhost', '-addext', 'subjectAltName=DNS:localhost'];
  const kind = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-days', '2'];
  execFileSync('openssl', ['req', '-x509', ...kind, ...subject, '-keyout', key, '-out', certificate], {
    stdio: 'ignore',
  });
  return { key, certificate };
}

describeWithNginx('behind nginx', () => {
  describeOnBothStores('by config/nginx.example.conf', (store) => {
    let server: TestServer;
    let nginx: Nginx;
    let folder: string;
    let ca: string;
    let port: number;
    let plainPort: number;

    beforeAll(async () => {
      folder = mkdtempSync(join(tmpdir(), 'portcullis-tls-'));
      const { key, certificate } = makeCertificate(folder);
      ca = readFileSync(certificate, 'utf8');
      [port, plainPort] = [await findFreePort(), await findFreePort()];
      server = await startTestServer(store, {
        NODE_ENV: 'production',
        ISSUER: `https://localhost:${port}`,
        TRUST_PROXY: '127.0.0.1',
      });
      const configuration = TEMPLATE.replace('127.0.0.1:8011', new URL(server.origin).host)
        .replace('listen 443 ssl', `listen 127.0.0.1:${port} ssl`)
        .replace('listen 80', `listen 127.0.0.1:${plainPort}`)
        .replace('/etc/ssl/auth.example.com.crt', certificate)
        .replace('/etc/ssl/private/auth.example.com.key', key)
        .replaceAll('auth.example.com', 'localhost');
      nginx = await startNginx(configuration, port);
    }, START_TIMEOUT_MS);

    afterAll(async () => {
      await nginx.stop();
      await server.stop();
      rmSync(folder, { recursive: true });
    });

    /** A request of a client: over TLS that it checks, from an address of its own. */
    const ask = async (
      path: string,
      headers: Readonly<Record<string, string>> = {},
      method = 'GET',
    ): Promise<Answer> => {
      const at = { host: '127.0.0.1', port, path, method, localAddress: CLIENT };
      const known = { servername: 'localhost', ca, headers: { host: `localhost:${port}`, ...headers } };
      const sent = requestHttps({ ...at, ...known, agent: false });
      sent.end();
      return answerOf((await once(sent, 'response')) as [IncomingMessage]);
    };
    /** A request past nginx, at the server's own port. */
    const askPastNginx = async (path: string, headers: Readonly<Record<string, string>>): Promise<Answer> => {
      const at = { host: '127.0.0.1', port: new URL(server.origin).port, path, localAddress: CLIENT };
      const sent = requestHttp({ ...at, headers: { host: `localhost:${port}`, ...headers }, agent: false });
      sent.end();
      return answerOf((await once(sent, 'response')) as [IncomingMessage]);
    };
    const answerOf = async ([answer]: [IncomingMessage]): Promise<Answer> => ({
      status: answer.statusCode ?? 0,
      headers: answer.headers,
      body: await text(answer),
    });
    const FORWARDED = {
      'x-forwarded-for': '6.6.6.6',
      'x-forwarded-host': 'evil.example',
      'x-forwarded-proto': 'http',
      forwarded: 'for=6.6.6.6;host=evil.example;proto=http',
      'x-real-ip': '6.6.6.6',
    };

    test('discovery names the issuer’s own addresses alone, whatever a client forwards', async () => {
      const { status, body } = await ask('/.well-known/openid-configuration', FORWARDED);
      expect(status).toBe(200);
      const document = JSON.parse(body) as Record<string, unknown>;
      expect(document).toMatchObject({
        issuer: `https://localhost:${port}`,
        token_endpoint: `https://localhost:${port}/token`,
        jwks_uri: `https://localhost:${port}/jwks`,
      });
      expect(body).not.toContain('evil');
      expect(body.match(/http:/g)).toBeNull();
    });

    test('the host is pinned: another one is refused', async () => {
      expect((await ask('/jwks', { host: 'evil.example' })).status).toBe(421);
      expect((await ask('/jwks', { host: 'localhost' })).status).toBe(421);
    });

    test('cookies are for https and for this host alone, and HSTS is sent', async () => {
      const { status, headers } = await ask('/account/sign-in', { accept: 'text/html' });
      const page = status === 200 ? headers : (await ask('/account', { accept: 'text/html' })).headers;
      const [cookie = ''] = page['set-cookie'] ?? [];
      expect(cookie).toMatch(/^__Host-portcullis_browser=.*; Path=\/; HttpOnly; SameSite=Lax; Secure$/);
      expect(page['strict-transport-security']).toBe('max-age=31536000');
    });

    test('a refusal is logged with the address that nginx was asked from', async () => {
      const authorization = `Bearer ${'x'.repeat(43)}`;
      const { status } = await ask('/vpn/auth/', { ...FORWARDED, authorization }, 'POST');
      expect(status).toBe(401);
      expect(await server.logged('"vpn_token_refused"')).toContain(`"ip":"${CLIENT}"`);
      expect(server.logs()).not.toContain('6.6.6.6');
    });

    test('who comes past nginx is believed nothing', async () => {
      await askPastNginx('/authorize?client_id=nobody', FORWARDED);
      expect(await server.logged('"protocol_refused"')).toContain(`"ip":"${CLIENT}"`);
      expect(server.logs()).not.toContain('6.6.6.6');
    });

    test('a body that is too large is refused by the server, in its own words', async () => {
      const at = { host: '127.0.0.1', port, path: '/token', method: 'POST', localAddress: CLIENT };
      const type = { 'content-type': 'application/x-www-form-urlencoded' };
      const headers = { host: `localhost:${port}`, ...type };
      const sent = requestHttps({ ...at, servername: 'localhost', ca, headers, agent: false });
      sent.end(`grant_type=x&x=${'x'.repeat(70_000)}`);
      const { status, body } = await answerOf((await once(sent, 'response')) as [IncomingMessage]);
      expect([status, JSON.parse(body)]).toEqual([
        413,
        expect.objectContaining({ error: 'invalid_request' }),
      ]);
    });

    test('a request without TLS is sent to https', async () => {
      const sent = requestHttp({ host: '127.0.0.1', port: plainPort, path: '/account', agent: false });
      sent.end();
      const { status, headers } = await answerOf((await once(sent, 'response')) as [IncomingMessage]);
      expect([status, headers.location]).toEqual([301, 'https://127.0.0.1/account']);
    });
  });
});
