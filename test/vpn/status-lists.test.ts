/**
 * Token Status List (draft-ietf-oauth-status-list): where the status of a VPN JWT stands, that it is what the feed says, and
 * who may read it. Read in two ways: by the steps of the draft, and by a library that others wrote.
 */
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { setTimeout as sleep } from 'node:timers/promises';
import { inflateSync } from 'node:zlib';

import { getListFromStatusListJWT, getStatusListFromJWT } from '@sd-jwt/jwt-status-list';
import { createLocalJWKSet, decodeJwt, decodeProtectedHeader, jwtVerify } from 'jose';
import type { JSONWebKeySet } from 'jose';

import { storeUnavailable } from '../../src/errors.ts';
import { createTokenValidator } from '../../src/sdk/node/token-validator.ts';
import type { Account, Storage } from '../../src/storage/port.ts';
import { apply, basic, createVpnNode, form, getToken, json } from '../support/clients.ts';
import { describeOnBothStores, startTestServer } from '../support/server.ts';
import { startSignInServer } from '../support/sign-in.ts';
import type { SignInServer } from '../support/sign-in.ts';
import { feedOf } from './feed.ts';
import { createNode, DOORS, resourceOf, signInAt, subjectsOf } from './world.ts';
import type { Node } from './world.ts';

const TYPE = 'application/statuslist+jwt';
const ON = { VPN_STATUS_LIST: 'on' };
const [VALID, INVALID] = [0, 1];
const MAX_LAG_MS = 2_000;
// One look at a busy machine may take longer; the contract's two seconds are for most of them.
const BUSY_LAG_MS = 5_000;
const UNTIL_MS = 20_000;
const POLL_MS = 50;
/** What a look found is good for less. */
const LOOK_MS = 600;
const HOUR = 3_600;
const SMALL = 16;
const UNKNOWN = 'x'.repeat(22);
const TIMEOUT_MS = 60_000;

interface Place {
  readonly idx: number;
  readonly uri: string;
}

/** A VPN JWT of the node itself. */
async function issue(
  { request }: Pick<SignInServer, 'request'>,
  token: string,
  ask: (path: string, init: RequestInit) => Promise<Response> = request,
): Promise<string> {
  const answer = await ask('/vpn/auth', { method: 'POST', headers: { authorization: `Bearer ${token}` } });
  return String((await json(answer))['access_token']);
}

/** Its bit, without a look at the signature. */
async function bitOf(jwt: string, origin: string): Promise<number> {
  const { idx, uri } = placeOf(jwt);
  const answer = await fetch(origin + new URL(uri).pathname, { headers: { accept: TYPE } });
  return getListFromStatusListJWT(await answer.text()).getStatus(idx);
}

const at =
  (origin: string) =>
  (path: string, init?: RequestInit): Promise<Response> =>
    fetch(origin + path, init);

const placeOf = (jwt: string): Place => getStatusListFromJWT(jwt);

/** How long it takes. */
async function untilInvalid(status: () => Promise<number>): Promise<number> {
  const begun = performance.now();
  while ((await status()) !== INVALID) {
    if (performance.now() - begun > UNTIL_MS) throw new Error('it stays valid');
    await sleep(POLL_MS);
  }
  return performance.now() - begun;
}

