/** Gateways as real processes, by the configurations that are generated, between a caller and a small API. */
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { spawn, spawnSync } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { existsSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { IncomingHttpHeaders, Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { delimiter, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

import { registerGatewayCommands } from '../../src/cli/gateway.ts';
import { run } from '../cli/run.ts';
import { findFreePort, makeFolder } from '../cli/serve-process.ts';
import { makeKey } from '../support/api-keys.ts';
import { createApiClient, enter as signUp } from '../support/api.ts';
import { createClient, getToken, json } from '../support/clients.ts';
import { describeWithNginx, startNginx } from '../support/nginx.ts';
import { startTestServer } from '../support/server.ts';
import type { TestServer } from '../support/server.ts';

const START_TIMEOUT_MS = 60_000;

/** The program that the variable names, or that the path has. */
const find = (name: string): string | undefined =>
  process.env[name.toUpperCase()] ??
  (process.env['PATH'] ?? '')
    .split(delimiter)
    .map((folder) => join(folder, name))
    .find((file) => existsSync(file));
const ENVOY = find('envoy');
const TRAEFIK = find('traefik');
const DECK = find('deck');

interface Running {
  stop(): Promise<void>;
}

const write = (name: string, configuration: string): string => {
  const file = join(makeFolder(), name);
  writeFileSync(file, configuration);
  return file;
};

const startEnvoy = (configuration: string, port: number): Promise<Running> => {
  const file = write('envoy.yaml', configuration);
  return start(ENVOY, ['-c', file, '--concurrency', '1', '--disable-hot-restart', '-l', 'error'], port);
};

const startTraefik = (configuration: string, port: number): Promise<Running> => {
  const file = write('traefik.yaml', configuration);
  const quiet = ['--global.checknewversion=false', '--global.sendanonymoususage=false', '--log.level=ERROR'];
  const listen = [`--entrypoints.web.address=127.0.0.1:${port}`, `--providers.file.filename=${file}`];
  return start(TRAEFIK, [...listen, ...quiet], port);
};

/** Resolves once there is something at the port, other than a gateway that has not read its routes yet. */
async function start(program = '', argv: readonly string[], port: number): Promise<Running> {
  const child = spawn(program, argv, { stdio: ['ignore', 'ignore', 'pipe'] });
  let complaints = '';
  child.stderr.setEncoding('utf8').on('data', (text: string) => void (complaints += text));
  const ended = once(child, 'close');
  const until = Date.now() + START_TIMEOUT_MS / 2;
  const isUp = () =>
    fetch(`http://127.0.0.1:${port}/`).then(
      ({ status }) => status !== 404,
      () => false,
    );
  while (!(await isUp())) {
    if (child.exitCode !== null || Date.now() > until)
      throw new Error(`${program} does not start: ${complaints}`);
    await sleep(20);
  }
  return {
    stop: async () => {
      child.kill('SIGTERM');
      await ended;
    },
  };
}

const describeWith = (name: string, program: string | undefined, facts: () => void): void => {
  if (program !== undefined) describe(name, facts);
  else test.skip(`${name} (there is no ${name}: name it by ${name.toUpperCase()})`, () => undefined);
};

interface Ways {
  /** Whether it is told by an option where it listens. */
  readonly isToldPort: boolean;
  /** Whether who is let in is told how often it may come back. */
  readonly tellsRate: boolean;
  /** What it says while nobody answers it, and the title of its body. */
  readonly away: readonly [status: number, title: string | null];
}

const WAYS: Ways = { isToldPort: true, tellsRate: true, away: [503, 'Service Unavailable'] };

function guardsAnApi(
  gateway: string,
  startGateway: (configuration: string, port: number) => Promise<Running>,
  { isToldPort, tellsRate, away }: Ways = WAYS,
): void {
  let server: TestServer;
  let api: Server;
  let running: Running;
  let origin: string;
  let admin: string;
  const heard: { readonly url: string | undefined; readonly headers: IncomingHttpHeaders }[] = [];

  beforeAll(async () => {
    server = await startTestServer('SQLite', { RATE_LIMIT_ADMIN: '100000' });
    admin = await getToken(server, await createClient(server, 'admin'), { scope: 'admin' });
    api = createServer(({ url, headers }, response) => {
      heard.push({ url, headers });
      response.end('pets');
    }).listen(0, '127.0.0.1');
    await once(api, 'listening');
    const port = await findFreePort();
    const { port: apiPort } = api.address() as AddressInfo; // it listens on a port
    const listen = isToldPort ? ['--listen', String(port)] : [];
    const options = ['--upstream', `http://127.0.0.1:${apiPort}`, ...listen];
    const argv = ['gateway', 'generate', gateway, '--issuer', server.origin, ...options];
    const { out, code } = await run(registerGatewayCommands, argv, { cwd: makeFolder() });
    expect(code).toBe(0);
    running = await startGateway(out, port);
    origin = `http://127.0.0.1:${port}`;
  }, START_TIMEOUT_MS);

  afterAll(async () => {
    await running.stop();
    api.close();
    api.closeAllConnections();
    await server.stop();
  });

  const ask = async (path: string, body: object): Promise<Record<string, unknown>> => {
    const headers = { authorization: `Bearer ${admin}`, 'content-type': 'application/json' };
    const init = { method: 'POST', headers, body: JSON.stringify(body) };
    return json(await server.request(`/api/v1${path}`, init));
  };
  const enter = async (rateLimit: number): Promise<{ username: string; token: string }> => {
    const username = `n-${randomUUID().slice(0, 8)}`;
    const additional_metadata = { rate_limit: rateLimit };
    await ask('/customers', { username, customer_type: 'standard', additional_metadata });
    const { access_token: token } = await ask(`/customers/${username}/tokens`, {});
    return { username, token: String(token) };
  };
  const call = (
    token: string | null,
    headers: Readonly<Record<string, string>> = {},
    body?: string,
  ): Promise<Response> =>
    fetch(`${origin}/pets?of=mine`, {
      ...(body !== undefined && { method: 'POST', body }),
      headers: { ...headers, ...(token !== null && { authorization: `Bearer ${token}` }) },
    });

  test('tells the API of the customer, whatever the caller wrote in the place of that', async () => {
    const { username, token } = await enter(10);
    const forged = {
      ...{ 'x-customer-username': 'root', 'x-customer-type': 'premium', 'x-customer-access-level': 'full' },
      ...{ 'x-auth-subject': 'root', 'x-auth-username': 'root', 'x-auth-role': 'admin' },
      ...{ 'x-auth-scopes': 'admin', 'x-auth-client-id': 'root', 'x-auth-audience': 'vpn-node' },
      // What some back ends read as the same names.
      ...{ x_customer_username: 'root', 'x.customer.username': 'root', 'X-Auth_Role': 'admin' },
    };
    const answer = await call(token, forged, 'a cat');
    expect([answer.status, await answer.text()]).toEqual([200, 'pets']);
    const rate = answer.headers.get('ratelimit');
    expect(rate ?? '').toMatch(tellsRate ? /^"customer";r=9;t=\d+$/ : /^$/);
    const { url, headers } = heard.at(-1) ?? { url: '', headers: {} };
    expect(url).toBe('/pets?of=mine');
    const told = Object.entries(headers).filter(
      ([name, it]) => /^x[-_.](customer|auth)[-_.]/.test(name) && it !== '',
    );
    expect(Object.fromEntries(told)).toEqual({
      ...{ 'x-customer-username': username, 'x-customer-type': 'standard' },
      ...{ 'x-customer-access-level': 'standard', 'x-auth-subject': username, 'x-auth-audience': 'petstore' },
    });
  });

  test('keeps out who has no token, a bad one, or one that is no customer’s', async () => {
    const before = heard.length;
    const bare = await call(null, { 'x-customer-username': 'root' });
    expect([bare.status, bare.headers.get('www-authenticate')]).toEqual([
      401,
      expect.stringContaining('Bearer'),
    ]);
    expect((await call('a.b.c')).status).toBe(401);
    expect((await call(admin)).status).toBe(401);
    const key = await keyOfAPerson();
    expect((await call(key)).status).toBe(403);
    expect([401, 403]).toContain((await call(null, { 'x-api-key': key })).status);
    expect(heard).toHaveLength(before);
  });

  /** An API key has no audience of its own: it is good wherever no role is asked for. */
  const keyOfAPerson = async (): Promise<string> => {
    const client = await createApiClient(server);
    return (await makeKey(client, await signUp(client), { scopes: ['profile:read'] })).secret;
  };

  test('refuses what a customer sends beyond its limit, and says when it may more', async () => {
    const { token } = await enter(2);
    expect([(await call(token)).status, (await call(token)).status]).toEqual([200, 200]);
    const beyond = await call(token);
    expect([beyond.status, (await json(beyond))['title']]).toEqual([429, 'Too Many Requests']);
    expect(Number(beyond.headers.get('retry-after'))).toBeGreaterThan(0);
    expect(beyond.headers.get('ratelimit')).toMatch(/^"customer";r=0;/);
    expect(beyond.headers.get('content-type')).toContain('application/problem+json');
  });

  // Last: the server is gone then.
  test('lets nobody in while Portcullis does not answer, and calls nobody’s token bad', async () => {
    const { token } = await enter(10);
    const before = heard.length;
    await server.stopInstances();
    const answer = await call(token);
    const body = await answer.text();
    const { title } = body === '' ? { title: null } : (JSON.parse(body) as { title: string });
    expect([answer.status, title]).toEqual(away);
    expect(heard).toHaveLength(before);
  });
}

describeWithNginx('nginx', () => {
  guardsAnApi('nginx', startNginx);
});
describeWith('traefik', TRAEFIK, () => {
  guardsAnApi('traefik', startTraefik, { isToldPort: false, tellsRate: false, away: [500, null] });
});
describeWith('envoy', ENVOY, () => {
  guardsAnApi('envoy', startEnvoy);

  test('lets nobody in where its Lua fails, which Envoy itself takes for a yes', async () => {
    const port = await findFreePort();
    const upstream = ['--upstream', `http://127.0.0.1:${await findFreePort()}`];
    const argv = ['gateway', 'generate', 'envoy', ...upstream, '--listen', String(port)];
    const { out } = await run(registerGatewayCommands, argv, { cwd: makeFolder() });
    const broken = out.replace('local answer, body =', 'error("broken") $&');
    expect(broken).not.toBe(out);
    const envoy = await startEnvoy(broken, port);
    const headers = { 'x-customer-username': 'root' };
    const answer = await fetch(`http://127.0.0.1:${port}/`, { headers });
    await envoy.stop();
    expect(answer.status).toBe(403);
  });
});

/** Kong itself is not to be had as a program alone; its own checker of declarative files is. */
describeWith('deck', DECK, () => {
  test.each(['http://127.0.0.1:8022', 'https://pets.example.com', 'http://[::1]:8022'])(
    'takes the file that is generated for Kong and %s',
    async (upstream) => {
      const argv = ['gateway', 'generate', 'kong', '--upstream', upstream];
      const { out } = await run(registerGatewayCommands, argv, { cwd: makeFolder() });
      const validate = (text: string) =>
        spawnSync(DECK ?? '', ['file', 'validate', write('kong.yaml', text)], { encoding: 'utf8' });
      expect(validate(out)).toMatchObject({ status: 0 });
      expect(validate(out.replace('strip_path: false', 'strip_path: 7')).status).not.toBe(0);
    },
  );
});
