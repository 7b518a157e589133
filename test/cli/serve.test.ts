/** `portcullis serve` as a process: what it prints, what it refuses and how, and how it ends. */
import { afterAll, describe, expect, test } from '@jest/globals';
import { execFileSync } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, mkdirSync, readdirSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import type { AddressInfo } from 'node:net';
import { delimiter, join } from 'node:path';

import { generateSecret } from '../../src/config/secret-format.ts';
import { PRODUCTION, STRONG } from '../config/load.ts';
import { basic, form } from '../support/clients.ts';
import { endsWithin, findFreePort, makeFolder, ROOT, serve, start } from './serve-process.ts';
import type { Ended, ServeProcess } from './serve-process.ts';

const START_MS = 5_000;
const started: ServeProcess[] = [];

afterAll(() => {
  for (const server of started) server.signal('SIGKILL');
});

/** Starts one that serves, and gives the port it told. */
async function serving(
  env: Readonly<Record<string, string>> = {},
  cwd = makeFolder(),
): Promise<ServeProcess & { readonly port: number }> {
  const server = serve({ PORT: '0', ...env }, cwd);
  started.push(server);
  await server.printed('Portcullis serves ');
  return { ...server, port: Number(/port (\d+)/.exec(server.err())?.[1]) };
}

const stop = (server: ServeProcess, signal: NodeJS.Signals = 'SIGTERM'): Promise<Ended> => {
  server.signal(signal);
  return server.ended;
};

async function refused(
  env: Readonly<Record<string, string>>,
  cwd?: string,
  argv?: readonly string[],
): Promise<Ended> {
  const ended = await endsWithin(START_MS, () => {
    const server = serve(env, cwd, argv);
    started.push(server);
    return server;
  });
  expect([ended.code, ended.out]).toEqual([1, '']);
  return ended;
}

describe('what it prints', () => {
  test('says on standard error where it serves, in which environment, and from which store', async () => {
    const server = await serving();
    expect(server.err()).toContain(
      `Portcullis serves http://localhost:0 (development, port ${server.port}, store ${join(server.folder, 'var/portcullis.db')}).`,
    );
    await stop(server);
  });

  test('shows a demo node once, on an empty development store only', async () => {
    const first = await serving();
    expect(first.err()).toMatch(/client_id {6}demo-node\n {2}client_secret {2}[\w-]{43}\n/);
    expect(first.err().match(/Its secret is shown this once/g)).toHaveLength(1);
    await stop(first);
    const second = await serving({}, first.folder);
    expect(second.err()).not.toContain('client_secret');
    expect(second.err()).toContain('npm run -s portcullis -- vpn-nodes create my-node');
    await stop(second);
  });

  test('keeps what Node made of the sources among the dependencies, for a quick next start', async () => {
    await stop(await serving());
    expect(readdirSync(join(ROOT, 'node_modules/.cache/portcullis')).length).toBeGreaterThan(0);
  });

  test.each(['test', 'production'])('makes no demo node in %s', async (environment) => {
    const server = await serving({ ...PRODUCTION, HOST: '127.0.0.1', NODE_ENV: environment });
    const { err } = await stop(server);
    expect(err).not.toContain('demo-node');
    if (environment === 'production') expect(err).not.toContain('vpn-nodes create');
  });

  test('logs what happens as JSON lines on standard output, without a secret', async () => {
    const server = await serving({ LOG_LEVEL: 'trace', SECRET_KEY: STRONG.SECRET_KEY });
    const secret = /client_secret {2}(\S+)/.exec(server.err())?.[1] ?? '';
    const body = form(
      { grant_type: 'client_credentials', scope: 'read' },
      basic({ id: 'demo-node', secret }),
    );
    const answer = await fetch(`http://127.0.0.1:${server.port}/token`, body);
    const { access_token } = (await answer.json()) as { access_token: string }; // RFC 6749 5.1
    const { out } = await stop(server);
    const lines = out
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line) as { event: string }); // each line is an object of ours
    expect(lines.map(({ event }) => event)).toEqual(expect.arrayContaining(['token_issued', 'answered']));
    for (const hidden of [secret, access_token, STRONG.SECRET_KEY]) {
      expect(hidden.length).toBeGreaterThan(40);
      expect(out).not.toContain(hidden);
    }
  });

  test('logs its start and its stop', async () => {
    const server = await serving();
    const { out } = await stop(server);
    const lines = out.trim().split('\n');
    expect(lines.map((line): unknown => JSON.parse(line))).toEqual([
      expect.objectContaining({
        event: 'server_started',
        version: expect.stringMatching(/^\d+\.\d+\.\d+/),
        issuer: 'http://localhost:0',
        port: server.port,
        storeKind: 'sqlite',
        store: join(server.folder, 'var/portcullis.db'),
      }),
      expect.objectContaining({ event: 'server_stopping' }),
      expect.objectContaining({ event: 'server_stopped' }),
    ]);
  });

  test('warns on standard error of what may surprise, and goes on', async () => {
    const server = await serving({ NODE_ENV: 'development', ISSUER: 'https://auth.example.com' });
    expect(server.err()).toMatch(/^warning: NODE_ENV .*Set NODE_ENV=production/);
    await stop(server);
  });
});

