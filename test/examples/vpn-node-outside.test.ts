/** examples/vpn-node from outside: its users, as a process, by check.sh, and in a real browser. */
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';

import { AxeBuilder } from '@axe-core/playwright';
import type { Page } from 'playwright-core';

import { createTeller, lineOf, reportOf } from '../../examples/vpn-node/terminal.ts';
import { aclOf, createUsers } from '../../examples/vpn-node/users.ts';
import { createOAuth2Client, VpnClientError } from '../../src/sdk/node/node.ts';
import type { Caller } from '../../src/sdk/node/node.ts';
import { environmentOf, portcullis } from '../cli/run.ts';
import { findFreePort, makeFolder, ROOT, start } from '../cli/serve-process.ts';
import type { Ended } from '../cli/serve-process.ts';
import { describeInBrowser } from '../support/browser.ts';
import { basic, form } from '../support/clients.ts';
import { PASSWORD, PEOPLE, SECRET, startNodeAtServer, TEST_SECRET, TIMEOUT_MS } from '../support/vpn-node.ts';
import type { NodeAtServer } from '../support/vpn-node.ts';

let it: NodeAtServer;

beforeAll(async () => {
  it = await startNodeAtServer();
}, TIMEOUT_MS);

afterAll(async () => {
  await it.stop();
});

describe('the node’s users', () => {
  const person = (changes: Partial<Caller> = {}): Caller => ({
    ...{ kind: 'person', issuer: 'https://id.example.com', username: 'ada', email: 'ada@example.com' },
    ...{ role: 'manager', level: 30, actor: null, isTest: false, claims: {}, ...changes },
  });

  test('have the rights of their level', () => {
    expect([0, 10, 30, 50, 1_000].map((level) => aclOf(level).join(' '))).toEqual([
      '',
      'connect',
      'connect token:get token:refresh',
      'connect token:get token:refresh token:clear',
      'connect token:get token:refresh token:clear',
    ]);
  });

  test('are made once, follow the claims, and are another for another issuer', () => {
    let at = 1_000;
    const users = createUsers(null, () => at);
    const made = users.sync(person());
    expect(made).toMatchObject({ username: 'ada', level: 30, createdAt: 1_000, updatedAt: 1_000 });
    at = 2_000;
    expect(users.sync(person())).toBe(made);
    expect(users.sync(person({ role: 'basic', level: 10, email: null }))).toEqual({
      ...{ ...made, email: null, role: 'basic', level: 10, acl: ['connect'], updatedAt: 2_000 },
    });
    expect(users.sync(person({ issuer: 'portbro.com', level: 50 })).createdAt).toBe(2_000);
    expect(users.sync(person({ role: 'basic', level: 10, email: null })).createdAt).toBe(1_000);
  });

  test('are kept in a file that only their owner reads, and no other file is taken for one', () => {
    const file = join(makeFolder(), 'users.json');
    createUsers(file, () => 1_000).sync(person());
    expect(statSync(file).mode & 0o777).toBe(0o600);
    expect(createUsers(file, () => 9_000).sync(person()).createdAt).toBe(1_000);
    for (const text of ['{', '{}', '[{"username":"x"}]']) {
      writeFileSync(file, text);
      expect(() => createUsers(file, () => 1)).toThrow(/holds no users of this node: move it away\.$/);
    }
    expect(() => createUsers(makeFolder(), () => 1)).toThrow(/EISDIR/);
  });

  test('are ten thousand at most; whoever changed longest ago makes room', () => {
    let at = 0;
    const users = createUsers(null, () => at);
    for (at = 0; at <= 10_000; at += 1) users.sync(person({ username: `user-${at}` }));
    expect(users.sync(person({ username: 'user-2' })).createdAt).toBe(2);
    expect(users.sync(person({ username: 'user-0' })).createdAt).toBe(10_001);
  });
});

