/** Every door at which a password is tried, over HTTP, on both stores: five guesses, one lock, and who is left in. */
import { describe, expect, test } from '@jest/globals';
import { randomBytes } from 'node:crypto';

import bcrypt from 'bcryptjs';

import { apply, form, json } from '../support/clients.ts';
import { describeOnBothStores, useTestServer } from '../support/server.ts';
import { createVisitor } from '../support/visitor.ts';
import type { Page, Visitor } from '../support/visitor.ts';

const PASSWORD = 'Tr0ub4dor&3x';
const WRONG = 'Wrong-Passw0rd';
const MAX_FAILURES = 5;

/** What a stranger sees of a page, but for what was typed and the token of their own browser. */
const seen = ({ status, html, headers }: Page, login: string): object => ({
  status,
  html: html
    .replaceAll(login, 'NAME')
    .replaceAll(/name="csrf" value="[^"]*"/g, '')
    .replaceAll(/<time.*?<\/time>|\d+ (minutes|seconds)|\d\d:\d\d/gs, 'TIME'),
  headers: [...headers.keys()].filter((name) => name !== 'set-cookie').sort(),
});

describeOnBothStores('the doors of an account', (store) => {
  const server = useTestServer(store, { RATE_LIMIT_IP: '100000' });
  const newPerson = () => {
    const username = `p${randomBytes(6).toString('hex')}`;
    return { username, email: `${username}@example.com`, password: PASSWORD };
  };
  /** Somebody who is signed in, in a browser that is known from then on. */
  const registered = async () => {
    const visitor = createVisitor(server());
    const person = newPerson();
    await visitor.send(await visitor.open('/account/register'), person);
    return { visitor, person };
  };
  const signIn = async (visitor: Visitor, login: string, password: string): Promise<Page> =>
    visitor.send(await visitor.open('/account'), { login, password });
  const statuses = async (send: () => Promise<Page>): Promise<readonly number[]> => {
    const found: number[] = [];
    for (let n = 0; n <= MAX_FAILURES; n += 1) found.push((await send()).status);
    return found;
  };

  describe('the form', () => {
    test('answers a name that nobody has as one that somebody has, at each of seven guesses', async () => {
      const { person } = await registered();
      const disabled = (await registered()).person;
      await server().administration.users.lock(disabled.username);
      const logins = [person.username, disabled.username, newPerson().username, newPerson().email];
      const pages: object[][] = [];
      for (const login of logins) {
        const visitor = createVisitor(server());
        const answers: object[] = [];
        for (let n = 0; n < 7; n += 1) answers.push(seen(await signIn(visitor, login, WRONG), login));
        pages.push(answers);
      }
      for (const answers of pages) expect(answers).toEqual(pages[0]);
      expect(pages[0]).toMatchObject([401, 401, 401, 401, 401, 423, 423].map((status) => ({ status })));
    });

    test('makes at most five of 100 guesses at once, whatever the name, on two instances', async () => {
      const { person } = await registered();
      const { origin } = await server().startInstance();
      for (const login of [person.username, newPerson().username]) {
        const visitors = [createVisitor(server()), createVisitor(server(), origin)] as const;
        const pages = await Promise.all(visitors.map((visitor) => visitor.open('/account')));
        const answers = await Promise.all(
          Array.from({ length: 100 }, (_, n) => {
            const [visitor, page] = n % 2 === 0 ? [visitors[0], pages[0]] : [visitors[1], pages[1]];
            if (page === undefined) throw new Error('the page was not opened');
            return visitor.send(page, { login, password: `guess ${n}` });
          }),
        );
        const made = answers.filter(({ status }) => status === 401).length;
        expect([1, 2, 3, 4, 5]).toContain(made);
        // A server that is held up for long refuses some untried.
        const refused = answers.filter(({ status }) => status === 423 || status === 503);
        expect(refused).toHaveLength(100 - made);
        expect((await signIn(createVisitor(server()), login, PASSWORD)).status).toBe(423);
      }
    });
  });

  test('a sign-in gives the browser another session: an id that somebody knew before it is worth nothing', async () => {
    const { person } = await registered();
    const fields = { login: person.username, password: PASSWORD };
    const owner = createVisitor(server());
    const page = await owner.open('/account');
    await owner.send(page, fields);
    const thief = createVisitor(server(), server().origin, owner.cookies());
    expect((await thief.open('/account')).html).toContain(person.email);
    expect((await owner.send(page, fields)).html).toContain(person.email);
    expect((await thief.open('/account')).html).not.toContain(person.email);
  });

  test('a refusal takes its time, whoever is asked for and whatever made the hash', async () => {
    const least = 120;
    const { origin } = await server().startInstance({ refusalMs: least });
    const { person } = await registered();
    const imported = newPerson();
    const { users } = server().administration;
    const { username, email } = imported;
    await users.create({ username, email, password_hash: bcrypt.hashSync(PASSWORD, 4) }, null);
    const visitor = createVisitor(server(), origin);
    for (const login of [person.username, newPerson().username, imported.username]) {
      for (let n = 0; n <= MAX_FAILURES; n += 1) {
        const page = await visitor.open('/account');
        const startedAt = performance.now();
        await visitor.send(page, { login, password: WRONG });
        expect(performance.now() - startedAt).toBeGreaterThanOrEqual(least - 1); // a timer may be early by one
      }
    }
  });

  test('a stranger cannot lock a known device out, and is not let in by it', async () => {
    const { visitor: owner, person } = await registered();
    await owner.send(await owner.open('/account'), {}, '/account/sign-out');
    const stranger = createVisitor(server());
    expect(await statuses(() => signIn(stranger, person.email, WRONG))).toEqual([
      401, 401, 401, 401, 401, 423,
    ]);
    expect((await signIn(owner, person.username, PASSWORD)).html).toContain(person.username);
    expect((await signIn(stranger, person.username, PASSWORD)).status).toBe(423);
    // The cookie is of one account, and of a browser that signed in: another's, or a made up one, is a stranger's.
    const { visitor: other, person: another } = await registered();
    await other.send(await other.open('/account'), {}, '/account/sign-out');
    expect((await signIn(other, person.username, PASSWORD)).status).toBe(423);
    expect((await signIn(other, another.username, PASSWORD)).status).toBe(200);
  });

  describe.each([
    ['a change of the password', '/account/password', { newPassword: 'An0ther-Secret!' }],
    ['a change of the address', '/account', { email: 'new@example.com' }],
    ['the end of the account', '/account/data', {}],
  ])('%s', (_name, path, fields) => {
    const action =
      path === '/account/password' ? path : path === '/account' ? '/account/email' : '/account/delete';

    test('locks after five wrong passwords, also for the right one and at the form of that browser', async () => {
      const { visitor, person } = await registered();
      const page = await visitor.open(path);
      const all = { ...fields, ...(action === '/account/delete' && { confirmation: person.username }) };
      const send = (currentPassword: string) => visitor.send(page, { ...all, currentPassword }, action);
      expect(await statuses(() => send(WRONG))).toEqual([401, 401, 401, 401, 401, 423]);
      const locked = await send(PASSWORD);
      expect(locked.status).toBe(423);
      expect(Date.parse(locked.headers.get('Retry-After') ?? '')).toBeGreaterThan(Date.now() + 1_700_000);
      await visitor.send(await visitor.open('/account'), {}, '/account/sign-out');
      expect((await signIn(visitor, person.username, PASSWORD)).status).toBe(423);
      // It is this browser's lock: the owner gets in elsewhere, and by the link of a forgotten password.
      expect((await signIn(createVisitor(server()), person.username, PASSWORD)).status).toBe(200);
    });
  });

  test('the device page lets nobody in whose account is locked', async () => {
    const { person } = await registered();
    const stranger = createVisitor(server());
    await statuses(() => signIn(stranger, person.username, WRONG));
    const userCode = await beginDevice();
    const visitor = createVisitor(server());
    const confirm = await visitor.send(await visitor.open('/device'), { user_code: userCode });
    const page = await visitor.send(confirm, { confirm: 'yes' });
    expect(page.path).toMatch(/^\/interaction\//);
    expect(await visitor.send(page, { login: person.username, password: PASSWORD })).toMatchObject({
      status: 423,
    });
    await server().administration.users.unlock(person.username);
    const next = await visitor.send(page, { login: person.username, password: PASSWORD });
    expect([next.status, next.html.includes(person.username)]).toEqual([200, true]);
  });

  test('an administrator unlocks the account and every device of it', async () => {
    const { visitor, person } = await registered();
    await visitor.send(await visitor.open('/account'), {}, '/account/sign-out');
    const stranger = createVisitor(server());
    for (const browser of [visitor, stranger]) {
      expect(await statuses(() => signIn(browser, person.username, WRONG))).toEqual([
        401, 401, 401, 401, 401, 423,
      ]);
    }
    await server().administration.users.unlock(person.username);
    for (const browser of [visitor, stranger]) {
      expect((await signIn(browser, person.username, PASSWORD)).status).toBe(200);
    }
  });

  /** Gives the code that a device shows. */
  const beginDevice = async (): Promise<string> => {
    const id = `tv-${randomBytes(4).toString('hex')}`;
    await apply(server().administration, {
      clients: [
        {
          client_id: id,
          redirect_uris: [],
          grant_types: ['urn:ietf:params:oauth:grant-type:device_code'],
          token_endpoint_auth_method: 'none',
          scope: 'openid',
        },
      ],
    });
    const begun = await json(
      await server().request('/device/auth', form({ client_id: id, scope: 'openid' })),
    );
    return String(begun['user_code']);
  };
});