describe('how it ends', () => {
  test.each(['SIGTERM', 'SIGINT'] as const)('%s ends it with exit code 0', async (signal) => {
    const server = await serving();
    expect((await stop(server, signal)).code).toBe(0);
  });

  test('the same signal twice at once is one: npm hands on the Ctrl-C that the terminal sent already', async () => {
    const server = await serving();
    server.signal('SIGINT');
    expect((await stop(server, 'SIGINT')).code).toBe(0);
  });

  test('a signal while it waits for its store ends it with exit code 0', async () => {
    const port = await findFreePort(); // nobody listens there
    const server = serve({
      PORT: '0',
      DATABASE_URL: `mongodb://user:hunter2@127.0.0.1:${port}/?serverSelectionTimeoutMS=50`,
    });
    started.push(server);
    await server.printed('store_lost');
    expect(server.out()).toContain(`"store":"mongodb://***@127.0.0.1:${port}`);
    expect(server.out()).not.toContain('hunter2');
    expect((await stop(server)).code).toBe(0);
  });
});

describe('what it refuses, within 5 s, with exit code 1', () => {
  test('wrong settings, all at once, each by its variable, value and remedy', async () => {
    const { err } = await refused({ PORT: '99999', ISSUER: 'localhost', LOG_LEVEL: 'loud' });
    expect(err).toContain('The configuration has 3 faults:');
    expect(err).toMatch(/PORT.*found "?99999"?; expected a whole number from 0 to 65535\. Set PORT=8011/);
    expect(err).toMatch(/ISSUER.*expected an origin.*Set ISSUER=https:\/\/auth\.example\.com/);
    expect(err).toMatch(/LOG_LEVEL.*Set LOG_LEVEL=info/);
  });

  test('a wrong flag, by its name', async () => {
    const { err } = await refused({}, makeFolder(), ['--port', 'http']);
    expect(err).toMatch(/PORT \[port\] \(flag --port\): found "http".*Give --port 8011/);
  });

  test('production without secrets, and with those of development, without showing any', async () => {
    const missing = await refused({ NODE_ENV: 'production', ISSUER: 'https://auth.example.com' });
    expect(missing.err).toContain('SECRET_KEY: not set');
    expect(missing.err).toContain('portcullis secrets generate --env production');
    const secret = generateSecret('SECRET_KEY', 'development');
    const weak = await refused({ ...PRODUCTION, SECRET_KEY: secret });
    expect(weak.err).toContain('made for development');
    expect(weak.err).not.toContain(secret.slice(12));
  });

  test('a password in a flag, without showing it', async () => {
    const { err } = await refused({}, makeFolder(), ['--database-url', 'mongodb://u:hunter2@db/x']);
    expect(err).toMatch(/DATABASE_URL.*found a password in a flag/);
    expect(err).not.toContain('hunter2');
  });

  test('a settings file that is not there, and one with an unknown setting, by its line', async () => {
    const cwd = makeFolder();
    expect((await refused({ CONFIG_FILE: 'absent.yaml' }, cwd)).err).toContain('absent.yaml');
    writeFileSync(join(cwd, 'settings.yaml'), '# one\nprot: 80\n');
    const { err } = await refused({ CONFIG_FILE: 'settings.yaml' }, cwd);
    expect(err).toMatch(/settings\.yaml:2/);
    expect(err).toMatch(/port/);
  });

  test('a port that is taken', async () => {
    const other = createServer().listen(0, '127.0.0.1');
    await once(other, 'listening');
    const { port } = other.address() as AddressInfo; // a TCP server that listens has one
    const { err } = await refused({ PORT: String(port) });
    expect(err).toBe(
      `Cannot listen on 127.0.0.1:${port}: something else listens there. Set HOST and PORT to a free address.\n`,
    );
    const metrics = await refused({ PORT: '0', METRICS_ADDRESS: `127.0.0.1:${port}` });
    expect(metrics.err).toMatch(
      /^Cannot serve metrics on .*: set METRICS_ADDRESS to a free address or to off\.\n$/,
    );
    const next = createServer().listen(0, '127.0.0.1');
    await once(next, 'listening');
    const address = next.address() as AddressInfo; // as above
    const second = await refused({
      PORT: String(port),
      METRICS_ADDRESS: `127.0.0.1:${address.port}`,
    });
    expect(second.err).toMatch(/^Cannot listen on /); // not of the metrics
    next.close();
    other.close();
  });

  test.each([
    [
      'is a folder',
      (path: string): void => {
        mkdirSync(path);
      },
      /^The store .*store\.db is a folder: name a file/,
    ],
    [
      'is no database',
      (path: string) => writeFileSync(path, 'no database. '.repeat(100)),
      /^The store .*store\.db is a file of another kind.*: name another file in DATABASE_URL/,
    ],
  ])('a store that %s', async (_name, make, sentence) => {
    const cwd = makeFolder();
    make(join(cwd, 'store.db'));
    const { err } = await refused({ PORT: '0', DATABASE_URL: 'sqlite:store.db' }, cwd);
    expect(err).toMatch(sentence);
    expect(err.trim().split('\n')).toHaveLength(1);
  });

  test('a store in a folder whose parent is missing', async () => {
    const { err } = await refused({ PORT: '0', DATABASE_URL: 'sqlite:a/b/c/store.db' });
    expect(err).toMatch(/^The folder .*a\/b\/c of the store cannot be made \(ENOENT\): make it, or change/);
  });

  test('another SECRET_KEY than that of the store', async () => {
    const { folder, ...first } = await serving({ SECRET_KEY: STRONG.SECRET_KEY });
    await stop({ folder, ...first });
    const other = generateSecret('SECRET_KEY', 'production');
    const { err } = await refused({ PORT: '0', SECRET_KEY: other }, folder);
    expect(err).toMatch(
      /does not open with this SECRET_KEY\. Start with the SECRET_KEY that this store was made with/,
    );
    expect(err).not.toContain(other);
  });

  test('a key file that is no key, and in production one that everybody can read', async () => {
    const cwd = makeFolder();
    mkdirSync(join(cwd, 'keys'), { mode: 0o700 });
    const file = join(cwd, 'keys', 'main.pem');
    writeFileSync(file, 'no key');
    chmodSync(file, 0o644);
    expect((await refused({ PORT: '0' }, cwd)).err).toMatch(
      /main\.pem: this is no private key .*openssl genpkey/,
    );
    const { err } = await refused({ ...PRODUCTION, PORT: '0' }, cwd);
    expect(err).toContain(`Run \`chmod 0600 ${file}\``);
  });

  test('an option that it does not have, with exit code 2', async () => {
    const server = serve({}, makeFolder(), ['--prot', '80']);
    started.push(server);
    const { code, out, err } = await server.ended;
    expect([code, out]).toEqual([2, '']);
    expect(err).toMatch(/unknown option '--prot'.*Did you mean --port\?/s);
    expect(err).toContain('add --help');
  });
});

