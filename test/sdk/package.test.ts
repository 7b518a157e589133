/** The package as other programs get it: packed, unpacked among their modules, and imported from plain JavaScript. */
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { execFile, execFileSync } from 'node:child_process';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
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

/** A node's whole way at a server of its own making, and every kind of refusal: what differs between versions of Node. */
const NODE_PROGRAM = `
import { createServer } from 'node:http';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { calculateJwkThumbprint, decodeProtectedHeader, exportJWK, generateKeyPair, SignJWT } from 'jose';
import * as sdk from 'portcullis/node';

const { privateKey, publicKey } = await generateKeyPair('RS256');
const jwk = { ...(await exportJWK(publicKey)), kid: 'one', alg: 'RS256', use: 'sig' };
let issuer, failures = 1;
const sign = (claims) => new SignJWT({ client_id: 'node', jti: 'x', username: claims.sub, ...claims })
  .setProtectedHeader({ alg: 'RS256', kid: 'one', typ: 'at+jwt' }).setIssuer(issuer).setAudience('vpn-node')
  .setIssuedAt().setExpirationTime('1h').sign(privateKey);
const server = createServer(async (request, response) => {
  if (request.url === '/jwks') return response.end(JSON.stringify({ keys: [jwk] }));
  if (/enrol|keys/.test(request.url)) {
    const kid = await calculateJwkThumbprint(decodeProtectedHeader(JSON.parse(await text(request)).proof).jwk);
    return response.end(JSON.stringify({ client_id: 'node', kid, keys: [{ kid, expires_at: null }] }));
  }
  if (failures-- > 0) return response.writeHead(503).end();
  const wrong = request.url === '/token' && request.headers.authorization !== 'Basic ' + btoa('node:secret');
  if (wrong) return response.writeHead(401).end('{"error":"invalid_client"}');
  const token = await sign({ sub: 'node', role: 'node', level: 0 });
  response.end(JSON.stringify({ access_token: token, token_type: 'Bearer' }));
}).listen(0, '127.0.0.1');
await new Promise((resolve) => server.once('listening', resolve));
issuer = 'http://127.0.0.1:' + server.address().port;

const env = { PORTBRO_CLIENT_ID: 'node', PORTBRO_CLIENT_SECRET: 'secret', PARENT_ISSUER: issuer };
const settings = sdk.readNodeSettings(env);
const client = sdk.createOAuth2Client(settings);
const validator = sdk.createTokenValidator({ ...settings, testSecret: 'x'.repeat(32), environment: 'test' });
const service = sdk.createJwtService({ client, validator });
const tokens = await Promise.all(Array.from({ length: 100 }, () => service.getJwtToken()));
console.log(new Set(tokens).size, await service.isTokenValid(tokens[0]), await service.isTokenValid('a.b.c'));

const { node } = sdk.createVpnMiddleware({ validator, syncUser: ({ username, level }) => username + level });
const ask = (token) => new Promise((resolve) => {
  const request = { headers: { authorization: 'Bearer ' + token } };
  const response = { setHeader() {}, end: (body) => resolve(JSON.parse(body).status) };
  node()(request, response, () => resolve(request.user));
});
const test = sdk.createTestTokens({ secret: 'x'.repeat(32), environment: 'test' });
console.log(await ask(await sign({ sub: 'alice', role: 'admin', level: 50 })), await ask(tokens[0]), await ask('a.b.c'));
console.log(await ask(await test.make({ username: 'bob', email: 'b@example.com', role: 'manager' })));

const folder = mkdtempSync(join(tmpdir(), 'portcullis-node-'));
for (const algorithm of ['ES256', 'EdDSA', 'RS256']) {
  const key = { issuer, privateKeyFile: join(folder, algorithm) };
  const { kid, clientId } = await sdk.enrol({ ...key, code: 'x', algorithm });
  const { kid: next } = await sdk.rotateKey({ ...key, clientId });
  const { parameters } = await sdk.createNodeAuthentication({ ...key, clientId })();
  console.log(algorithm, kid !== next, decodeProtectedHeader(parameters.client_assertion).kid === next);
}
rmSync(folder, { recursive: true });

const codeOf = (work) => work.then(() => null, (error) => (sdk.isVpnClientError(error) ? error.code : error.name));
const wrong = sdk.createOAuth2Client({ ...settings, clientSecret: 'wrong' });
console.log(await codeOf(wrong.getOAuth2Token()));
failures = 9;
const giveUp = new AbortController();
setTimeout(() => giveUp.abort(), 50);
console.log(await codeOf(client.getOAuth2Token({ signal: giveUp.signal })));
server.close();
server.closeAllConnections();
`;

