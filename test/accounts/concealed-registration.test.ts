/** Registration that tells nobody who has an account, over HTTP, on both stores: one page, and the rest by mail. */
import { expect, test } from '@jest/globals';
import { randomBytes } from 'node:crypto';

import { apply } from '../support/clients.ts';
import { lastMail } from '../support/mail.ts';
import { describeOnBothStores, startTestServer, useTestServer } from '../support/server.ts';
import { createVisitor } from '../support/visitor.ts';
import type { Page, Visitor } from '../support/visitor.ts';

const PASSWORD = 'Tr0ub4dor&3x';

interface Person {
  readonly username: string;
  readonly email: string;
  readonly password: string;
}

const newPerson = (): Person => {
  const username = `p${randomBytes(6).toString('hex')}`;
  return { username, email: `${username}@example.com`, password: PASSWORD };
};

describeOnBothStores('registration.conceal', (store) => {
  const server = useTestServer(store, { REGISTRATION_CONCEAL: 'on' });

  const register = async (person: object, visitor = createVisitor(server())): Promise<Page> =>
    visitor.send(await visitor.open('/account/register'), { ...person });
  const signIn = async (person: Person, visitor: Visitor = createVisitor(server())): Promise<Page> =>
    visitor.send(await visitor.open('/account'), { login: person.username, password: person.password });
  /** Somebody with an account whose address is proven. */
  const registered = async (): Promise<Person> => {
    const person = newPerson();
    expect((await register(person)).status).toBe(202);
    const visitor = createVisitor(server());
    await visitor.send(await visitor.open((await lastMail(server(), person.email, 'Confirm')).link), {});
    return person;
  };
  const registrations = (): number => server().logs().split('"account_registered"').length;
  const seen = ({ status, html, headers }: Page, { email }: Person): object => ({
    status,
    html: html.replaceAll(email, 'ADDRESS'),
    headers: [...headers.keys()].sort(),
  });

  test('answers alike whether name and address are free or taken, in any case, and signs nobody in', async () => {
    const taken = await registered();
    const free = newPerson();
    const first = seen(await register(free), free);
    expect(first).toMatchObject({ status: 202 });
    for (const person of [
      { ...newPerson(), username: taken.username.toUpperCase() },
      { ...newPerson(), email: taken.email.toUpperCase() },
      taken,
      free,
    ]) {
      const visitor = createVisitor(server());
      expect(seen(await register(person, visitor), person)).toEqual(first);
      expect([...visitor.cookies().keys()]).toEqual(['portcullis_browser']);
      expect((await visitor.open('/account')).html).toContain('Keep me signed in');
    }
  });

  test('tells by mail which it was: to the owner, to whoever chose a taken name, and with a link to a new person', async () => {
    const taken = await registered();
    const again = newPerson();
    await register({ ...again, email: taken.email });
    expect((await lastMail(server(), taken.email, 'You have an account')).text).toContain(taken.username);
    await register({ ...again, username: taken.username });
    const mail = await lastMail(server(), again.email, 'is taken');
    expect(mail.link).toBe('/account/register');
    await register(again);
    expect((await lastMail(server(), again.email, 'Confirm')).link).toContain('/account/verify?token=');
  });

  test('lets nobody in before the address is proven, and says no more than for a wrong password', async () => {
    const person = newPerson();
    await register(person);
    const stranger = newPerson();
    const [early, unknown] = [await signIn(person), await signIn(stranger)];
    const plain = ({ html }: Page, { username }: Person): string =>
      html.replaceAll(username, 'NAME').replaceAll(/name="csrf" value="[^"]*"/g, '');
    expect(early.status).toBe(401);
    expect(plain(early, person)).toBe(plain(unknown, stranger));
    const visitor = createVisitor(server());
    await visitor.send(await visitor.open((await lastMail(server(), person.email, 'Confirm')).link), {});
    expect((await signIn(person)).html).toContain('Sign out');
  });

  test('lets somebody in for whom an administrator made the account, their address proven or not', async () => {
    const users = [newPerson(), newPerson()] as const;
    const { administration } = server();
    await administration.users.create(users[0], null);
    await apply(administration, { users: [users[1]] });
    for (const person of users) {
      expect(await administration.users.show(person.username)).toMatchObject({ email_verified: false });
      expect((await signIn(person)).html).toContain('Sign out');
      await administration.users.update(person.username, { full_name: 'Ada' });
      expect((await signIn(person)).html).toContain('Sign out');
    }
  });

  test('proves the address also by the link of a forgotten password', async () => {
    const person = newPerson();
    await register(person);
    const visitor = createVisitor(server());
    await visitor.send(await visitor.open('/account/forgot'), { email: person.email });
    const { link } = await lastMail(server(), person.email, 'Choose a new password');
    await visitor.send(await visitor.open(link), { newPassword: 'An0ther-Secret!' });
    expect((await signIn({ ...person, password: 'An0ther-Secret!' })).html).toContain('Sign out');
  });

  test('still tells what is wrong with the input', async () => {
    const taken = await registered();
    for (const person of [
      { ...taken, password: 'short' },
      { ...newPerson(), username: 'x' },
      { ...taken, email: 'no' },
    ]) {
      expect((await register(person)).status).toBe(400);
    }
  });

  test('makes one account of twenty registrations of one name at once', async () => {
    const person = newPerson();
    const visitor = createVisitor(server());
    const page = await visitor.open('/account/register');
    const before = registrations();
    const answers = await Promise.all(
      Array.from({ length: 20 }, (_, n) => visitor.send(page, { ...person, email: `${n}.${person.email}` })),
    );
    expect(answers.map(({ status }) => status)).toEqual(answers.map(() => 202));
    const { users } = server().administration;
    expect((await users.show(person.username)).email).toMatch(new RegExp(`^\\d+\\.${person.email}$`));
    expect(registrations() - before).toBe(1);
  });
});

describeOnBothStores('without registration.conceal', (store) => {
  test('an address need not be proven, and a taken name is told', async () => {
    const server = await startTestServer(store);
    try {
      const visitor = createVisitor(server);
      const person = newPerson();
      const inside = await visitor.send(await visitor.open('/account/register'), { ...person });
      expect(inside.html).toContain('Sign out');
      const other = createVisitor(server);
      const again = await other.send(await other.open('/account/register'), { ...person });
      expect(again.status).toBe(409);
    } finally {
      await server.stop();
    }
  });
});
