/** A new JWT_SECRET_KEY: what the one before it signed stays good while it is given, and not a moment longer. */
import { expect, test } from '@jest/globals';
import { randomBytes } from 'node:crypto';

import { createClient, form, getToken, json } from '../support/clients.ts';
import { describeOnBothStores } from '../support/server.ts';
import { PASSWORD, signInAtAccount, useSignInServer } from '../support/sign-in.ts';
import type { UserAgent } from '../support/user-agent.ts';

const csrfOf = (html: string): string => /name="csrf" value="([^"]+)"/.exec(html)?.[1] ?? '';

describeOnBothStores('a new JWT_SECRET_KEY', (store) => {
  const server = useSignInServer(store);

  /** Two instances with the new key: one has the one before it beside it, one has it no more. */
  const renew = async (): Promise<{ readonly both: string; readonly after: string }> => {
    const { secrets } = server();
    const jwtSecretKey = randomBytes(32).toString('base64url');
    const renewed = { ...secrets, jwtSecretKey, previousJwtSecretKey: secrets.jwtSecretKey };
    const both = await server().startInstance({ secrets: renewed });
    const after = await server().startInstance({ secrets: { ...secrets, jwtSecretKey } });
    return { both: both.origin, after: after.origin };
  };
  const pageOf = async (browser: UserAgent): Promise<string> =>
    (await browser.open('/account')).answer.text();
  const SIGNED_IN = 'action="/account/sign-out"';

  test('keeps people signed in and their open forms good, until the one before it is gone', async () => {
    const browser = server().browser();
    await signInAtAccount(browser, await server().createAccount());
    const page = await pageOf(browser);
    expect(page).toContain(SIGNED_IN);
    const { both, after } = await renew();
    expect(await pageOf(browser.copy(after))).not.toContain(SIGNED_IN);
    expect(await pageOf(browser.copy(both))).toContain(SIGNED_IN);

    const sent = form({ csrf: csrfOf(page), login: 'nobody', password: PASSWORD });
    expect((await browser.copy(after).send('/account/sign-in', sent)).status).toBe(403);
    expect((await browser.copy(both).send('/account/sign-in', sent)).status).not.toBe(403);
    const leaving = form({ csrf: csrfOf(page) });
    expect((await browser.copy(both).send('/account/sign-out', leaving)).status).toBe(200);
  });

  test('signs anew what it finds signed by the one before it', async () => {
    const browser = server().browser();
    await signInAtAccount(browser, await server().createAccount());
    const { both, after } = await renew();
    const renewed = browser.copy(both);
    await pageOf(renewed);
    expect(await pageOf(renewed.copy(after))).toContain(SIGNED_IN);
  });

  test('knows a device again', async () => {
    const account = await server().createAccount();
    const browser = server().browser();
    const deviceOf = (agent: UserAgent): string | undefined =>
      /portcullis_device_[\w-]+=([\w-]{22})\./.exec(agent.written.join('\n'))?.[1];
    await signInAtAccount(browser, account);
    const { both, after } = await renew();
    const [known, unknown] = [browser.copy(both), browser.copy(after)];
    for (const agent of [known, unknown]) {
      const csrf = csrfOf(await (await agent.open('/account/register')).answer.text());
      await agent.open('/account/sign-in', form({ csrf, login: account.username, password: PASSWORD }));
    }
    expect(deviceOf(browser)).toBeDefined();
    expect(deviceOf(known)).toBe(deviceOf(browser));
    expect(deviceOf(unknown)).not.toBe(deviceOf(browser));
  });

  test('takes the cursors of lists', async () => {
    for (let n = 0; n < 2; n += 1) await server().createAccount();
    const token = await getToken(server(), await createClient(server(), 'admin'), { scope: 'admin' });
    const list = async (origin: string, query: string): Promise<Response> =>
      fetch(`${origin}/api/v1/admin/users?limit=1${query}`, {
        headers: { authorization: `Bearer ${token}` },
      });
    const { next } = await json(await list(server().origin, ''));
    const { both, after } = await renew();
    expect((await list(both, `&after=${String(next)}`)).status).toBe(200);
    expect((await list(after, `&after=${String(next)}`)).status).toBe(400);
  });
});
