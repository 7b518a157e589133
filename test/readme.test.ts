/** What the README says is so: its commands work as they stand, its table is the settings, its links lead somewhere. */
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { createLocalJWKSet, jwtVerify } from 'jose';
import type { JSONWebKeySet, JWTVerifyResult } from 'jose';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

import { SETTING_NAMES, SETTINGS } from '../src/config/settings.ts';
import { findFreePort, makeFolder, ROOT, serve, start } from './cli/serve-process.ts';
import type { Ended, ServeProcess } from './cli/serve-process.ts';

const README = readFileSync(join(ROOT, 'README.md'), 'utf8');
const BLOCKS = [...README.matchAll(/<!-- test: ([\w-]+) -->\s*```sh\n(.*?)```/gs)];
// Each command of the command line is a start of npm and one of Node.
const TIMEOUT_MS = 90_000;

describe('the commands', () => {
  let server: ServeProcess | null = null;
  let port = 0;
  let settings: Readonly<Record<string, string>> = {};

  beforeAll(async () => {
    const folder = makeFolder();
    port = await findFreePort();
    settings = { PORT: String(port), METRICS_ADDRESS: 'off', KEYS_DIR: join(folder, 'keys') };
    settings = { ...settings, VAR_DIR: folder, DATABASE_URL: `sqlite:${join(folder, 'store.db')}` };
    server = serve(settings, folder);
    await server.printed('jwks.json\n');
  }, TIMEOUT_MS);

  afterAll(async () => {
    server?.signal('SIGTERM');
    await server?.ended;
  });

  /** Runs the blocks of one name as one script, from a clone's folder. */
  const run = async (name: string, replace: Readonly<Record<string, string>> = {}): Promise<Ended> => {
    let script = BLOCKS.flatMap(([, block, text]) => (block === name ? [text] : [])).join('');
    for (const [from, to] of Object.entries({ ...replace, 'localhost:8011': `localhost:${port}` })) {
      script = script.replaceAll(from, to);
    }
    const ended = await start('bash', ['-euo', 'pipefail', '-c', script], { cwd: ROOT, env: settings }).ended;
    expect(ended).toMatchObject({ code: 0, err: '' });
    return ended;
  };

  test(
    'of a VPN node register it, get its JWT and verify it',
    async () => {
      const registered = await run('vpn-node-register');
      const { out } = await run('vpn-node', { 'the-secret-that-was-shown': secretIn(registered.out) });
      expect(out).toMatch(/^eyJ[\w-]+\.[\w-]+\.[\w-]+\n\{/);
      expect(out).toContain("sub: 'node-berlin'");
      expect(out).toContain("role: 'node'");
      const checked = await run('vpn-check', { 'the-secret-that-was-shown': secretIn(registered.out) });
      expect(checked.out).toContain(
        `node-berlin is a VPN node of http://localhost:${port}: its JWT is good.`,
      );
    },
    TIMEOUT_MS,
  );

  test(
    'of a node without a secret enrol it, check it and rotate its key',
    async () => {
      const { out } = await run('vpn-enrol');
      const code = /^enrolment_code: (\S+)$/m.exec(out)?.[1] ?? '';
      const file = join(makeFolder(), 'node-bergen.json');
      settings = { ...settings, PORTBRO_CLIENT_SECRET: 'exported by the block of another node' };
      const done = await run('vpn-key', { 'the-code-that-was-shown': code, 'var/node-bergen.json': file });
      expect(done.out).toMatch(/^node-bergen: enrolled\. [^]*: its JWT is good\.\nnode-bergen: rotated\. /);
    },
    TIMEOUT_MS,
  );

  test(
    'of a node that people sign in at, and of test tokens',
    async () => {
      const { out } = await run('vpn-people');
      expect(out).toContain('node-paris: created.');
      expect(out).toContain('"urn:ietf:params:oauth:grant-type:device_code"');
      expect((await run('test-token')).out).toMatch(/^eyJ[\w-]+\.[\w-]+\.[\w-]+\n$/);
    },
    TIMEOUT_MS,
  );

  test(
    'of the JSON API register somebody, sign in, refresh and sign out',
    async () => {
      const { out } = await run('json-api');
      expect(out).toContain('"username":"hedy"');
      expect(out).toContain('"kind":"api"');
      expect(out).toContain('"refresh_token":"');
      expect(out).not.toContain('"status":4');
    },
    TIMEOUT_MS,
  );

  test(
    'of clients do what they say',
    async () => {
      const { out } = await run('register');
      expect(out).toContain('reports: created.');
      expect(out).toContain('reports: rotated.');
      expect(out).toContain('Deleted the client reports.');
    },
    TIMEOUT_MS,
  );

  test(
    'of apply declare a resource server, whose token is active until it is revoked',
    async () => {
      const { out } = await run('apply');
      expect(out).toContain('; nothing was changed.\n+ resource_servers https:');
      const secret = /\+ clients billing\n {2}client_secret: (\S+)/.exec(out)?.[1] ?? '';
      const answers = await run('resource-server', { 'the-secret-of-billing': secret });
      expect(answers.out).toMatch(
        /^\{"active":true,.*"scope":"invoices:read".*"aud":"invoices"\}\{"active":false\}$/,
      );
    },
    TIMEOUT_MS,
  );

  test(
    'of people make the first administrator and import others',
    async () => {
      settings = { ...settings, PORTCULLIS_PASSWORD: 'a password that nobody is asked for' };
      const { out } = await run('people');
      expect(out).toContain('ada: created.');
      expect(out).toContain('"full_name": "Ada Lovelace"');
      expect(out).toContain('3 read, 3 created, 0 refused.');
    },
    TIMEOUT_MS,
  );

  test(
    'of backups take one beside the server, verify it and restore it',
    async () => {
      const { out } = await run('backup');
      expect(out).toContain('(mode 0600) and read it back: ');
      expect(out).toContain('portcullis.age is whole and unchanged: ');
      expect(out).toMatch(/^Restored \d+ records as of /m);
    },
    TIMEOUT_MS,
  );

  test(
    'of programs make a service account, its API key and a client that acts for it',
    async () => {
      const made = await run('api-keys-make');
      expect(made.out).toContain('ci-bot: created.');
      const secret = /^secret: (pcl_\w+)$/m.exec(made.out)?.[1] ?? '';
      const { out } = await run('api-keys-use', { 'the-secret-of-the-key': secret });
      expect(out).toContain('"username":"ci-bot"');
      expect((await run('service-account')).out).toContain('ci-client: created.');
    },
    TIMEOUT_MS,
  );

  test(
    'of administration read the figures, the users and the audit log, which is as it was written',
    async () => {
      const made = await run('admin-client');
      const { out } = await run('admin-api', { 'the-secret-of-back-office': secretIn(made.out) });
      expect(out).toContain('"active_sessions":');
      expect(out).toContain('"username":"ada"');
      expect(out).toContain('"target":"client:back-office"');
      expect((await run('audit')).out).toMatch(/\d+ records, none changed and none missing between them\./);
    },
    TIMEOUT_MS,
  );

  test(
    'of customers make tokens by a key, and by the server, which revokes them',
    async () => {
      const key = join(makeFolder(), 'private-key.pem');
      const made = await run('customer-token', { 'private-key.pem': key });
      const shown = /```json\n(\{\n {2}"iss": "https:\/\/petstore.*?\})\n```/s.exec(README)?.[1] ?? '';
      const variable = /"(iat|exp|jti)": ("[^"]+"|\d+)/g;
      expect(made.out.replaceAll(variable, '')).toContain(shown.replaceAll(variable, ''));
      const { out } = await run('customers');
      expect(out).toContain('acme: updated.');
      expect(out).toMatch(/^acme +standard +500 +standard/m);
      const administrator = await run('admin-client', { 'back-office': 'customer-office' });
      const secrets = {
        'the-secret-of-back-office': secretIn(administrator.out),
        'back-office': 'customer-office',
      };
      const issued = await run('customer-api', secrets);
      expect(issued.out).toMatch(
        /^\{"access_token":"eyJ[^"]+","token_type":"Bearer","expires_in":600,"jti":"[^"]+"\}$/,
      );
    },
    TIMEOUT_MS,
  );

  test(
    'of gateways write their configurations',
    async () => {
      const file = join(makeFolder(), 'nginx.conf');
      const { out } = await run('gateway', { 'nginx.conf': file });
      expect(out).toContain(`Wrote the configuration of nginx to ${file}.\n# Traefik, guarding an API`);
      expect(readFileSync(file, 'utf8')).toContain('/api/v1/verify?audience=petstore');
    },
    TIMEOUT_MS,
  );

  test(
    'of signing keys show them, rotate one and make another',
    async () => {
      const { out } = await run('keys');
      expect(out).toMatch(/^KID +ALG +STATE/);
      expect(out).toMatch(/^ES256: \S+ signs from 20\S+ on\.$/m);
      expect(out).toMatch(/^EdDSA: \S+: created\. It signs from/m);
    },
    TIMEOUT_MS,
  );

  test('that the server prints at its first start work when they are pasted', async () => {
    const err = server?.err() ?? '';
    const commands = err.slice(err.indexOf('Paste these:')).match(/^ {2}\S.*$/gm) ?? [];
    expect(commands).toHaveLength(3);
    const { out, code } = await paste(commands.join('\n'));
    expect(code).toBe(0);
    const [jwt = '', jwks = ''] = out.split('\n');
    const { protectedHeader, payload } = await verify(jwt, jwks, `http://localhost:${port}`);
    expect(protectedHeader).toMatchObject({ alg: 'RS256', typ: 'at+jwt' });
    expect(payload).toMatchObject({ aud: 'vpn-node', sub: 'demo-node', role: 'node' });
  });

  test('that are marked all run here', () => {
    const marked = new Set(BLOCKS.map(([, name]) => name));
    expect([...marked].sort()).toEqual([
      'admin-api',
      'admin-client',
      'api-keys-make',
      'api-keys-use',
      'apply',
      'audit',
      'backup',
      'customer-api',
      'customer-token',
      'customers',
      'gateway',
      'json-api',
      'keys',
      'people',
      'register',
      'resource-server',
      'service-account',
      'test-token',
      'vpn-check',
      'vpn-enrol',
      'vpn-key',
      'vpn-node',
      'vpn-node-register',
      'vpn-people',
    ]);
    expect(README.match(/<!-- test:/g)).toHaveLength(BLOCKS.length);
  });
});

const secretIn = (out: string): string => /client_secret: (\S+)/.exec(out)?.[1] ?? '';

/** An interactive bash, which expands more than a script (a `!`, for example). */
async function paste(text: string): Promise<{ readonly out: string; readonly code: number | null }> {
  const bash = spawn('bash', ['--norc', '--noprofile', '-i'], { stdio: ['pipe', 'pipe', 'ignore'] });
  let out = '';
  bash.stdout.setEncoding('utf8').on('data', (chunk: string) => void (out += chunk));
  bash.stdin.end(`${text}\n`);
  await once(bash, 'close');
  return { out, code: bash.exitCode };
}

function verify(jwt: string, jwks: string, issuer: string): Promise<JWTVerifyResult> {
  const keys = createLocalJWKSet(JSON.parse(jwks) as JSONWebKeySet); // RFC 7517 5
  const expected = { issuer, audience: 'vpn-node', algorithms: ['RS256'], typ: 'at+jwt' };
  return jwtVerify(jwt, keys, expected);
}

test('the table of settings is that of the program', () => {
  const shown = (value: unknown): string => (typeof value === 'string' ? value : JSON.stringify(value));
  const expected = SETTING_NAMES.map((name) => {
    const { env, path, default: fallback, about } = SETTINGS[name];
    return [env ?? '—', path, fallback === null ? '—' : shown(fallback), about];
  });
  const [, table = ''] = README.split(/^\| Environment .*\n.*\n/m);
  const rows = table.slice(0, table.indexOf('\n\n')).split('\n');
  const cells = rows.map((row) =>
    row
      .replaceAll('`', '')
      .split('|')
      .slice(1, -1)
      .map((cell) => cell.trim()),
  );
  expect(cells).toEqual(expected);
});

test('every relative link leads to a file', () => {
  const links = [...README.matchAll(/\]\((?!https?:|#)([^)#]+)/g)].map(([, target]) => target ?? '');
  expect(links.length).toBeGreaterThan(5);
  expect(links.filter((target) => !existsSync(join(ROOT, target)))).toEqual([]);
});