describe('as a process', () => {
  const run = (more: Readonly<Record<string, string>>): Promise<Ended> =>
    start(process.execPath, [join(ROOT, 'examples/vpn-node/start.ts')], {
      cwd: makeFolder(),
      env: { ...it.env, ...more },
    }).ended;

  test(
    'does not start with a test secret in production, without its settings, or beside another',
    async () => {
      for (const environment of [{}, { NODE_ENV: 'production' }]) {
        const { code, err } = await run({ ...environment, VPN_TEST_SECRET: TEST_SECRET });
        expect([code, err]).toEqual([
          1,
          expect.stringMatching(/^VPN_TEST_SECRET is set, and this is production/),
        ]);
        expect(err).not.toContain(TEST_SECRET);
      }
      expect(await run({ PORTBRO_CLIENT_SECRET: '' })).toMatchObject({
        ...{ code: 1, err: 'PORTBRO_CLIENT_SECRET is not set: the node needs it.\n' },
      });
      const port = new URL(it.node.origin).port;
      expect(await run({ VPN_NODE_PORT: port })).toMatchObject({
        ...{ code: 1, err: `Port ${port} is taken: end what listens there, or set VPN_NODE_PORT.\n` },
      });
      for (const VPN_NODE_PORT of ['99999', '8000.5', 'x', '-1']) {
        expect(await run({ VPN_NODE_PORT })).toMatchObject({
          code: 1,
          err: `VPN_NODE_PORT: found "${VPN_NODE_PORT}"; expected a whole number from 0 to 65535, such as 8000.\n`,
        });
      }
    },
    TIMEOUT_MS,
  );

  test(
    'tells in one line that the server does not take its secret',
    async () => {
      const running = start(process.execPath, [join(ROOT, 'examples/vpn-node/start.ts')], {
        cwd: makeFolder(),
        env: { ...it.env, PORTBRO_CLIENT_SECRET: 'wrong', VPN_NODE_PORT: '0' },
      });
      await running.printed('The revocation feed:');
      await pause(2_500); // three attempts
      running.signal('SIGTERM');
      const { out, err } = await running.ended;
      const lines = (out + err).trim().split('\n').toSorted();
      expect(lines).toEqual([
        expect.stringMatching(/^The revocation feed: \S+ refuses: invalid_client .*Check the node’s id/),
        expect.stringMatching(/^VPN node node-example: http/),
      ]);
    },
    TIMEOUT_MS,
  );

  test('its terminal is told a fault with its cause, and the same one once a minute', () => {
    let at = 0;
    const lines: string[] = [];
    const tell = createTeller(
      (line) => void lines.push(line),
      () => at,
    );
    const cause = Object.assign(new AggregateError([], ''), { code: 'ECONNREFUSED' });
    const fault = lineOf(new TypeError('fetch\nfailed', { cause }));
    expect(fault).toBe('fetch failed (ECONNREFUSED)');
    for (const seconds of [0, 1, 59, 60, 61, 119]) {
      at = seconds * 1_000;
      tell(fault);
    }
    tell('another');
    tell(fault);
    expect(lines).toEqual([fault, fault, 'another', fault]);
    const refused = new VpnClientError('ERR_VPN_NODE_REFUSED', 'no such node');
    const bug = new Error('bug');
    expect([refused, bug, 'text'].map((it) => reportOf(it))).toEqual(['no such node', bug, 'text']);
  });

  test(
    'starts, follows the feed of revocations, and ends with code 0 at a signal',
    async () => {
      const port = String(await findFreePort());
      const file = join(ROOT, 'examples/vpn-node/start.ts');
      const running = start(process.execPath, [file], {
        cwd: makeFolder(),
        env: { ...it.env, VPN_NODE_PORT: port },
      });
      await running.printed(`VPN node node-example: http://localhost:${port}`);
      const jwt = await createOAuth2Client(it.settings).getVpnJwtToken();
      const answersBy = async (status: number): Promise<boolean> => {
        const headers = { authorization: `Bearer ${jwt}` };
        for (let look = 0; look < 100; look += 1) {
          const answer = await fetch(`http://localhost:${port}/auth/vpn/refresh/`, {
            method: 'POST',
            headers,
          });
          if (answer.status === status) return true;
          await pause(50);
        }
        return false;
      };
      expect(await answersBy(403)).toBe(true); // it is good, and a node's own level lets it do nothing here
      await it.server.request('/revoke', form({ token: jwt }, basic({ id: 'node-example', secret: SECRET })));
      expect(await answersBy(401)).toBe(true);
      running.signal('SIGTERM');
      expect((await running.ended).code).toBe(0);
    },
    TIMEOUT_MS,
  );
});

