/** `GET /gateway/revocations`: which tokens of customers ended, who reads it, and that a guard that follows it refuses them. */
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { decodeJwt } from 'jose';
import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';

import { storeUnavailable } from '../../src/errors.ts';
import { createGuard, followRevocations, isGuardError } from '../../src/sdk/guard/guard.ts';
import type { FollowedRevocations, Guard } from '../../src/sdk/guard/guard.ts';
import { createOAuth2Client, readNodeSettings } from '../../src/sdk/node/node.ts';
import type { Storage } from '../../src/storage/port.ts';
import { findFreePort } from '../cli/serve-process.ts';
import { apply, createClient, createVpnNode, getToken, json } from '../support/clients.ts';
import { describeOnBothStores } from '../support/server.ts';
import { startSignInServer } from '../support/sign-in.ts';
import { feedOf } from '../vpn/feed.ts';
import { createWorld, isNamed } from './gateway-world.ts';
import type { World } from './gateway-world.ts';

const YEAR = 366 * 86_400;
const TRIALS = Number(process.env['FEED_TRIALS'] ?? 10);
const MAX_LAG_MS = 2_000;
// What a busy machine makes of the longest.
const BUSY_LAG_MS = 10_000;
const BEAT_MS = 5_000;
const LOOK_MS = 50;
const TIMEOUT_MS = 30_000 + TRIALS * 1_000;