const NODE_PRINTS = `1 true false
alice50 403 401
bob30
ES256 true true
EdDSA true true
RS256 true true
ERR_VPN_NODE_REFUSED
AbortError
`;

/** The feed by a stream, by another one after it broke off, and its end: streams are what differs most. */
const FEED_PROGRAM = `
import { createServer } from 'node:http';
import { exportJWK, generateKeyPair, SignJWT } from 'jose';
import { followRevocations } from 'portcullis/guard';

const { privateKey, publicKey } = await generateKeyPair('RS256');
const jwk = { ...(await exportJWK(publicKey)), kid: 'one', alg: 'RS256', use: 'sig' };
let issuer, streams = 0;
const exp = Math.floor(Date.now() / 1000) + 60;
const page = (from, to, revoked) => new SignJWT({ from, to, more: false, revoked })
  .setProtectedHeader({ alg: 'RS256', kid: 'one', typ: 'vpn-revocations+jwt' }).setIssuer(issuer)
  .setAudience('vpn-node').setIssuedAt().sign(privateKey);
const server = createServer(async (request, response) => {
  if (request.url === '/jwks') return response.end(JSON.stringify({ keys: [jwk] }));
  streams += 1;
  response.setHeader('content-type', 'text/event-stream');
  const revoked = streams === 1 ? [] : [{ sub: 'alice', before: exp, exp }];
  response.write('data: ' + (await page(streams - 1, streams, revoked)) + '\\n\\n');
  if (streams === 1) setTimeout(() => response.destroy(), 20);
}).listen(0, '127.0.0.1');
await new Promise((resolve) => server.once('listening', resolve));
issuer = 'http://127.0.0.1:' + server.address().port;

const feed = followRevocations({ issuer, getToken: async () => 'token', random: () => 0 });
await feed.ready();
const claims = { iss: issuer, aud: 'vpn-node', sub: 'alice', iat: 1 };
console.log(feed.isRevoked(claims), feed.state().entries);
while (feed.state().entries === 0) await new Promise((resolve) => setTimeout(resolve, 5));
console.log(feed.isRevoked(claims), feed.isRevoked({ ...claims, iat: exp }));
await feed.close();
server.close();
`;

const CUSTOMERS = `
import { generateKeyPairSync } from 'node:crypto';
import { Customer, CustomerType, isCustomerError, TokenGenerator } from 'portcullis/customers';

const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
const generator = new TokenGenerator({ privateKey: privateKey.export({ format: 'pem', type: 'pkcs8' }) });
generator.addCustomer({ username: 'acme', customerType: CustomerType.PREMIUM });
const { sub, customer } = await generator.validateToken(await generator.generateToken('acme', { expiresIn: 60 }));
try {
  new Customer({ username: 'a b', customerType: 'free' });
} catch (error) {
  console.log(sub, customer.rate_limit, error.code, isCustomerError(error));
}
`;

