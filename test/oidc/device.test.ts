/** RFC 8628: a device without a browser gets its tokens, and the person signs in elsewhere. */
import { expect, test } from '@jest/globals';
import * as openid from 'openid-client';

import { basic, form, json } from '../support/clients.ts';
import { createRelyingParty, fieldsOf } from '../support/relying-party.ts';
import type { RelyingParty } from '../support/relying-party.ts';
import { describeOnBothStores } from '../support/server.ts';
import { answer, startSignInServer, useSignInServer } from '../support/sign-in.ts';
import type { Person } from '../support/sign-in.ts';
import type { UserAgent } from '../support/user-agent.ts';

const DEVICE_CODE = 'urn:ietf:params:oauth:grant-type:device_code';
const FIELDS = {
  redirect_uris: [],
  post_logout_redirect_uris: [],
  grant_types: [DEVICE_CODE, 'refresh_token'],
} as const;

describeOnBothStores('device_code', (store) => {
  const server = useSignInServer(store);

  const begin = (party: RelyingParty) =>
    openid.initiateDeviceAuthorization(party.config, { scope: 'openid email' });
  const poll = async (
    { id, secret }: RelyingParty,
    device_code: string,
  ): Promise<Record<string, unknown>> => {
    const polled = await server().request(
      '/token',
      form({ grant_type: DEVICE_CODE, device_code }, basic({ id, secret })),
    );
    return json(polled);
  };
  /** Types the code, confirms it, and answers what is asked. */
  const connect = async (
    browser: UserAgent,
    code: string,
    person: Person,
    choice: object = { confirm: 'yes' },
  ) => {
    const page = await (await browser.send('/device')).text();
    const confirm = await browser.send('/device', form({ ...fieldsOf(page), user_code: code }));
    const html = await confirm.text();
    return {
      html,
      ...(await answer(browser, '/device', person, form({ ...fieldsOf(html), user_code: code, ...choice }))),
    };
  };

  test('gives tokens once the person confirmed the code and signed in', async () => {
    const party = await createRelyingParty(server(), FIELDS);
    const account = await server().createAccount();
    const begun = await begin(party);
    expect(begun.verification_uri).toBe(`${server().issuer}/device`);
    expect((await poll(party, begun.device_code))['error']).toBe('authorization_pending');
    const { prompts, answer: done, html } = await connect(server().browser(), begun.user_code, { account });
    expect(prompts).toEqual(['login', 'consent']);
    expect(html).toContain(begun.user_code);
    expect(html).toContain(`Application ${party.id}`);
    expect(await done.text()).toContain('Your device is connected');
    server().advance(5);
    const tokens = await poll(party, begun.device_code);
    expect(tokens).toMatchObject({ scope: 'openid email', refresh_token: expect.any(String) });
    const info = await openid.fetchUserInfo(party.config, String(tokens['access_token']), account.id);
    expect(info.email).toBe(account.email);
    server().advance(5);
    expect((await poll(party, begun.device_code))['error']).toBe('invalid_grant');
    expect((await openid.tokenIntrospection(party.config, String(tokens['access_token']))).active).toBe(
      false,
    );
  });

  test('takes the code from the address that the device shows', async () => {
    const party = await createRelyingParty(server(), { ...FIELDS, first_party: true });
    const begun = await begin(party);
    const browser = server().browser();
    const { answer: page } = await browser.open(begun.verification_uri_complete ?? '');
    const confirm = await browser.send('/device', form(fieldsOf(await page.text())));
    expect(await confirm.text()).toContain(begun.user_code);
  });

  test('tells a device that asks too often to slow down', async () => {
    const party = await createRelyingParty(server(), FIELDS);
    const { device_code } = await begin(party);
    expect((await poll(party, device_code))['error']).toBe('authorization_pending');
    expect((await poll(party, device_code))['error']).toBe('slow_down');
    server().advance(5);
    expect((await poll(party, device_code))['error']).toBe('authorization_pending');
  });

  test('refuses the device of a person who says no', async () => {
    const party = await createRelyingParty(server(), FIELDS);
    const begun = await begin(party);
    const account = await server().createAccount();
    const { answer: page } = await connect(
      server().browser(),
      begun.user_code,
      { account },
      { abort: 'yes' },
    );
    expect(await page.text()).toContain('Nothing was connected');
    expect((await poll(party, begun.device_code))['error']).toBe('access_denied');
    const declined = await begin(party);
    await connect(server().browser(), declined.user_code, { account, answers: { consent: 'deny' } });
    expect((await poll(party, declined.device_code))['error']).toBe('access_denied');
  });

  test('shows the page again for a code that is wrong', async () => {
    const { html } = await connect(server().browser(), 'ZZZZ-ZZZZ', {
      account: await server().createAccount(),
    });
    expect(html).toContain('This code is wrong or has expired');
    expect(html).not.toContain('<form id="op.deviceConfirmForm"');
  });

  test('refuses a form that is not of this browser', async () => {
    const party = await createRelyingParty(server(), FIELDS);
    const begun = await begin(party);
    const browser = server().browser();
    await browser.send('/device');
    const forged = { xsrf: 'x'.repeat(48), user_code: begun.user_code, confirm: 'yes' };
    expect((await browser.send('/device', form(forged))).status).toBe(400);
  });

  test('refuses the code that the store knows it by in the place of the code itself', async () => {
    const party = await createRelyingParty(server(), { ...FIELDS, first_party: true });
    const account = await server().createAccount();
    const begun = await begin(party);
    await connect(server().browser(), begun.user_code, { account });
    const at = Math.floor(Date.now() / 1000);
    const { artifacts } = server().storage;
    const [stored] = (await artifacts.listOfAccount('DeviceCode', account.id, { limit: 1 }, at)).items;
    const reference = String(stored?.payload['reference']);
    expect(reference).toMatch(/^#/);
    expect((await poll(party, reference))['error']).toBe('invalid_grant');
  });

  test('refuses a disabled account, a code that is too old, and a client without the grant', async () => {
    const own = await startSignInServer(store);
    try {
      const party = await createRelyingParty(own, { ...FIELDS, first_party: true });
      const account = await own.createAccount();
      const pollOwn = async (device_code: string): Promise<unknown> => {
        const { id, secret } = party;
        const polled = await own.request(
          '/token',
          form({ grant_type: DEVICE_CODE, device_code }, basic({ id, secret })),
        );
        return (await json(polled))['error'];
      };
      const begun = await begin(party);
      await connect(own.browser(), begun.user_code, { account });
      await own.changeAccount(account, { status: 'disabled' });
      expect(await pollOwn(begun.device_code)).toBe('invalid_grant');
      const late = await begin(party);
      own.advance(601);
      expect(await pollOwn(late.device_code)).toBe('invalid_grant');
      await expect(begin(await createRelyingParty(own))).rejects.toThrow();
    } finally {
      await own.stop();
    }
  });
});
