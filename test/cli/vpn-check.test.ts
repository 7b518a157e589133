/** `portcullis vpn-check` at the real server, and at servers that are none. */
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { Server } from 'node:http';
import type { AddressInfo } from 'node:net';

import { createVpnNode } from '../support/clients.ts';
import type { Credentials } from '../support/clients.ts';
import { startTestServer } from '../support/server.ts';
import type { TestServer } from '../support/server.ts';
import { createParent, OF_NODE } from '../sdk/parent.ts';
import type { Parent } from '../sdk/parent.ts';
import { documentOf, portcullis } from './run.ts';
import type { Ran } from './run.ts';
import { findFreePort } from './serve-process.ts';

const check = (env: Readonly<Record<string, string>>, ...argv: readonly string[]): Promise<Ran> =>
  portcullis(['vpn-check', ...argv], { cwd: import.meta.dirname, env });

describe('vpn-check at the server', () => {
  let server: TestServer;
  let node: Credentials;
  let env: Readonly<Record<string, string>>;

  beforeAll(async () => {
    const port = String(await findFreePort());
    server = await startTestServer('SQLite', { ISSUER: `http://localhost:${port}`, PORT: port });
    node = await createVpnNode(server);
    env = {
      PORTBRO_CLIENT_ID: node.id,
      PORTBRO_CLIENT_SECRET: node.secret,
      PARENT_ISSUER: server.issuer,
    };
  });

  afterAll(async () => {
    await server.stop();
  });

  test('tells each step, and prints no token and no secret', async () => {
    const { out, err, code } = await check(env);
    expect([err, code]).toEqual(['', 0]);
    expect(out.replaceAll(/\d+ ms/g, 'N ms').split('\n')).toEqual([
      'ok  access token: issued (N ms)',
      'ok  exchange: VPN JWT issued (N ms)',
      `ok  verification: good, of ${node.id} for vpn-node (N ms)`,
      expect.stringMatching(/^ok {2}cache: held; it expires at \d{4}-.*Z \(N ms\)$/),
      `${node.id} is a VPN node of ${server.issuer}: its JWT is good.`,
      '',
    ]);
    expect(out).not.toContain(node.secret);
    expect(out).not.toContain('eyJ');
  });

  test('gets others on demand, and prints one document with --json', async () => {
    const ran = await check(env, '--force-refresh', '--clear-cache', '--json');
    expect([ran.err, ran.code]).toEqual(['', 0]);
    const { ok, steps, claims } = documentOf(ran);
    expect(ok).toBe(true);
    expect((steps as { name: string }[]).map(({ name }) => name)).toEqual([
      ...['access token', 'exchange', 'verification', 'cache', 'forced refresh', 'cleared cache'],
    ]);
    expect(claims).toMatchObject({ iss: server.issuer, aud: 'vpn-node', sub: node.id, role: 'node' });
  });

  test('works with the addresses that nodes know, and with a secret for test tokens beside it', async () => {
    const addresses = {
      PORTBRO_TOKEN_URL: `${server.issuer}/o/token/`,
      PORTBRO_VPN_AUTH_URL: `${server.issuer}/vpn/auth/`,
      PARENT_JWKS_URL: `${server.issuer}/o/.well-known/jwks.json`,
      VPN_TEST_SECRET: 'x'.repeat(40),
    };
    expect((await check({ ...env, ...addresses })).code).toBe(0);
  });

  test.each<[string, Readonly<Record<string, string>>, RegExp]>([
    ['a wrong secret', { PORTBRO_CLIENT_SECRET: 'wrong' }, /refuses: invalid_client.*Check the node’s id/],
    ['a scope that the node has not', { PORTBRO_SCOPE: 'admin' }, /refuses: invalid_scope/],
    [
      'another audience',
      { PARENT_AUDIENCE: 'shop' },
      /^The JWT has aud "vpn-node", PARENT_AUDIENCE is "shop"\. \(after: access token, exchange\)/,
    ],
    [
      'another host name in the issuer',
      { PARENT_ISSUER: 'LOOPBACK' },
      /^The JWT has iss "http:\/\/localhost:\d+", PARENT_ISSUER is "http:\/\/127\.0\.0\.1:\d+"\. /,
    ],
    [
      'a slash behind the issuer',
      { PARENT_ISSUER: 'PARENT/' },
      /^The JWT has iss "http:\/\/localhost:\d+", PARENT_ISSUER is "http:\/\/localhost:\d+\/"\. /,
    ],
    [
      'no keys',
      { PARENT_JWKS_URL: 'http://localhost:9/jwks' },
      /^The keys cannot be read: check PARENT_JWKS_URL\./,
    ],
    ['another page', { PORTBRO_TOKEN_URL: 'PARENT/healthz' }, /does not answer as a token endpoint does/],
  ])('says what is wrong with %s', async (_name, changes, sentence) => {
    const replaced = Object.entries(changes).map(([key, value]) => [
      key,
      value
        .replace('PARENT', server.issuer)
        .replace('LOOPBACK', server.issuer.replace('localhost', '127.0.0.1')),
    ]);
    const all = { ...env, ...(Object.fromEntries(replaced) as Record<string, string>) };
    const { out, err, code } = await check(all, '--json');
    expect([code, err]).toEqual([1, expect.stringMatching(sentence)]);
    const { error, failed_step: failed, steps } = JSON.parse(out) as Record<string, unknown>;
    expect(error).toEqual({ code: 'failed', message: err.trim() });
    const names = (steps as { name: string }[]).map(({ name }) => name); // as with those that went well
    expect([...names, failed]).toEqual(
      ['access token', 'exchange', 'verification'].slice(0, names.length + 1),
    );
    expect(err).toContain(names.length === 0 ? '' : `(after: ${names.join(', ')})`);
    expect(err + out).not.toContain(node.secret);
  });

  test('names the step that failed, behind those that went well', async () => {
    const { out, err, code } = await check({ ...env, PARENT_AUDIENCE: 'shop' });
    expect([code, err]).toEqual([1, expect.stringMatching(/^The JWT has aud/)]);
    expect(out.replaceAll(/\d+ ms/g, 'N ms')).toBe(
      'ok  access token: issued (N ms)\nok  exchange: VPN JWT issued (N ms)\nFAILED  verification\n',
    );
    expect((await check({ ...env, PORTBRO_CLIENT_SECRET: 'wrong' })).out).toBe('FAILED  access token\n');
  });

  test('says which settings are missing, and takes no other words', async () => {
    const none = await check({}, '--json');
    expect([none.code, none.err.split('\n')]).toEqual([
      1,
      [
        'PORTBRO_CLIENT_ID is not set: the node needs it.',
        'PORTBRO_CLIENT_SECRET is not set: the node needs it.',
        'PARENT_ISSUER is not set: the node needs it.',
        '',
      ],
    ]);
    expect(documentOf(none)).toMatchObject({ error: { code: 'invalid_configuration' } });
    expect((await check(env, '--refresh')).code).toBe(2);
    expect((await check(env, '--help')).out).toMatch(/Example:\n {2}portcullis vpn-check --force-refresh\n$/);
  });
});