describe('check.sh', () => {
  const check = (more: Readonly<Record<string, string>>, ...argv: readonly string[]): Promise<Ended> =>
    start('bash', [join(ROOT, 'examples/vpn-node/check.sh'), ...argv], {
      cwd: makeFolder(),
      env: { ...it.env, ...more },
    }).ended;

  test('finds everything right, at the server and at the node', async () => {
    const made = await portcullis(
      ['test-token', '--username', 'ada', '--email', 'ada@example.com', '--role', 'admin'],
      { cwd: makeFolder(), env: { ...environmentOf(it.server), VPN_TEST_SECRET: TEST_SECRET } },
    );
    const VPN_JWT = made.out.trim();
    const { out, err, code } = await check(
      { VPN_NODE_URL: it.node.origin, VPN_JWT },
      '--force-refresh',
      '--clear-cache',
    );
    expect([err, code]).toEqual(['', 0]);
    expect(out.split('\n').map((line) => line.replace(/\d{4}-\d\d-\d\dT[\d:.]+Z/, 'T'))).toEqual([
      'ok  access token: issued',
      'ok  exchange: VPN JWT issued',
      'ok  claims: of node-example, good until T',
      'ok  key: published',
      'ok  node: holds a JWT until T',
      'ok  node: another JWT',
      'ok  node: forgot its JWT',
      '',
    ]);
    expect(out).not.toMatch(/eyJ/);
    expect((await check({})).out).toContain('ok  node: not asked');
  });

  test.each<[string, Readonly<Record<string, string>>, RegExp]>([
    ['a wrong secret', { PORTBRO_CLIENT_SECRET: 'wrong' }, /^FAILED {2}access token: 401 /],
    ['a missing setting', { PORTBRO_CLIENT_ID: '' }, /^FAILED {2}PORTBRO_CLIENT_ID is not set/],
    ['another audience', { PARENT_AUDIENCE: 'shop' }, /^FAILED {2}the claims are \{/],
    ['no server', { PORTBRO_TOKEN_URL: 'http://localhost:9/' }, /http:\/\/localhost:9\/ cannot be reached/],
    ['keys of somebody else', { PARENT_JWKS_URL: 'ISSUER/healthz' }, /does not publish the key of the JWT/],
    [
      'a JWT that the node does not take',
      { VPN_NODE_URL: 'NODE', VPN_JWT: 'x.y.z' },
      /^FAILED {2}node, get: 401 /,
    ],
  ])('says what is wrong with %s', async (_name, changes, sentence) => {
    const places = (value: string): string =>
      value.replace('ISSUER', it.server.issuer).replace('NODE', it.node.origin);
    const more = Object.fromEntries(Object.entries(changes).map(([name, value]) => [name, places(value)]));
    const { err, code } = await check(more);
    expect([code, err]).toEqual([1, expect.stringMatching(sentence)]);
    expect(err).not.toContain(SECRET);
  });

  test('takes no other words', async () => {
    expect((await check({}, '--refresh')).code).toBe(2);
  });
});

describeInBrowser('in a browser without JavaScript', (browser) => {
  const open = async (): Promise<Page> => {
    const context = await browser().newContext({ javaScriptEnabled: false });
    return context.newPage();
  };
  const textAt = (page: Page, id: string): Promise<string> => page.locator(`#${id}`).innerText();
  const claimsAt = async (page: Page): Promise<unknown> => JSON.parse(await textAt(page, 'claims'));

  test.each(PEOPLE)(
    '%s signs in at Portcullis and is themselves here',
    async (username, role, level, title) => {
      const page = await open();
      await page.goto(`${it.node.origin}/auth/login/`);
      await page.getByRole('link', { name: 'Sign in with Portcullis' }).click();
      await page.locator('input[name="login"]').fill(username);
      await page.locator('input[name="password"]').fill(PASSWORD);
      await page.locator('button[type="submit"], form button').first().click();
      await page.getByRole('button', { name: 'Allow', exact: true }).click();
      await page.getByRole('heading', { name: `Hello, ${username}` }).waitFor();
      expect(await textAt(page, 'username')).toBe(username);
      expect(await textAt(page, 'email')).toBe(`${username.split('_')[0] ?? ''}@example.com`);
      expect(await textAt(page, 'level')).toBe(`${title} (${level})`);
      expect(await claimsAt(page)).toMatchObject({
        ...{ iss: it.server.issuer, aud: 'vpn-node', sub: username, username, role, level },
        ...{ client_id: 'node-example', act: { sub: 'node-example' } },
      });
      const buttons = await page.getByRole('button').allInnerTexts();
      expect(buttons).toEqual(
        ['Sign out', 'Get a JWT', 'Force a new one', 'Forget it'].slice(0, { 50: 4, 30: 3, 10: 1 }[level]),
      );
      if (level === 50) {
        await page.getByRole('button', { name: 'Get a JWT' }).click();
        expect(await textAt(page, 'node')).toMatch(/^The node holds a JWT as node-example until /);
        await page.getByRole('button', { name: 'Forget it' }).click();
        expect(await textAt(page, 'node')).toBe('The node holds no JWT.');
      }
      // Whom the feed of revocations names is out at the next request, and in again by signing in alone.
      const session = await page.context().cookies();
      it.revoked.add(username);
      await page.reload();
      await page.getByRole('heading', { name: 'A VPN node' }).waitFor();
      it.revoked.delete(username);
      await page.context().addCookies(session);
      await page.reload();
      await page.getByRole('heading', { name: 'A VPN node' }).waitFor();
      await page.context().close();
    },
    TIMEOUT_MS,
  );

  test.each(PEOPLE)(
    'a test token makes one %s, who is %s',
    async (username, role, level, title) => {
      const page = await open();
      await page.goto(`${it.node.origin}/auth/login/`);
      await page.getByLabel('Username').fill(username);
      await page.getByLabel('Email').fill(`${username}@example.com`);
      await page.getByLabel('Role').selectOption(role);
      await page.getByRole('button', { name: 'Generate Token for User' }).click();
      await page.getByRole('heading', { name: `A token for ${username}` }).waitFor();
      await page.getByRole('button', { name: 'Authenticate' }).click();
      expect(await textAt(page, 'username')).toBe(username);
      expect(await textAt(page, 'email')).toBe(`${username}@example.com`);
      expect(await textAt(page, 'level')).toBe(`${title} (${level})`);
      expect(await claimsAt(page)).toMatchObject({ iss: 'portbro.com', aud: 'vpn-nodes', role });
      await page.context().close();
    },
    TIMEOUT_MS,
  );

  test.each(['light', 'dark'] as const)(
    'the pages have nothing to object to, %s',
    async (colorScheme) => {
      const context = await browser().newContext({ colorScheme });
      const page = await context.newPage();
      const complaints: string[] = [];
      page.on('console', (message) => complaints.push(message.text()));
      const faults = async (): Promise<readonly string[]> => {
        const { violations } = await new AxeBuilder({ page }).analyze();
        return violations.flatMap(({ id, nodes }) => nodes.map(({ html }) => `${id}: ${html}`));
      };
      await page.goto(`${it.node.origin}/auth/login/`);
      expect(await faults()).toEqual([]);
      await page.getByLabel('Username').fill('ada');
      await page.getByLabel('Email').fill('ada@example.com');
      await page.getByRole('button', { name: 'Generate Token for User' }).click();
      expect(await faults()).toEqual([]);
      await page.getByRole('button', { name: 'Authenticate' }).click();
      await page.getByRole('heading', { name: 'Hello, ada' }).waitFor();
      expect(await faults()).toEqual([]);
      expect(complaints).toEqual([]);
      await context.close();
    },
    TIMEOUT_MS,
  );
});
