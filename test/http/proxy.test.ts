/** The address of a client behind trusted proxies, wherever this server tells or keeps it. */
import { expect, test } from '@jest/globals';

import { BROWSER, newPerson } from '../support/api.ts';
import { form, json } from '../support/clients.ts';
import { describeOnBothStores } from '../support/server.ts';
import { PASSWORD, useSignInServer } from '../support/sign-in.ts';
import type { SignInServer } from '../support/sign-in.ts';

const SPOOFED = '6.6.6.6';
const CLIENT = '203.0.113.9';

describeOnBothStores('behind a trusted proxy', (store) => {
  const server = useSignInServer(store, { TRUST_PROXY: '127.0.0.1', RATE_LIMITS: 'on', RATE_LIMIT_IP: '5' });
  const headers = { 'x-forwarded-for': `${SPOOFED}, ${CLIENT}` };

  test('a refusal is logged with the address of the client', async () => {
    const authorization = `Bearer ${'x'.repeat(43)}`;
    await server().request('/vpn/auth', { method: 'POST', headers: { ...headers, authorization } });
    expect(await server().logged('"vpn_token_refused"')).toContain(`"ip":"${CLIENT}"`);
    await server().request('/token', form({ grant_type: 'password' }));
    expect(await server().logged('"protocol_refused"')).toContain('"ip":"127.0.0.1"');
  });

  test('a session in a browser is kept with the address of the client', async () => {
    const account = await server().createAccount();
    await signIn(server(), account.username, headers);
    expect(await server().sessions.list(account.id)).toEqual([expect.objectContaining({ ip: CLIENT })]);
  });

  test('a session of the JSON API is kept with the address of the client', async () => {
    const person = newPerson();
    const send = async (path: string, body: object): Promise<Record<string, unknown>> => {
      const sent = { ...headers, 'x-forwarded-for': '198.51.100.7', 'content-type': 'application/json' };
      const init = {
        method: 'POST',
        headers: { ...sent, 'user-agent': BROWSER },
        body: JSON.stringify(body),
      };
      return json(await server().request(`/api/v1/auth/${path}`, init));
    };
    await send('register', person);
    const { access_token: token } = await send('login', {
      username: person.username,
      password: person.password,
    });
    const answer = await server().request('/api/v1/auth/sessions', {
      headers: { authorization: `Bearer ${String(token)}` },
    });
    expect(await json(answer)).toMatchObject({ sessions: [{ ip: '198.51.100.7' }] });
  });

  test('the limit of a network is that of the client, whatever the client writes', async () => {
    const ask = async (forwardedFor: string): Promise<number> => {
      const init = { method: 'POST', headers: { 'x-forwarded-for': forwardedFor }, body: '{}' };
      return (await server().request('/api/v1/auth/login', init)).status;
    };
    const asked: number[] = [];
    for (let n = 0; n < 6; n += 1) asked.push(await ask(`10.0.0.${n}, 192.0.2.1`));
    expect([asked[0], asked.at(-1)]).toEqual([415, 429]);
    expect(await ask('192.0.2.1, 192.0.2.2')).toBe(415);
  });
});

describeOnBothStores('without a trusted proxy', (store) => {
  const server = useSignInServer(store, { TRUST_PROXY: '192.0.2.1' });

  test('X-Forwarded-For counts for nothing', async () => {
    const account = await server().createAccount();
    await signIn(server(), account.username, { 'x-forwarded-for': CLIENT });
    expect(await server().sessions.list(account.id)).toEqual([expect.objectContaining({ ip: '127.0.0.1' })]);
  });
});

/** Signs in at the account's own pages, through proxies that write these headers. */
async function signIn(
  server: SignInServer,
  login: string,
  headers: Readonly<Record<string, string>>,
): Promise<void> {
  const browser = server.browser();
  const { answer } = await browser.open('/account');
  const [, csrf = ''] = /name="csrf" value="([^"]+)"/.exec(await answer.text()) ?? [];
  const sent = form({ csrf, login, password: PASSWORD });
  const { answer: entered } = await browser.open('/account/sign-in', {
    ...sent,
    headers: { ...(sent.headers as Record<string, string>), ...headers },
  });
  expect(entered.status).toBe(200);
}
