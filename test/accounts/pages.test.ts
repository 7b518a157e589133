/** The pages of a person's life with an application and without one, over HTTP, without JavaScript, on both stores. */
import { describe, expect, test } from '@jest/globals';
import { createHash, randomBytes, randomUUID } from 'node:crypto';

import { apply, form, json } from '../support/clients.ts';
import { lastMail } from '../support/mail.ts';
import { describeOnBothStores, useTestServer } from '../support/server.ts';
import type { TestServer } from '../support/server.ts';
import { createVisitor } from '../support/visitor.ts';
import type { Page, Visitor } from '../support/visitor.ts';

const REDIRECT_URI = 'https://app.example.com/callback';
const PASSWORD = 'Tr0ub4dor&3x';

describeOnBothStores('pages', (store) => {
  const server = useTestServer(store);

  describe('registration and a first sign-in', () => {
    test('takes a new person to the application, which learns who it is', async () => {
      const app = await createApp(server());
      const visitor = createVisitor(server());
      const person = newPerson();
      const signIn = await visitor.open(app.authorizeUrl());
      expect(signIn.html).toContain('Sign in');
      const register = await visitor.open(`${signIn.path.replace('/sign-in', '')}/register`);
      const consent = await visitor.send(register, person);
      expect(consent.html).toContain(person.username);
      const back = await visitor.send(consent, { decision: 'allow' });
      const tokens = await app.redeem(server(), back);
      expect(tokens).toMatchObject({ token_type: 'Bearer' });
      const answer = await server().request('/userinfo', {
        headers: { authorization: `Bearer ${String(tokens['access_token'])}` },
      });
      expect(await json(answer)).toMatchObject({
        preferred_username: person.username,
        email: person.email,
        email_verified: false,
      });
    });

    test('leads from the root to the account', async () => {
      const answer = await server().request('/', { redirect: 'manual' });
      expect([answer.status, answer.headers.get('location')]).toEqual([302, '/account']);
    });

    test('verifies the address by the mailed link, once', async () => {
      const { visitor, person } = await registered(server());
      const first = await lastMail(server(), person.email, 'Confirm');
      const resent = await visitor.send(await visitor.open('/account'), {}, '/account/verification');
      expect(resent.html).toContain(
        'We sent a link to your address. Open it to confirm that the address is yours.',
      );
      const { link } = await lastMail(server(), person.email, 'Confirm', first);
      const page = await visitor.open(link);
      // Somebody who is signed in is not asked to sign in.
      const way = '<a class="button" href="/account">Go to your account</a>';
      const done = await visitor.send(page, {});
      expect([done.status, done.html]).toEqual([200, expect.stringContaining(way)]);
      const over = await visitor.open(link);
      expect([over.status, over.html]).toEqual([410, expect.stringContaining(way)]);
      expect((await visitor.open('/account')).html).toContain('confirmed');
    });

    test('tells beside its field what is wrong, and keeps what was typed', async () => {
      const visitor = createVisitor(server());
      const page = await visitor.open('/account/register');
      const again = await visitor.send(page, { username: 'x', email: 'no', password: 'short' });
      expect(again.status).toBe(400);
      for (const field of ['username', 'email', 'password'])
        expect(again.html).toContain(`id="${field}-error"`);
      expect(again.html).toContain('value="no"');
      expect(again.html).not.toContain('short');
    });

    test('refuses a name and an address that are taken, in any case', async () => {
      const { person } = await registered(server());
      const visitor = createVisitor(server());
      const page = await visitor.open('/account/register');
      const other = newPerson();
      expect(await visitor.send(page, { ...other, username: person.username.toUpperCase() })).toMatchObject({
        status: 409,
      });
      expect(await visitor.send(page, { ...other, email: person.email.toUpperCase() })).toMatchObject({
        status: 409,
      });
    });
  });

  describe('signing in', () => {
    test('shows one page for a wrong password, an unknown name and a disabled account', async () => {
      const { person } = await registered(server());
      const pages = [];
      for (const login of [person.username, `nobody-${randomUUID().slice(0, 8)}`]) {
        const visitor = createVisitor(server());
        const page = await visitor.open('/account');
        const answer = await visitor.send(page, { login, password: 'Wrong-Passw0rd' });
        expect(answer.status).toBe(401);
        pages.push(answer.html.replaceAll(login, 'NAME').replaceAll(/name="csrf" value="[^"]*"/g, ''));
      }
      expect(pages[0]).toBe(pages[1]);
    });

    test('locks after five failures, under any of the names, and says until when', async () => {
      const { person } = await registered(server());
      const visitor = createVisitor(server());
      const page = await visitor.open('/account');
      const names = [
        person.username,
        person.email,
        person.username.toUpperCase(),
        person.email,
        person.username,
      ];
      for (const login of names) {
        expect(await visitor.send(page, { login, password: 'Wrong-Passw0rd' })).toMatchObject({
          status: 401,
        });
      }
      const locked = await visitor.send(page, { login: person.username, password: PASSWORD });
      expect(locked.status).toBe(423);
      expect(locked.headers.get('retry-after')).not.toBeNull();
      await lastMail(server(), person.email, 'locked');
    });

    test('lets the owner in on a device that is known while strangers are locked out', async () => {
      const { visitor: owner, person } = await registered(server());
      const stranger = createVisitor(server());
      const page = await stranger.open('/account');
      for (let guess = 0; guess < 6; guess += 1) {
        await stranger.send(page, { login: person.username, password: 'Wrong-Passw0rd' });
      }
      const out = await owner.send(await owner.open('/account'), {}, '/account/sign-out');
      expect(out.status).toBe(200);
      const signIn = await owner.open('/account');
      const inside = await owner.send(signIn, { login: person.username, password: PASSWORD });
      expect(inside.html).toContain(person.username);
      expect(inside.status).toBe(200);
    });

    test('refuses a form without the token of its browser', async () => {
      const { person } = await registered(server());
      const page = await createVisitor(server()).open('/account');
      const other = createVisitor(server());
      await other.open('/account');
      const answer = await other.send(page, { login: person.username, password: PASSWORD });
      expect(answer.status).toBe(403);
    });

    test('tells a way on where the interaction is over', async () => {
      expect(await createVisitor(server()).open(`/interaction/${randomUUID()}`)).toMatchObject({
        status: 410,
      });
    });
  });

  describe('recovery', () => {
    test('answers alike for an address that somebody has and one that nobody has', async () => {
      const { person } = await registered(server());
      const visitor = createVisitor(server());
      const page = await visitor.open('/account/forgot');
      const known = await visitor.send(page, { email: person.email });
      const unknown = await visitor.send(page, { email: newPerson().email });
      expect([known.status, known.html]).toEqual([unknown.status, unknown.html]);
      expect(known.status).toBe(202);
      expect(known.html).toContain('<a class="button" href="/account">Back to sign in</a>');
    });

    test('sets a new password by a link of one use, and ends every session', async () => {
      const { visitor, person } = await registered(server());
      const other = createVisitor(server());
      await other.send(await other.open('/account/forgot'), { email: person.email });
      const { link } = await lastMail(server(), person.email, 'Choose a new password');
      const page = await other.open(link);
      expect(await other.send(page, { newPassword: 'weak' })).toMatchObject({ status: 400 });
      expect(await other.send(page, { newPassword: PASSWORD })).toMatchObject({ status: 400 });
      expect(await other.send(page, { newPassword: 'An0ther-Secret!' })).toMatchObject({ status: 200 });
      expect(await other.send(page, { newPassword: 'Y3t-An0ther-One!' })).toMatchObject({ status: 410 });
      expect((await visitor.open('/account')).html).toContain('Keep me signed in');
      const again = await other.send(await other.open('/account'), {
        login: person.username,
        password: 'An0ther-Secret!',
      });
      expect(again.html).toContain('Sign out');
    });
  });

  describe('the account pages', () => {
    test('change the password, after the present one, and end the other sessions', async () => {
      const { visitor, person } = await registered(server());
      const other = createVisitor(server());
      await other.send(await other.open('/account'), { login: person.email, password: PASSWORD });
      const page = await visitor.open('/account/password');
      const fields = { currentPassword: PASSWORD, newPassword: 'An0ther-Secret!' };
      expect(
        await visitor.send(page, { ...fields, currentPassword: 'no' }, '/account/password'),
      ).toMatchObject({
        status: 401,
      });
      const changed = await visitor.send(page, fields, '/account/password');
      expect(changed.html).toContain('Your password is changed');
      expect((await other.open('/account')).html).toContain('Keep me signed in');
    });

    test('keep a phone number and an address, which an application learns by their scopes', async () => {
      const { visitor } = await registered(server());
      const send = async (phoneNumber: string, address: string) =>
        visitor.send(await visitor.open('/account'), { phoneNumber, address }, '/account/contact');
      const refused = await send('030 123456', 'line\n'.repeat(9));
      expect(refused.status).toBe(400);
      expect(refused.html).toContain('id="phoneNumber-error"');
      expect(refused.html).toContain('id="address-error"');
      const kept = await send('+49 (0)30 / 12-34 56', ' 1 High Street \r\n\r\nLondon <1>');
      expect(kept.html).toContain('value="+4930123456"');
      expect(kept.html).toContain('1 High Street\nLondon &lt;1&gt;</textarea>');

      const app = await createApp(server());
      const consent = await visitor.open(app.authorizeUrl({ scope: 'openid phone address' }));
      const tokens = await app.redeem(server(), await visitor.send(consent, { decision: 'allow' }));
      const userinfo = await server().request('/userinfo', {
        headers: { authorization: `Bearer ${String(tokens['access_token'])}` },
      });
      expect(await json(userinfo)).toEqual({
        sub: expect.any(String),
        phone_number: '+4930123456',
        phone_number_verified: false,
        address: { formatted: '1 High Street\nLondon <1>' },
      });
      await send('', '');
      expect((await visitor.open('/account')).html).not.toContain('4930123456');
    });

    test('list the sessions and end one', async () => {
      const { visitor, person } = await registered(server());
      const other = createVisitor(server());
      await other.send(await other.open('/account'), { login: person.email, password: PASSWORD });
      const page = await visitor.open('/account/sessions');
      const ended = await visitor.send(page, {}, '/account/sessions/end');
      expect(ended.html).toContain('The session was ended');
      expect((await other.open('/account')).html).toContain('Keep me signed in');
    });

    test('list an application, and take its access back', async () => {
      const app = await createApp(server());
      const { visitor } = await registered(server());
      const consent = await visitor.open(app.authorizeUrl());
      const tokens = await app.redeem(server(), await visitor.send(consent, { decision: 'allow' }));
      const page = await visitor.open('/account/applications');
      expect(page.html).toContain(app.id);
      await visitor.send(page, {}, '/account/applications/remove');
      const answer = await server().request('/userinfo', {
        headers: { authorization: `Bearer ${String(tokens['access_token'])}` },
      });
      expect(answer.status).toBe(401);
    });

    test('give all that is stored, without a hash, and delete it for ever', async () => {
      const { visitor, person } = await registered(server());
      const page = await visitor.open('/account/data');
      const download = await visitor.send(page, {}, '/account/export');
      expect(JSON.parse(download.html)).toMatchObject({ account: { username: person.username } });
      expect(download.html).not.toContain('argon2');
      const fields = { confirmation: person.username, currentPassword: PASSWORD };
      expect(await visitor.send(page, { ...fields, confirmation: 'x' }, '/account/delete')).toMatchObject({
        status: 400,
      });
      expect(await visitor.send(page, fields, '/account/delete')).toMatchObject({ status: 200 });
      const fresh = createVisitor(server());
      const register = await fresh.open('/account/register');
      expect(await fresh.send(register, person)).toMatchObject({ status: 409 });
    });

    test('ask whoever is not signed in to sign in, for every page', async () => {
      for (const path of ['', '/password', '/sessions', '/applications', '/data']) {
        const page = await createVisitor(server()).open(`/account${path}`);
        expect(page.html).toContain('Keep me signed in');
      }
    });
  });

  describe('consent', () => {
    const wishesOn = ({ html }: Page): readonly string[] =>
      Array.from(html.matchAll(/<li><span>([^<]*)<\/span> (.*)<\/li>/g), ([, text, names = '']) =>
        [names.replaceAll('</code><code>', ' ').replaceAll(/<.*?>/g, ''), text].join(': '),
      );

    test('tells single claims in words, but for those of a scope that is asked for, too', async () => {
      const { visitor } = await registered(server());
      const app = await createApp(server());
      const claims = JSON.stringify({
        userinfo: { email: null, name: null },
        id_token: { email_verified: null },
      });
      const consent = await visitor.open(app.authorizeUrl({ scope: 'openid profile', claims }));
      expect(wishesOn(consent)).toEqual([
        'openid: know who you are',
        'profile: read your username and your name',
        'email: read your email address',
        'email_verified: see whether your email address is confirmed',
      ]);
      const back = await visitor.send(consent, { decision: 'allow' });
      expect(back.redirect?.searchParams.get('code')).toEqual(expect.any(String));
    });

    test('asks for what is new, and tells all again where an application asks again for what it has', async () => {
      const { visitor } = await registered(server());
      const app = await createApp(server());
      const first = await visitor.open(app.authorizeUrl({ scope: 'openid' }));
      expect(wishesOn(first)).toEqual(['openid: know who you are']);
      await visitor.send(first, { decision: 'allow' });
      const more = await visitor.open(app.authorizeUrl({ scope: 'openid email' }));
      expect(wishesOn(more)).toEqual(['email: read your email address']);
      await visitor.send(more, { decision: 'allow' });
      const again = await visitor.open(app.authorizeUrl({ scope: 'openid email', prompt: 'consent' }));
      expect(wishesOn(again)).toEqual(['openid: know who you are', 'email: read your email address']);
    });

    test('says what was allowed in the same words under Applications, claims and services too', async () => {
      const name = randomUUID().slice(0, 8);
      const resource = `https://${name}.example.com/`;
      const scopes = [`${name}:write`, `${name}:read`];
      await apply(server().administration, {
        resource_servers: [{ identifier: resource, audience: name, scopes }],
      });
      const { visitor } = await registered(server());
      const app = await createApp(server(), `openid profile ${scopes.join(' ')}`);
      const claims = JSON.stringify({ userinfo: { email: null }, id_token: { auth_time: null } });
      const scope = ['profile', ...scopes, 'openid'].join(' ');
      const consent = await visitor.open(app.authorizeUrl({ scope, resource, claims }));
      const wishes = wishesOn(consent);
      expect(wishes).toEqual([
        'profile: read your username and your name',
        'openid: know who you are',
        `${scopes.join(' ')}: use ${name}.example.com in your name, as far as these scopes go:`,
        'email: read your email address',
      ]);
      await visitor.send(consent, { decision: 'allow' });
      expect(wishesOn(await visitor.open('/account/applications'))).toEqual(wishes);
    });

    test.each([{}, { resource: 'vpn' }])(
      'says under Applications what a VPN node may do (%j)',
      async (more) => {
        const { visitor } = await registered(server());
        const app = await createNodeApp(server());
        const resource = 'resource' in more ? { resource: `${server().issuer}/vpn` } : {};
        const consent = await visitor.open(app.authorizeUrl({ scope: 'openid read', ...resource }));
        const wishes = wishesOn(consent);
        const vpn = 'use the VPN in your name, with your username, your email address and your role';
        expect(wishes).toEqual(['openid: know who you are', `read: ${vpn}`]);
        await visitor.send(consent, { decision: 'allow' });
        expect(wishesOn(await visitor.open('/account/applications'))).toEqual(wishes);
      },
    );
  });

  test('a person who signs in as somebody else goes on by a form of ours, which a script would send', async () => {
    const { visitor } = await registered(server());
    const { person } = await registered(server());
    const app = await createApp(server());
    const choice = await visitor.open(app.authorizeUrl({ prompt: 'select_account' }));
    const signIn = await visitor.send(choice, { choice: 'other' });
    const handOn = await visitor.send(signIn, { login: person.username, password: PASSWORD });
    expect(handOn.headers.get('content-security-policy')).toMatch(
      /script-src 'sha256-.*form-action 'self' http:\/\/localhost:8011 https:\/\/app\.example\.com;/,
    );
    expect(handOn.html).toContain('<h1>One moment</h1>');
    expect((await visitor.send(handOn, {})).html).toContain(`Signed in as ${person.username}`);
  });

  test('a person who stays at a logout is told so', async () => {
    const { visitor } = await registered(server());
    const stayed = await visitor.send(await visitor.open('/logout'), {});
    expect(stayed.html).toContain('<h1>You are still signed in</h1>');
    const left = await visitor.send(await visitor.open('/logout'), { logout: 'yes' });
    expect(left.html).toContain('<h1>You are signed out</h1>');
  });

  test('a person who declines sends the application away with access_denied', async () => {
    const app = await createApp(server());
    const { visitor } = await registered(server());
    const back = await visitor.send(await visitor.open(app.authorizeUrl()), { decision: 'deny' });
    expect(back.redirect?.searchParams.get('error')).toBe('access_denied');
    expect(back.redirect?.searchParams.get('iss')).toBe(server().issuer);
  });
});

const newPerson = () => {
  const name = `p${randomBytes(6).toString('hex')}`;
  return { username: name, email: `${name}@example.com`, password: PASSWORD };
};

/** Somebody who just made an account, signed in in a browser of their own. */
async function registered(
  server: TestServer,
): Promise<{ visitor: Visitor; person: ReturnType<typeof newPerson> }> {
  const visitor = createVisitor(server);
  const person = newPerson();
  const page = await visitor.send(await visitor.open('/account/register'), person);
  expect(page.html).toContain('Sign out');
  return { visitor, person };
}

/** A public client of its own, and the code flow with PKCE by hand. */
async function createApp(server: TestServer, scope = 'openid profile email phone address') {
  const id = `app-${randomUUID().slice(0, 8)}`;
  await apply(server.administration, {
    clients: [
      {
        client_id: id,
        redirect_uris: [REDIRECT_URI],
        grant_types: ['authorization_code', 'refresh_token'],
        token_endpoint_auth_method: 'none',
        scope,
      },
    ],
  });
  return codeFlowOf(id);
}

/** A VPN node that people sign in at. */
async function createNodeApp(server: TestServer) {
  const id = `node-${randomUUID().slice(0, 8)}`;
  await apply(server.administration, { vpn_nodes: [{ client_id: id, redirect_uris: [REDIRECT_URI] }] });
  return codeFlowOf(id);
}

function codeFlowOf(id: string) {
  const verifier = randomBytes(32).toString('base64url');
  const parameters = {
    client_id: id,
    redirect_uri: REDIRECT_URI,
    response_type: 'code',
    scope: 'openid profile email',
    code_challenge: createHash('sha256').update(verifier).digest('base64url'),
    code_challenge_method: 'S256',
    state: 'the-state',
  };
  return {
    id,
    authorizeUrl: (more: Readonly<Record<string, string>> = {}) =>
      `/authorize?${new URLSearchParams({ ...parameters, ...more }).toString()}`,
    redeem: async (at: TestServer, back: Page): Promise<Record<string, unknown>> => {
      const code = back.redirect?.searchParams.get('code');
      if (typeof code !== 'string') throw new Error(`no code: ${back.status} ${back.html.slice(0, 1_500)}`);
      const answer = await at.request(
        '/token',
        form({
          grant_type: 'authorization_code',
          client_id: id,
          redirect_uri: REDIRECT_URI,
          code,
          code_verifier: verifier,
        }),
      );
      return json(answer);
    },
  };
}
