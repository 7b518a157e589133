/**
 * A VPN node in another language at the real server, the server's keys behind an address that can be turned off, and the
 * facts that hold for every such node.
 */
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';

import { decodeJwt } from 'jose';

import type { Account } from '../../src/storage/port.ts';
import { findFreePort, ROOT } from '../cli/serve-process.ts';
import type { ServeProcess } from '../cli/serve-process.ts';
import { createNode, DOORS, ID_TOKEN, signInAt } from '../vpn/world.ts';
import type { Node } from '../vpn/world.ts';
import { getToken, json } from './clients.ts';
import { faultyTokens } from './faulty-tokens.ts';
import type { Found } from './other-languages.ts';
import type { Session } from './relying-party.ts';
import { startSignInServer } from './sign-in.ts';
import type { SignInServer } from './sign-in.ts';

// An interpreter, a migration, people who sign in.
const TIMEOUT_MS = 60_000;
const UNTIL_MS = 30_000;

interface Started {
  readonly server: SignInServer;
  readonly client: Node;
  /** What every node has in its environment. */
  readonly env: Readonly<Record<string, string>>;
  readonly keys: KeySource;
  readonly process: ServeProcess;
  readonly alice: Account;
  readonly session: Session;
  /** The same request to the node, once it is up. */
  call(path: string, token: string | null, method?: string): Promise<Response>;
}

export interface OtherNode extends Started {
  /** A VPN JWT of a person who signs in, as the server makes it now. */
  jwtOf(account: Account): Promise<string>;
}

interface KeySource {
  isAway: boolean;
  asked: number;
}

/** Starts a node in another language; it ends by SIGTERM. */
export type Launch = (
  program: string,
  port: number,
  env: Readonly<Record<string, string>>,
) => Promise<ServeProcess>;

type More = (it: () => OtherNode, program: string) => void;

/** Describes a node in another language; `more` adds facts of its own. */
export function describeOtherNode(name: string, found: Found, launch: Launch, more: More): void {
  if ('missing' in found) test.skip(`${name} (${found.missing})`, () => undefined);
  else describe(name, () => describeAll(found.program, launch, more));
}

function describeAll(program: string, launch: Launch, more: More): void {
  let started: Awaited<ReturnType<typeof start>> | null = null;
  const it = (): OtherNode => {
    if (started === null) throw new Error('the node is not started');
    return started;
  };
  beforeAll(async () => {
    started = await start(program, launch);
  }, TIMEOUT_MS);
  afterAll(async () => {
    await started?.stop();
  });

  // Before all others: the node has not read any keys yet.
  test('calls no token bad while the keys cannot be read, and takes it once they can', async () => {
    const { keys, alice, jwtOf, call } = it();
    const token = await jwtOf(alice);
    const answer = await call('/whoami/', token);
    expect([answer.status, answer.headers.get('retry-after')]).toEqual([503, '5']);
    keys.isAway = false;
    await until(async () => (await call('/whoami/', token)).status === 200);
  });
  describeTokens(it);
  describePeople(it);
  more(it, program);
  describeOwnToken(it);
}

