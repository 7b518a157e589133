/** Signing in and the lockout, on both stores: what a stranger can see, and how often a password can be tried. */
import { expect, test } from '@jest/globals';

import bcrypt from 'bcryptjs';

import {
  accountSubject,
  createLockout,
  deviceSubject,
  judgeAttempt,
  nameSubject,
} from '../../src/accounts/lockout.ts';
import { createPasswordHasher } from '../../src/accounts/passwords.ts';
import type { PasswordHasher } from '../../src/accounts/passwords.ts';
import type { CounterStore } from '../../src/storage/port.ts';
import { describeOnBothStores } from '../support/server.ts';
import { IP, NEXT_PASSWORD, PASSWORD, useWorld } from './world.ts';
import type { World } from './world.ts';

const REFUSED = { ok: false, reason: 'refused' };

test('an attempt is one of five, the fifth is the last', () => {
  expect([1, 4, 5, 6, 100].map(judgeAttempt)).toEqual(['fine', 'fine', 'last', 'too many', 'too many']);
});

const fail = async ({ signIn }: World, login: string, times: number): Promise<void> => {
  for (let n = 0; n < times; n += 1) expect(await signIn(login, 'wrong')).toEqual(REFUSED);
};

/** Signs in with a hasher that counts the passwords that it looks at. */
function counting({ hasher, signInWith }: World): { signIn: World['signIn']; evaluated: () => number } {
  let evaluated = 0;
  const verify: PasswordHasher['verify'] = (...args) => {
    evaluated += 1;
    return hasher.verify(...args);
  };
  return { signIn: signInWith({ ...hasher, verify }), evaluated: () => evaluated };
}

describeOnBothStores('signing in', (kind) => {
  const world = useWorld(kind);

  test('takes the username and the address in any spelling, and tells who it is', async () => {
    const { signIn, newAccount, told } = world();
    const account = await newAccount();
    for (const login of [
      account.username,
      account.username.toUpperCase(),
      ` ${account.username}`,
      account.email,
      account.email.toUpperCase(),
    ]) {
      expect(await signIn(login, PASSWORD)).toEqual({ ok: true, account });
    }
    expect(told.at(-1)).toEqual({ event: 'signedIn', details: { accountId: account.id, ip: IP } });
  });

  test('refuses unknown, wrong, disabled and without a password alike, and records which it was', async () => {
    const { signIn, newAccount, newName, accounts, told } = world();
    const [known, disabled] = [await newAccount(), await newAccount()];
    await accounts.setStatus(disabled.id, 'disabled');
    const name = newName();
    const [email, fullName] = [`${name}@example.com`, null];
    const made = await accounts.create({
      ...{ username: name, email, fullName, isEmailVerified: true, roles: {}, status: 'active' },
      credential: { kind: 'none' },
    });
    expect(made.ok).toBe(true);
    for (const [login, password, reason] of [
      ['nobody', PASSWORD, 'unknown'],
      ['nobody@example.com', PASSWORD, 'unknown'],
      ['x'.repeat(1_000), PASSWORD, 'unknown'],
      ['', '', 'unknown'],
      [known.username, 'wrong', 'wrong_password'],
      [known.username, '', 'wrong_password'],
      [disabled.username, PASSWORD, 'disabled'],
      [name, '', 'wrong_password'],
    ] as const) {
      expect(await signIn(login, password)).toEqual(REFUSED);
      expect(told.at(-1)).toMatchObject({ event: 'signInRefused', details: { reason } });
    }
  });

  test('looks at a password once for each of them, whoever is asked for', async () => {
    const { newAccount, accounts } = world();
    const [known, disabled] = [await newAccount(), await newAccount()];
    await accounts.setStatus(disabled.id, 'disabled');
    for (const login of ['nobody-at-all', known.username, disabled.username]) {
      const { signIn, evaluated } = counting(world());
      expect(await signIn(login, 'wrong')).toEqual(REFUSED);
      expect(evaluated()).toBe(1);
    }
  });

  test('makes the hash of another system anew, once, and leaves version and history in order', async () => {
    const { signIn, accounts, newName, storage } = world();
    const name = newName();
    const hash = bcrypt.hashSync(PASSWORD, 4);
    const made = await accounts.create({
      ...{ username: name, email: `${name}@example.com`, fullName: null, isEmailVerified: true, roles: {} },
      ...{ status: 'active', credential: { kind: 'hash', hash } },
    });
    if (!made.ok) throw new Error(made.reason);
    expect(await signIn(name, 'wrong')).toEqual(REFUSED);
    expect(await storage.accounts.find(made.account.id)).toEqual(made.account);
    const outcomes = await Promise.all(Array.from({ length: 4 }, () => signIn(name, PASSWORD)));
    expect(outcomes.map(({ ok }) => ok)).toEqual([true, true, true, true]);
    const after = await storage.accounts.find(made.account.id);
    expect(after?.passwordHash).toMatch(/^\$argon2id\$/);
    expect(after).toMatchObject({ version: 2, passwordHistory: [] });
    await signIn(name, PASSWORD);
    expect((await storage.accounts.find(made.account.id))?.version).toBe(2);
  });

  test('lets in nobody who was disabled, deleted or given another password while the hash was computed', async () => {
    const { newAccount, accounts, hasher, signInWith } = world();
    for (const change of [
      (id: string) => accounts.setStatus(id, 'disabled'),
      (id: string) => accounts.remove(id),
      (id: string) => accounts.setPassword(id, NEXT_PASSWORD),
    ]) {
      const { id, username } = await newAccount();
      const verify: PasswordHasher['verify'] = async (...args) => {
        const verdict = await hasher.verify(...args);
        await change(id);
        return verdict;
      };
      expect(await signInWith({ ...hasher, verify })(username, PASSWORD)).toEqual(REFUSED);
    }
  });

  test('refuses a password of more than 256 characters without counting it', async () => {
    const { signIn, newAccount } = world();
    const { username } = await newAccount();
    for (let n = 0; n < 7; n += 1) {
      await expect(signIn(username, 'x'.repeat(257))).rejects.toMatchObject({ code: 'invalid_request' });
    }
    expect(await signIn(username, PASSWORD)).toMatchObject({ ok: true });
  });
});

