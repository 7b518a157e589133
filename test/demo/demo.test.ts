/** `npm run demo` as a developer runs it: a process of its own, at a server of its own or one that runs already. */
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { mkdirSync, readdirSync } from 'node:fs';
import { createServer } from 'node:http';
import type { Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';

import { findFreePort, makeFolder, ROOT, start } from '../cli/serve-process.ts';
import type { Ended, ServeProcess } from '../cli/serve-process.ts';
import { describeOnBothStores, startTestServer } from '../support/server.ts';
import type { TestServer } from '../support/server.ts';

// Each tour starts processes of Node, and hashes a dozen passwords.
const TIMEOUT_MS = 60_000;
const COLUMNS = 80;

const demo = (argv: readonly string[], env: Readonly<Record<string, string>> = {}): ServeProcess =>
  start(process.execPath, [join(ROOT, 'examples/demo/main.ts'), ...argv], { cwd: makeFolder(), env });

const tour = (origin: string): Promise<Ended> => demo(['--yes', '--server', origin]).ended;

describe('at a server of its own', () => {
  test(
    'plays every step without a question, as text that fits, and leaves nothing behind',
    async () => {
      const temporary = join(makeFolder(), 'tmp');
      mkdirSync(temporary);
      // Settings that stand around are those of another server.
      const elsewhere = { DATABASE_URL: 'sqlite:/nowhere/at.all', ISSUER: 'https://id.example.com' };
      const { code, out, err } = await demo(['--yes'], { TMPDIR: temporary, ...elsewhere, CI: 'true' }).ended;
      expect({ code, err }).toEqual({ code: 0, err: '' });
      expect(out.match(/^\[\d+\/15\] /gm)).toHaveLength(15);
      expect(out).toContain('← 423 Locked');
      expect(out).toContain('\nAll as expected: 15 steps, ');
      expect(out).not.toContain('Left out');
      expect(out).not.toContain('\u001b');
      expect(out.split('\n').filter((line) => line.length > COLUMNS)).toEqual([]);
      // No secret is shown whole.
      expect(out).toMatch(/"secret": "pcl_\w{4}…"/);
      expect(out).not.toMatch(/pcl_[\w-]{5}|Bearer [\w-]{9}|token=[\w-]{9}|_token": "[\w-]{9}/);
      expect(out).toContain('"password": "••••••••"');
      expect(readdirSync(temporary)).toEqual([]);
    },
    TIMEOUT_MS,
  );

  test.each([
    ['SIGINT', 130],
    ['SIGTERM', 143],
  ] as const)(
    'ends at %s, and the server and its folder with it',
    async (signal, expected) => {
      const temporary = join(makeFolder(), 'tmp');
      mkdirSync(temporary);
      const running = demo(['--yes'], { TMPDIR: temporary });
      await running.printed('[2/15]');
      const [, origin = ''] = /(http:\/\/localhost:\d+) until/.exec(running.out()) ?? [];
      expect((await fetch(`${origin}/healthz`)).status).toBe(200);
      running.signal(signal);
      running.signal(signal); // npm hands on the one that the terminal sent already
      const { code, err } = await running.ended;
      expect({ code, err }).toEqual({ code: expected, err: '' });
      expect(readdirSync(temporary)).toEqual([]);
      await expect(fetch(`${origin}/healthz`)).rejects.toThrow();
    },
    TIMEOUT_MS,
  );
});

describeOnBothStores('at a server that runs already', (store) => {
  test(
    'plays what a stranger can, and says what it leaves out and why',
    () =>
      at(store, {}, async ({ origin }) => {
        const { code, out, err } = await tour(origin);
        expect({ code, err }).toEqual({ code: 0, err: '' });
        expect(out).toContain('Left out: Verifying the address needs a link that is mailed');
        expect(out).toContain('Left out: who is an administrator of this server is not for a tour to say.');
        expect(out).toMatch(/\nAll as expected: 15 steps, \d+ requests, 4 things left out, /);
        expect(out).toContain(`${origin}/docs`);
      }),
    TIMEOUT_MS,
  );
});

describe('at a server that will not let it', () => {
  test.each([
    [
      'takes no registrations',
      { REGISTRATION: 'off' },
      'The tour ends at step 1 of 15. People do not register themselves at this server (registration.enabled is off)',
    ],
    [
      'lets in only who proved an address',
      { REGISTRATION_CONCEAL: 'on' },
      'The tour ends at step 2 of 15. Nobody signs in at this server before the address is proven',
    ],
    [
      'has a rate limit that is reached',
      { RATE_LIMIT_IP: '3' },
      'The server has answered as often as its rate limit allows: Too many requests came from your network: try again in ',
    ],
  ])(
    'that %s, says so and what to do',
    (_what, env, sentence) =>
      at('SQLite', env, async ({ origin }) => {
        const { code, err } = await tour(origin);
        expect(code).toBe(1);
        expect(err).toContain(sentence);
        expect(err).toContain('leave --server out');
      }),
    TIMEOUT_MS,
  );

  test('says where nothing answers, and how to go on', async () => {
    const origin = `http://localhost:${await findFreePort()}`;
    const { code, err } = await tour(origin);
    expect(code).toBe(1);
    expect(err).toBe(
      `No server answers at ${origin}. Start it in another terminal by npm start, ` +
        'or leave --server out: then the tour starts one of its own.\n',
    );
  });

  test('says where something else answers', async () => {
    const [other, origin] = await listen(createServer((_request, response) => response.end('{}')));
    const { code, err } = await tour(origin);
    other.close();
    expect(code).toBe(1);
    expect(err).toContain(`Something answers at ${origin}, but it is no Portcullis with a JSON API`);
  });
});

describe('a surprise', () => {
  let server: TestServer | null = null;
  beforeAll(async () => {
    server = await startTestServer('SQLite');
  });
  afterAll(() => server?.stop());

  test.each<[string, Change, string, number]>([
    [
      'a status',
      (it) => (it.status === 423 ? { ...it, status: 401 } : it),
      'expected the status 423; 401 came',
      9,
    ],
    [
      'a header',
      (it) => (it.status === 423 ? { ...it, retryAfter: null } : it),
      'expected the header Retry-After to be like /^\\d+$/; there was none',
      9,
    ],
    [
      'a value',
      (it) => ({ ...it, body: it.body.replace('"role":"user"', '"role":"admin"') }),
      'expected user.role to be "user"; "admin" came',
      3,
    ],
    [
      'a body',
      (it) => (it.path.endsWith('/sessions') ? { ...it, body: '<html>' } : it),
      'expected sessions.length to be 2; there was none',
      6,
    ],
    [
      'a brief answer',
      (it) => (it.status === 401 && it.path.endsWith('/profile') ? { ...it, status: 200, body: '{}' } : it),
      'expected the status 401; 200 came',
      4,
    ],
  ])(
    'by %s ends the tour with code 1, and says what was expected and what came',
    async (_what, change, fault, step) => {
      const [proxy, origin] = await listen(createProxy(server?.origin ?? '', change));
      const { code, out, err } = await tour(origin);
      proxy.closeAllConnections();
      proxy.close();
      expect({ code, err }).toEqual({ code: 1, err: '' });
      expect(out.replaceAll(/\n +/g, ' ')).toContain(`✗ ${fault}\n`);
      expect(out).toContain(`A surprise at step ${step} of 15: the server did not answer as it should.`);
    },
    TIMEOUT_MS,
  );
});

describe('its arguments', () => {
  test.each([
    [['--nope'], "Unknown option '--nope'. See: npm run demo -- --help"],
    [['--yes', 'more'], "Unexpected argument 'more'."],
    [['--server'], "Option '--server <value>' argument missing."],
    [
      ['--server', 'localhost:8011'],
      '--server takes the origin of a server, such as http://localhost:8011, not ',
    ],
    [['--server', 'http://localhost:8011/api'], '--server takes the origin of a server'],
    [[], 'There is no terminal to press Enter in: add --yes to play the tour without questions.'],
  ])('are refused with code 2 where they are wrong: %j', async (argv, sentence) => {
    const { code, out, err } = await demo(argv).ended;
    expect({ code, out }).toEqual({ code: 2, out: '' });
    expect(err).toContain(sentence);
    expect(err.trimEnd()).not.toContain('\n');
  });

  test('are told by --help', async () => {
    const { code, out, err } = await demo(['--help']).ended;
    expect({ code, err }).toEqual({ code: 0, err: '' });
    for (const told of ['--server URL', '--yes', 'Exit codes:', 'npm run demo -- --yes'])
      expect(out).toContain(told);
  });
});

/** A server for one fact. */
async function at(
  store: Parameters<typeof startTestServer>[0],
  env: Readonly<Record<string, string>>,
  facts: (server: TestServer) => Promise<void>,
): Promise<void> {
  const server = await startTestServer(store, env);
  await facts(server).finally(() => server.stop());
}

interface Passing {
  readonly path: string;
  readonly status: number;
  readonly retryAfter: string | null;
  readonly body: string;
}

type Change = (passing: Passing) => Passing;

/** Hands every request on, and changes the answers. */
function createProxy(origin: string, change: Change): Server {
  return createServer((request, response) => {
    void (async () => {
      const chunks: Buffer[] = [];
      for await (const chunk of request) chunks.push(chunk as Buffer); // a byte stream gives nothing else
      const { url: path = '', method = '', headers } = request;
      const sent = Object.entries(headers).filter(([name]) =>
        ['authorization', 'content-type', 'user-agent', 'x-api-key'].includes(name),
      ) as [string, string][]; // each of these comes once
      const answer = await fetch(origin + path, {
        ...{ method, headers: sent },
        ...(chunks.length > 0 && { body: Buffer.concat(chunks) }),
      });
      const passing = change({
        ...{ path, status: answer.status, body: await answer.text() },
        retryAfter: answer.headers.get('Retry-After'),
      });
      for (const name of ['content-type', 'www-authenticate']) {
        const value = answer.headers.get(name);
        if (value !== null) response.setHeader(name, value);
      }
      if (passing.retryAfter !== null) response.setHeader('Retry-After', passing.retryAfter);
      response.writeHead(passing.status).end(passing.body);
    })();
  });
}

async function listen(server: Server): Promise<[Server, string]> {
  await new Promise((resolve) => server.listen(0, '127.0.0.1', () => resolve(undefined)));
  return [server, `http://127.0.0.1:${(server.address() as AddressInfo).port}`]; // it listens on a port
}
