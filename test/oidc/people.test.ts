/** People at applications: what follows them there (roles, sessions, cookies), and what ends with them. */
import { expect, test } from '@jest/globals';
import { randomUUID } from 'node:crypto';
import * as openid from 'openid-client';

import { apply, basic, form, json } from '../support/clients.ts';
import { ask, createRelyingParty, REDIRECT_URI, redeem, signIn } from '../support/relying-party.ts';
import type { Asked, RelyingParty } from '../support/relying-party.ts';
import { describeOnBothStores } from '../support/server.ts';
import { answer, useSignInServer } from '../support/sign-in.ts';

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

describeOnBothStores('people at their applications', (store) => {
  const server = useSignInServer(store);

  test('gives an API’s token the person’s role there', async () => {
    const audience = `api-${randomUUID().slice(0, 8)}`;
    const identifier = `https://${audience}.example.com`;
    const resource = {
      identifier,
      audience,
      scopes: [`${audience}:read`],
      roles: { reader: 1, editor: 5 },
      default_role: 'reader',
    };
    await apply(server().administration, { resource_servers: [resource] });
    const party = await createRelyingParty(server(), { scope: `openid ${audience}:read` });
    const claimsFor = async (roles: Record<string, string>): Promise<unknown> => {
      const account = await server().createAccount({ roles });
      const asked = await ask(party, { scope: `openid ${audience}:read`, resource: identifier });
      const { left, met } = await answer(server().browser(), asked.url.href, { account });
      expect(met[1]?.asked).toEqual(['openid', `${audience}:read`]);
      const tokens = await redeem(party, asked, left, { resource: identifier });
      const [, payload = ''] = tokens.access_token.split('.');
      const claims = JSON.parse(Buffer.from(payload, 'base64url').toString()) as Record<string, unknown>;
      expect(claims).toMatchObject({
        sub: account.id,
        aud: audience,
        scope: `${audience}:read`,
        client_id: party.id,
      });
      return [claims['role'], claims['level']];
    };
    expect(await claimsFor({ [audience]: 'editor' })).toEqual(['editor', 5]);
    expect(await claimsFor({ [audience]: 'forgotten' })).toEqual(['reader', 1]);
    expect(await claimsFor({})).toEqual(['reader', 1]);
  });

  test('a disabled account is refused: its code, its tokens, its session', async () => {
    const account = await server().createAccount();
    const party = await createRelyingParty(server());
    const { browser, tokens } = await signIn(server(), party, account);
    const asked = await ask(party);
    const { left } = await answer(browser, asked.url.href, { account });
    await server().changeAccount(account, { status: 'disabled' });
    const refused = await server().request(
      '/token',
      redeemBy(party, asked, left?.searchParams.get('code') ?? null),
    );
    expect((await json(refused))['error']).toBe('invalid_grant');
    const info = await server().request('/userinfo', {
      headers: { authorization: `Bearer ${tokens.access_token}` },
    });
    expect(info.status).toBe(401);
    expect((await openid.tokenIntrospection(party.config, tokens.access_token)).active).toBe(false);
    const next = await browser.open((await ask(party)).url.href);
    expect(await next.answer.text()).toMatch(/action="\/interaction\/[\w-]+\/sign-in"/);
    const silent = await answer(browser, (await ask(party, { prompt: 'none' })).url.href, { account });
    expect(silent.left?.searchParams.get('error')).toBe('login_required');
  });

  test('a client that was deleted and made anew does not inherit what people gave it', async () => {
    const account = await server().createAccount();
    const party = await createRelyingParty(server());
    const { tokens } = await signIn(server(), party, account);
    await server().administration.deleteClient(party.id, false);
    const fields = { client_id: party.id, client_secret: party.secret, redirect_uris: [REDIRECT_URI] };
    const grants = { grant_types: ['authorization_code', 'refresh_token'], scope: 'openid profile email' };
    await apply(server().administration, { clients: [{ ...fields, ...grants }] });
    await expect(openid.refreshTokenGrant(party.config, tokens.refresh_token ?? '')).rejects.toThrow();
    expect((await signIn(server(), party, account)).journey.prompts).toEqual(['login', 'consent']);
  });

  test('keeps its cookies to itself: HttpOnly, SameSite=Lax, signed', async () => {
    const party = await createRelyingParty(server());
    const { browser } = await signIn(server(), party, await server().createAccount());
    const session = browser.written.filter((line) => line.startsWith('portcullis_session='));
    expect(session.length).toBeGreaterThan(0);
    for (const line of browser.written) expect(line.toLowerCase()).toMatch(/; samesite=lax/);
    for (const line of browser.written) expect(line.toLowerCase()).toContain('; httponly');
    expect(browser.cookie('portcullis_session.sig')).toMatch(/^[\w-]{27,}$/);
  });

  test('remembers the session beyond the browser’s only where the person asked for it', async () => {
    const party = await createRelyingParty(server());
    const account = await server().createAccount();
    const expiring = async (remember: boolean): Promise<boolean> => {
      const { browser } = await signIn(server(), party, account, { person: { remember } });
      const last = browser.written.filter((line) => line.startsWith('portcullis_session=')).at(-1) ?? '';
      return /expires=/i.test(last);
    };
    expect([await expiring(false), await expiring(true)]).toEqual([false, true]);
  });

  test('lets scripts of registered redirect origins read what an app in a browser calls, and nothing else', async () => {
    const origin = `https://${randomUUID()}.example.com`;
    await createRelyingParty(server(), { ...PUBLIC, redirect_uris: [`${origin}/callback`] });
    const second = await server().startAnother(); // the first one may have read the origins a moment ago
    const allowed = async (path: string, from: string, init: RequestInit = {}): Promise<string | null> => {
      const sent = await fetch(second + path, { redirect: 'manual', ...init, headers: { origin: from } });
      return sent.headers.get('access-control-allow-origin');
    };
    const preflight = { method: 'OPTIONS' };
    for (const path of ['/token', '/userinfo', '/revoke', '/jwks', '/.well-known/openid-configuration']) {
      expect([path, await allowed(path, origin, preflight)]).toEqual([path, origin]);
      expect([path, await allowed(path, 'https://evil.example', preflight)]).toEqual([path, null]);
      expect([path, await allowed(path, 'null', preflight)]).toEqual([path, null]);
    }
    expect(await allowed('/token', origin, { method: 'POST' })).toBe(origin);
    expect(await allowed('/jwks', origin)).toBe(origin);
    for (const path of ['/authorize', '/introspect', '/logout', '/device']) {
      expect([path, await allowed(path, origin, preflight)]).toEqual([path, null]);
    }
  });

  test('people sign in at a VPN node that has a redirect URI', async () => {
    const id = `node-${randomUUID().slice(0, 8)}`;
    const node = { client_id: id, redirect_uris: [REDIRECT_URI] };
    const secret = (await apply(server().administration, { vpn_nodes: [node] })).get(id) ?? '';
    const party: RelyingParty = { ...(await createRelyingParty(server())), id, secret };
    const asked = await ask(party);
    asked.url.searchParams.set('client_id', id);
    const { left } = await answer(server().browser(), asked.url.href, {
      account: await server().createAccount(),
    });
    const tokens = await server().request(
      '/token',
      redeemBy(party, asked, left?.searchParams.get('code') ?? null),
    );
    expect(tokens.status).toBe(200);
  });
});