function describeTokens(it: () => OtherNode): void {
  const outcomes = async (tokens: Readonly<Record<string, string>>): Promise<Record<string, string>> => {
    const found: Record<string, string> = {};
    for (const [name, token] of Object.entries(tokens)) {
      const { status, headers } = await it().call('/whoami/', token);
      found[name] = `${status} ${headers.get('www-authenticate') ?? ''}`;
    }
    return found;
  };

  test('takes a right token, and none that has a fault', async () => {
    const { server, keys, session, client, alice, jwtOf } = it();
    const { right, wrong } = await faultyTokens(server, await jwtOf(alice));
    const before = keys.asked;
    expect(await outcomes(right)).toEqual(allAre('200 ', right));
    const others = {
      ...wrong,
      'that is an ID token': session.tokens.id_token ?? '',
      'that is an opaque access token of a person': session.tokens.access_token,
      'that is an opaque access token of a node': await getToken(server, client),
    };
    expect(await outcomes(others)).toEqual(allAre('401 Bearer error="invalid_token"', others));
    // An unknown key id is no reason to ask each time.
    expect(keys.asked - before).toBeLessThanOrEqual(1);
  });

  test('asks for a token where there is none, and takes none from elsewhere', async () => {
    const { call, alice, jwtOf } = it();
    const none = await call('/whoami/', null);
    expect([none.status, none.headers.get('www-authenticate')]).toEqual([401, 'Bearer']);
    expect((await call(`/whoami/?access_token=${await jwtOf(alice)}`, null)).status).toBe(401);
    expect((await call('/whoami/', '')).status).toBe(401);
  });

  test('takes no node’s own token for a person’s', async () => {
    const { server, client, call } = it();
    const headers = { authorization: `Bearer ${await getToken(server, client)}` };
    const exchanged = await json(await server.request('/vpn/auth/', { method: 'POST', headers }));
    expect((await call('/whoami/', String(exchanged['access_token']))).status).toBe(403);
  });
}

function describePeople(it: () => OtherNode): void {
  test('makes a user of each person, and what they are follows their claims', async () => {
    const { server, call, jwtOf } = it();
    const whoami = async (account: Account) => json(await call('/whoami/', await jwtOf(account)));
    const statuses = async (account: Account): Promise<number[]> => {
      const token = await jwtOf(account);
      return [(await call('/staff/', token)).status, (await call('/auth/vpn/auth/', token, 'POST')).status];
    };
    const bob = await server.createAccount({ roles: { 'vpn-node': 'manager' } });
    const { username, email } = bob;
    expect(await whoami(bob)).toEqual({ username, email, role: 'manager', level: 30, is_staff: false });
    expect(await statuses(bob)).toEqual([403, 200]);
    await server.changeAccount(bob, { roles: { 'vpn-node': 'admin' }, email: 'robert@example.com' });
    expect(await whoami(bob)).toEqual({
      ...{ username, email: 'robert@example.com', role: 'admin', level: 50, is_staff: true },
    });
    expect(await statuses(bob)).toEqual([200, 200]);
    await server.changeAccount(bob, { roles: {} });
    expect(await whoami(bob)).toMatchObject({ username, role: 'basic', level: 10, is_staff: false });
    expect(await statuses(bob)).toEqual([403, 403]);
  });

  test('makes one user of a person whose first requests come at once', async () => {
    const { server, call, jwtOf } = it();
    const token = await jwtOf(await server.createAccount());
    const answers = await Promise.all(Array.from({ length: 8 }, () => call('/whoami/', token)));
    expect(answers.map(({ status }) => status)).toEqual(Array(8).fill(200));
  });
}

function describeOwnToken(it: () => OtherNode): void {
  test('gets its own VPN JWT once, whoever asks, and goes on with it while the server is away', async () => {
    const { server, client, alice, jwtOf, call } = it();
    const person = await jwtOf(alice);
    const own = async (path = '/auth/vpn/auth/'): Promise<string> => {
      const answer = await call(path, person, 'POST');
      if (answer.status !== 200) return `${answer.status}`;
      return String((await json(answer))['access_token']);
    };
    const first = await own('/auth/vpn/refresh/');
    expect(decodeJwt(first)).toMatchObject({ sub: client.id, role: 'node', aud: 'vpn-node' });
    const issued = (): number => server.logs().split('vpn_token_issued').length;
    const before = issued();
    expect(await Promise.all(Array.from({ length: 20 }, () => own()))).toEqual(Array(20).fill(first));
    expect(issued()).toBe(before);
    expect(await own('/auth/vpn/refresh/')).not.toBe(first);
    expect(issued()).toBe(before + 1);
    const second = await own();
    await server.stopInstances();
    expect(await own()).toBe(second);
    expect(await own('/auth/vpn/refresh/')).toBe('503');
    expect((await call('/whoami/', person)).status).toBe(200);
  });
}