describe('vpn-check at a server that answers wrongly', () => {
  let parent: Parent;
  let claims: Readonly<Record<string, unknown>> = OF_NODE;
  let server: Server;
  let env: Readonly<Record<string, string>>;

  beforeAll(async () => {
    parent = await createParent();
    parent.issuer.at = Math.floor(Date.now() / 1000);
    server = createServer((request, response) => {
      response.setHeader('content-type', 'application/json');
      const answer = async (): Promise<object> => {
        if (request.url === '/jwks') return { keys: parent.issuer.published };
        const token = request.url === '/token' ? 'x' : await parent.vpnToken({ claims });
        return { access_token: token, token_type: 'Bearer' };
      };
      void answer().then((it) => response.end(JSON.stringify(it)));
    }).listen(0, '127.0.0.1');
    await once(server, 'listening');
    const issuer = `http://127.0.0.1:${(server.address() as AddressInfo).port}`; // it listens on a port
    claims = { ...OF_NODE, iss: issuer };
    env = { PORTBRO_CLIENT_ID: 'node-berlin', PORTBRO_CLIENT_SECRET: 'x', PARENT_ISSUER: issuer };
  });

  afterAll(() => {
    server.close();
    server.closeAllConnections();
  });

  test('tells that the same JWT came twice', async () => {
    claims = { ...claims, jti: 'one' };
    const sentence = expect.stringMatching(/^The server gave the same JWT twice\./);
    expect(await check(env)).toMatchObject({ code: 0 });
    expect(await check(env, '--force-refresh')).toMatchObject({ code: 1, err: sentence });
    expect(await check(env, '--clear-cache')).toMatchObject({ code: 1, err: sentence });
  });

  test('tells where to look for what is wrong with a JWT whose claims are the right ones', async () => {
    const good = claims;
    claims = { ...good, exp: undefined };
    const sentence = expect.stringMatching(/Check PARENT_ISSUER, PARENT_AUDIENCE and PARENT_JWKS_URL\./);
    expect(await check(env)).toMatchObject({ code: 1, err: sentence });
    claims = good;
  });

  test('tells that the JWT is a person’s', async () => {
    claims = { ...claims, sub: 'alice', username: 'alice', role: 'admin', level: 50 };
    const sentence = expect.stringMatching(/^The JWT is not one of a node: check PORTBRO_VPN_AUTH_URL\./);
    expect(await check(env)).toMatchObject({ code: 1, err: sentence });
  });
});
