/** OpenID Connect Core 3.1.2.3 and 3.1.2.4: what a person is asked, and when nobody is. */
import { expect, test } from '@jest/globals';

import { form } from '../support/clients.ts';
import { ask, createRelyingParty, fieldsOf, REDIRECT_URI, redeem, signIn } from '../support/relying-party.ts';
import { describeOnBothStores } from '../support/server.ts';
import { answer, startSignInServer, useSignInServer } from '../support/sign-in.ts';

const PUBLIC = { token_endpoint_auth_method: 'none' } as const;

describeOnBothStores('what a person is asked', (store) => {
  const server = useSignInServer(store);

  test('tells the page of consent who asks for what', async () => {
    const party = await createRelyingParty(server());
    const { journey } = await signIn(server(), party, await server().createAccount());
    const [, consent] = journey.met;
    expect(consent).toMatchObject({ prompt: 'consent', asked: ['openid', 'profile', 'email'] });
    expect(consent?.html).toContain(`Application ${party.id}`);
    expect(consent?.html).toContain(new URL(REDIRECT_URI).host);
  });

  test('asks for consent once, and again for a new scope alone', async () => {
    const account = await server().createAccount();
    const party = await createRelyingParty(server());
    const { browser } = await signIn(server(), party, account);
    const again = await signIn(server(), party, account, { browser });
    expect(again.journey.prompts).toEqual([]);
    const elsewhere = await signIn(server(), party, account);
    expect(elsewhere.journey.prompts).toEqual(['login']);
    const more = await signIn(server(), party, account, { browser, parameters: { scope: 'openid phone' } });
    expect(more.journey.prompts).toEqual(['consent']);
    expect(more.journey.met[0]?.asked).toEqual(['phone']);
  });

  test('asks a public client’s people in each new session', async () => {
    const account = await server().createAccount();
    const party = await createRelyingParty(server(), PUBLIC);
    await signIn(server(), party, account);
    expect((await signIn(server(), party, account)).journey.prompts).toEqual(['login', 'consent']);
  });

  test('asks no consent for a first-party client, also for new scopes, unless its redirect is on the machine', async () => {
    const account = await server().createAccount();
    const party = await createRelyingParty(server(), { first_party: true });
    const { browser, journey } = await signIn(server(), party, account);
    expect(journey.prompts).toEqual(['login']);
    const more = await signIn(server(), party, account, {
      browser,
      parameters: { scope: 'openid phone', prompt: 'consent' },
    });
    expect(more.journey.prompts).toEqual([]);
    const native = await createRelyingParty(server(), {
      ...PUBLIC,
      first_party: true,
      application_type: 'native',
      redirect_uris: ['http://127.0.0.1/callback'],
    });
    const asked = await ask(native, { redirect_uri: 'http://127.0.0.1:51234/callback' });
    const local = await answer(browser, asked.url.href, { account });
    expect(local.prompts).toEqual(['consent']);
    expect(local.left?.origin).toBe('http://127.0.0.1:51234');
  });

  test('prompt=login, max_age and an id_token_hint of somebody else ask for the password again', async () => {
    const [account, other] = [await server().createAccount(), await server().createAccount()];
    const party = await createRelyingParty(server(), { first_party: true });
    const { browser } = await signIn(server(), party, account);
    const { tokens } = await signIn(server(), party, other);
    const promptsFor = async (parameters: Record<string, string>): Promise<readonly string[]> =>
      (await answer(browser, (await ask(party, parameters)).url.href, { account })).prompts;
    expect(await promptsFor({})).toEqual([]);
    expect(await promptsFor({ prompt: 'login' })).toEqual(['login']);
    expect(await promptsFor({ max_age: '0' })).toEqual(['login']);
    expect(await promptsFor({ max_age: '1000' })).toEqual([]);
    const none = await ask(party, { prompt: 'none', id_token_hint: tokens.id_token ?? '' });
    const { left } = await answer(browser, none.url.href, { account });
    expect(left?.searchParams.get('error')).toBe('login_required');
  });

  test('prompt=none goes on silently where it can, and tells why where it cannot', async () => {
    const account = await server().createAccount();
    const party = await createRelyingParty(server());
    const { browser } = await signIn(server(), party, account);
    const silent = await signIn(server(), party, account, { browser, parameters: { prompt: 'none' } });
    expect(silent.journey.prompts).toEqual([]);
    const more = await ask(party, { prompt: 'none', scope: 'openid phone' });
    const { left } = await answer(browser, more.url.href, { account });
    expect(left?.searchParams.get('error')).toBe('consent_required');
  });

  test('prompt=select_account lets the person go on, or sign in as somebody else', async () => {
    const [account, other] = [await server().createAccount(), await server().createAccount()];
    const party = await createRelyingParty(server(), { first_party: true });
    const { browser } = await signIn(server(), party, account);
    const same = await signIn(server(), party, account, {
      browser,
      parameters: { prompt: 'select_account' },
    });
    expect(same.journey.prompts).toEqual(['select_account']);
    expect(same.tokens.claims()?.sub).toBe(account.id);
    const asked = await ask(party, { prompt: 'select_account' });
    const { answer: page } = await answer(browser, asked.url.href, {
      account: other,
      answers: { select_account: 'other' },
    });
    // The engine signs the first account out by a form that posts itself, then goes on.
    const html = await page.text();
    const posted = form(fieldsOf(html));
    const { left } = await answer(browser, '/logout/confirm', { account: other }, posted);
    expect((await redeem(party, asked, left)).claims()?.sub).toBe(other.id);
  });

  test('a person who declines sends access_denied back', async () => {
    const party = await createRelyingParty(server());
    const asked = await ask(party);
    const account = await server().createAccount();
    const { left } = await answer(server().browser(), asked.url.href, {
      account,
      answers: { consent: 'deny' },
    });
    expect(left?.searchParams.get('error')).toBe('access_denied');
  });

  test('login_hint and ui_locales reach the page', async () => {
    const { url } = await ask(await createRelyingParty(server()), {
      login_hint: 'alice',
      ui_locales: 'de en',
    });
    const { answer: page } = await server().browser().open(url.href);
    const html = await page.text();
    expect(html).toContain('value="alice"');
    expect(html).toContain('<html lang="de"');
  });

  test('an interaction belongs to the browser in which it began', async () => {
    const { url } = await ask(await createRelyingParty(server()));
    const { path } = await server().browser().open(url.href);
    expect((await server().browser().send(path)).status).toBe(410);
    for (const step of ['sign-in', 'account', 'consent']) {
      expect((await server().browser().send(`${path}/${step}`, form({}))).status).toBe(410);
    }
  });

  test('cookies of an https issuer are for its host alone, and for https', async () => {
    const own = await startSignInServer(store, {
      NODE_ENV: 'production',
      ISSUER: 'https://auth.example.com',
    });
    try {
      const party = await createRelyingParty(own);
      const { browser } = await signIn(own, party, await own.createAccount());
      expect(browser.cookie('__Host-portcullis_session')).toBeDefined();
      const names = new Set(browser.written.map((line) => line.slice(0, line.indexOf('='))));
      for (const name of names) expect(name).toMatch(/^__(Host|Secure)-portcullis_/);
      for (const line of browser.written) expect(line.toLowerCase()).toContain('; secure');
      const session = browser.written.find((line) => line.startsWith('__Host-portcullis_session='));
      expect(session).toMatch(/; path=\/;/);
      expect(session).not.toMatch(/domain=/i);
    } finally {
      await own.stop();
    }
  });
});
