/** OpenID Connect Back-Channel Logout 1.0: applications are told when a session ends, whatever happens in between. */
import { afterEach, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { randomUUID } from 'node:crypto';
import { setTimeout as pause } from 'node:timers/promises';
import { createLocalJWKSet, decodeJwt, decodeProtectedHeader, jwtVerify } from 'jose';
import type { JSONWebKeySet } from 'jose';

import { storeUnavailable } from '../../src/errors.ts';
import { createLogoutDelivery, pauseSeconds } from '../../src/oidc/logout-delivery.ts';
import type { Account, Storage } from '../../src/storage/port.ts';
import { json } from '../support/clients.ts';
import { startReceiver, status } from '../support/receiver.ts';
import type { Receiver } from '../support/receiver.ts';
import { createRelyingParty, signIn, signOut } from '../support/relying-party.ts';
import type { RelyingParty, Session } from '../support/relying-party.ts';
import { describeOnBothStores } from '../support/server.ts';
import {
  PASSWORD,
  sendForm,
  signInAtAccount,
  startSignInServer,
  useSignInServer,
} from '../support/sign-in.ts';
import type { SignInServer } from '../support/sign-in.ts';

const EVENT = 'http://schemas.openid.net/event/backchannel-logout';
const DAY = 86_400;

interface Begun extends Session {
  readonly server: SignInServer;
  readonly account: Account;
  readonly party: RelyingParty;
  readonly receiver: Receiver;
}

describeOnBothStores('back-channel logout', (store) => {
  const server = useSignInServer(store);
  const opened: { stop(): Promise<void> }[] = [];
  afterEach(async () => {
    for (const one of opened.splice(0)) await one.stop();
  });
  const receive = async (port?: number): Promise<Receiver> => {
    const receiver = await startReceiver(port);
    opened.push(receiver);
    return receiver;
  };
  const start = async (
    env?: Readonly<Record<string, string>>,
    wrap?: (storage: Storage) => Storage,
  ): Promise<SignInServer> => {
    const own = await startSignInServer(store, env, wrap);
    opened.push(own);
    return own;
  };
  /** A person who is signed in at an application that wants to be told. */
  const begin = async (own = server(), fields: object = {}): Promise<Begun> => {
    const receiver = await receive();
    const account = await own.createAccount();
    const party = await createRelyingParty(own, {
      first_party: true,
      backchannel_logout_uri: receiver.url,
      ...fields,
    });
    return { server: own, account, party, receiver, ...(await signIn(own, party, account)) };
  };
  const sessionOf = async ({ server: own, account }: Begun): Promise<string> =>
    (await own.sessions.list(account.id))[0]?.id ?? '';
  const isSignedIn = async ({ server: own, account }: Begun): Promise<boolean> =>
    (await own.sessions.list(account.id)).length > 0;

  /** The claims of a logout token, after all the checks of section 2.6. */
  const verify = async ({ server: own, party, receiver, account, tokens }: Begun, index = 0) => {
    const told = receiver.received[index];
    expect(told).toMatchObject({ method: 'POST', type: 'application/x-www-form-urlencoded' });
    expect([...(told?.body.keys() ?? [])]).toEqual(['logout_token']);
    const token = told?.body.get('logout_token') ?? '';
    // Its shape is that of a JWK set, or verifying by it fails.
    const jwks = (await json(await own.request('/jwks'))) as unknown as JSONWebKeySet;
    const { payload } = await jwtVerify(token, createLocalJWKSet(jwks), {
      issuer: own.issuer,
      audience: party.id,
      typ: 'logout+jwt',
      algorithms: [String(decodeProtectedHeader(tokens.id_token ?? '').alg)],
      requiredClaims: ['iat', 'exp', 'jti', 'events', 'sub', 'sid'],
    });
    expect(payload).toMatchObject({
      sub: account.id,
      sid: tokens.claims()?.['sid'],
      events: { [EVENT]: {} },
    });
    expect(payload).not.toHaveProperty('nonce');
    expect(Number(payload.exp) - Number(payload.iat)).toBeLessThanOrEqual(120);
    return payload;
  };

  test('is told of in discovery, and every ID token of the application names the session', async () => {
    expect(await json(await server().request('/.well-known/openid-configuration'))).toMatchObject({
      backchannel_logout_supported: true,
      backchannel_logout_session_supported: true,
    });
    const { tokens } = await begin();
    expect(tokens.claims()?.['sid']).toMatch(/^[\w-]{20,}$/);
  });

  const elsewhere = async (begun: Begun) => {
    const browser = begun.server.browser();
    await signInAtAccount(browser, begun.account);
    begun.server.advance(1);
    return browser;
  };
  const endings: Readonly<Record<string, (begun: Begun) => Promise<unknown>>> = {
    'the person signs out, from the application': ({ browser, tokens }) =>
      signOut(browser, `/logout?id_token_hint=${tokens.id_token ?? ''}`),
    'the person leaves the application alone': ({ browser, party }) =>
      signOut(browser, `/logout?client_id=${party.id}`, {}),
    'the person signs out at the account page': ({ browser }) =>
      sendForm(browser, '/account/sign-out', {}, '/account'),
    'the person ends the session in another browser': async (begun) => {
      const id = await sessionOf(begun);
      return sendForm(await elsewhere(begun), '/account/sessions/end', { id }, '/account/sessions');
    },
    'the person ends all other sessions': async (begun) =>
      sendForm(await elsewhere(begun), '/account/sessions/end-others', {}, '/account/sessions'),
    'the person changes the password elsewhere': async (begun) =>
      sendForm(await elsewhere(begun), '/account/password', {
        currentPassword: PASSWORD,
        newPassword: `another password ${randomUUID()}`,
      }),
    'somebody else signs in in the same browser': async ({ browser, server: own }) =>
      signInAtAccount(browser, await own.createAccount()),
    'the person deletes the account': async ({ browser, account }) =>
      sendForm(
        browser,
        '/account/delete',
        { confirmation: account.username, currentPassword: PASSWORD },
        '/account/data',
      ),
    'an administrator sets the password': ({ server: own, account }) =>
      own.administration.users.setPassword(account.username, async () => `a new one ${randomUUID()}`),
    'an administrator locks the account': ({ server: own, account }) =>
      own.administration.users.lock(account.username),
    'an administrator deletes the account': ({ server: own, account }) =>
      own.administration.users.delete(account.username),
  };

  test.each(Object.keys(endings))('tells the application when %s', async (how) => {
    const begun = await begin();
    await endings[how]?.(begun);
    await begun.receiver.reached(1);
    await verify(begun);
    await server().logged('logout_delivered', begun.party.id);
    expect(begun.receiver.received).toHaveLength(1);
  });

  test('tells every application of the session, each by its own algorithm, and no other', async () => {
    const begun = await begin();
    const { browser, account } = begun;
    const receiver = await receive();
    const party = await createRelyingParty(server(), {
      first_party: true,
      backchannel_logout_uri: receiver.url,
      backchannel_logout_session_required: true,
      id_token_signed_response_alg: 'ES256',
    });
    const other = { ...begun, receiver, party, ...(await signIn(server(), party, account, { browser })) };
    const beside = await begin();
    const silent = await createRelyingParty(server(), { first_party: true });
    await signIn(server(), silent, account, { browser });
    await signOut(browser);
    await Promise.all([begun.receiver.reached(1), receiver.reached(1)]);
    const [sid, otherSid] = [(await verify(begun))['sid'], (await verify(other))['sid']];
    expect(sid).not.toBe(otherSid);
    expect(beside.receiver.received).toEqual([]);
    expect(await isSignedIn(beside)).toBe(true);
  });

  test('tries again, later each time, with a new token, until the application answers', async () => {
    const own = await start();
    const begun = await begin(own);
    const { receiver, party, browser } = begun;
    receiver.answer = status(500);
    await signOut(browser);
    await own.logged('logout_deferred', party.id, '"attempts":1');
    const list = async () => (await own.administration.listLogouts({ limit: 10 }, false)).items;
    expect(await list()).toMatchObject([
      {
        client_id: party.id,
        sub: begun.account.id,
        attempts: 1,
        last_error: 'it answered 500',
        failed_at: null,
      },
    ]);
    const port = Number(new URL(receiver.url).port);
    await receiver.stop();
    own.advance(10);
    expect(await own.logged('logout_deferred', party.id, '"attempts":2')).toContain('ECONNREFUSED');
    const back = await receive(port);
    own.advance(20);
    await back.reached(1);
    const again = await verify({ ...begun, receiver: back });
    expect(again.jti).not.toBe(decodeJwt(receiver.received[0]?.body.get('logout_token') ?? '').jti);
    await own.logged('logout_delivered', party.id, '"attempts":3');
    expect(await list()).toEqual([]);
  });

  test('gives up after a day, and shows what it gave up', async () => {
    const own = await start();
    const { receiver, party, browser } = await begin(own);
    receiver.answer = status(400, { 'content-type': 'application/json' }, '{"error":"invalid_request"}');
    await signOut(browser);
    await own.logged('logout_deferred', party.id);
    expect((await own.administration.listLogouts({ limit: 10 }, true)).items).toEqual([]);
    own.advance(DAY);
    await own.logged('logout_undeliverable', party.id);
    const { items } = await own.administration.listLogouts({ limit: 10 }, true);
    expect(items).toMatchObject([
      { client_id: party.id, attempts: 2, last_error: 'it answered 400', next_try_at: null },
    ]);
    expect(items[0]?.failed_at).toEqual(expect.any(String));
    expect(receiver.received).toHaveLength(2);
  });

  test('a notice is kept before the session ends: a server that dies in between tells it when it is back', async () => {
    let isDying = false;
    const own = await start({}, ({ artifacts, outbox, ...storage }) => ({
      ...storage,
      artifacts: {
        ...artifacts,
        destroy: async (...one) => {
          if (isDying) throw storeUnavailable(new Error('gone'));
          await artifacts.destroy(...one);
        },
      },
      outbox: {
        ...outbox,
        take: async () => [],
        put: async (messages) => {
          await outbox.put(messages);
          isDying = true;
        },
      },
    }));
    const begun = await begin(own);
    expect((await signOut(begun.browser)).answer.status).toBe(503);
    expect(await isSignedIn(begun)).toBe(true);
    await own.startAnother();
    await begun.receiver.reached(1);
    await verify(begun);
  });

  test('a notice that cannot be kept keeps the session', async () => {
    const own = await start({}, (storage) => ({
      ...storage,
      outbox: { ...storage.outbox, put: () => Promise.reject(storeUnavailable(new Error('gone'))) },
    }));
    const begun = await begin(own);
    expect((await signOut(begun.browser)).answer.status).toBe(503);
    const sent = await sendForm(begun.browser, '/account/sign-out', {}, '/account');
    expect(sent.status).toBe(503);
    expect(await isSignedIn(begun)).toBe(true);
  });

  test('does not follow a redirect', async () => {
    const begun = await begin();
    const trap = await receive();
    begun.receiver.answer = status(307, { location: trap.url });
    await signOut(begun.browser);
    expect(await server().logged('logout_deferred', begun.party.id)).toContain('redirects are not followed');
    expect(trap.received).toEqual([]);
  });

  test('in production sends nothing to this machine or its network', async () => {
    const own = await start({ NODE_ENV: 'production', ISSUER: 'https://auth.example.com' });
    const begun = await begin(own, { backchannel_logout_uri: 'https://localhost/' });
    await signOut(begun.browser);
    expect(await own.logged('logout_deferred', begun.party.id)).toContain('not on the public internet');
  });

  test('a slow application is left after 2.5 s, and holds up nobody else', async () => {
    const slow = await begin();
    slow.receiver.answer = () => undefined;
    const notices = Array.from({ length: 50 }, () => notice(slow));
    await server().storage.outbox.put(notices);
    const quick = await begin();
    await signOut(quick.browser);
    await quick.receiver.reached(1);
    expect(slow.receiver.received.length).toBeLessThanOrEqual(30);
    expect(await server().logged('logout_deferred', slow.party.id)).toContain('did not answer within 2.5 s');
    await server().administration.deleteClient(slow.party.id, false);
  });

  test('two instances deliver each notice once', async () => {
    const own = await start();
    await own.startAnother();
    const begun = await begin(own);
    const notices = Array.from({ length: 60 }, () => notice(begun));
    await own.storage.outbox.put(notices);
    const told = () => begun.receiver.received.map(({ body }) => decodeJwt(body.get('logout_token') ?? ''));
    const sids = () => new Set(told().map(({ sid }) => sid));
    await begun.receiver.reached(notices.length);
    for (let look = 0; look < 400 && sids().size < notices.length; look += 1) await pause(50);
    await own.stop();
    expect(sids().size).toBe(notices.length);
    // On a busy machine the answer may come too late: that is told, and then it is another attempt by a token of its own.
    const deferred = own.logs().match(/"event":"logout_deferred"/g)?.length ?? 0;
    expect(told().length).toBeLessThanOrEqual(notices.length + deferred);
    expect(new Set(told().map(({ jti }) => jti)).size).toBe(told().length);
    opened.splice(opened.indexOf(own), 1);
  });

  test('forgets a notice whose application was deleted, or wants none any more', async () => {
    const own = await start();
    const begun = await begin(own);
    begun.receiver.answer = status(500);
    await signOut(begun.browser);
    await own.logged('logout_deferred', begun.party.id);
    await own.administration.deleteClient(begun.party.id, false);
    own.advance(10);
    const next = await begin(own);
    await signOut(next.browser);
    await next.receiver.reached(1);
    // Both notices are taken at once, and the one that is forgotten has no event of its own.
    const waiting = async () => (await own.administration.listLogouts({ limit: 10 }, false)).items;
    for (let look = 0; look < 400 && (await waiting()).length > 0; look += 1) await pause(50);
    expect(await waiting()).toEqual([]);
    expect(begun.receiver.received).toHaveLength(1);
  });

  test('ends more sessions than a page of the store has, but for the one that asks', async () => {
    const own = await start();
    const begun = await begin(own);
    const { artifacts } = own.storage;
    const at = Math.floor(Date.now() / 1000);
    const [stored] = (await artifacts.listOfAccount('Session', begun.account.id, { limit: 1 }, at)).items;
    const ids = Array.from({ length: 250 }, () => randomUUID());
    const copies = ids.map((id) => ({
      model: 'Session',
      id,
      payload: { ...stored?.payload, uid: id, reference: `#${id}` },
      expiresAt: stored?.expiresAt ?? 0,
      accountId: begun.account.id,
    }));
    await Promise.all(copies.map(artifacts.upsert));
    expect(await own.sessions.list(begun.account.id)).toHaveLength(ids.length + 1);
    const [kept] = [String(stored?.payload['uid'])];
    await own.sessions.endAll(begun.account.id, kept);
    expect((await own.sessions.list(begun.account.id)).map(({ id }) => id)).toEqual([kept]);
    await begun.receiver.reached(ids.length);
  });
});

test('a try that failed is followed by a longer pause, of an hour and a fifth at most', () => {
  expect([1, 2, 3, 4].map((attempts) => pauseSeconds(attempts, 0))).toEqual([5, 10, 20, 40]);
  fc.assert(
    fc.property(
      fc.integer({ min: 1, max: 10_000 }),
      fc.double({ min: 0, max: 0.999, noNaN: true }),
      (attempts, random) => {
        const pause = pauseSeconds(attempts, random);
        expect(pause).toBeGreaterThanOrEqual(pauseSeconds(attempts, 0));
        expect(pause).toBeLessThanOrEqual(4_320);
      },
    ),
  );
});

test('what a stop leaves untried goes back at once, and does not wait for the end of its lease', async () => {
  const stopping = new AbortController();
  const message = (id: number) => ({
    ...{ id: String(id), clientId: 'gone', payload: {}, lastError: null, failedAt: null },
    ...{ createdAt: 0, attempts: 1, dueAt: 0, expiresAt: DAY },
  });
  const waiting = [[message(0)], Array.from({ length: 10 }, (_, n) => message(n + 1))];
  const back: number[] = [];
  const never = (): never => {
    throw new Error('nobody is to be told');
  };
  const deliver = createLogoutDelivery({
    outbox: {
      take: () => Promise.resolve(waiting.shift() ?? []),
      delete: () => Promise.resolve(true),
      defer: (_id, { dueAt }) => Promise.resolve(back.push(dueAt) > 0),
    },
    issue: () => {
      if (waiting.length === 0) stopping.abort();
      return Promise.resolve(null); // its client is gone
    },
    outgoing: never,
    events: { logoutDelivered: never, logoutDeferred: never, logoutUndeliverable: never },
    now: () => 1_000,
  });
  await deliver(stopping.signal);
  expect(back).toEqual(Array<number>(9).fill(1_000));
});

/** As the outbox keeps it. */
const notice = ({ party, account }: Begun) => {
  const at = Math.floor(Date.now() / 1000) - 1;
  return {
    id: randomUUID(),
    clientId: party.id,
    payload: { sub: account.id, sid: randomUUID() },
    createdAt: at,
    attempts: 0,
    dueAt: at,
    lastError: null,
    failedAt: null,
    expiresAt: at + DAY,
  };
};
