/** What was ended stays ended: a sign-in that nobody went on with, a code that was on its way, a JWT of an API. */
import { beforeAll, expect, test } from '@jest/globals';
import * as openid from 'openid-client';

import { artifactId } from '../../src/oidc/digest.ts';
import type { Account } from '../../src/storage/port.ts';
import { createApiClient } from '../support/api.ts';
import type { ApiClient } from '../support/api.ts';
import { apply, basic, form, json } from '../support/clients.ts';
import { ask, createRelyingParty, fieldsOf, REDIRECT_URI, redeem, signIn } from '../support/relying-party.ts';
import type { Asked, RelyingParty } from '../support/relying-party.ts';
import { describeOnBothStores } from '../support/server.ts';
import { answer, PASSWORD, sendForm, signInAtAccount, useSignInServer } from '../support/sign-in.ts';
import type { UserAgent } from '../support/user-agent.ts';

const API = { identifier: 'https://shop.test', audience: 'shop', scopes: ['shop:read'] } as const;
const OFFLINE = { scope: 'openid offline_access', prompt: 'consent' } as const;
const DEVICE_CODE = 'urn:ietf:params:oauth:grant-type:device_code';

describeOnBothStores('what was ended', (store) => {
  const server = useSignInServer(store);
  let api: ApiClient;

  beforeAll(async () => {
    await apply(server().administration, { resource_servers: [API] });
    api = await createApiClient(server());
  });

  /** Ways in which an owner ends all that others have. */
  const endings: readonly (readonly [string, (account: Account) => Promise<unknown>])[] = [
    [
      'the password was changed',
      async (account) => {
        const owner = server().browser();
        await signInAtAccount(owner, account);
        const fields = { currentPassword: PASSWORD, newPassword: `${PASSWORD} anew` };
        expect((await sendForm(owner, '/account/password', fields)).status).toBe(200);
      },
    ],
    [
      'the owner signed out all others',
      async (account) => {
        const owner = server().browser();
        await signInAtAccount(owner, account);
        await sendForm(owner, '/account/sessions/end-others', {}, '/account/sessions');
      },
    ],
    [
      'an administrator locked and unlocked the account',
      async ({ username }) => {
        await server().administration.users.lock(username);
        await server().administration.users.unlock(username);
      },
    ],
  ];

  /** Answers the page for signing in, and goes no further; gives the address to go on at. */
  const hold = async (browser: UserAgent, page: Response, { username }: Account): Promise<string> => {
    const html = await page.text();
    const [, action = ''] = /action="(\/interaction\/[^"]+\/sign-in)"/.exec(html) ?? [];
    const { csrf = '' } = fieldsOf(html);
    const sent = await browser.send(action, form({ csrf, login: username, password: PASSWORD }));
    expect(sent.status).toBe(303);
    return sent.headers.get('Location') ?? '';
  };

  test.each(endings)('where %s a sign-in that was held open is asked for again', async (_name, end) => {
    const account = await server().createAccount();
    const party = await createRelyingParty(server(), { first_party: true });
    const browser = server().browser();
    const asked = await ask(party, OFFLINE);
    const held = await hold(browser, (await browser.open(asked.url.href)).answer, account);
    await end(account);
    const { left, answer: page } = await browser.open(held);
    expect(left).toBeNull();
    expect(await page.text()).toMatch(/action="\/interaction\/[\w-]+\/sign-in"/);
    const silent = await browser.open((await ask(party, { prompt: 'none' })).url.href);
    expect(silent.left?.searchParams.get('error')).toBe('login_required');
  });

  test('a sign-in for a device that was held open is asked for again', async () => {
    const account = await server().createAccount();
    const party = await createRelyingParty(server(), {
      redirect_uris: [],
      post_logout_redirect_uris: [],
      grant_types: [DEVICE_CODE, 'refresh_token'],
      first_party: true,
    });
    const { user_code, device_code } = await openid.initiateDeviceAuthorization(party.config, {
      scope: 'openid',
    });
    const browser = server().browser();
    const typed = fieldsOf(await (await browser.send('/device')).text());
    const confirm = await browser.send('/device', form({ ...typed, user_code }));
    const fields = fieldsOf(await confirm.text());
    const { answer: page } = await browser.open('/device', form({ ...fields, user_code, confirm: 'yes' }));
    const held = await hold(browser, page, account);
    await server().sessions.endAll(account.id, null);
    const { answer: shown } = await browser.open(held);
    expect(await shown.text()).toMatch(/action="\/interaction\/[\w-]+\/sign-in"/);
    const polled = await server().request(
      '/token',
      form({ grant_type: DEVICE_CODE, device_code }, by(party)),
    );
    expect((await json(polled))['error']).toBe('authorization_pending');
  });

  test('a code that was made meanwhile gives nothing, and who signs in at once afterwards goes on', async () => {
    const account = await server().createAccount();
    const party = await createRelyingParty(server(), { first_party: true });
    const asked = await ask(party, OFFLINE);
    const { left } = await answer(server().browser(), asked.url.href, { account });
    const code = left?.searchParams.get('code') ?? '';
    const { artifacts } = server().storage;
    const at = Math.floor(Date.now() / 1000);
    const id = artifactId('AuthorizationCode', code);
    const stored = await artifacts.find('AuthorizationCode', id, at);
    const [grant] = (await artifacts.listOfAccount('Grant', account.id, { limit: 1 }, at)).items;
    if (stored === null || grant === undefined) throw new Error('there is no code');
    await server().sessions.endAll(account.id, null);
    // A request under way at that moment saves both again.
    const grantId = String(grant.payload['selfId']);
    const mine = { accountId: account.id, grantId };
    await artifacts.upsert({ ...stored, ...mine, model: 'AuthorizationCode', id });
    await artifacts.upsert({ ...grant, ...mine, model: 'Grant', id: artifactId('Grant', grantId) });
    expect((await redeemByHand(party, asked, code))['error']).toBe('invalid_grant');

    for (let times = 0; times < 2; times += 1) {
      const { tokens } = await signIn(server(), party, account, { parameters: OFFLINE });
      expect((await openid.tokenIntrospection(party.config, tokens.access_token)).active).toBe(true);
      await openid.refreshTokenGrant(party.config, tokens.refresh_token ?? '');
      await server().sessions.endAll(account.id, null);
      const after = await openid.tokenIntrospection(party.config, tokens.access_token);
      expect(after.active).toBe(false);
    }
  });

  const by = ({ id, secret }: RelyingParty) => basic({ id, secret });
  const redeemByHand = async (
    party: RelyingParty,
    { verifier }: Asked,
    code: string,
  ): Promise<Record<string, unknown>> => {
    const fields = { grant_type: 'authorization_code', code, redirect_uri: REDIRECT_URI };
    return json(await server().request('/token', form({ ...fields, code_verifier: verifier }, by(party))));
  };

  const withJwt = async () => {
    const account = await server().createAccount();
    const party = await createRelyingParty(server(), { scope: 'openid offline_access shop:read' });
    const asked = await ask(party, {
      ...OFFLINE,
      scope: `${OFFLINE.scope} shop:read`,
      resource: API.identifier,
    });
    const { left } = await answer(server().browser(), asked.url.href, { account });
    const tokens = await redeem(party, asked, left, { resource: API.identifier });
    return { account, party, asked, tokens, code: left?.searchParams.get('code') ?? '' };
  };
  type WithJwt = Awaited<ReturnType<typeof withJwt>>;
  const isLive = async ({ party, tokens: { access_token: token } }: WithJwt): Promise<unknown> => {
    const { active } = await openid.tokenIntrospection(party.config, token);
    const { status } = await api.call('GET', `/api/v1/verify?audience=${API.audience}`, { token });
    return { active, status };
  };

  test.each<readonly [string, (begun: WithJwt) => Promise<unknown>]>([
    ...endings.map(([name, end]) => [name, ({ account }: WithJwt) => end(account)] as const),
    ['its code was used again', ({ party, asked, code }) => redeemByHand(party, asked, code)],
    [
      'the application was removed',
      ({ account, party }) => server().applications.revoke(account.id, party.id),
    ],
    [
      'its refresh token was revoked',
      ({ party, tokens }) => openid.tokenRevocation(party.config, tokens.refresh_token ?? ''),
    ],
  ])('where %s the JWT of an API is live no more', async (_name, end) => {
    const begun = await withJwt();
    expect(await isLive(begun)).toEqual({ active: true, status: 200 });
    await end(begun);
    expect(await isLive(begun)).toEqual({ active: false, status: 401 });
  });
});
