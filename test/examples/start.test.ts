/** `npm run examples` as a developer runs it: processes of their own, on the ports that clients.yaml names. */
import { describe, expect, test } from '@jest/globals';
import { readFileSync, statSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';

import { findFreePort, makeFolder, ROOT, serve, start } from '../cli/serve-process.ts';
import type { Ended, ServeProcess } from '../cli/serve-process.ts';
import { describeInBrowser } from '../support/browser.ts';
import { enterSpa, newPerson, visit } from '../support/life.ts';

// Each step starts a process of Node.
const TIMEOUT_MS = 60_000;

const examples = (env: Readonly<Record<string, string>>): ServeProcess =>
  start(process.execPath, [join(ROOT, 'examples/start.ts')], { cwd: makeFolder(), env });

describe('npm run examples', () => {
  test(
    'declares the clients, starts both examples or none, and ends with code 0 at a signal',
    async () => {
      const folder = makeFolder();
      const port = String(await findFreePort());
      const store = { DATABASE_URL: `sqlite:${join(folder, 'store.db')}`, KEYS_DIR: join(folder, 'keys') };
      const env = { PORT: port, VAR_DIR: folder, ...store };
      const server = serve(env, folder);
      await server.printed('jwks.json\n');

      const first = await runUntilStarted(env);
      expect(first.out).toContain('+ clients spa-example');
      expect(first.out).toContain('+ clients web-example');
      expect(first).toMatchObject({ code: 0, err: '' });
      const secretFile = join(folder, 'web-example-secret');
      expect(statSync(secretFile).mode & 0o777).toBe(0o600);
      expect(first.out).not.toContain(readFileSync(secretFile, 'utf8'));
      // The secret is kept, so that a second start changes nothing.
      expect((await runUntilStarted(env)).out).toContain('0 created, 0 updated, 3 unchanged.');

      const refused = await examples({ ...env, WEB_EXAMPLE_SECRET: 'short' }).ended;
      expect(refused.code).toBe(1);
      expect(refused.err).toContain('The clients of the examples could not be declared: see above.');

      const other = createServer().listen(8021, '127.0.0.1');
      await new Promise((resolve) => other.once('listening', resolve));
      const { code, err } = await examples(env).ended;
      expect({ code, err }).toEqual({
        code: 1,
        err: 'Port 8021 is taken: end what listens there, then run this again.\n',
      });
      other.close();

      server.signal('SIGTERM');
      await server.ended;
    },
    TIMEOUT_MS,
  );

  describeInBrowser('in Chromium', (browser) => {
    test(
      'from a clean start, a new person signs in at both, and calls the API of the first',
      async () => {
        const folder = makeFolder();
        const port = String(await findFreePort());
        const store = {
          DATABASE_URL: `sqlite:${join(folder, 'store.db')}`,
          KEYS_DIR: join(folder, 'keys'),
        };
        const env = { PORT: port, VAR_DIR: folder, ...store };
        const server = serve(env, folder);
        await server.printed('jwks.json\n');
        const running = examples(env);
        await running.printed('Ctrl-C ends both.');

        const { context, open, complaints } = await visit(browser());
        const [spa, web, person] = [await open(), await open(), newPerson()];
        await enterSpa(spa, 'http://localhost:8020', person);
        await spa.getByRole('button', { name: 'Call the API' }).click();
        await spa.locator('#answer', { hasText: '"greeting"' }).waitFor();
        await web.goto('http://localhost:8021');
        await web.getByRole('link', { name: 'Sign in' }).click();
        await web.getByRole('button', { name: 'Allow', exact: true }).click(); // the session is there already
        await web.getByRole('heading', { name: `Hello, ${person.fullName}` }).waitFor();
        expect(complaints()).toEqual([]);
        await context.close();

        for (const process of [running, server]) {
          process.signal('SIGTERM');
          expect((await process.ended).code).toBe(0);
        }
      },
      TIMEOUT_MS,
    );
  });

  test('says what to do where no server answers', async () => {
    const issuer = `http://localhost:${await findFreePort()}`;
    const { code, err } = await examples({ ISSUER: issuer }).ended;
    expect(code).toBe(1);
    expect(err).toBe(
      `Portcullis does not answer at ${issuer}. ` +
        'Start the server in another terminal by `npm start`, then run this again.\n',
    );
  });

  test('says so where something else answers', async () => {
    const other = createServer((_request, response) => response.writeHead(404).end()).listen(0, '127.0.0.1');
    await new Promise((resolve) => other.once('listening', resolve));
    const { port } = other.address() as AddressInfo; // it listens on a port
    const { code, err } = await examples({ PORT: String(port) }).ended;
    expect(code).toBe(1);
    expect(err).toMatch(/^Something else answers at http:\/\/localhost:\d+ \(404\)\. Start the server .*\n$/);
    other.close();
  });
});

/** Starts the examples, asks both for their page, and ends them. */
async function runUntilStarted(env: Readonly<Record<string, string>>): Promise<Ended> {
  const running = examples(env);
  await running.printed('Ctrl-C ends both.');
  for (const port of [8020, 8021]) expect((await fetch(`http://localhost:${port}/`)).status).toBe(200);
  running.signal('SIGTERM');
  return running.ended;
}
