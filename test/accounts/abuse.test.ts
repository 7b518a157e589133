/** What strangers, and thieves of a session, try with mails, devices and the last administrator, over HTTP. */
import { describe, expect, test } from '@jest/globals';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

import { BROWSER, createApiClient, enter, login, newPerson, PASSWORD, register } from '../support/api.ts';
import type { ApiClient, ApiPerson } from '../support/api.ts';
import { lastMail } from '../support/mail.ts';
import { describeOnBothStores, useTestServer } from '../support/server.ts';
import { createVisitor } from '../support/visitor.ts';
import type { Visitor } from '../support/visitor.ts';

const NEXT_PASSWORD = 'a-Walk-along-the-river-7';
const MAX_MAILS = 5;
const AUTH = '/api/v1/auth';
const PHISHING = 'Your account was opened; call +1 555 0100 or go to https://evil.example/now/1.0 (x';

describeOnBothStores('abuse', (store) => {
  const server = useTestServer(store, { RATE_LIMIT_IP: '100000', RATE_LIMIT_USER: '100000' });
  const api = (): Promise<ApiClient> => createApiClient(server());
  const prove = ({ username }: ApiPerson): Promise<unknown> =>
    server().administration.users.update(username, { email_verified: true });
  /** All mails to an address, once those are written that were queued before the one to a new person. */
  const mailsTo = async (email: string): Promise<readonly string[]> => {
    const marker = await register(await api());
    await lastMail(server(), marker.email, 'Confirm');
    const folder = join(server().folder, 'mail');
    return readdirSync(folder)
      .map((name) => readFileSync(join(folder, name), 'utf8'))
      .filter((mail) => mail.includes(`To: ${email}`));
  };
  const signIn = async (visitor: Visitor, { username }: ApiPerson, password = PASSWORD) =>
    visitor.send(await visitor.open('/account'), { login: username, password });
  const signInBy = async (userAgent: string, person: ApiPerson): Promise<Response> => {
    const headers = { 'user-agent': userAgent };
    const page = await server().request('/account', { headers });
    const csrf = /name="csrf" value="([^"]*)"/.exec(await page.text())?.[1] ?? '';
    const cookie = page.headers.getSetCookie().map((set) => set.split(';')[0]);
    return server().request('/account/sign-in', {
      ...{ method: 'POST', redirect: 'manual' },
      headers: { ...headers, cookie: cookie.join('; '), 'sec-fetch-site': 'same-origin' },
      body: new URLSearchParams({ csrf, login: person.username, password: person.password }),
    });
  };

  describe('the last administrator', () => {
    const delete_ = async (visitor: Visitor, { username }: ApiPerson) =>
      visitor.send(
        await visitor.open('/account/data'),
        { confirmation: username, currentPassword: PASSWORD },
        '/account/delete',
      );
    const newAdministrator = async () => {
      const person = await register(await api());
      await server().administration.users.update(person.username, { role: 'admin' });
      const visitor = createVisitor(server());
      await signIn(visitor, person);
      return { visitor, person };
    };

    test('is told that they stay, and one of two who go at once does', async () => {
      const [a, b] = [await newAdministrator(), await newAdministrator()];
      await Promise.all([delete_(a.visitor, a.person), delete_(b.visitor, b.person)]);
      const { items } = await server().administration.users.list(
        { limit: 200 },
        { role: 'admin', status: 'active' },
      );
      expect(items.length).toBeGreaterThan(0);
      const left = [a, b].find(({ person }) => person.username === items[0]?.username) ?? a;
      if (items.length === 2) await delete_(b.visitor, b.person);
      const last = items.length === 2 ? a : left;
      const page = await delete_(last.visitor, last.person);
      expect([page.status, page.html]).toEqual([
        409,
        expect.stringContaining('You are the last administrator'),
      ]);
      expect((await signIn(createVisitor(server()), last.person)).status).toBe(200);
    });
  });

  describe('mails to a stranger', () => {
    test('are five an hour of each kind, by the API and by the page', async () => {
      const client = await api();
      const me = await enter(client);
      const free = newPerson().email;
      const { email: taken } = await register(client);
      for (let n = 0; n < MAX_MAILS + 3; n += 1) {
        for (const email of [free, taken]) {
          const answer = await client.call('PATCH', `${AUTH}/profile`, { token: me.token, body: { email } });
          expect(answer.status).toBe(200);
        }
      }
      const visitor = createVisitor(server());
      await signIn(visitor, me);
      const fields = { email: free, currentPassword: PASSWORD };
      const page = await visitor.send(await visitor.open('/account'), fields, '/account/email');
      expect(page.status).toBe(200);
      expect(await mailsTo(free)).toHaveLength(MAX_MAILS);
      expect(await mailsTo(taken)).toHaveLength(MAX_MAILS + 1); // and the one of the registration
    });

    test('of the account that has their address are five an hour, however often the page is asked', async () => {
      const me = await register(await api());
      const visitor = createVisitor(server());
      await signIn(visitor, me);
      for (let n = 0; n < MAX_MAILS + 3; n += 1) {
        await visitor.send(await visitor.open('/account'), {}, '/account/verification');
      }
      expect(await mailsTo(me.email)).toHaveLength(MAX_MAILS);
    });

    test('say nothing that a program calls itself, and nothing at all to who did not prove the address', async () => {
      const [unproven, proven] = [await register(await api()), await register(await api())];
      await prove(proven);
      for (const person of [unproven, proven]) expect((await signInBy(PHISHING, person)).status).toBe(303);
      const { text } = await lastMail(server(), proven.email, 'sign-in');
      expect(text).not.toMatch(/evil|555|opened; call/);
      expect(await mailsTo(unproven.email)).toHaveLength(1);
      await signInBy(BROWSER, proven);
      expect((await mailsTo(proven.email)).at(-1)).toContain('Firefox, Linux');
    });
  });

  test('strangers who ask for other mails do not silence those that set a password', async () => {
    const client = await api();
    const me = await register(client);
    await prove(me);
    const ask = async (path: string): Promise<void> => {
      const answer = await client.call('POST', `${AUTH}/${path}`, { body: { email: me.email } });
      expect(answer.status).toBe(202);
    };
    for (let n = 0; n < MAX_MAILS + 1; n += 1) await ask('resend-verification');
    for (let n = 0; n < MAX_MAILS + 1; n += 1) await ask('forgot-password');
    const before = (await mailsTo(me.email)).length;
    expect(before).toBe(1 + MAX_MAILS);
    const administrator = await enter(client);
    await server().administration.users.update(administrator.username, { role: 'admin' });
    const { token } = await login(client, administrator);
    const { id } = await server().administration.users.show(me.username);
    const answer = await client.call('POST', `/api/v1/admin/users/${id}/reset-password`, { token, body: {} });
    expect(answer.status).toBeLessThan(300);
    expect(await mailsTo(me.email)).toHaveLength(before + 1);
  });

  test('a browser that was known is a new one after a change of the password, but for the one that changed it', async () => {
    const me = await register(await api());
    await prove(me);
    const [owner, thief] = [createVisitor(server()), createVisitor(server())];
    const signOut = async (visitor: Visitor): Promise<unknown> =>
      visitor.send(await visitor.open('/account'), {}, '/account/sign-out');
    for (const visitor of [owner, thief]) await signIn(visitor, me);
    const known = (await mailsTo(me.email)).length;
    server().advance(1);
    const fields = { currentPassword: PASSWORD, newPassword: NEXT_PASSWORD };
    await owner.send(await owner.open('/account/password'), fields, '/account/password');
    await signOut(owner);
    expect((await signIn(owner, me, NEXT_PASSWORD)).html).toContain('Sign out');
    expect(await mailsTo(me.email)).toHaveLength(known + 1); // that the password was changed
    expect((await signIn(thief, me, NEXT_PASSWORD)).html).toContain('Sign out');
    expect(await mailsTo(me.email)).toHaveLength(known + 2);
  });
});