async function start(program: string, launch: Launch) {
  const [issuerPort, port] = [await findFreePort(), await findFreePort()];
  const issuer = `http://localhost:${issuerPort}`;
  const server = await startSignInServer('SQLite', { ISSUER: issuer, PORT: String(issuerPort) });
  const client = await createNode(server);
  const { keys, http, url } = await startKeySource(server);
  const env = {
    PORTBRO_CLIENT_ID: client.id,
    PORTBRO_CLIENT_SECRET: client.secret,
    PARENT_ISSUER: issuer,
    PARENT_JWKS_URL: url,
  };
  const process = await launch(program, port, env);
  const call: OtherNode['call'] = (path, token, method = 'GET') =>
    fetch(`http://127.0.0.1:${port}${path}`, {
      method,
      ...(token !== null && { headers: { authorization: `Bearer ${token}` } }),
    });
  await until(async () => (await call('/whoami/', null)).status === 401, process);
  const alice = await server.createAccount({ roles: { 'vpn-node': 'admin' } });
  const session = await signInAt(server, client, alice);
  const jwtOf = async (account: Account): Promise<string> => {
    const { tokens } = account.id === alice.id ? session : await signInAt(server, client, account);
    const { body } = await DOORS['/vpn/auth'](server, client, {
      token: tokens.id_token ?? '',
      type: ID_TOKEN,
    });
    return String(body['access_token']);
  };
  const stop = async (): Promise<void> => {
    process.signal('SIGTERM');
    await process.ended;
    http.close();
    http.closeAllConnections();
    await server.stop();
  };
  return { ...{ server, client, env, keys, process, alice, session, call, jwtOf, stop } };
}

/** Gives on the server's keys, counts how often, and can be away. */
async function startKeySource(server: SignInServer) {
  const keys = { isAway: true, asked: 0 };
  const http = createServer((_request, response) => {
    keys.asked += 1;
    if (keys.isAway) response.writeHead(503).end();
    else void server.request('/jwks').then(async (answer) => response.end(await answer.text()));
  }).listen(0, '127.0.0.1');
  await once(http, 'listening');
  const { port } = http.address() as AddressInfo; // it listens on a port
  return { keys, http, url: `http://127.0.0.1:${port}/jwks` };
}

/** Rejects where that does not come to be, at once where the process has ended. */
async function until(isSo: () => Promise<boolean>, process?: ServeProcess): Promise<void> {
  const state = { hasEnded: false };
  void process?.ended.then(() => (state.hasEnded = true));
  const ends = Date.now() + UNTIL_MS;
  while (!(await isSo().catch(() => false))) {
    if (state.hasEnded || Date.now() > ends)
      throw new Error(`it does not come to be: ${process?.err() ?? ''}`);
    await pause(50);
  }
}

/** What the README shows of an example stands there, but for how far it is indented. */
export function describeShown(folder: string, language: string): void {
  test(`the lines of the README are those of examples/${folder}`, () => {
    const readme = readFileSync(join(ROOT, 'README.md'), 'utf8');
    const block = /<!-- of: (examples\/(\S+?)\/\S+) -->\s*```(\w+)\n(.*?)```/gs;
    const shown = [...readme.matchAll(block)].filter(([, , of, kind]) => of === folder && kind === language);
    expect(shown.length).toBeGreaterThan(1);
    for (const [, file = '', , , text = ''] of shown) {
      expect(flat(readFileSync(join(ROOT, file), 'utf8'))).toContain(flat(text));
    }
  });
}

const flat = (text: string): string => text.replace(/^[ \t]+/gm, '');

const allAre = (outcome: string, names: object): Record<string, string> =>
  Object.fromEntries(Object.keys(names).map((name) => [name, outcome]));
