/** Lifetimes that are settings, as they are seen in what is issued: by the environment and by the settings file. */
import { expect, test } from '@jest/globals';
import { decodeJwt } from 'jose';

import { createVpnNode, getToken, json, basic, form } from '../support/clients.ts';
import { describeOnBothStores } from '../support/server.ts';
import { PASSWORD, useSignInServer } from '../support/sign-in.ts';
import type { UserAgent } from '../support/user-agent.ts';

const REMEMBERED = 172_800;

describeOnBothStores('configured lifetimes', (store) => {
  const server = useSignInServer(store, {
    ...{ ACCESS_TOKEN_LIFETIME: '120', VPN_TOKEN_LIFETIME: '180', JWKS_MAX_AGE: '60' },
    ...{ SESSION_IDLE: '3600', SESSION_REMEMBERED: String(REMEMBERED) },
  });

  test('an access token tells ACCESS_TOKEN_LIFETIME', async () => {
    const node = await createVpnNode(server());
    const body = form({ grant_type: 'client_credentials', scope: 'read' }, basic(node));
    expect(await json(await server().request('/token', body))).toMatchObject({ expires_in: 120 });
  });

  test('a VPN JWT holds VPN_TOKEN_LIFETIME', async () => {
    const token = await getToken(server(), await createVpnNode(server()));
    const headers = { authorization: `Bearer ${token}` };
    const answer = await json(await server().request('/vpn/auth/', { method: 'POST', headers }));
    const { iat = 0, exp = 0 } = decodeJwt(String(answer['access_token']));
    expect([answer['expires_in'], exp - iat]).toEqual([180, 180]);
  });

  test('the JWKS is kept for JWKS_MAX_AGE', async () => {
    const { headers } = await server().request('/jwks');
    expect(headers.get('cache-control')).toBe('public, max-age=60');
  });

  test('a session lives for SESSION_IDLE, of who stays signed in for SESSION_REMEMBERED', async () => {
    const account = await server().createAccount();
    const signIn = async (fields: Readonly<Record<string, string>>): Promise<UserAgent> => {
      const browser = server().browser();
      const page = await (await browser.open('/account')).answer.text();
      const [, csrf = ''] = /name="csrf" value="([^"]+)"/.exec(page) ?? [];
      const sent = form({ csrf, login: account.username, password: PASSWORD, ...fields });
      await browser.open('/account/sign-in', sent);
      return browser;
    };
    const isSignedIn = async (browser: UserAgent): Promise<boolean> =>
      (await (await browser.copy().open('/account')).answer.text()).includes('action="/account/sign-out"');
    const [brief, remembered] = [await signIn({}), await signIn({ remember: 'on' })];
    expect([await isSignedIn(brief), await isSignedIn(remembered)]).toEqual([true, true]);
    server().advance(3_601);
    expect([await isSignedIn(brief), await isSignedIn(remembered)]).toEqual([false, true]);
    server().advance(REMEMBERED);
    expect(await isSignedIn(remembered)).toBe(false);
  });
});