describeOnBothStores('the feed of customers’ tokens', (store) => {
  let world: World;
  beforeAll(async () => {
    world = await createWorld(await startSignInServer(store));
  });
  afterAll(async () => {
    await world.server.stop();
  });
  const { call, make, issue, newAfter } = {
    call: (...request: Parameters<World['call']>) => world.call(...request),
    make: (fields?: object) => world.make(fields),
    issue: (username: string, body?: object) => world.issue(username, body),
    newAfter: (work: () => Promise<unknown>) => world.newAfter(work),
  };

  test('names a token that is revoked, until it would have expired', async () => {
    const name = await make();
    const token = await issue(name, { expires_in: 600 });
    const { jti, exp } = decodeJwt(token);
    const begin = await world.feed.end();
    await call('DELETE', `/${name}/tokens/${String(jti)}`);
    await call('DELETE', `/${name}/tokens/${String(jti)}`);
    const { revoked, iss, aud } = await world.feed.page(begin);
    expect(revoked).toEqual([{ jti, exp: Number(exp) + 120 }]);
    expect([iss, aud]).toEqual([world.server.issuer, 'petstore']);
    expect(await world.isLive(token)).toBe(false);
  });

  test('names nothing where a token that expired is revoked, nor keeps a made-up one for longer than any lives', async () => {
    const name = await make();
    const token = await issue(name, { expires_in: 1 });
    const [series = ''] = String(decodeJwt(token).jti).split('.');
    const revoke = (rest: string) => call('DELETE', `/${name}/tokens/${encodeURIComponent(series + rest)}`);
    expect(await newAfter(() => revoke(`.1.${randomUUID()}`))).toEqual([]);
    const begin = await world.feed.end();
    expect((await revoke(`.zzzzzzzzzz.${randomUUID()}`)).status).toBe(204);
    const { revoked } = await world.feed.page(begin);
    const latest = Math.floor(Date.now() / 1_000) + YEAR + 120;
    expect(revoked.map(({ exp }) => Math.abs(latest - Number(exp)) < 60)).toEqual([true]);
  });

  test('takes no id that no token can have: pages would grow beyond what a gateway reads', async () => {
    const name = await make();
    const [series = ''] = String(decodeJwt(await issue(name)).jti).split('.');
    const begin = await world.feed.end();
    const long = '\u0001'.repeat(100);
    for (const rest of [
      `.${long}`,
      '.',
      '.?.x',
      `.1.${randomUUID()}x`,
      `.${randomUUID()}`,
      `x.1.${randomUUID()}`,
    ]) {
      const answer = await call('DELETE', `/${name}/tokens/${encodeURIComponent(series + rest)}`);
      expect([rest, answer.status]).toEqual([rest, 404]);
    }
    expect((await world.feed.page(begin)).revoked).toEqual([]);
  });

  test.each([
    ['of which all are revoked', (name: string) => call('DELETE', `/${name}/tokens`)],
    ['that is deleted', (name: string) => call('DELETE', `/${name}`)],
    [
      'of which all are revoked on the command line',
      (name: string) => world.server.administration.customers.revokeTokens(name),
    ],
    [
      'that is deleted on the command line',
      (name: string) => world.server.administration.customers.delete(name),
    ],
  ])('names every token of a customer %s, and none of another', async (_, end) => {
    const [name, other] = [await make(), await make()];
    const tokens = [await issue(name), await issue(name)];
    const foreign = await issue(other);
    const begin = await world.feed.end();
    await end(name.toLowerCase());
    const { revoked } = await world.feed.page(begin);
    expect(revoked).toEqual([{ customer: name, before: expect.any(Number), exp: expect.any(Number) }]);
    expect(Number(revoked[0]?.['exp'])).toBeGreaterThan(Math.floor(Date.now() / 1_000) + YEAR);
    expect([...tokens, foreign].map((token) => isNamed(revoked, token))).toEqual([true, true, false]);
    expect(await Promise.all([...tokens, foreign].map(world.isLive))).toEqual([false, false, true]);
  });

  test('names what was issued before an ending and nothing after it, in the same second, and keeps one entry', async () => {
    const name = await make();
    const begin = await world.feed.end();
    for (let round = 0; round < 5; round += 1) {
      const before = await issue(name);
      await call('DELETE', `/${name}/tokens`);
      const after = await issue(name);
      const { revoked } = await world.feed.page(begin);
      expect(revoked).toHaveLength(1);
      expect([isNamed(revoked, before), isNamed(revoked, after)]).toEqual([true, false]);
      expect([await world.isLive(before), await world.isLive(after)]).toEqual([false, true]);
    }
  });

  test('names no token of a customer who is made anew under the name of one that was deleted', async () => {
    const name = await make();
    const before = await issue(name);
    const begin = await world.feed.end();
    await call('DELETE', `/${name}`);
    await call('POST', '', { username: name, customer_type: 'free' });
    const after = await issue(name);
    const { revoked } = await world.feed.page(begin);
    expect([isNamed(revoked, before), isNamed(revoked, after)]).toEqual([true, false]);
    expect([await world.isLive(before), await world.isLive(after)]).toEqual([false, true]);
  });

  test('does not name a customer that changes, unless the settings say so', async () => {
    const name = await make();
    const token = await issue(name);
    expect(await newAfter(() => call('PATCH', `/${name}`, { customer_type: 'premium' }))).toEqual([]);
    expect(await world.isLive(token)).toBe(true);
  });

  test('says nothing of VPN nodes, and theirs nothing of customers, whose cursors go on all the same', async () => {
    const node = await feedOf(world.server, await createVpnNode(world.server));
    const [person, name] = [await world.server.createAccount(), await make()];
    const begin = await node.end();
    await world.server.administration.users.lock(person.username);
    await call('DELETE', `/${name}`);
    expect(await node.since(begin)).toEqual([{ sub: person.username }]);
    expect(await world.feed.since(begin)).toEqual([{ customer: name }]);
    const [ofNode, ofGateway] = [await node.page(begin), await world.feed.page(begin)];
    expect([ofNode.from, ofNode.to]).toEqual([ofGateway.from, ofGateway.to]);
  });

  test('goes on by the stream over any number of what is not in it', async () => {
    const begin = await world.feed.end();
    const opened = await world.feed.stream(begin);
    await opened.next();
    const now = Math.floor(Date.now() / 1_000);
    const entry = { kind: 'person', issuedBefore: now, expiresAt: now + 60 } as const;
    const subjects = Array.from({ length: 501 }, () => randomUUID());
    const { revocations } = world.server.storage;
    const cursors = await Promise.all(
      subjects.map((subject) => revocations.append({ ...entry, subject }, now)),
    );
    const name = await make();
    await call('DELETE', `/${name}`);
    let cursor = begin;
    const begun = performance.now();
    for (let named: readonly unknown[] = []; !named.includes(name);) {
      const { page } = (await opened.next()) ?? { page: undefined };
      expect(page?.from).toBe(cursor);
      cursor = page?.to ?? cursor;
      named = (page?.revoked ?? []).map((it) => it['customer']);
    }
    expect(cursor).toBeGreaterThan(Math.max(...cursors));
    expect(performance.now() - begun).toBeLessThan(0.9 * BEAT_MS); // and not at the next beat
  });

  describe('is read by the gateway’s client alone:', () => {
    const ask = (authorization?: string) =>
      world.server.request('/gateway/revocations', {
        ...(authorization !== undefined && { headers: { authorization } }),
      });

    test('not without its access token, nor with a token of another kind', async () => {
      expect((await ask()).status).toBe(401);
      for (const token of ['x', await issue(await make())]) {
        const answer = await ask(`Bearer ${token}`);
        expect([answer.status, answer.headers.get('www-authenticate')]).toEqual([
          401,
          expect.stringContaining('error="invalid_token"'),
        ]);
      }
    });

    test('not by another client, nor a VPN node', async () => {
      for (const other of [await createClient(world.server, 'read'), await createVpnNode(world.server)]) {
        const answer = await ask(`Bearer ${await getToken(world.server, other)}`);
        expect([answer.status, (await json(answer))['error_description']]).toEqual([
          403,
          "This is for the gateway: the client whose id is the audience of customers' tokens, petstore.",
        ]);
      }
      const ofGateway = await getToken(world.server, world.gateway);
      const asNode = await world.server.request('/vpn/revocations', {
        headers: { authorization: `Bearer ${ofGateway}` },
      });
      expect(asNode.status).toBe(403);
    });

    /** Where the other gateways asked 1790 times within this minute. */
    const busy = (storage: Storage): Storage => ({
      ...storage,
      counters: {
        ...storage.counters,
        hit: async (key, windowSeconds, now) => {
          const hit = await storage.counters.hit(key, windowSeconds, now);
          return key === 'revocations-gateways:petstore' ? { ...hit, count: hit.count + 1_790 } : hit;
        },
      },
    });

    test('by any number of gateways, which share that client, at their pace', async () => {
      const own = await startSignInServer(store, { RATE_LIMITS: 'on' }, busy);
      try {
        const { feed } = await createWorld(own);
        const answers = await Promise.all(Array.from({ length: 20 }, () => feed.ask()));
        const statuses = answers.map(({ status }) => status);
        expect(statuses.filter((status) => status === 429).length).toBeGreaterThanOrEqual(10);
        expect(statuses).toContain(200);
        const refused = answers.find(({ status }) => status === 429);
        expect(Number(refused?.headers.get('retry-after'))).toBeGreaterThan(0);
        expect(refused && (await json(refused))['error_description']).toMatch(
          /^This client asked 1800 times within/,
        );
      } finally {
        await own.stop();
      }
    });
  });

  test('that cannot be written keeps what would be in it from being done', async () => {
    const away = (storage: Storage): Storage => ({
      ...storage,
      revocations: {
        ...storage.revocations,
        append: async () => Promise.reject(storeUnavailable('away')),
      },
    });
    const own = await startSignInServer(store, { CUSTOMERS_REVOKE_ON_CHANGE: 'on' }, away);
    try {
      const it = await createWorld(own);
      const name = await it.make();
      const token = await it.issue(name);
      const { jti } = decodeJwt(token);
      const works = [
        it.call('DELETE', `/${name}/tokens/${String(jti)}`),
        it.call('DELETE', `/${name}/tokens`),
        it.call('PATCH', `/${name}`, { customer_type: 'premium' }),
        it.call('DELETE', `/${name}`),
      ];
      expect((await Promise.all(works)).map(({ status }) => status)).toEqual([503, 503, 503, 503]);
      expect(await it.isLive(token)).toBe(true);
      expect((await it.call('GET', `/${name}`)).body).toMatchObject({ customer_type: 'free' });
    } finally {
      await own.stop();
    }
  });

  test('names what was issued while its customer was being deleted', async () => {
    let whileDeleting = async (): Promise<void> => undefined;
    const slow = (storage: Storage): Storage => ({
      ...storage,
      customers: {
        ...storage.customers,
        delete: async (username) => {
          await whileDeleting();
          return storage.customers.delete(username);
        },
      },
    });
    const own = await startSignInServer(store, {}, slow);
    try {
      const it = await createWorld(own);
      const name = await it.make();
      const issued: string[] = [];
      whileDeleting = async () => void issued.push(await it.issue(name));
      expect((await it.call('DELETE', `/${name}`)).status).toBe(204);
      const { revoked } = await it.feed.page();
      expect(issued.map((token) => isNamed(revoked, token))).toEqual([true]);
      expect(await Promise.all(issued.map(it.isLive))).toEqual([false]);
    } finally {
      await own.stop();
    }
  });

  test('is there before the change: whoever ended it and broke off, the next token is good again', async () => {
    let isBroken = false;
    const breaking = (storage: Storage): Storage => ({
      ...storage,
      customers: {
        ...storage.customers,
        replace: async (customer) =>
          isBroken ? Promise.reject(storeUnavailable('away')) : storage.customers.replace(customer),
      },
    });
    const own = await startSignInServer(store, {}, breaking);
    try {
      const it = await createWorld(own);
      const name = await it.make();
      const before = await it.issue(name);
      isBroken = true;
      expect((await it.call('DELETE', `/${name}/tokens`)).status).toBe(503);
      isBroken = false;
      const { revoked } = await it.feed.page();
      expect([isNamed(revoked, before), await it.isLive(before)]).toEqual([true, false]);
      const fresh = await Promise.all([it.issue(name), it.issue(name)]);
      const { revoked: later } = await it.feed.page();
      expect(fresh.map((token) => isNamed(later, token))).toEqual([false, false]);
      expect(await Promise.all(fresh.map(it.isLive))).toEqual([true, true]);
    } finally {
      await own.stop();
    }
  });
});