/** The first Node on the path that npm did not put there. */
function nodeOfTheMachine(): { readonly path: string; readonly major: number } | null {
  const folders = (process.env['PATH'] ?? '').split(delimiter).filter((it) => !it.includes('node_modules'));
  try {
    const env = { PATH: folders.join(delimiter) };
    const script = 'console.log(JSON.stringify([process.execPath, process.versions.node]))';
    const printed = execFileSync('node', ['-e', script], { env, encoding: 'utf8' });
    const [path, version] = JSON.parse(printed) as [string, string]; // as the script prints it
    return { path, major: Number.parseInt(version) };
  } catch {
    return null;
  }
}

const machine = nodeOfTheMachine();
const fact = 'an older Node is told so in one sentence, with exit code 1';
if (machine === null || machine.major >= 24) test.skip(`${fact} (this machine has none)`, () => undefined);
else {
  test(`${fact} (Node ${machine.major})`, async () => {
    const { code, out, err } = await start(
      machine.path,
      [join(ROOT, 'bin/portcullis.js'), 'config', 'print'],
      {
        cwd: makeFolder(),
      },
    ).ended;
    expect([code, out]).toEqual([1, '']);
    expect(err).toMatch(
      /^Portcullis needs Node 24 or newer, and this is v\d+\.[\d.]+: start it by npm start/,
    );
    expect(err.trim().split('\n')).toHaveLength(1);
  });
}
