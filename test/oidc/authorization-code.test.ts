/** RFC 6749 4.1 and OpenID Connect Core 3.1: a person signs in at an application, by code and PKCE. */
import { expect, test } from '@jest/globals';
import * as openid from 'openid-client';

import { basic, form, json } from '../support/clients.ts';
import { ask, createRelyingParty, REDIRECT_URI, redeem, signIn } from '../support/relying-party.ts';
import type { Asked, RelyingParty } from '../support/relying-party.ts';
import { describeOnBothStores } from '../support/server.ts';
import { answer, startSignInServer, useSignInServer } from '../support/sign-in.ts';

const PUBLIC = { token_endpoint_auth_method: 'none' } as const;

/** Redeems a code by hand, to see the refusal. */
const redeemBy = (
  party: RelyingParty,
  { verifier }: Asked,
  code: string | null,
  fields: object = {},
): RequestInit =>
  form(
    {
      grant_type: 'authorization_code',
      code: code ?? '',
      redirect_uri: REDIRECT_URI,
      code_verifier: verifier,
      ...fields,
    },
    basic({ id: party.id, secret: party.secret }),
  );

describeOnBothStores('authorization_code', (store) => {
  const server = useSignInServer(store);

  test('signs a person in, with consent, and tells the application who it is', async () => {
    const account = await server().createAccount();
    const party = await createRelyingParty(server());
    const { journey, tokens } = await signIn(server(), party, account);
    expect(journey.prompts).toEqual(['login', 'consent']);
    expect(journey.left?.searchParams.get('iss')).toBe(server().issuer);
    expect(tokens.claims()).toMatchObject({ sub: account.id, aud: party.id, iss: server().issuer, acr: '1' });
    expect(tokens.claims()?.['amr']).toEqual(['pwd']);
    expect(await openid.fetchUserInfo(party.config, tokens.access_token, account.id)).toEqual({
      sub: account.id,
      name: 'A Person',
      preferred_username: account.username,
      updated_at: account.updatedAt,
      email: account.email,
      email_verified: true,
    });
  });

  test('signs a public client’s people in', async () => {
    const account = await server().createAccount();
    const party = await createRelyingParty(server(), PUBLIC);
    const { tokens } = await signIn(server(), party, account);
    expect(tokens.claims()?.sub).toBe(account.id);
  });

  test('takes the parameters in the body of a POST, with the session that the browser has', async () => {
    const account = await server().createAccount();
    const party = await createRelyingParty(server());
    const { browser } = await signIn(server(), party, account);
    const asked = await ask(party);
    const { left } = await answer(
      browser,
      '/o/authorize/',
      { account },
      form(Object.fromEntries(asked.url.searchParams)),
    );
    expect((await redeem(party, asked, left)).claims()?.sub).toBe(account.id);
  });

  test('answers by form_post, with a page that may run its own script alone', async () => {
    const account = await server().createAccount();
    const party = await createRelyingParty(server());
    const { browser } = await signIn(server(), party, account);
    const asked = await ask(party, { response_mode: 'form_post' });
    const { answer: page } = await answer(browser, asked.url.href, { account });
    expect(page.headers.get('content-security-policy')).toMatch(
      /^default-src 'none'; script-src 'sha256-[^']+'; style-src .*form-action 'self' https:\/\/app\.example\.com;/,
    );
    const html = await page.text();
    expect(html).toContain(`action="${REDIRECT_URI}"`);
    expect(html).toMatch(/<button [^>]*form="op\.handOnForm">Go on</);
    const code = /name="code" value="([^"]+)"/.exec(html)?.[1] ?? null;
    expect((await server().request('/token', redeemBy(party, asked, code))).status).toBe(200);
  });

  test.each([
    ['an unknown client', { client_id: 'nobody' }],
    ['another redirect URI', { redirect_uri: 'https://app.example.com/callback/' }],
    ['no redirect URI', { redirect_uri: undefined }],
    ['a redirect URI with a user', { redirect_uri: 'https://app.example.com@evil.example/callback' }],
  ])('answers %s with a page, never with a redirect', async (_name, changes: object) => {
    const party = await createRelyingParty(server());
    const { url } = await ask(party);
    for (const [name, value] of Object.entries(changes)) {
      if (value === undefined) url.searchParams.delete(name);
      else url.searchParams.set(name, String(value));
    }
    const refused = await server().browser().send(url.href);
    expect(refused.status).toBe(400);
    expect(refused.headers.get('location')).toBeNull();
    expect(refused.headers.get('content-type')).toContain('text/html');
  });

  test.each([
    ['no PKCE', { code_challenge: undefined, code_challenge_method: undefined }, 'invalid_request'],
    ['plain PKCE', { code_challenge_method: 'plain' }, 'invalid_request'],
    ['a challenge that is too short', { code_challenge: 'short' }, 'invalid_request'],
    ['the implicit flow', { response_type: 'token' }, 'unsupported_response_type'],
    ['the hybrid flow', { response_type: 'code id_token' }, 'unsupported_response_type'],
    ['an answer in the fragment', { response_mode: 'fragment' }, 'unsupported_response_mode'],
    ['an unknown scope', { scope: 'openid admin' }, 'invalid_scope'],
    ['a scope that nobody knows', { scope: 'openid nonsense' }, 'invalid_scope'],
    ['a request object', { request: 'e30.e30.' }, 'request_not_supported'],
    ['a request from elsewhere', { request_uri: 'https://evil.example/' }, 'request_uri_not_supported'],
    ['an unknown resource', { resource: 'https://nowhere.example' }, 'invalid_target'],
    ['nobody signed in and no page allowed', { prompt: 'none' }, 'login_required'],
    [
      'an essential acr that is not to be had',
      { claims: '{"id_token":{"acr":{"essential":true,"value":"9"}}}' },
      'unmet_authentication_requirements',
    ],
  ])('refuses %s', async (_name, changes: object, error) => {
    const party = await createRelyingParty(server());
    const { url, state } = await ask(party);
    for (const [name, value] of Object.entries(changes)) {
      if (value === undefined) url.searchParams.delete(name);
      else url.searchParams.set(name, String(value));
    }
    const { left, prompts } = await answer(server().browser(), url.href, {
      account: await server().createAccount(),
    });
    const parameters = left?.hash ? new URLSearchParams(left.hash.slice(1)) : left?.searchParams;
    expect([prompts, parameters?.get('error'), parameters?.get('state')]).toEqual([[], error, state]);
    expect(parameters?.get('iss')).toBe(server().issuer);
  });

  test('refuses a parameter that comes twice', async () => {
    const { url } = await ask(await createRelyingParty(server()));
    url.searchParams.append('state', 'another');
    const { left } = await server().browser().open(url.href);
    expect(left?.searchParams.get('error')).toBe('invalid_request');
  });

  test('a confidential client without PKCE sends a nonce', async () => {
    const account = await server().createAccount();
    const party = await createRelyingParty(server(), { require_pkce: false });
    const withoutPkce = async (): Promise<Asked> => {
      const asked = await ask(party);
      asked.url.searchParams.delete('code_challenge');
      asked.url.searchParams.delete('code_challenge_method');
      return asked;
    };
    const asked = await withoutPkce();
    const { left } = await answer(server().browser(), asked.url.href, { account });
    const tokens = await server().request(
      '/token',
      form(
        {
          grant_type: 'authorization_code',
          code: left?.searchParams.get('code') ?? '',
          redirect_uri: REDIRECT_URI,
        },
        basic({ id: party.id, secret: party.secret }),
      ),
    );
    expect(tokens.status).toBe(200);
    const without = await withoutPkce();
    without.url.searchParams.delete('nonce');
    const refused = await answer(server().browser(), without.url.href, { account });
    expect(refused.left?.searchParams.get('error')).toBe('invalid_request');
  });

  test.each([
    ['another verifier', { code_verifier: 'x'.repeat(43) }],
    ['no verifier', { code_verifier: '' }],
    ['another redirect URI', { redirect_uri: 'https://app.example.com/other' }],
  ])('refuses a code with %s', async (_name, fields) => {
    const account = await server().createAccount();
    const party = await createRelyingParty(server());
    const asked = await ask(party);
    const { left } = await answer(server().browser(), asked.url.href, { account });
    const code = left?.searchParams.get('code') ?? null;
    const refused = await server().request('/token', redeemBy(party, asked, code, fields));
    expect([refused.status, (await json(refused))['error']]).toEqual([400, 'invalid_grant']);
  });

  test('refuses a code in another client’s hands, and a code without redirect_uri', async () => {
    const account = await server().createAccount();
    const party = await createRelyingParty(server());
    const other = await createRelyingParty(server());
    const asked = await ask(party);
    const { left } = await answer(server().browser(), asked.url.href, { account });
    const code = left?.searchParams.get('code') ?? null;
    const stolen = await server().request('/token', redeemBy(other, asked, code));
    expect((await json(stolen))['error']).toBe('invalid_grant');
    const without = await server().request('/token', redeemBy(party, asked, code, { redirect_uri: '' }));
    expect((await json(without))['error']).toBe('invalid_request');
  });

  test('refuses a code after a minute', async () => {
    const own = await startSignInServer(store);
    try {
      const party = await createRelyingParty(own);
      const asked = await ask(party);
      const { left } = await answer(own.browser(), asked.url.href, { account: await own.createAccount() });
      own.advance(61);
      const code = left?.searchParams.get('code') ?? null;
      const refused = await own.request('/token', redeemBy(party, asked, code));
      expect((await json(refused))['error']).toBe('invalid_grant');
    } finally {
      await own.stop();
    }
  });

  test('a code presented twice ends what it gave', async () => {
    const account = await server().createAccount();
    const party = await createRelyingParty(server());
    const asked = await ask(party);
    const { left } = await answer(server().browser(), asked.url.href, { account });
    const code = left?.searchParams.get('code') ?? null;
    const { access_token, refresh_token } = await json(
      await server().request('/token', redeemBy(party, asked, code)),
    );
    expect((await server().request('/token', redeemBy(party, asked, code))).status).toBe(400);
    const info = await server().request('/userinfo', {
      headers: { authorization: `Bearer ${String(access_token)}` },
    });
    expect(info.status).toBe(401);
    await expect(openid.refreshTokenGrant(party.config, String(refresh_token))).rejects.toThrow();
  });

  test('gives tokens to one of twenty simultaneous redemptions, on two instances', async () => {
    const second = await server().startAnother();
    const party = await createRelyingParty(server(), { first_party: true });
    const account = await server().createAccount();
    const browser = server().browser();
    for (let round = 0; round < 5; round += 1) {
      const asked = await ask(party);
      const { left } = await answer(browser, asked.url.href, { account });
      const code = left?.searchParams.get('code') ?? null;
      const answers = await Promise.all(
        Array.from({ length: 20 }, (_, index) =>
          fetch(`${index % 2 === 0 ? server().origin : second}/token`, redeemBy(party, asked, code)),
        ),
      );
      expect(answers.map(({ status }) => status).sort()).toEqual([200, ...Array<number>(19).fill(400)]);
    }
  });

  test('userinfo takes the token in the header or in the body of a POST, never in the query', async () => {
    const account = await server().createAccount();
    const party = await createRelyingParty(server());
    const { tokens } = await signIn(server(), party, account);
    const authorization = `Bearer ${tokens.access_token}`;
    const inBody = form({ access_token: tokens.access_token });
    const answers = [
      await server().request('/userinfo', { headers: { authorization } }),
      await server().request('/o/userinfo/', { method: 'POST', headers: { authorization } }),
      await server().request('/userinfo', inBody),
    ];
    for (const one of answers) expect((await json(one))['sub']).toBe(account.id);
    const inQuery = await server().request(`/userinfo?access_token=${tokens.access_token}`);
    expect(inQuery.status).toBe(400);
    const none = await server().request('/userinfo');
    expect([none.status, none.headers.get('www-authenticate')]).toEqual([
      401,
      expect.stringContaining('Bearer'),
    ]);
  });

  test('gives claims that are asked for one by one', async () => {
    const account = await server().createAccount();
    const party = await createRelyingParty(server());
    const claims = JSON.stringify({
      id_token: { email: null, auth_time: { essential: true } },
      userinfo: { name: null },
    });
    const { tokens, journey } = await signIn(server(), party, account, {
      parameters: { scope: 'openid', claims },
    });
    expect(journey.met[1]?.asked).toEqual(['openid', 'name', 'email']);
    expect(tokens.claims()).toMatchObject({ email: account.email, auth_time: expect.any(Number) });
    const info = await openid.fetchUserInfo(party.config, tokens.access_token, account.id);
    expect(info).toEqual({ sub: account.id, name: 'A Person' });
  });
});
