/** Standard output that takes nothing, as on a full disk: a server goes on, and no secret is lost unseen. */
import { afterAll, describe, expect, test } from '@jest/globals';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

import { basic, form } from '../support/clients.ts';
import { documentOf, portcullis } from './run.ts';
import { findFreePort, makeFolder, ROOT, start } from './serve-process.ts';
import type { Ended, ServeProcess } from './serve-process.ts';

// Every write to it fails with ENOSPC. Linux alone has it.
const FULL = '/dev/full';
const describeWhereFull = existsSync(FULL) ? describe : describe.skip;
const READY_MS = 25_000;
const PORTCULLIS = [process.execPath, '--disable-proto=throw', join(ROOT, 'src/main.ts')];

const started: ServeProcess[] = [];

afterAll(() => {
  for (const process of started) process.signal('SIGKILL');
});

/** Runs a line of shell in which "$@" is the command. */
function shell(
  line: string,
  argv: readonly string[],
  cwd: string,
  env: Readonly<Record<string, string>> = {},
): ServeProcess {
  const child = start('/bin/sh', ['-c', line, 'sh', ...PORTCULLIS, ...argv], { cwd, env });
  started.push(child);
  return child;
}

async function serve(redirection: string): Promise<{ server: ServeProcess; origin: string }> {
  const port = String(await findFreePort());
  const env = { METRICS_ADDRESS: 'off', LOG_LEVEL: 'trace', PORT: port };
  const server = shell(`exec "$@" ${redirection}`, ['serve'], makeFolder(), env);
  const origin = `http://127.0.0.1:${port}`;
  const isReady = (): Promise<boolean> => fetch(`${origin}/readyz`).then(({ ok }) => ok, () => false); // prettier-ignore
  for (const until = Date.now() + READY_MS; !(await isReady());) {
    if (Date.now() > until) throw new Error(`it is not ready: ${server.err()}`);
    await sleep(50);
  }
  return { server, origin };
}

describeWhereFull('serve', () => {
  test('goes on without its log, says so once, and ends as always', async () => {
    const { server, origin } = await serve(`> ${FULL}`);
    await server.printed('Paste these');
    const secret = /client_secret {2}(\S+)/.exec(server.err())?.[1] ?? '';
    await server.printed('The log cannot be written (ENOSPC');
    const body = form(
      { grant_type: 'client_credentials', scope: 'read' },
      basic({ id: 'demo-node', secret }),
    );
    for (let i = 0; i < 50; i += 1) expect((await fetch(`${origin}/token`, body)).status).toBe(200);
    server.signal('SIGTERM');
    const { code, err } = await server.ended;
    expect(code).toBe(0);
    expect(err.match(/The log cannot be written/g)).toHaveLength(1);
  });

  test('goes on where nobody reads its standard error either', async () => {
    const { server, origin } = await serve(`> ${FULL} 2> ${FULL}`);
    // Each is a line of the log, which has been tried, and has failed, many times by the end.
    for (let i = 0; i < 50; i += 1) expect((await fetch(`${origin}/jwks`)).status).toBe(200);
    server.signal('SIGTERM');
    expect((await server.ended).code).toBe(0);
  });
});

describe('a command whose answer cannot be written', () => {
  const LOST =
    /^Standard output cannot be written \([^)]*\bE[A-Z]+\b[^)]*\), so the answer is lost\..* `portcullis vpn-nodes rotate-secret ID`/m;

  const expectTold = async ({ ended }: ServeProcess): Promise<Ended> => {
    const { code, out, err } = await ended;
    expect([code, out]).toEqual([1, '']);
    expect(err).toMatch(LOST);
    expect(err.trim().split('\n')).toHaveLength(1);
    return { code, out, err };
  };

  describeWhereFull('on a full disk', () => {
    test.each([
      ['as text', []],
      ['as JSON', ['--json']],
    ])('says that a new secret is lost and how to get another, %s', async (_name, options) => {
      const cwd = makeFolder();
      const { err } = await expectTold(
        shell(`exec "$@" > ${FULL}`, ['vpn-nodes', 'create', 'node', ...options], cwd),
      );
      const [, remedy = ''] = /`portcullis ([^`]+)`/.exec(err) ?? [];
      const argv = [...remedy.replace('ID', 'node').split(' '), '--json'];
      const secret = documentOf(await portcullis(argv, { cwd, env: {} }))['client_secret'];
      expect(secret).toMatch(/^[\w-]{43}$/);
    });

    test.each([
      ['a list', ['clients', 'list']],
      ['help', ['--help']],
      ['settings', ['config', 'print']],
      ['an apply', ['apply', join(ROOT, 'config/resources.example.yaml')]],
    ])('%s is no success', async (_name, argv) => {
      await expectTold(shell(`exec "$@" > ${FULL}`, argv, makeFolder()));
    });
  });

  test('to a reader that has gone, is told too', async () => {
    const child = shell(
      '{ "$@"; echo "exit $?" >&2; } | true',
      ['vpn-nodes', 'create', 'node'],
      makeFolder(),
    );
    const { err } = await child.ended;
    expect(err).toMatch(LOST);
    expect(err).toMatch(/\nexit 1\n$/);
  });
});

describeWhereFull('a backup that nobody takes to its end', () => {
  test.each([
    ['a full disk', `exec "$@" > ${FULL}`],
    ['a reader that has gone', 'set -o pipefail; "$@" | true'],
  ])('is none, and is told so: %s', async (_name, line) => {
    const child = start('/bin/bash', ['-c', line, 'bash', ...PORTCULLIS, 'backup', '--output', '-'], {
      cwd: makeFolder(),
    });
    started.push(child);
    const { code, err } = await child.ended;
    expect([code, err]).toEqual([
      1,
      expect.stringMatching(/^Standard output took only a part of it \(.*\): it is no backup\.\n$/),
    ]);
  });
});
