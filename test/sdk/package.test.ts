/** The package as other programs get it: packed, unpacked among their modules, and imported from plain JavaScript. */
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { execFile } from 'node:child_process';
import {
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';

import { findFreePort, ROOT, start } from '../cli/serve-process.ts';

const run = promisify(execFile);
// npm, tar and the compiler are processes of their own.
const TIMEOUT_MS = 120_000;

const PROGRAM = `
import { createGuard, isGuardError } from 'portcullis/guard';

const guard = createGuard({ issuer: 'https://id.example.com', audience: 'shop', jwks: new URL('http://localhost:9/') });
try {
  await guard.verify('a.b.c');
} catch (error) {
  console.log(isGuardError(error), error.code, error.status);
}
`;

/** What other people's TypeScript does with it, under the strictest flags; each @ts-expect-error is a promise, too. */
const TYPED = `
import { createServer } from 'node:http';
import Koa from 'koa';
import Router from 'koa-router';
import { createGuard, GuardError, isGuardError, toRefusal } from 'portcullis/guard';
import type { Auth, GuardOptions, RevocationFeed } from 'portcullis/guard';

const revocations: RevocationFeed = { isRevoked: ({ jti }) => jti === 'x' };
const options: GuardOptions = {
  issuer: 'https://id.example.com',
  audience: ['shop'],
  introspection: { clientId: 'shop', clientSecret: 'secret', cacheSeconds: 5 },
  revocations,
  fetch,
  now: () => Math.floor(Date.now() / 1000),
};
const guard = createGuard(options);

const app = new Koa<{ auth: Auth }>();
app.use(guard.koa({ roles: ['admin'], scopes: ['orders:read'] }));
app.use((ctx) => {
  const role: string | null = ctx.state.auth.role;
  ctx.body = role;
});
const router = new Router();
router.get('/', guard.koa(), (ctx) => void (ctx.body = 'x'));
app.use(router.routes());

const middleware = guard.node({ audience: 'shop' });
createServer((request: Parameters<typeof middleware>[0] & object, response) => {
  middleware(request, response, () => response.end(request.auth?.subject));
});
export const verified: Promise<Auth> = guard.verify('token').catch((error: unknown) => {
  if (isGuardError(error, 'ERR_GUARD_TOKEN_EXPIRED')) console.log(toRefusal(error).status);
  throw new GuardError('ERR_GUARD_TOKEN_MISSING', 'none');
});
// @ts-expect-error an audience is needed
createGuard({ issuer: 'https://id.example.com' });
// @ts-expect-error there is no such code
isGuardError(null, 'ERR_GUARD_TOKEN_LOST');
`;

const TSCONFIG = {
  compilerOptions: {
    target: 'ES2022',
    lib: ['ES2022'],
    types: ['node'],
    module: 'nodenext',
    strict: true,
    exactOptionalPropertyTypes: true,
    noUncheckedIndexedAccess: true,
    verbatimModuleSyntax: true,
    skipLibCheck: false,
    noEmit: true,
  },
  files: ['typed.ts'],
};

describe('the package', () => {
  let folder: string;
  let packed: readonly string[];

  beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), 'portcullis-package-'));
    const { stdout } = await run('npm', ['pack', '--json', '--silent', '--pack-destination', folder], {
      cwd: ROOT,
    });
    const [made] = JSON.parse(stdout.slice(stdout.indexOf('['))) as {
      filename: string;
      files: { path: string }[];
    }[];
    packed = made?.files.map(({ path }) => path) ?? [];
    const modules = join(folder, 'node_modules');
    mkdirSync(join(modules, 'portcullis'), { recursive: true });
    await run('tar', [
      '-xzf',
      join(folder, made?.filename ?? ''),
      '--strip-components=1',
      '-C',
      join(modules, 'portcullis'),
    ]);
    // What npm would install with it, and what the program itself has.
    for (const name of ['jose', 'koa', 'koa-router', '@types']) {
      symlinkSync(join(ROOT, 'node_modules', name), join(modules, name));
    }
    writeFileSync(join(folder, 'package.json'), '{"type":"module"}');
    writeFileSync(join(folder, 'program.js'), PROGRAM);
    writeFileSync(join(folder, 'typed.ts'), TYPED);
    writeFileSync(join(folder, 'tsconfig.json'), JSON.stringify(TSCONFIG));
  }, TIMEOUT_MS);

  afterAll(() => rmSync(folder, { recursive: true, force: true }));

  test('holds the guard as JavaScript with its types', () => {
    const sources = readdirSync(join(ROOT, 'src/sdk/guard')).map((file) => file.slice(0, -3));
    for (const source of sources) {
      expect(packed).toContain(`dist/guard/${source}.js`);
      expect(packed).toContain(`dist/guard/${source}.d.ts`);
    }
    expect(packed.filter((path) => /^(keys|var|test)\/|\.env$|\.pem$/.test(path))).toEqual([]);
  });

  test(
    'is imported by its name, from plain JavaScript',
    async () => {
      const { stdout } = await run(process.execPath, ['program.js'], { cwd: folder });
      expect(stdout).toBe('true ERR_GUARD_TOKEN_INVALID 401\n');
    },
    TIMEOUT_MS,
  );

  test(
    'shows its types to a program that checks its libraries',
    async () => {
      const tsc = join(ROOT, 'node_modules/typescript/bin/tsc');
      const { stdout } = await run(process.execPath, [tsc, '-p', '.'], { cwd: folder }).catch(
        (error: unknown) => error as { stdout: string }, // execFile rejects with what was printed
      );
      expect(stdout).toBe('');
    },
    TIMEOUT_MS,
  );

  test(
    'does what the README’s example says',
    async () => {
      const [, example = ''] =
        /```js\n(import Koa.*?)```/s.exec(readFileSync(join(ROOT, 'README.md'), 'utf8')) ?? [];
      const port = String(await findFreePort());
      writeFileSync(join(folder, 'example.js'), example.replace('8022', port));
      const program = start(process.execPath, ['example.js'], { cwd: folder });
      const answer = await askWhenItListens(`http://127.0.0.1:${port}`);
      expect([answer.status, answer.headers.get('www-authenticate')]).toEqual([401, 'Bearer']);
      program.signal('SIGTERM');
      expect((await program.ended).err).toBe('');
    },
    TIMEOUT_MS,
  );

  test('shows nothing else', async () => {
    const other = "await import('portcullis/src/app.ts')";
    const ended = run(process.execPath, ['--input-type=module', '-e', other], { cwd: folder });
    await expect(ended).rejects.toMatchObject({
      stderr: expect.stringContaining('ERR_PACKAGE_PATH_NOT_EXPORTED'),
    });
  });
});

async function askWhenItListens(url: string): Promise<Response> {
  for (const until = Date.now() + 10_000; ;) {
    try {
      return await fetch(url);
    } catch (error) {
      if (Date.now() > until) throw error;
      await sleep(20);
    }
  }
}
