/** Which tokens a VPN node takes, whom they speak for, and the middleware around that, over HTTP. */
import { afterAll, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { IncomingMessage, RequestListener, Server } from 'node:http';
import type { AddressInfo } from 'node:net';

import { SignJWT } from 'jose';
import Koa from 'koa';

import {
  createTestTokens,
  createTokenValidator,
  createVpnMiddleware,
  GuardError,
  isGuardError,
} from '../../src/sdk/node/node.ts';
import type {
  Admitted,
  Caller,
  CallerRequirements,
  TokenValidator,
  TokenValidatorOptions,
} from '../../src/sdk/node/node.ts';
import { json } from '../support/clients.ts';
import { ISSUER, makeKey } from './issuer.ts';
import type { TokenChanges } from './issuer.ts';
import { createParent, NODE, OF_NODE } from './parent.ts';
import type { Parent } from './parent.ts';

const TEST_SECRET = 'a secret of 32 bytes, for tests!';
const INVALID = '401 ERR_GUARD_TOKEN_INVALID';

let parent: Parent;
let validator: TokenValidator;

const make = (options: Partial<TokenValidatorOptions> = {}): TokenValidator => {
  const { settings, world } = parent;
  return createTokenValidator({ ...settings, fetch: world.fetch, now: world.now, ...options });
};

beforeAll(async () => {
  parent = await createParent();
});

beforeEach(() => {
  validator = make();
});

async function outcome(verified: Promise<Caller>): Promise<string> {
  try {
    const { kind, username, level } = await verified;
    return `${kind} ${username} ${level}`;
  } catch (error) {
    if (!isGuardError(error)) throw error;
    return `${error.status} ${error.code}`;
  }
}

describe('a VPN JWT', () => {
  test('tells a person, their role and level, and the node that acts for them', async () => {
    expect(await validator.verify(await parent.vpnToken())).toEqual({
      kind: 'person',
      issuer: ISSUER,
      username: 'alice',
      email: 'alice@example.com',
      role: 'admin',
      level: 50,
      actor: NODE,
      isTest: false,
      claims: expect.objectContaining({ sub: 'alice', aud: 'vpn-node' }),
    });
  });

  test('of a node is no person’s', async () => {
    const token = await parent.vpnToken({ claims: OF_NODE });
    expect(await validator.verify(token)).toMatchObject({
      ...{ kind: 'node', username: NODE, email: null, role: 'node', level: 0, actor: null },
    });
  });

  test.each<[string, TokenChanges, string]>([
    ['of another issuer', { claims: { iss: 'https://id.example.org' } }, INVALID],
    ['for another audience', { claims: { aud: 'shop' } }, INVALID],
    ['that is an ID token', { header: { typ: 'JWT' } }, INVALID],
    ['without key id', { header: { kid: undefined } as object }, INVALID],
    ['within the leeway', { claims: { exp: 1_799_999_971 } }, 'person alice 50'],
    ['that has expired', { claims: { exp: 1_799_999_970 } }, '401 ERR_GUARD_TOKEN_EXPIRED'],
    ['of the future', { claims: { iat: 1_800_000_061 } }, INVALID],
    ['without role', { claims: { role: undefined } }, INVALID],
    ['without level', { claims: { level: undefined } }, INVALID],
    ['whose level is a text', { claims: { level: '50' } }, INVALID],
    ['whose level is below nothing', { claims: { level: -1 } }, INVALID],
    ['whose level is no whole number', { claims: { level: 49.9 } }, INVALID],
    ['of a person of another name', { claims: { username: 'bob' } }, INVALID],
    ['of a person without name', { claims: { username: undefined } }, INVALID],
    ['whose email is no text', { claims: { email: { $ne: 1 } } }, INVALID],
    ['without email', { claims: { email: undefined } }, 'person alice 50'],
    ['whose role is a list', { claims: { role: ['admin'] } }, INVALID],
    ['whose subject is a number', { claims: { sub: 7, username: 7 } }, INVALID],
    ['of a node with a role', { claims: { ...OF_NODE, role: 'admin' } }, INVALID],
    ['of a node with a level', { claims: { ...OF_NODE, level: 50 } }, INVALID],
    ['of a node of another name', { claims: { ...OF_NODE, username: 'alice' } }, INVALID],
    ['bound to a key', { claims: { cnf: { jkt: 'x' } } }, INVALID],
    ['with an actor that is none', { claims: { act: 'x' } }, 'person alice 50'],
  ])('%s', async (_name, changes, expected) => {
    expect(await outcome(validator.verify(await parent.vpnToken(changes)))).toBe(expected);
  });

  test('by another algorithm than RS256 is refused, though its key is published', async () => {
    const other = await makeKey('two', 'ES256');
    parent.issuer.published = [parent.issuer.key.publicJwk, other.publicJwk];
    const token = await parent.vpnToken({ key: other });
    expect(await outcome(make().verify(token))).toBe(INVALID);
    parent.issuer.published = [parent.issuer.key.publicJwk];
  });

  test('of a key that is new is taken: the keys are read once more, and not at every guess', async () => {
    const { issuer } = parent;
    expect(await outcome(validator.verify(await parent.vpnToken()))).toBe('person alice 50');
    const next = await makeKey('two', 'RS256');
    issuer.published = [issuer.key.publicJwk, next.publicJwk];
    issuer.at += 30;
    const before = issuer.asked.length;
    expect(await outcome(validator.verify(await parent.vpnToken({ key: next })))).toBe('person alice 50');
    const guesses = Array.from({ length: 20 }, async (_, index) =>
      outcome(validator.verify(await parent.vpnToken({ key: { ...next, kid: `guess-${index}` } }))),
    );
    expect(new Set(await Promise.all(guesses))).toEqual(new Set([INVALID]));
    expect(issuer.asked.length - before).toBe(1);
    issuer.published = [issuer.key.publicJwk];
  });

  test('is refused once the feed names it', async () => {
    const named = make({ revocations: { isRevoked: ({ sub }) => sub === 'alice' } });
    expect(await outcome(named.verify(await parent.vpnToken()))).toBe('401 ERR_GUARD_TOKEN_REVOKED');
  });

  test('is called bad by nobody who cannot read the keys', async () => {
    const told: string[] = [];
    parent.issuer.isAway = true;
    const lost = make({ onUnavailable: ({ code }) => told.push(code) });
    expect(await outcome(lost.verify(await parent.vpnToken()))).toBe('503 ERR_GUARD_KEYS_UNAVAILABLE');
    expect(told).toEqual(['ERR_GUARD_KEYS_UNAVAILABLE']);
    parent.issuer.isAway = false;
  });
});

describe('a test token', () => {
  const tokens = (secret = TEST_SECRET) =>
    createTestTokens({ secret, environment: 'test', now: parent.world.now });
  const alice = { username: 'alice', email: 'a@example.com', role: 'manager' };
  const open = (options: Partial<TokenValidatorOptions> = {}): TokenValidator =>
    make({ testSecret: TEST_SECRET, environment: 'development', ...options });
  const sign = (changes: Readonly<Record<string, unknown>>, alg = 'HS256'): Promise<string> => {
    const { at } = parent.issuer;
    const times = { iat: at, exp: at + 3_600, jti: 'x' };
    const claims = { iss: 'portbro.com', aud: 'vpn-nodes', sub: 'alice', username: 'alice', role: 'admin' };
    const key = new TextEncoder().encode(TEST_SECRET);
    return new SignJWT({ ...claims, ...times, ...changes }).setProtectedHeader({ alg }).sign(key);
  };

  test('names whom its maker typed, and says that it is one', async () => {
    const caller = await open().verify(await tokens().make(alice));
    expect(caller).toMatchObject({
      ...{ kind: 'person', issuer: 'portbro.com', username: 'alice', email: 'a@example.com' },
      ...{ role: 'manager', level: 30, actor: null, isTest: true },
    });
    expect(caller.claims).toEqual({
      ...{ iss: 'portbro.com', aud: 'vpn-nodes', sub: 'alice', username: 'alice', email: 'a@example.com' },
      ...{ role: 'manager', iat: parent.issuer.at, exp: parent.issuer.at + 3_600 },
      jti: expect.stringMatching(/^[\w-]{36}$/),
    });
  });

  test('of a role that there is not has the least one', async () => {
    for (const role of ['root', '', 'constructor', '__proto__']) {
      const token = await tokens().make({ ...alice, role });
      expect(await open().verify(token)).toMatchObject({ role: 'basic', level: 10 });
    }
    const roles = { captain: 9, sailor: 3 };
    const token = await tokens().make({ ...alice, role: 'admin' });
    expect(await open({ roles }).verify(token)).toMatchObject({ role: 'sailor', level: 3 });
  });

  test.each<[string, object]>([
    ['of another issuer', { iss: ISSUER }],
    ['for another audience', { aud: 'vpn-node' }],
    ['without end', { exp: undefined }],
    ['without id', { jti: undefined }],
    ['without role', { role: undefined }],
    ['that lives for longer than an hour', { iat: 1_799_990_000, exp: 1_900_000_000 }],
    ['that is made to live for longer than an hour', { exp: 1_800_000_000 + 7_200 }],
    ['that begins before it lives for long', { iat: 1_799_999_990, exp: 1_800_003_600 }],
    ['that names two persons', { username: 'bob' }],
    ['whose names are numbers', { sub: 7, username: 7 }],
    ['whose role is a list', { role: ['admin'] }],
    ['whose role is a number', { role: 7 }],
    ['whose email is no text', { email: ['a@example.com'] }],
    ['of nobody', { sub: undefined }],
  ])('%s is refused', async (_name, changes) => {
    const code = (await outcome(open().verify(await sign({ ...changes })))).slice(0, 3);
    expect(code).toBe('401');
    expect(await outcome(open().verify(await sign({})))).toBe('person alice 50');
  });

  test('by another secret or another algorithm is refused, and after an hour', async () => {
    const foreign = await tokens(TEST_SECRET.toUpperCase()).make(alice);
    expect(await outcome(open().verify(foreign))).toBe(INVALID);
    expect(await outcome(open().verify(await sign({}, 'HS512')))).toBe(INVALID);
    const token = await tokens().make(alice);
    parent.issuer.at += 3_631;
    expect(await outcome(open().verify(token))).toBe('401 ERR_GUARD_TOKEN_EXPIRED');
  });

  test('is refused where no secret was given', async () => {
    const token = await tokens().make(alice);
    expect(await outcome(make({ environment: 'development' }).verify(token))).toBe(INVALID);
  });

  test('does not become one by HMAC under the server’s public key', async () => {
    const key = new TextEncoder().encode(JSON.stringify(parent.issuer.key.publicJwk));
    const { at } = parent.issuer;
    const forged = await new SignJWT({ iss: ISSUER, aud: 'vpn-node', sub: 'x', iat: at, exp: at + 60 })
      .setProtectedHeader({ alg: 'HS256', kid: 'one', typ: 'at+jwt' })
      .sign(key);
    for (const one of [open(), make()]) expect(await outcome(one.verify(forged))).toBe(INVALID);
    for (const odd of ['', 'x', 'a.b.c', `${'x'.repeat(17_000)}.y.z`]) {
      expect(await outcome(open().verify(odd))).toBe(INVALID);
    }
  });

  test.each(['production', 'staging', '', undefined])('with NODE_ENV %s nothing starts', (environment) => {
    const sentence = /^VPN_TEST_SECRET is set, and this is production/;
    expect(() => make({ testSecret: TEST_SECRET, environment })).toThrow(sentence);
    expect(() => createTestTokens({ secret: TEST_SECRET, environment })).toThrow(sentence);
  });

  test('needs a secret of 32 bytes, and roles', () => {
    expect(() => open({ testSecret: 'x'.repeat(31) })).toThrow(/at least 32 bytes/);
    expect(() => open({ roles: {} })).toThrow('roles: name at least one');
  });
});

const users = new Map<string, { readonly name: string; readonly level: number; visits: number }>();
let requirements: CallerRequirements | undefined;
let isBanned = false;

type User = { readonly name: string; readonly level: number };

const middleware = () =>
  createVpnMiddleware<User>({
    validator,
    syncUser: async ({ issuer, username: name, level }) => {
      if (isBanned) throw new GuardError('ERR_GUARD_ROLE_INSUFFICIENT', 'This node keeps you out.');
      const key = `${issuer} ${name}`;
      users.set(key, { name, level, visits: (users.get(key)?.visits ?? 0) + 1 });
      return { name, level };
    },
  });

const koaListener = (): RequestListener => {
  const app = new Koa<Admitted<User>>();
  app.use((ctx, next) => middleware().koa(requirements)(ctx, next));
  app.use((ctx) => {
    ctx.body = { user: ctx.state.user, kind: ctx.state.caller.kind };
  });
  const handle = app.callback();
  return (request, response) => void handle(request, response);
};

const nodeListener =
  (): RequestListener => (request: IncomingMessage & Partial<Admitted<User>>, response) => {
    middleware().node(requirements)(request, response, () =>
      response.end(JSON.stringify({ user: request.user, kind: request.caller?.kind })),
    );
  };

const FORMS: readonly [string, () => RequestListener][] = [
  ['koa', koaListener],
  ['(req, res, next)', nodeListener],
];

describe.each(FORMS)('the middleware for %s', (_name, makeListener) => {
  let server: Server;
  let origin: string;

  beforeAll(async () => {
    server = createServer(makeListener()).listen(0, '127.0.0.1');
    await once(server, 'listening');
    origin = `http://127.0.0.1:${(server.address() as AddressInfo).port}`; // it listens on a port
  });

  afterAll(() => {
    server.close();
    server.closeAllConnections();
  });

  beforeEach(() => {
    requirements = undefined;
    isBanned = false;
    users.clear();
  });

  const call = async (changes: TokenChanges = {}): Promise<Response> =>
    fetch(origin, { headers: { authorization: `Bearer ${await parent.vpnToken(changes)}` } });

  test('hands the person to the node, at each request, as the token has them', async () => {
    expect(await json(await call())).toEqual({ user: { name: 'alice', level: 50 }, kind: 'person' });
    await call({ claims: { role: 'basic', level: 10 } });
    expect([...users]).toEqual([[`${ISSUER} alice`, { name: 'alice', level: 10, visits: 2 }]]);
  });

  test('takes no node for a person, unless the route says so; then there is no user', async () => {
    const refused = await call({ claims: OF_NODE });
    expect(refused.status).toBe(403);
    expect(await json(refused)).toMatchObject({ detail: 'This is for people: a node’s own token is none.' });
    requirements = { nodes: true };
    expect(await json(await call({ claims: OF_NODE }))).toEqual({ user: null, kind: 'node' });
    requirements = { nodes: true, level: 1 };
    expect((await call({ claims: OF_NODE })).status).toBe(403);
    expect(users.size).toBe(0);
  });

  test('keeps out who has not the level or the role, before the node hears of them', async () => {
    requirements = { level: 30 };
    expect((await call({ claims: { role: 'manager', level: 30 } })).status).toBe(200);
    users.clear();
    const low = await call({ claims: { role: 'basic', level: 29 } });
    expect([low.status, low.headers.get('content-type')]).toEqual([403, 'application/problem+json']);
    expect(await json(low)).toMatchObject({ detail: 'This needs the level 30; yours is 29.' });
    requirements = { roles: ['manager', 'basic'] };
    expect(await json(await call())).toMatchObject({ detail: 'This needs the role manager or basic.' });
    expect(users.size).toBe(0);
  });

  test('asks for a token where there is none, and refuses a bad one', async () => {
    const none = await fetch(origin);
    expect([none.status, none.headers.get('www-authenticate')]).toEqual([401, 'Bearer']);
    const bad = await call({ claims: { aud: 'shop' } });
    expect(bad.status).toBe(401);
    expect(bad.headers.get('www-authenticate')).toContain('error="invalid_token"');
    const key = await fetch(origin, { headers: { 'x-api-key': `pcl_${'k'.repeat(49)}` } });
    expect(key.status).toBe(401);
  });

  test('answers the node’s own refusal', async () => {
    isBanned = true;
    const answer = await call();
    expect([answer.status, (await json(answer))['detail']]).toEqual([403, 'This node keeps you out.']);
  });
});

describe('the middleware', () => {
  test('hands the node’s own failure on', async () => {
    const broken = (): never => {
      throw new Error('the disk is full');
    };
    const { koa, node } = createVpnMiddleware({ validator, syncUser: broken });
    const request = { headers: { authorization: `Bearer ${await parent.vpnToken()}` } };
    const handedOn = await new Promise((resolve) => {
      node()(request, { statusCode: 200, setHeader: broken, end: broken }, resolve);
    });
    expect(handedOn).toMatchObject({ message: 'the disk is full' });
    const context = { ...request, state: {}, status: 404, body: null, set: broken };
    await expect(koa()(context, async () => undefined)).rejects.toThrow('the disk is full');
  });

  test('is not made with requirements that cannot be meant', () => {
    const { koa, node } = createVpnMiddleware({ validator, syncUser: () => null });
    for (const wrong of [{ level: -1 }, { level: 1.5 }, { level: Number.NaN }, { roles: [] }]) {
      expect(() => koa(wrong)).toThrow(TypeError);
      expect(() => node(wrong)).toThrow(TypeError);
    }
  });
});