describeOnBothStores('a guard that follows the feed of customers’ tokens', (store) => {
  let world: World;
  let guard: Guard;
  let feed: FollowedRevocations;

  beforeAll(async () => {
    const port = await findFreePort();
    const env = { ISSUER: `http://localhost:${port}`, PORT: String(port), CUSTOMERS_REVOKE_ON_CHANGE: 'on' };
    const server = await startSignInServer(store, env);
    world = await createWorld(server);
    // It reads at another instance than the one at which the changes are made.
    const other = await server.startInstance({ config: { ...server.config, port: 0 } });
    const client = createOAuth2Client(
      readNodeSettings({
        PORTBRO_CLIENT_ID: world.gateway.id,
        PORTBRO_CLIENT_SECRET: world.gateway.secret,
        PARENT_ISSUER: server.issuer,
      }),
    );
    feed = followRevocations({
      issuer: server.issuer,
      of: 'customers',
      url: new URL('/gateway/revocations', other.origin),
      getToken: () => client.getOAuth2Token(),
    });
    await feed.ready();
    guard = createGuard({
      issuer: server.issuer,
      audience: 'petstore',
      accept: ['customer'],
      revocations: feed,
    });
  });
  afterAll(async () => {
    await feed.close();
    await world.server.stop();
  });

  const verdictOf = async (token: string): Promise<string> => {
    try {
      await guard.verify(token);
      return 'good';
    } catch (error) {
      if (isGuardError(error)) return error.code;
      throw error;
    }
  };
  /** Milliseconds until the token is refused. */
  const untilRefused = async (token: string): Promise<number> => {
    const begun = performance.now();
    while ((await verdictOf(token)) !== 'ERR_GUARD_TOKEN_REVOKED') {
      if (performance.now() - begun > TIMEOUT_MS) throw new Error('it never was refused');
      await sleep(LOOK_MS);
    }
    return performance.now() - begun;
  };

  test('lets a customer in, and says what it may do', async () => {
    const name = await world.make({ additional_metadata: { region: 'eu' } });
    const auth = await guard.verify(await world.issue(name));
    expect(auth).toMatchObject({ subject: name, clientId: null, scopes: [], role: null });
    expect(auth.claims['customer']).toMatchObject({
      ...{ customer_type: 'free', rate_limit: 100, api_access_level: 'basic', region: 'eu' },
    });
  });

  test(
    `refuses what is revoked at another instance, within two seconds: ${TRIALS} times`,
    async () => {
      const lags: number[] = [];
      for (let trial = 0; trial < TRIALS; trial += 1) {
        const name = await world.make();
        const token = await world.issue(name);
        expect(await verdictOf(token)).toBe('good');
        const revoked = world.call('DELETE', `/${name}/tokens`);
        lags.push(await untilRefused(token));
        await revoked;
        expect(await verdictOf(await world.issue(name))).toBe('good');
      }
      const sorted = lags.toSorted((one, another) => one - another).map(Math.round);
      const at = (part: number): number => sorted[Math.ceil(part * sorted.length) - 1] ?? 0;
      if (process.env['FEED_TRIALS'] !== undefined)
        process.stderr.write(
          `${store}: revoked to refused, ms: p50 ${at(0.5)}, p99 ${at(0.99)}, max ${at(1)}\n`,
        );
      expect(at(0.5)).toBeLessThan(MAX_LAG_MS);
      expect(at(1)).toBeLessThan(BUSY_LAG_MS);
    },
    TIMEOUT_MS,
  );

  test('refuses one token by its jti, and what a deleted customer had', async () => {
    const name = await world.make();
    const [one, two] = [await world.issue(name), await world.issue(name)];
    await world.call('DELETE', `/${name}/tokens/${String(decodeJwt(one).jti)}`);
    await untilRefused(one);
    expect(await verdictOf(two)).toBe('good');
    await world.call('DELETE', `/${name}`);
    await untilRefused(two);
  });

  test.each<[string, object]>([
    ['is of another type', { customer_type: 'premium' }],
    ['may ask more often', { additional_metadata: { rate_limit: 7 } }],
    ['has another level', { additional_metadata: { api_access_level: 'full' } }],
    ['has something else in its metadata', { additional_metadata: { features: ['export'] } }],
    ['has another tier', { subscription_tier: 'gold' }],
  ])(
    'refuses the token from before its customer %s, as introspection does, and takes the next one',
    async (_, to) => {
      const name = await world.make();
      const token = await world.issue(name);
      expect((await world.call('PATCH', `/${name}`, to)).status).toBe(200);
      expect(await world.isLive(token)).toBe(false);
      await untilRefused(token);
      const next = await world.issue(name);
      expect([await verdictOf(next), await world.isLive(next)]).toEqual(['good', true]);
    },
  );

  test('refuses it where a file or the command line makes the change', async () => {
    const { administration } = world.server;
    const name = await world.make();
    const changes = [
      () => administration.customers.update(name, { customer_type: 'standard' }),
      () => apply(administration, { customers: [{ username: name, customer_type: 'premium' }] }),
    ];
    for (const change of changes) {
      const token = await world.issue(name);
      await change();
      await untilRefused(token);
    }
  });

  test('takes the token of a customer of which only the address, the company or the tie changed', async () => {
    const name = await world.make();
    const token = await world.issue(name);
    const { id } = await createClient(world.server, 'customer');
    const changes = [{ email: 'acme@example.com' }, { company: 'Acme' }, { client: id }];
    const told = await world.newAfter(async () => {
      for (const change of changes) expect((await world.call('PATCH', `/${name}`, change)).status).toBe(200);
    });
    expect([told, await world.isLive(token), await verdictOf(token)]).toEqual([[], true, 'good']);
  });
});
