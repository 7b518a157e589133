/** `portcullis test-token`, and the secret behind it: what it makes, where it is refused, and who does not take it. */
import { describe, expect, test } from '@jest/globals';
import { jwtVerify } from 'jose';

import { registerTestTokenCommand } from '../../src/cli/test-token.ts';
import { faultsOf, load, makeFolder, PRODUCTION, STRONG, writeFile } from '../config/load.ts';
import { createVpnNode, json } from '../support/clients.ts';
import { describeOnBothStores, useTestServer } from '../support/server.ts';
import { DOOR_NAMES, DOORS, ID_TOKEN } from '../vpn/world.ts';
import { documentOf, portcullis, run } from './run.ts';
import type { Ran } from './run.ts';
import { serve } from './serve-process.ts';

const SECRET = 'q8Zr5TnXw2KdLm7VbYc3JhGfPs9DaE4u';
const ALICE = ['--username', 'alice_admin', '--email', 'alice@example.com', '--role', 'admin'] as const;

const make = (
  argv: readonly string[] = ALICE,
  env: Readonly<Record<string, string>> = { NODE_ENV: 'development', VPN_TEST_SECRET: SECRET },
): Promise<Ran> => run(registerTestTokenCommand, ['test-token', ...argv], { cwd: makeFolder(), env });

describe('test-token', () => {
  test('makes an HS256 JWT of an hour for whomever it is told', async () => {
    const { out, err, code } = await make();
    expect([err, code]).toEqual(['', 0]);
    const { payload, protectedHeader } = await jwtVerify(out.trim(), Buffer.from(SECRET), {
      issuer: 'portbro.com',
      audience: 'vpn-nodes',
      algorithms: ['HS256'],
    });
    expect(protectedHeader).toEqual({ alg: 'HS256', typ: 'JWT' });
    const { iat = 0, exp = 0, jti, ...claims } = payload;
    expect([exp - iat, Math.abs(iat - Date.now() / 1000) < 60]).toEqual([3_600, true]);
    expect(jti).toMatch(/^[\w-]{20,}$/);
    expect(claims).toEqual({
      ...{ iss: 'portbro.com', aud: 'vpn-nodes', sub: 'alice_admin', username: 'alice_admin' },
      ...{ email: 'alice@example.com', role: 'admin' },
    });
  });

  test('prints one document with --json, and another token each time', async () => {
    const [one, other] = await Promise.all([make([...ALICE, '--json']), make([...ALICE, '--json'])]);
    expect(Object.keys(documentOf(one))).toEqual(['token']);
    expect(documentOf(one)['token']).not.toBe(documentOf(other)['token']);
  });

  test('warns of a role that a node does not know, and makes the token', async () => {
    const { out, err, code } = await make([...ALICE.slice(0, 5), 'admn', '--json']);
    expect([code, err]).toEqual([
      0,
      'admn is none of the roles of vpn.roles (basic, manager, admin): a node takes it as the least one, basic.\n',
    ]);
    expect(Object.keys(JSON.parse(out) as object)).toEqual(['token']);
    expect((await make([...ALICE.slice(0, 5), 'toString'])).err).toMatch(/^toString is none/);
    expect((await make([...ALICE.slice(0, 5), 'basic'])).err).toBe('');
  });

  test('takes the secret from a file', async () => {
    const cwd = makeFolder();
    writeFile(cwd, 'secret', `${SECRET}\n`);
    const env = { NODE_ENV: 'test', VPN_TEST_SECRET_FILE: 'secret' };
    const { out } = await run(registerTestTokenCommand, ['test-token', ...ALICE], { cwd, env });
    await expect(jwtVerify(out.trim(), Buffer.from(SECRET))).resolves.toBeDefined();
  });

  test('is refused without a secret, and in production with none', async () => {
    const bare = await make(ALICE, { NODE_ENV: 'development' });
    expect([bare.out, bare.code, bare.err]).toEqual([
      '',
      1,
      expect.stringMatching(/no VPN_TEST_SECRET: set/),
    ]);
    const production = await make(ALICE, PRODUCTION);
    expect([production.out, production.code]).toEqual(['', 1]);
    expect(production.err).toContain('Test tokens are for development');
  });

  test.each([
    ['a username', ALICE.slice(2)],
    ['a role', ALICE.slice(0, 4)],
    ['an empty role', [...ALICE.slice(0, 4), '--role', '']],
    ['a name with spaces', ['--username', 'a b', ...ALICE.slice(2)]],
    ['a name of 256 characters', ['--username', 'x'.repeat(256), ...ALICE.slice(2)]],
  ])('is wrong usage without a good value for %s', async (_name, argv) => {
    const { out, code } = await make(argv);
    expect([out, code]).toEqual(['', 2]);
  });

  test('has help with an example, and stands in the list of commands', async () => {
    expect((await make(['--help'])).out).toMatch(/Example:\n {2}portcullis test-token .*\n$/);
    expect((await portcullis(['--help'], { cwd: makeFolder() })).out).toContain('test-token');
  });
});