describeOnBothStores('the lockout', (kind) => {
  const world = useWorld(kind);

  test('comes with the fifth failure in a row and lasts for 30 minutes from it, also for the right password', async () => {
    const { signIn, newAccount, now, advance, told, mails } = world();
    const { username, id, email } = await newAccount();
    await fail(world(), username, 4);
    advance(600);
    expect(told.filter(({ event }) => event === 'accountLocked')).toEqual([]);
    await fail(world(), username, 1);
    const untilAt = now() + 1_800;
    expect(told.filter(({ event }) => event === 'accountLocked')).toEqual([
      { event: 'accountLocked', details: { accountId: id, ip: IP } },
    ]);
    expect(mails.at(-1)).toMatchObject({ to: email, template: 'account-locked', data: { username, ip: IP } });
    advance(1_799);
    expect(await signIn(username, PASSWORD)).toEqual({ ok: false, reason: 'locked', untilAt });
    expect(told.at(-1)).toMatchObject({ event: 'signInRefused', details: { reason: 'locked' } });
    advance(1);
    expect(await signIn(username, PASSWORD)).toMatchObject({ ok: true });
  });

  test('begins a row anew when it ends, so that the next failure does not lock again', async () => {
    const { signIn, newAccount, advance } = world();
    const { username } = await newAccount();
    await fail(world(), username, 5);
    for (let n = 0; n < 8; n += 1)
      expect(await signIn(username, 'wrong')).toMatchObject({ reason: 'locked' });
    advance(1_800);
    await fail(world(), username, 4);
    expect(await signIn(username, PASSWORD)).toMatchObject({ ok: true });
    await fail(world(), username, 4);
    expect(await signIn(username, PASSWORD)).toMatchObject({ ok: true });
  });

  test('is of the account under any of its names', async () => {
    const { signIn, newAccount } = world();
    const { username, email } = await newAccount();
    await fail(world(), username, 2);
    await fail(world(), email.toUpperCase(), 2);
    await fail(world(), username.toUpperCase(), 1);
    expect(await signIn(email, PASSWORD)).toMatchObject({ ok: false, reason: 'locked' });
  });

  test('is of a name that nobody has, too, in any spelling, and mails nobody', async () => {
    const { signIn, now, mails, told } = world();
    const sent = mails.length;
    await fail(world(), 'ghost@example.com', 3);
    await fail(world(), 'GHOST@example.com', 2);
    const untilAt = now() + 1_800;
    expect(await signIn('ghost@EXAMPLE.com', PASSWORD)).toEqual({ ok: false, reason: 'locked', untilAt });
    expect(await signIn('ghost', PASSWORD)).toEqual(REFUSED);
    expect(mails).toHaveLength(sent);
    expect(told).toContainEqual({ event: 'accountLocked', details: { accountId: null, ip: IP } });
  });

  test('locks a disabled account as any other, and mails nobody', async () => {
    const { signIn, newAccount, accounts, mails } = world();
    const { username, id } = await newAccount();
    await accounts.setStatus(id, 'disabled');
    const sent = mails.length;
    for (let n = 0; n < 5; n += 1) expect(await signIn(username, PASSWORD)).toEqual(REFUSED);
    expect(await signIn(username, PASSWORD)).toMatchObject({ reason: 'locked' });
    expect(mails).toHaveLength(sent);
  });

  test.each(['an account', 'nobody'])('makes at most five of 100 guesses at once, at %s', async (whose) => {
    const { newAccount, newName, advance } = world();
    const login = whose === 'nobody' ? newName() : (await newAccount()).username;
    for (let round = 0; round < 3; round += 1) {
      const { signIn, evaluated } = counting(world());
      const outcomes = await Promise.all(Array.from({ length: 100 }, (_, n) => signIn(login, `guess ${n}`)));
      const made = evaluated();
      expect([1, 2, 3, 4, 5]).toContain(made);
      expect(outcomes.filter((outcome) => !outcome.ok && outcome.reason === 'refused')).toHaveLength(made);
      expect(await signIn(login, PASSWORD)).toMatchObject({ reason: 'locked' });
      expect(evaluated()).toBe(made);
      advance(1_800);
    }
    await fail(world(), login, 4);
    const { signIn } = world();
    expect((await signIn(login, PASSWORD)).ok).toBe(whose !== 'nobody');
  });

  test('does not come of one person who signs in many times at once, and stays for nobody', async () => {
    const { signIn, newAccount, told } = world();
    const { username, id } = await newAccount();
    const outcomes = await Promise.all(Array.from({ length: 20 }, () => signIn(username, PASSWORD)));
    expect(outcomes.filter(({ ok }) => ok).length).toBeGreaterThanOrEqual(5);
    expect(told).not.toContainEqual({ event: 'accountLocked', details: { accountId: id, ip: IP } });
    expect(await signIn(username, PASSWORD)).toMatchObject({ ok: true });
  });

  test('comes also where the process that made the fifth attempt died before it could tell', async () => {
    const { signIn, newAccount, lockout, advance, now } = world();
    const { username, id } = await newAccount();
    for (let n = 1; n <= 5; n += 1) {
      expect(await lockout.admit(accountSubject(id))).toMatchObject({ ok: true, attempt: n });
    }
    expect(await signIn(username, PASSWORD)).toEqual({ ok: false, reason: 'locked', untilAt: now() + 1_800 });
    advance(10);
    const untilAt = now() + 1_800;
    expect(await signIn(username, PASSWORD)).toEqual({ ok: false, reason: 'locked', untilAt });
    advance(1_799);
    expect(await signIn(username, PASSWORD)).toEqual({ ok: false, reason: 'locked', untilAt });
    advance(1);
    expect(await signIn(username, PASSWORD)).toMatchObject({ ok: true });
  });

  test('of strangers does not keep the owner out at a known device, which locks by itself', async () => {
    const { signIn, newAccount, mails, lockout } = world();
    const { username, id } = await newAccount();
    await fail(world(), username, 5);
    expect(await signIn(username, PASSWORD)).toMatchObject({ reason: 'locked' });
    const sent = mails.length;
    expect(await signIn(username, PASSWORD, 'laptop')).toMatchObject({ ok: true });
    expect(await signIn(username, PASSWORD)).toMatchObject({ reason: 'locked' });
    for (let n = 0; n < 5; n += 1) expect(await signIn(username, 'wrong', 'laptop')).toEqual(REFUSED);
    expect(await signIn(username, PASSWORD, 'laptop')).toMatchObject({ reason: 'locked' });
    expect(await lockout.lockedUntil(deviceSubject(id, 'laptop'))).not.toBeNull();
    expect(await signIn(username, PASSWORD, 'phone')).toMatchObject({ ok: true });
    expect(mails).toHaveLength(sent);
  });

  test('is lifted by an administrator', async () => {
    const { signIn, newAccount, lockout } = world();
    const { username, id } = await newAccount();
    await fail(world(), username, 5);
    expect(await lockout.lockedUntil(accountSubject(id))).not.toBeNull();
    await lockout.unlock(accountSubject(id));
    expect(await lockout.lockedUntil(accountSubject(id))).toBeNull();
    expect(await signIn(username, PASSWORD)).toMatchObject({ ok: true });
  });

  test('is lifted from the account and all its devices at once, as often as it comes', async () => {
    const { signIn, newAccount, lockout } = world();
    const { username, id } = await newAccount();
    const other = await newAccount();
    for (let n = 0; n < 5; n += 1) await signIn(other.username, 'wrong', 'laptop');
    for (let round = 0; round < 3; round += 1) {
      for (const device of ['laptop', 'phone', null]) {
        for (let n = 0; n < 5; n += 1) expect(await signIn(username, 'wrong', device)).toEqual(REFUSED);
        expect(await signIn(username, PASSWORD, device)).toMatchObject({ reason: 'locked' });
      }
      await lockout.unlock(accountSubject(id));
      for (const device of ['laptop', 'phone', null]) {
        expect(await signIn(username, PASSWORD, device)).toMatchObject({ ok: true });
      }
    }
    expect(await signIn(other.username, PASSWORD, 'laptop')).toMatchObject({ reason: 'locked' });
  });

  test('does not come back by an attempt that was at work while it was lifted', async () => {
    const { signIn, newAccount, lockout } = world();
    const { username, id } = await newAccount();
    for (let n = 0; n < 4; n += 1) await signIn(username, 'wrong', 'laptop');
    const admitted = await lockout.admit(deviceSubject(id, 'laptop'));
    if (!admitted.ok) throw new Error('it is locked');
    await lockout.unlock(accountSubject(id));
    expect(await lockout.failed(admitted)).toEqual({ lockedNow: true });
    expect(await signIn(username, PASSWORD, 'laptop')).toMatchObject({ ok: true });
  });

  test('counts no attempt that found the queue of passwords full', async () => {
    const { newAccount, signInWith, signIn } = world();
    const { username } = await newAccount();
    const full = createPasswordHasher({ maxAtOnce: 1, maxWaiting: 0 });
    const place = full.reserve();
    for (let n = 0; n < 7; n += 1) {
      const refusal = { code: 'overloaded', retryAfterSeconds: 2 };
      await expect(signInWith(full)(username, 'x')).rejects.toMatchObject(refusal);
    }
    place.release();
    await fail(world(), username, 4);
    expect(await signIn(username, PASSWORD)).toMatchObject({ ok: true });
  });

  test('keeps no name in its counters', async () => {
    const { storage, now } = world();
    const keys: string[] = [];
    const hit: CounterStore['hit'] = (key, ...window) => {
      keys.push(key);
      return storage.counters.hit(key, ...window);
    };
    const { admit, failed, unlock } = createLockout({ counters: { ...storage.counters, hit }, now });
    const admitted = await admit(nameSubject('somebody'));
    if (!admitted.ok) throw new Error('it is locked');
    expect(await failed({ ...admitted, attempt: 5 })).toEqual({ lockedNow: true });
    await unlock(accountSubject('somebody'));
    expect(keys).toEqual([
      expect.stringMatching(/^guesses:[\w-]{43}$/),
      expect.stringMatching(/^lock:[\w-]{43}$/),
      expect.stringMatching(/^era:[\w-]{43}$/),
    ]);
  });
});
