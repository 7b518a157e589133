/** OpenID Connect RP-Initiated Logout 1.0, and how sessions and granted applications end. */
import { expect, test } from '@jest/globals';
import * as openid from 'openid-client';

import {
  AFTER_LOGOUT,
  ask,
  createRelyingParty,
  fieldsOf,
  signIn,
  signOut,
} from '../support/relying-party.ts';
import { describeOnBothStores } from '../support/server.ts';
import { answer, signInAtAccount, useSignInServer } from '../support/sign-in.ts';
import type { UserAgent } from '../support/user-agent.ts';

describeOnBothStores('logout', (store) => {
  const server = useSignInServer(store);

  const begin = async (scope = 'openid profile email') => {
    const account = await server().createAccount();
    const party = await createRelyingParty(server(), { first_party: true });
    return {
      account,
      party,
      ...(await signIn(server(), party, account, { parameters: { scope, prompt: 'consent' } })),
    };
  };
  const isActive = async ({ party, tokens }: Awaited<ReturnType<typeof begin>>): Promise<boolean> =>
    (await openid.tokenIntrospection(party.config, tokens.access_token)).active;
  const isSignedIn = async ({ browser, party }: Awaited<ReturnType<typeof begin>>): Promise<boolean> => {
    const { left } = await browser.open((await ask(party, { prompt: 'none' })).url.href);
    return left?.searchParams.has('code') === true;
  };

  test('asks, ends the session and its tokens, and leads back to the application', async () => {
    const begun = await begin();
    const url = openid.buildEndSessionUrl(begun.party.config, {
      id_token_hint: begun.tokens.id_token ?? '',
      post_logout_redirect_uri: AFTER_LOGOUT,
      state: 'abc',
    });
    const { left, html } = await signOut(begun.browser, url.href);
    expect(html).toContain(`Application ${begun.party.id}`);
    expect(left?.href).toBe(`${AFTER_LOGOUT}?state=abc`);
    expect([await isSignedIn(begun), await isActive(begun)]).toEqual([false, false]);
    expect(begun.browser.cookie('portcullis_session')).toBeUndefined();
  });

  test('ends only the application’s share where the person stays signed in', async () => {
    const begun = await begin();
    const { left } = await signOut(begun.browser, `/logout?client_id=${begun.party.id}`, {});
    expect(left).toBeNull();
    expect([await isSignedIn(begun), await isActive(begun)]).toEqual([true, false]);
  });

  test('shows a page of its own where nobody asked to be led back', async () => {
    const begun = await begin();
    const { left, answer: page } = await signOut(begun.browser, '/o/logout/');
    expect([left, page.status]).toEqual([null, 200]);
    expect(await page.text()).toContain('You are signed out');
  });

  test('takes the parameters in the body of a POST', async () => {
    const begun = await begin();
    const sent = await begun.browser.open('/logout', {
      method: 'POST',
      body: new URLSearchParams({ id_token_hint: begun.tokens.id_token ?? '' }),
    });
    expect(fieldsOf(await sent.answer.text())).toHaveProperty('xsrf');
  });

  test.each([
    [
      'an address that is not registered',
      (idToken: string) => ({ id_token_hint: idToken, post_logout_redirect_uri: 'https://evil.example/' }),
    ],
    ['a hint that nobody signed', (idToken: string) => ({ id_token_hint: `${idToken.slice(0, -6)}AAAAAA` })],
    ['a hint that is none', () => ({ id_token_hint: 'nonsense' })],
    ['an unknown client', () => ({ client_id: 'nobody' })],
  ])('refuses %s, with a page', async (_name, parameters) => {
    const begun = await begin();
    const query = new URLSearchParams(parameters(begun.tokens.id_token ?? ''));
    const refused = await begun.browser.send(`/logout?${query.toString()}`, {
      headers: { accept: 'text/html' },
    });
    expect([refused.status, refused.headers.get('location')]).toEqual([400, null]);
    expect(await isSignedIn(begun)).toBe(true);
  });

  test('ignores an address without a client that registered it', async () => {
    const begun = await begin();
    const query = new URLSearchParams({ post_logout_redirect_uri: AFTER_LOGOUT });
    const { left } = await signOut(begun.browser, `/logout?${query.toString()}`);
    expect(left).toBeNull();
  });

  test('refuses a form that is not of this browser', async () => {
    const begun = await begin();
    await begun.browser.send('/logout');
    const refused = await begun.browser.send('/logout/confirm', {
      method: 'POST',
      body: new URLSearchParams({ xsrf: 'x'.repeat(48), logout: 'yes' }),
    });
    expect(refused.status).toBe(400);
    expect(await isSignedIn(begun)).toBe(true);
  });

  test('lists the sessions of an account, and ends one of them', async () => {
    const account = await server().createAccount();
    const party = await createRelyingParty(server(), { first_party: true });
    const [one, other] = [await signIn(server(), party, account), await signIn(server(), party, account)];
    const sessions = await server().sessions.list(account.id);
    expect(sessions).toHaveLength(2);
    expect(sessions[0]).toMatchObject({
      ip: expect.stringContaining('127.0.0.1'),
      amr: ['pwd'],
      userAgent: 'node',
    });
    for (const { id } of sessions) {
      expect(JSON.stringify(sessions)).not.toContain(String(one.browser.cookie('portcullis_session')));
      expect(id).toMatch(/^[\w-]{21,}$/);
    }
    const [first] = sessions;
    expect(await server().sessions.end('somebody-else', first?.id ?? '')).toBe(false);
    expect(await server().sessions.end(account.id, first?.id ?? '')).toBe(true);
    expect(await server().sessions.list(account.id)).toHaveLength(1);
    const living = await Promise.all(
      [one, other].map(
        async ({ tokens }) => (await openid.tokenIntrospection(party.config, tokens.access_token)).active,
      ),
    );
    expect(living.sort()).toEqual([false, true]);
  });

  test('ends everything of an account, offline_access included, but for the session that asks', async () => {
    const begun = await begin('openid offline_access');
    const { account, party } = begun;
    const elsewhere = await signIn(server(), party, account, {
      parameters: { scope: 'openid offline_access', prompt: 'consent' },
    });
    const here = (await server().sessions.list(account.id)).find(({ id }) => id !== '');
    expect(here).toBeDefined();
    server().advance(1);
    await server().sessions.endAll(account.id, null);
    expect(await server().sessions.list(account.id)).toEqual([]);
    expect([await isSignedIn(begun), await isActive(begun)]).toEqual([false, false]);
    await expect(
      openid.refreshTokenGrant(party.config, elsewhere.tokens.refresh_token ?? ''),
    ).rejects.toThrow();

    const kept = { ...begun, ...(await signIn(server(), party, account)) };
    const [current] = await server().sessions.list(account.id);
    const other = { ...begun, ...(await signIn(server(), party, account)) };
    server().advance(1);
    await server().sessions.endAll(account.id, current?.id ?? '');
    expect([await isSignedIn(kept), await isActive(kept)]).toEqual([true, true]);
    expect([await isSignedIn(other), await isActive(other)]).toEqual([false, false]);
  });

  test.each([
    [
      'all ended',
      (id: string, sub: string) =>
        server()
          .sessions.endAll(sub, null)
          .then(() => id),
    ],
    ['it was ended', (id: string, sub: string) => server().sessions.end(sub, id)],
    ['the person signed out', (_id: string, _sub: string, browser: UserAgent) => signOut(browser)],
  ])('where %s a session stays ended when a request under way saves it again', async (_name, end) => {
    const begun = await begin();
    const jar = begun.browser.copy();
    const { artifacts } = server().storage;
    const at = Math.floor(Date.now() / 1000);
    const [stored] = (await artifacts.listOfAccount('Session', begun.account.id, { limit: 1 }, at)).items;
    if (stored === undefined) throw new Error('there is no session');
    server().advance(1);
    await end(String(stored.payload['uid']), begun.account.id, begun.browser);
    const reference = String(stored.payload['reference']).slice(1);
    await artifacts.upsert({
      model: 'Session',
      id: reference,
      payload: stored.payload,
      expiresAt: stored.expiresAt,
      accountId: begun.account.id,
    });
    expect(await isSignedIn({ ...begun, browser: jar })).toBe(false);
    expect(await server().sessions.list(begun.account.id)).toEqual([]);
  });

  test('lists what a person allowed, and forgets it on request', async () => {
    const account = await server().createAccount();
    const party = await createRelyingParty(server());
    const { browser, tokens } = await signIn(server(), party, account);
    const { applications } = server();
    expect(await applications.list(account.id)).toEqual([
      {
        clientId: party.id,
        name: `Application ${party.id}`,
        scopes: ['openid', 'profile', 'email'],
        claims: [],
        resources: {},
        isVpnNode: false,
        grantedAt: expect.any(Number),
      },
    ]);
    await applications.revoke(account.id, party.id);
    expect(await applications.list(account.id)).toEqual([]);
    await expect(openid.refreshTokenGrant(party.config, tokens.refresh_token ?? '')).rejects.toThrow();
    const again = await answer(browser, (await ask(party)).url.href, { account });
    expect(again.prompts).toEqual(['consent']);
  });

  test('this server’s own pages sign in, and sign somebody else out for it', async () => {
    const account = await server().createAccount();
    const browser = server().browser();
    const page = await signInAtAccount(browser, account);
    expect(await page.text()).toContain(account.username);
    const party = await createRelyingParty(server(), { first_party: true });
    const { journey, tokens } = await signIn(server(), party, account, { browser });
    expect(journey.prompts).toEqual([]);
    const other = await server().createAccount();
    expect(await (await signInAtAccount(browser, other)).text()).toContain(other.username);
    expect(await server().sessions.list(account.id)).toEqual([]);
    expect((await openid.tokenIntrospection(party.config, tokens.access_token)).active).toBe(false);
  });
});