/** What other people's TypeScript does with it, under the strictest flags; each @ts-expect-error is a promise, too. */
const TYPED = `
import { createServer } from 'node:http';
import Koa from 'koa';
import Router from 'koa-router';
import { createGuard, GuardError, isGuardError, toRefusal } from 'portcullis/guard';
import type { Auth, GuardOptions, RevocationFeed } from 'portcullis/guard';
import { CustomerType, TokenGenerator } from 'portcullis/customers';
import type { CustomerFields, CustomerTokenPayload } from 'portcullis/customers';

const fields: CustomerFields = { username: 'acme', customerType: CustomerType.FREE, additionalMetadata: { a: [1] } };
export const checked: Promise<CustomerTokenPayload> = new TokenGenerator({ privateKey: '' }).validateToken('');
// @ts-expect-error it has a name
const nameless: CustomerFields = { customerType: 'free' };
export const both = [fields, nameless];
import { createJwtService, createOAuth2Client, createTokenValidator, createVpnMiddleware } from 'portcullis/node';
import { isVpnClientError, readNodeSettings } from 'portcullis/node';
import type { Admitted, Caller } from 'portcullis/node';

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
const settings = readNodeSettings(process.env);
const client = createOAuth2Client(settings);
const validator = createTokenValidator(settings);
export const jwt: Promise<string> = createJwtService({ client, validator }).getJwtToken({ forceRefresh: true });
const vpn = createVpnMiddleware({ validator, syncUser: async ({ username }: Caller) => ({ name: username }) });
const nodeApp = new Koa<Admitted<{ name: string }>>();
nodeApp.use(vpn.koa({ level: 30 }));
nodeApp.use((ctx) => {
  const name: string | undefined = ctx.state.user?.name;
  ctx.body = name;
});
const nodeMiddleware = vpn.node({ nodes: true });
createServer((request: Parameters<typeof nodeMiddleware>[0] & object, response) => {
  nodeMiddleware(request, response, () => response.end(request.user?.name ?? request.caller?.username));
});
export const onBehalf: Promise<string> = client.getVpnJwtToken({ subjectToken: 'x' }).catch((error: unknown) => {
  if (isVpnClientError(error, 'ERR_VPN_SUBJECT_REFUSED')) return 'refused';
  throw error;
});
// @ts-expect-error a client needs an id
createOAuth2Client({ ...settings, clientId: undefined });
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
    writeFileSync(join(folder, 'node-program.js'), NODE_PROGRAM);
    writeFileSync(join(folder, 'typed.ts'), TYPED);
    writeFileSync(join(folder, 'tsconfig.json'), JSON.stringify(TSCONFIG));
  }, TIMEOUT_MS);

  afterAll(() => rmSync(folder, { recursive: true, force: true }));

  test.each(['guard', 'node'])('holds the %s as JavaScript with its types', (part) => {
    const sources = readdirSync(join(ROOT, 'src/sdk', part)).map((file) => file.slice(0, -3));
    for (const source of sources) {
      expect(packed).toContain(`dist/${part}/${source}.js`);
      expect(packed).toContain(`dist/${part}/${source}.d.ts`);
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

  // The project's own Node, and the machine's, which may be as old as Node 20.
  test.each(nodesOfThisMachine())(
    'is a VPN node’s whole way by %s',
    async (_version, executable) => {
      const { stdout, stderr } = await run(executable, ['node-program.js'], { cwd: folder });
      expect([stdout, stderr]).toEqual([NODE_PRINTS, '']);
    },
    TIMEOUT_MS,
  );

  test.each(nodesOfThisMachine())(
    'follows the revocation feed by %s',
    async (_version, executable) => {
      writeFileSync(join(folder, 'feed-program.js'), FEED_PROGRAM);
      const { stdout, stderr } = await run(executable, ['feed-program.js'], { cwd: folder });
      expect([stdout, stderr]).toEqual(['false 0\ntrue false\n', '']);
    },
    TIMEOUT_MS,
  );

  test(
    'makes tokens of customers without a server',
    async () => {
      writeFileSync(join(folder, 'customers.js'), CUSTOMERS);
      const { stdout } = await run(process.execPath, ['customers.js'], { cwd: folder });
      expect(stdout).toBe('acme 1000 ERR_CUSTOMER_INVALID true\n');
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

  test.each([
    ['guard', 'Koa', '8022', {}],
    [
      'node',
      '{ createServer }',
      '8000',
      {
        ...{ PORTBRO_CLIENT_ID: 'node', PORTBRO_CLIENT_SECRET: 'secret' },
        PARENT_ISSUER: 'https://id.example.com',
      },
    ],
  ])(
    'does what the README’s example of the %s says',
    async (_part, first, listens, env) => {
      const readme = readFileSync(join(ROOT, 'README.md'), 'utf8');
      const begin = readme.indexOf('```js\nimport ' + first) + '```js\n'.length;
      const port = String(await findFreePort());
      const example = readme.slice(begin, readme.indexOf('```', begin)).replace(listens, port);
      writeFileSync(join(folder, 'example.js'), example);
      const program = start(process.execPath, ['example.js'], { cwd: folder, env });
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

/** Version and path of each Node on the path of programs from Node 20 on, this one first. */
function nodesOfThisMachine(): [string, string][] {
  const found = new Map([[process.version, process.execPath]]);
  for (const folder of (process.env['PATH'] ?? '').split(delimiter)) {
    const executable = join(folder, 'node');
    if (!existsSync(executable)) continue;
    const version = execFileSync(executable, ['--version'], { encoding: 'utf8' }).trim();
    if (Number(version.slice(1).split('.')[0]) >= 20 && !found.has(version)) found.set(version, executable);
  }
  return [...found];
}

async function askWhenItListens(url: string): Promise<Response> {
  for (const until = Date.now() + 40_000; ;) {
    try {
      return await fetch(url);
    } catch (error) {
      if (Date.now() > until) throw error;
      await sleep(20);
    }
  }
}