describe('VPN_TEST_SECRET', () => {
  test('stops production from starting, with a sentence that does not hold it', async () => {
    const env = { ...PRODUCTION, VPN_TEST_SECRET: SECRET };
    expect(faultsOf({ env })).toEqual([
      expect.stringMatching(/^VPN_TEST_SECRET .*taken for an administrator.*none in production.*Unset/),
    ]);
    const { code, err } = await serve(env).ended;
    expect([code, err.includes('Unset VPN_TEST_SECRET'), err.includes(SECRET)]).toEqual([1, true, false]);
    const command = await portcullis(['clients', 'list'], { cwd: makeFolder(), env });
    expect([command.code, command.err]).toEqual([1, expect.stringContaining('VPN_TEST_SECRET')]);
  });

  test.each([
    ['shorter than 32 bytes', SECRET.slice(1), 'too short a value, 31 bytes'],
    ['that encrypts the store, too', STRONG.SECRET_KEY, 'same value as another secret'],
    ['that signs cookies, too', STRONG.JWT_SECRET_KEY, 'same value as another secret'],
  ])('is refused where it is one %s', (_name, VPN_TEST_SECRET, found) => {
    const [fault = '', ...others] = faultsOf({ env: { ...STRONG, VPN_TEST_SECRET } });
    expect(others).toEqual([]);
    expect(fault).toContain(found);
    expect(fault).not.toContain(VPN_TEST_SECRET);
  });

  test('is told by config print as set and nothing more, and may not stand in the settings file', async () => {
    expect(load({ env: { ...STRONG, VPN_TEST_SECRET: SECRET } }).secrets.vpnTestSecret).toBe(SECRET);
    const shown = await portcullis(['config', 'print'], {
      cwd: makeFolder(),
      env: { ...STRONG, VPN_TEST_SECRET: SECRET },
    });
    expect(shown.out).toMatch(/^VPN_TEST_SECRET +set \(from environment VPN_TEST_SECRET\)$/m);
    expect(shown.out).not.toContain(SECRET);
    const [fault = ''] = faultsOf({ env: STRONG, yaml: `VPN_TEST_SECRET: ${SECRET}\n` });
    expect(fault).toContain('VPN_TEST_SECRET');
    expect(fault).not.toContain(SECRET);
  });
});

describeOnBothStores('a test token', (store) => {
  const server = useTestServer(store, { VPN_TEST_SECRET: SECRET });

  test('is nothing to this server: no bearer, no subject token', async () => {
    const token = (await make()).out.trim();
    for (const path of ['/vpn/auth', '/userinfo', '/api/v1/auth/profile']) {
      const headers = { authorization: `Bearer ${token}` };
      const answer = await server().request(path, {
        method: path === '/vpn/auth' ? 'POST' : 'GET',
        headers,
      });
      expect([path, answer.status]).toEqual([path, 401]);
    }
    const node = await createVpnNode(server());
    for (const door of DOOR_NAMES) {
      const { status, body } = await DOORS[door](server(), node, { token, type: ID_TOKEN });
      expect([door, status, body['error']]).toEqual([door, 400, 'invalid_request']);
    }
    const jwks = await json(await server().request('/jwks'));
    expect(JSON.stringify(jwks)).not.toContain('oct');
  });
});
