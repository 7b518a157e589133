/** What relying party libraries (openid-client, oidc-client-ts) check and use of an ID token and the answers around it. */
import { expect, test } from '@jest/globals';
import { createHash } from 'node:crypto';
import { decodeProtectedHeader } from 'jose';
import * as openid from 'openid-client';

import { basic, form, json } from '../support/clients.ts';
import { ask, createRelyingParty, redeem, signIn } from '../support/relying-party.ts';
import { describeOnBothStores } from '../support/server.ts';
import { answer, useSignInServer } from '../support/sign-in.ts';

const now = (): number => Math.floor(Date.now() / 1000);
/** The left half of the digest (OpenID Connect Core 3.1.3.6). */
const halfHash = (text: string): string =>
  createHash('sha256').update(text).digest().subarray(0, 16).toString('base64url');

describeOnBothStores('an ID token', (store) => {
  const server = useSignInServer(store);

  test('is for the client alone, says who, when and how, and belongs to its request and access token', async () => {
    const account = await server().createAccount();
    const party = await createRelyingParty(server(), { first_party: true });
    const { tokens, asked } = await signIn(server(), party, account);
    const claims = tokens.claims();
    expect(claims).toMatchObject({
      iss: server().issuer,
      sub: account.id,
      aud: party.id,
      nonce: asked.nonce,
      acr: '1',
      amr: ['pwd'],
    });
    const authTime = Number(claims?.auth_time);
    expect(Math.abs(now() - authTime)).toBeLessThan(60);
    expect(claims?.exp).toBeGreaterThan(now());
    // One audience needs no azp; s_hash and c_hash are of flows that answer in the front channel.
    // Optional in this flow (3.1.3.6); where there is one, a library compares it.
    expect([undefined, halfHash(tokens.access_token)]).toContain(claims?.['at_hash']);
    for (const absent of ['azp', 's_hash', 'c_hash', 'sid', 'email'])
      expect(claims).not.toHaveProperty(absent);
    expect(decodeProtectedHeader(tokens.id_token ?? '')).toEqual({ alg: 'RS256', kid: expect.any(String) });
  });

  test('comes after an answer that says by whom it was given (RFC 9207), a refusal too', async () => {
    const account = await server().createAccount();
    const party = await createRelyingParty(server(), { first_party: true });
    const { journey, browser } = await signIn(server(), party, account);
    expect(journey.left?.searchParams.get('iss')).toBe(server().issuer);
    const refused = await ask(party, { prompt: 'none', max_age: '0' });
    const { left } = await answer(browser, refused.url.href, { account });
    expect(left?.searchParams.get('error')).toBe('login_required');
    expect(left?.searchParams.get('iss')).toBe(server().issuer);
    const discovered = await json(await server().request('/.well-known/openid-configuration'));
    expect(discovered['authorization_response_iss_parameter_supported']).toBe(true);
  });

  test('tells the time of the sign-in where max_age asks for it, as the library checks', async () => {
    const account = await server().createAccount();
    const party = await createRelyingParty(server(), { first_party: true });
    const { browser, tokens } = await signIn(server(), party, account);
    const asked = await ask(party, { max_age: '1000' });
    const { left, prompts } = await answer(browser, asked.url.href, { account });
    const again = await redeem(party, asked, left, {}, { maxAge: 1_000 });
    expect([prompts, again.claims()?.auth_time]).toEqual([[], tokens.claims()?.auth_time]);
  });

  test.each([
    ['default_max_age', { default_max_age: 1_000 }],
    ['require_auth_time', { require_auth_time: true }],
  ])('tells it to a client with %s', async (_name, fields) => {
    const party = await createRelyingParty(server(), { first_party: true, ...fields });
    const { tokens } = await signIn(server(), party, await server().createAccount());
    expect(tokens.claims()?.auth_time).toEqual(expect.any(Number));
  });

  test('names the session where the request asks for it', async () => {
    const party = await createRelyingParty(server(), { first_party: true });
    const parameters = { claims: JSON.stringify({ id_token: { sid: null } }) };
    const account = await server().createAccount();
    const { tokens, browser } = await signIn(server(), party, account, { parameters });
    const sid = tokens.claims()?.['sid'];
    expect(sid).toEqual(expect.any(String));
    const again = await signIn(server(), party, account, { parameters, browser });
    expect(again.tokens.claims()?.['sid']).toBe(sid);
    const elsewhere = await signIn(server(), party, account, { parameters });
    expect(elsewhere.tokens.claims()?.['sid']).not.toBe(sid);
  });

  test('of a refresh keeps subject, nonce, session and the time of the sign-in, and fits the new access token', async () => {
    const party = await createRelyingParty(server(), {
      first_party: true,
      backchannel_logout_uri: 'https://app.example.com/logout',
    });
    const { tokens } = await signIn(server(), party, await server().createAccount());
    const first = tokens.claims();
    const refreshed = await openid.refreshTokenGrant(party.config, tokens.refresh_token ?? '');
    for (const kept of ['sub', 'auth_time', 'sid', 'nonce']) {
      expect([kept, refreshed.claims()?.[kept]]).toEqual([kept, first?.[kept]]);
    }
    expect(first?.['sid']).toEqual(expect.any(String));
    expect([undefined, halfHash(refreshed.access_token)]).toContain(refreshed.claims()?.['at_hash']);
  });

  test('is signed by the algorithm that the client registered', async () => {
    const party = await createRelyingParty(server(), {
      first_party: true,
      id_token_signed_response_alg: 'ES256',
    });
    const account = await server().createAccount();
    const asked = await ask(party);
    const { left } = await answer(server().browser(), asked.url.href, { account });
    const sent = await server().request(
      '/token',
      form(
        {
          grant_type: 'authorization_code',
          code: left?.searchParams.get('code') ?? '',
          redirect_uri: asked.url.searchParams.get('redirect_uri') ?? '',
          code_verifier: asked.verifier,
        },
        basic(party),
      ),
    );
    expect(decodeProtectedHeader(String((await json(sent))['id_token'])).alg).toBe('ES256');
  });

  test('has no companion that a library stumbles over: a revocation answers nothing, as nothing', async () => {
    const party = await createRelyingParty(server(), { first_party: true });
    const { tokens } = await signIn(server(), party, await server().createAccount());
    for (const token of [tokens.access_token, tokens.refresh_token ?? '', 'unknown']) {
      const sent = await server().request('/revoke', form({ token }, basic(party)));
      expect([sent.status, sent.headers.get('content-type'), await sent.text()]).toEqual([200, null, '']);
    }
    expect((await openid.tokenIntrospection(party.config, tokens.access_token)).active).toBe(false);
  });
});