describeOnBothStores('a status list', (store) => {
  let server: SignInServer;
  /** Another instance, where all is read. */
  let other: string;
  let node: Node;
  let token: string;
  let keys: ReturnType<typeof createLocalJWKSet>;

  beforeAll(async () => {
    server = await startSignInServer(store, ON);
    other = await server.startAnother();
    node = await createNode(server);
    token = await getToken(server, node);
    keys = createLocalJWKSet((await (await server.request('/jwks')).json()) as JSONWebKeySet); // RFC 7517 5
  });

  afterAll(async () => {
    await server.stop();
  });

  const ask = (uri: string, headers: Readonly<Record<string, string>> = {}, origin = other) =>
    fetch(uri.replace(server.issuer, origin), { headers: { accept: TYPE, ...headers } });

  /** The status of a token, by the steps of section 8.3. */
  async function statusOf(jwt: string, origin = other): Promise<number> {
    const { idx, uri } = placeOf(jwt);
    const answer = await ask(uri, {}, origin);
    if (answer.status !== 200) throw new Error(`${answer.status} ${await answer.text()}`);
    expect(answer.headers.get('content-type')).toBe(TYPE);
    const list = await answer.text();
    const { payload } = await jwtVerify(list, keys, {
      ...{ typ: 'statuslist+jwt', algorithms: ['RS256'], issuer: server.issuer, subject: uri },
      requiredClaims: ['iat', 'exp', 'ttl', 'status_list'],
    });
    const { bits, lst } = payload['status_list'] as { bits: number; lst: string }; // 4.2
    expect(bits).toBe(1);
    const bytes = inflateSync(Buffer.from(lst, 'base64url'));
    const byte = bytes[Math.floor(idx / 8)];
    if (byte === undefined) throw new Error(`the list ends before ${idx}`);
    const status = (byte >> (idx % 8)) & 1;
    // As somebody else reads it.
    expect(getListFromStatusListJWT(list).getStatus(idx)).toBe(status);
    return status;
  }

  const lags: number[] = [];
  /** How long it takes at another instance until the token is invalid. */
  async function lagOf(jwt: string): Promise<number> {
    const lag = await untilInvalid(() => statusOf(jwt));
    lags.push(lag);
    return lag;
  }

  const person = (fields: Partial<Account> = {}): Promise<Account> => server.createAccount(fields);
  /** The JWT of a person at the node, by code + PKCE. */
  const signedIn = async (account: Account, where = node): Promise<string> => {
    const parameters = { scope: 'openid read', resource: resourceOf(server) };
    return (await signInAt(server, where, account, parameters)).tokens.access_token;
  };
  const users = () => server.administration.users;
  const applyUser = (account: Account, fields: object): Promise<unknown> =>
    apply(server.administration, { users: [{ username: account.username, ...fields }] });
  const revoke = (jwt: string) => server.request('/revoke', form({ token: jwt }, basic(node)));

  test('is named by every VPN JWT, whichever way it was issued, each with a place of its own', async () => {
    const account = await person();
    const session = await signInAt(server, node, account);
    const [subject] = subjectsOf(session);
    const exchanged = async (door: keyof typeof DOORS) =>
      String((await DOORS[door](server, node, subject)).body['access_token']);
    const jwts = [
      await issue(server, token),
      await exchanged('/vpn/auth'),
      await exchanged('/token'),
      await signedIn(account),
      await issue(server, token, at(other)),
    ];
    for (const jwt of jwts) {
      const { status } = decodeJwt<{ status: unknown }>(jwt);
      const uri: unknown = expect.stringMatching(/^http:\/\/localhost:8011\/vpn\/status\/[\w-]{65}$/);
      expect(status).toEqual({ status_list: { idx: expect.any(Number), uri } });
      expect(await statusOf(jwt)).toBe(VALID);
      expect(await statusOf(jwt, server.origin)).toBe(VALID);
    }
    expect(new Set(jwts.map((jwt) => JSON.stringify(placeOf(jwt)))).size).toBe(jwts.length);
    const jwks = new URL(`${server.origin}/jwks`);
    const validator = createTokenValidator({ issuer: server.issuer, audience: 'vpn-node', jwks });
    expect(await validator.verify(jwts[0] ?? '')).toMatchObject({ username: node.id });
  });

  test.each([
    ['a person who is disabled', (it: Account) => users().lock(it.username)],
    ['a person who is deleted', (it: Account) => users().delete(it.username)],
    ['a person with another role', (it: Account) => applyUser(it, { roles: { 'vpn-node': 'manager' } })],
    ['a person who signs out everywhere', (it: Account) => users().endSessions(it.username)],
  ])('has the token of %s invalid soon, at another instance, and no other', async (_, work) => {
    const account = await person();
    const [jwt, own, others] = [
      await signedIn(account),
      await issue(server, token),
      await signedIn(await person()),
    ];
    expect([await statusOf(jwt), await statusOf(own), await statusOf(others)]).toEqual([VALID, VALID, VALID]);
    await work(account);
    expect(await lagOf(jwt)).toBeLessThan(BUSY_LAG_MS);
    expect([await statusOf(own), await statusOf(others)]).toEqual([VALID, VALID]);
  });

  test('has the tokens of a node that is deleted invalid, those of people at it, too', async () => {
    const gone = await createNode(server);
    const [own, ofPerson] = [
      await issue(server, await getToken(server, gone)),
      await signedIn(await person(), gone),
    ];
    expect([await statusOf(own), await statusOf(ofPerson)]).toEqual([VALID, VALID]);
    await server.administration.deleteClient(gone.id, true);
    expect(await lagOf(own)).toBeLessThan(BUSY_LAG_MS);
    expect(await statusOf(ofPerson)).toBe(INVALID);
  });

  test('has one token invalid that its node revoked, and the one after it valid', async () => {
    const [first, second] = [await issue(server, token), await issue(server, token)];
    await statusOf(first);
    await revoke(first);
    expect(await lagOf(first)).toBeLessThan(BUSY_LAG_MS);
    expect(await statusOf(second)).toBe(VALID);
  });

  test('had all these invalid within two seconds, but for what a busy machine adds to some', () => {
    const sorted = lags.toSorted((one, another) => one - another);
    expect(sorted[Math.floor(sorted.length / 2)] ?? 0).toBeLessThan(MAX_LAG_MS);
  });

  test('misses no token that was about to be issued when what it says ended', async () => {
    const held = { entered: Promise.withResolvers<undefined>(), go: Promise.withResolvers<undefined>() };
    let isHeld = false;
    const own = await startSignInServer(store, ON, (storage) => ({
      ...storage,
      tokenStatuses: {
        ...storage.tokenStatuses,
        insert: async (status) => {
          if (isHeld) {
            isHeld = false;
            held.entered.resolve(undefined);
            await held.go.promise;
          }
          return storage.tokenStatuses.insert(status);
        },
      },
    }));
    try {
      const { origin } = await own.startInstance();
      const place = await createNode(own);
      const account = await own.createAccount();
      const session = await signInAt(own, place, account);
      const [subject] = subjectsOf(session);
      const ask = async () => String((await DOORS['/token'](own, place, subject)).body['access_token']);
      const before = await ask();
      isHeld = true;
      const asking = ask();
      await held.entered.promise;
      const change = { username: account.username, roles: { 'vpn-node': 'manager' } };
      await apply(own.administration, { users: [change] });
      await untilInvalid(() => bitOf(before, origin)); // that instance has read of it
      held.go.resolve(undefined);
      const jwt = await asking;
      const { revoked } = await (await feedOf(own, place)).page();
      const ended = Math.max(...revoked.map((it) => Number(it['before'])));
      expect(decodeJwt(jwt)).toMatchObject({ role: 'manager' });
      expect(decodeJwt(jwt).iat).toBeGreaterThanOrEqual(ended);
      await sleep(LOOK_MS);
      expect(await bitOf(jwt, origin)).toBe(VALID);
    } finally {
      await own.stop();
    }
  });

  test('is the same for all who ask, by 304 where it did not change', async () => {
    const jwt = await issue(server, token);
    const { uri } = placeOf(jwt);
    const first = await ask(uri);
    const etag = first.headers.get('etag') ?? '';
    expect(Object.fromEntries(first.headers)).toMatchObject({
      ...{ 'cache-control': 'public, max-age=1', vary: 'Accept, Accept-Encoding' },
      ...{ 'access-control-allow-origin': '*', 'access-control-expose-headers': 'ETag, Retry-After' },
      'content-encoding': 'gzip',
    });
    const all = await Promise.all(Array.from({ length: 20 }, async () => (await ask(uri)).text()));
    expect(new Set([await first.text(), ...all]).size).toBe(1);
    const again = await ask(uri, { 'if-none-match': etag });
    expect([again.status, await again.text(), again.headers.get('etag')]).toEqual([304, '', etag]);
    await revoke(jwt);
    await lagOf(jwt);
    const changed = await ask(uri, { 'if-none-match': etag, 'accept-encoding': 'identity' });
    expect([changed.status, changed.headers.get('content-encoding')]).toEqual([200, null]);
    expect(changed.headers.get('etag')).not.toBe(etag);
    expect((await changed.text()).split('.')).toHaveLength(3);
  });

  test('says how long it is good, and is signed anew in time', async () => {
    const { uri } = placeOf(await issue(server, token));
    const list = await (await ask(uri)).text();
    const { iat = 0, exp = 0, ttl, sub } = decodeJwt(list);
    expect([exp - iat, ttl, sub]).toEqual([900, 1, uri]);
    expect(decodeProtectedHeader(list)).toEqual({
      alg: 'RS256',
      typ: 'statuslist+jwt',
      kid: expect.any(String),
    });
    const own = await startSignInServer(store, ON);
    try {
      const ownToken = await getToken(own, await createVpnNode(own));
      const place = placeOf(await issue(own, ownToken));
      const iatNow = async () => Number(decodeJwt(await (await ask(place.uri, {}, own.origin)).text()).iat);
      const first = await iatNow();
      own.advance(30);
      expect(await iatNow()).toBe(first);
      own.advance(31);
      expect(await iatNow()).toBeGreaterThanOrEqual(first + 61);
      // The token and its patience are over.
      own.advance(HOUR + 120);
      const answer = await ask(place.uri, {}, own.origin);
      expect([answer.status, (await json(answer))['error']]).toEqual([404, 'invalid_request']);
      expect((await json(await own.request('/vpn/status')))['status_lists']).toEqual([]);
    } finally {
      await own.stop();
    }
  });

  test('is signed by the key that signs now, not by one that was retired', async () => {
    const own = await startTestServer(store, ON, { keyReloadMs: 50 });
    try {
      const { uri } = placeOf(await issue(own, await getToken(own, await createVpnNode(own))));
      const kidNow = async () =>
        decodeProtectedHeader(await (await ask(uri, {}, own.origin)).text()).kid ?? '';
      const first = await kidNow();
      await own.administration.keys.retire(first, true);
      await own.logged('keys_changed');
      expect(await kidNow()).not.toBe(first);
    } finally {
      await own.stop();
    }
  });

  test('is for everybody, in browsers as well, in the one form that there is', async () => {
    const { uri } = placeOf(await issue(server, token));
    const refusal = async (path: string, accept = TYPE): Promise<string> => {
      const answer = await ask(path, { accept });
      expect(answer.headers.get('access-control-allow-origin')).toBe('*');
      expect(answer.headers.get('cache-control')).toBe('no-store');
      return `${answer.status} ${String((await json(answer))['error'])}`;
    };
    expect(await refusal(uri, 'application/statuslist+cwt')).toBe('406 invalid_request');
    expect(await refusal(`${uri}?time=1`)).toBe('501 invalid_request');
    const last = uri.endsWith('A') ? 'B' : 'A'; // four bits of it say something
    for (const made of [UNKNOWN, 'x', `${UNKNOWN}x`, 'x'.repeat(65), uri.slice(-65, -1) + last]) {
      expect(await refusal(`${server.issuer}/vpn/status/${made}`)).toBe('404 invalid_request');
    }
    for (const accept of ['*/*', `application/statuslist+cwt, ${TYPE};q=0.1`]) {
      expect((await ask(uri, { accept })).headers.get('content-type')).toBe(TYPE);
    }
    const preflight = await fetch(uri.replace(server.issuer, other), {
      method: 'OPTIONS',
      headers: { origin: 'https://any.example', 'access-control-request-method': 'GET' },
    });
    expect([
      preflight.status,
      ...['origin', 'methods', 'headers'].map((it) => preflight.headers.get(`access-control-allow-${it}`)),
    ]).toEqual([204, '*', 'GET, HEAD', 'If-None-Match']);
    const posted = await fetch(uri.replace(server.issuer, other), { method: 'POST' });
    expect([posted.status, posted.headers.get('allow')]).toEqual([405, expect.stringContaining('GET')]);
  });

  test('is one of those that the aggregation names, which discovery and the list tell of', async () => {
    const { uri } = placeOf(await issue(server, token));
    const discovery = await json(await server.request('/.well-known/openid-configuration'));
    const address = String(discovery['status_list_aggregation_endpoint']);
    expect(address).toBe(`${server.issuer}/vpn/status`);
    const answer = await fetch(address.replace(server.issuer, other));
    expect(answer.headers.get('access-control-allow-origin')).toBe('*');
    expect((await json(answer))['status_lists']).toContain(uri);
    const list = decodeJwt<{ status_list: object }>(await (await ask(uri)).text());
    expect(list.status_list).toMatchObject({ aggregation_uri: address });
  });

  test(
    'gives no place twice, whoever issues at once, and goes on in another list where one is full',
    async () => {
      const own = await startSignInServer(store, ON);
      try {
        const instances = await Promise.all([1, 2].map(() => own.startInstance({ statusListSize: SMALL })));
        const ownToken = await getToken(own, await createVpnNode(own));
        const jwts: string[] = [];
        for (let round = 0; round < 5; round += 1) {
          const some = instances.flatMap(({ origin }) =>
            Array.from({ length: 10 }, () => issue(own, ownToken, at(origin))),
          );
          jwts.push(...(await Promise.all(some)));
        }
        const places = jwts.map(placeOf);
        expect(new Set(places.map(({ idx, uri }) => `${uri} ${idx}`)).size).toBe(100);
        const lists = Map.groupBy(places, ({ uri }) => uri);
        // 50 of each instance, 16 in a list.
        expect(
          [...lists.values()].map(({ length }) => length).toSorted((one, another) => one - another),
        ).toEqual([...[2, 2, 16, 16, 16, 16, 16, 16]]);
        expect(places.every(({ idx }) => idx >= 0 && idx < SMALL)).toBe(true);
        const indexes = places.slice(0, SMALL).map(({ idx }) => idx);
        expect(indexes).not.toEqual(indexes.toSorted((one, another) => one - another));
        expect((await json(await own.request('/vpn/status')))['status_lists']).toEqual(
          [...lists.keys()].toSorted(),
        );
      } finally {
        await own.stop();
      }
    },
    TIMEOUT_MS,
  );

  test('leaves a list that somebody else has, too, and does not issue without a place', async () => {
    const taken = new Set([2, 4, 5, 6]);
    let count = 0;
    const own = await startSignInServer(store, ON, (storage: Storage) => ({
      ...storage,
      tokenStatuses: {
        ...storage.tokenStatuses,
        insert: async (status) => !taken.has((count += 1)) && storage.tokenStatuses.insert(status),
      },
    }));
    try {
      const ownToken = await getToken(own, await createVpnNode(own));
      const [first, second] = [placeOf(await issue(own, ownToken)), placeOf(await issue(own, ownToken))];
      expect(second.uri).not.toBe(first.uri);
      expect((await ask(second.uri, {}, own.origin)).status).toBe(200);
      const refused = await own.request('/vpn/auth', {
        method: 'POST',
        headers: { authorization: `Bearer ${ownToken}` },
      });
      expect(refused.status).toBe(500);
    } finally {
      await own.stop();
    }
  });

  test('comes to its end where the store cannot find at once all that ended', async () => {
    const own = await startSignInServer(store, ON);
    const find: Storage['tokenStatuses']['findNamed'] = async (named, now) => {
      if (named.length > 3) throw storeUnavailable(new Error('it takes too long'));
      return own.storage.tokenStatuses.findNamed(named, now);
    };
    try {
      const origin = await own.startAnother((storage) => ({
        ...storage,
        tokenStatuses: { ...storage.tokenStatuses, findNamed: find },
      }));
      const place = await createNode(own);
      const jwt = await issue(own, await getToken(own, place));
      const now = Math.floor(Date.now() / 1000);
      for (let count = 0; count < 10; count += 1) {
        const ended = { subject: `nobody-${count}`, issuedBefore: now, expiresAt: now + HOUR };
        await own.storage.revocations.append({ kind: 'person', ...ended }, now);
      }
      await own.administration.deleteClient(place.id, true);
      const statuses: number[] = [];
      while (statuses.at(-1) !== 200 && statuses.length < 20) {
        const answer = await ask(placeOf(jwt).uri, {}, origin);
        if (answer.status === 503) expect(answer.headers.get('retry-after')).toBe('2');
        statuses.push(answer.status);
      }
      expect(new Set(statuses)).toEqual(new Set([503, 200]));
      expect(await bitOf(jwt, origin)).toBe(INVALID);
    } finally {
      await own.stop();
    }
  });

  test('is not there by default: no claim, no list, no word of it, and nothing written', async () => {
    const own = await startSignInServer(store);
    try {
      const ownToken = await getToken(own, await createVpnNode(own));
      expect(decodeJwt(await issue(own, ownToken))).not.toHaveProperty('status');
      const statusAt = async (path: string) =>
        (await own.request(path, { headers: { accept: TYPE } })).status;
      expect([await statusAt('/vpn/status'), await statusAt(`/vpn/status/${UNKNOWN}`)]).toEqual([404, 404]);
      const discovery = await json(await own.request('/.well-known/openid-configuration'));
      expect(discovery).not.toHaveProperty('status_list_aggregation_endpoint');
      expect(await own.storage.tokenStatuses.lists(0)).toEqual([]);
    } finally {
      await own.stop();
    }
  });

  test('goes on being served where it was turned off, as long as a token of it lives', async () => {
    const jwt = await issue(server, token);
    const { config } = server;
    const off = { ...config, vpn: { ...config.vpn, hasStatusLists: false } };
    const { origin } = await server.startInstance({ config: off });
    expect(await statusOf(jwt, origin)).toBe(VALID);
    expect(decodeJwt(await issue(server, token, at(origin)))).not.toHaveProperty('status');
  });
});
