/** How accounts come, change and end, on both stores; what a person does with their own password and address. */
import { expect, test } from '@jest/globals';

import bcrypt from 'bcryptjs';

import type { CreateInput } from '../../src/accounts/registration.ts';
import { storeUnavailable } from '../../src/errors.ts';
import { createNameSide } from '../../src/names.ts';
import { describeOnBothStores } from '../support/server.ts';
import { newApiKey } from '../storage/races.ts';
import { IP, NEXT_PASSWORD, PASSWORD, useWorld } from './world.ts';

const THIRD_PASSWORD = 'nine green bottles on a wall';
const FOURTH_PASSWORD = 'an owl sat silently by day';

describeOnBothStores('registering', (kind) => {
  const world = useWorld(kind);
  const input = (username: string, fields: object = {}) => ({
    ...{ username, email: `${username}@example.com`, password: PASSWORD, fullName: null },
    ...fields,
  });

  test('makes an active user of this server, whose address is to be proven', async () => {
    const { accounts, newName, now, told } = world();
    const name = newName();
    const made = await accounts.register(
      input(name.toUpperCase(), { email: `${name}@Example.COM`, fullName: ' Ada ' }),
    );
    if (!made.ok) throw new Error(made.reason);
    expect(made.account).toEqual({
      id: expect.stringMatching(/^[\w-]{24}$/),
      username: name,
      email: `${name}@Example.COM`,
      emailKey: `${name}@example.com`,
      isEmailVerified: false,
      fullName: 'Ada',
      passwordHash: expect.stringMatching(/^\$argon2id\$/),
      passwordHistory: [],
      passwordChangedAt: now(),
      roles: { portcullis: 'user' },
      status: 'active',
      createdAt: now(),
      updatedAt: now(),
      version: 1,
    });
    expect(await accounts.find(made.account.id)).toEqual(made.account);
    expect(await accounts.findByLogin(name)).toEqual(made.account);
    expect(told.at(-1)).toEqual({ event: 'accountRegistered', details: { accountId: made.account.id } });
  });

  test('takes nothing that is not asked for', async () => {
    const { accounts, newName } = world();
    const extra = { id: 'mine', roles: { portcullis: 'admin' }, isEmailVerified: true, status: 'disabled' };
    const made = await accounts.register({ ...input(newName()), ...extra });
    expect(made).toMatchObject({ account: { roles: { portcullis: 'user' }, isEmailVerified: false } });
    expect(made).toMatchObject({ account: { status: 'active', id: expect.not.stringMatching(/^mine$/) } });
  });

  test('tells every fault at once, beside its field', async () => {
    const { accounts } = world();
    const faulty = { username: 'a b', email: 'nowhere', password: 'short', fullName: 'A\nB' };
    expect(await accounts.register(faulty)).toEqual({
      ok: false,
      reason: 'invalid',
      errors: [
        { path: 'username', code: 'username_malformed', message: expect.any(String) },
        { path: 'email', code: 'email_malformed', message: expect.any(String) },
        { path: 'full_name', code: 'full_name_malformed', message: expect.any(String) },
        { path: 'password', code: 'password_short', message: expect.any(String) },
      ],
    });
    expect(await accounts.register(input('p0rtcullis'))).toMatchObject({ reason: 'invalid' });
    expect(await accounts.register(input('administrator'))).toMatchObject({ reason: 'invalid' });
  });

  test('refuses a name and an address that are taken, in any spelling', async () => {
    const { accounts, newAccount, newName } = world();
    const { username, email } = await newAccount();
    const name = newName();
    const upper = username.toUpperCase();
    expect(await accounts.register(input(upper, { email: `${name}@example.com` }))).toEqual({
      ok: false,
      reason: 'username_taken',
    });
    expect(await accounts.register(input(name, { email: email.toUpperCase() }))).toEqual({
      ok: false,
      reason: 'email_taken',
    });
  });

  test('refuses the name of a service, and keeps a person’s name from services', async () => {
    const { accounts, newName, newAccount, storage } = world();
    const services = createNameSide(storage.names, 'service', []);
    const name = newName();
    expect(await services.claim(name)).toBe(true);
    expect(await accounts.register(input(name))).toEqual({ ok: false, reason: 'username_taken' });
    expect(await accounts.findByLogin(name)).toBeNull();
    expect(await services.claim((await newAccount()).username)).toBe(false);
  });

  test('gives a name, and an address, to one of twenty who ask at once', async () => {
    const { accounts, newName } = world();
    const [name, other] = [newName(), newName()];
    const outcomes = await Promise.all(
      Array.from({ length: 20 }, (_, n) =>
        accounts.register(
          n % 2 === 0
            ? input(name, { email: `${name}.${n}@example.com` })
            : input(`${other}-${n}`, { email: `${other}@example.com` }),
        ),
      ),
    );
    const reasons = outcomes.map((outcome) => (outcome.ok ? 'made' : outcome.reason)).sort();
    const nine = (reason: string) => Array.from({ length: 9 }, () => reason);
    expect(reasons).toEqual([...nine('email_taken'), 'made', 'made', ...nine('username_taken')]);
  });

  test('leaves a name free whose account could not be saved', async () => {
    const { accounts, newName, storage } = world();
    const name = newName();
    expect(await createNameSide(storage.names, 'account', []).claim(name)).toBe(true);
    expect(await accounts.register(input(name))).toMatchObject({ ok: true });
  });
});

describeOnBothStores('an administrator', (kind) => {
  const world = useWorld(kind);
  const input = (username: string, fields: Partial<CreateInput> = {}): CreateInput => ({
    ...{ username, email: `${username}@example.com`, isEmailVerified: true, fullName: null },
    ...{ credential: { kind: 'none' }, roles: {}, status: 'active' },
    ...fields,
  });

  test('makes accounts with roles, official names, and the hashes of other systems', async () => {
    const { accounts } = world();
    const roles = { portcullis: 'admin', 'vpn-node': 'manager' };
    expect(await accounts.create(input('admin', { roles }))).toMatchObject({
      ok: true,
      account: {
        username: 'admin',
        roles,
        passwordHash: null,
        passwordChangedAt: null,
        isEmailVerified: true,
      },
    });
    const hash = bcrypt.hashSync(PASSWORD, 4);
    expect(await accounts.create(input('imported', { credential: { kind: 'hash', hash } }))).toMatchObject({
      account: { passwordHash: hash, roles: { portcullis: 'user' } },
    });
  });

  test('is refused a hash that cannot be checked, a password that is too weak, and a name of the server', async () => {
    const { accounts } = world();
    const codeOf = async (...args: Parameters<typeof input>) => {
      const made = await accounts.create(input(...args));
      return made.ok || made.reason !== 'invalid' ? made : made.errors.map(({ code }) => code);
    };
    expect(await codeOf('weird1', { credential: { kind: 'hash', hash: 'md5$abc' } })).toEqual([
      'password_hash_unknown',
    ]);
    expect(await codeOf('weird2', { credential: { kind: 'password', password: 'Passw0rd!' } })).toEqual([
      'password_common',
    ]);
    expect(await codeOf('vpn-node')).toEqual(['username_reserved']);
  });

  test('changes name, address, roles and status, each leaving the rest alone', async () => {
    const { accounts, newAccount, ended, told, storage, advance, now } = world();
    const account = await newAccount();
    advance(5);
    await accounts.setFullName(account.id, 'Ada Lovelace');
    await accounts.setEmail(account.id, `New.${account.email}`, true);
    await accounts.setRoles(account.id, { portcullis: 'developer' });
    expect(await storage.accounts.find(account.id)).toEqual({
      ...account,
      ...{ fullName: 'Ada Lovelace', email: `New.${account.email}`, emailKey: `new.${account.email}` },
      ...{ isEmailVerified: true, roles: { portcullis: 'developer' }, version: 4, updatedAt: now() },
    });
    expect(await accounts.setFullName(account.id, '  ')).toMatchObject({ fullName: null });
    await accounts.setStatus(account.id, 'disabled');
    expect(ended.at(-1)).toBe(`${account.id} *`);
    const details = { accountId: account.id, status: 'disabled' };
    expect(told.at(-1)).toEqual({ event: 'accountStatusChanged', details });
    const endings = ended.length;
    expect(await accounts.setStatus(account.id, 'active')).toMatchObject({ status: 'active' });
    expect(ended).toHaveLength(endings);
  });

  test('is told of a faulty name or address, of an address that is taken, and of an account that is gone', async () => {
    const { accounts, newAccount } = world();
    const [{ id }, { email }] = [await newAccount(), await newAccount()];
    const invalid = (path: string) => ({
      code: 'invalid_request',
      errors: [expect.objectContaining({ path })],
    });
    await expect(accounts.setFullName(id, 'A\nB')).rejects.toMatchObject(invalid('full_name'));
    await expect(accounts.setEmail(id, 'nowhere', true)).rejects.toMatchObject(invalid('email'));
    await expect(accounts.setEmail(id, email, true)).rejects.toMatchObject({ code: 'conflict' });
    for (const change of [
      accounts.setFullName('gone', null),
      accounts.setEmail('gone', 'a@example.com', true),
      accounts.setRoles('gone', {}),
      accounts.setStatus('gone', 'disabled'),
      accounts.setPassword('gone', PASSWORD),
      accounts.exportData('gone'),
      accounts.remove('gone'),
    ]) {
      await expect(change).rejects.toMatchObject({ code: 'not_found' });
    }
  });

  test('sets a password by the same rules, which ends everything', async () => {
    const { accounts, newAccount, signIn, ended, told } = world();
    const { id, username } = await newAccount();
    for (const password of ['short', PASSWORD, `my name is ${username}`]) {
      const refusal = { code: 'invalid_request', errors: [expect.objectContaining({ path: 'password' })] };
      await expect(accounts.setPassword(id, password)).rejects.toMatchObject(refusal);
    }
    await accounts.setPassword(id, NEXT_PASSWORD);
    expect(ended.at(-1)).toBe(`${id} *`);
    expect(told.at(-1)).toEqual({
      event: 'passwordChanged',
      details: { accountId: id, by: 'administrator' },
    });
    expect(await signIn(username, PASSWORD)).toMatchObject({ ok: false });
    expect(await signIn(username, NEXT_PASSWORD)).toMatchObject({ ok: true });
  });

  test('loses no change of twenty at once, or is told of it', async () => {
    const { accounts, newAccount, storage } = world();
    const { id } = await newAccount();
    const outcomes = await Promise.allSettled(
      Array.from({ length: 20 }, (_, n) =>
        n % 2 === 0
          ? accounts.setFullName(id, `Name ${n}`)
          : accounts.setRoles(id, { portcullis: `role ${n}` }),
      ),
    );
    const made = outcomes.filter(({ status }) => status === 'fulfilled').length;
    expect(await storage.accounts.find(id)).toMatchObject({ version: made + 1 });
    const failed = outcomes.filter((outcome) => outcome.status === 'rejected');
    for (const { reason } of failed) expect(reason).toMatchObject({ code: 'conflict' });
  });
});

describeOnBothStores('the end of an account', (kind) => {
  const world = useWorld(kind);

  test('frees the address, ends everything, voids its links and API keys, and keeps the name for ever', async () => {
    const { accounts, newAccount, recovery, lastToken, ended, told, storage } = world();
    const { id, username, email } = await newAccount();
    await recovery.requestReset(email, 'en');
    await storage.apiKeys.create(newApiKey(`key-${id}`, { accountId: id }));
    await accounts.remove(id);
    expect(await storage.apiKeys.find(`key-${id}`)).toBeNull();
    expect(ended.at(-1)).toBe(`${id} *`);
    expect(told.at(-1)).toEqual({ event: 'accountDeleted', details: { accountId: id } });
    expect(await recovery.isResetLink(lastToken())).toBe(false);
    expect(await accounts.findByLogin(username)).toBeNull();
    expect(await storage.names.find(username)).toBe('account');
    const fields = { username, password: PASSWORD, fullName: null };
    expect(await accounts.register({ ...fields, email })).toEqual({ ok: false, reason: 'username_taken' });
    expect(await accounts.register({ ...fields, username: `${username}-2`, email })).toMatchObject({
      ok: true,
    });
    await expect(accounts.remove(id)).rejects.toMatchObject({ code: 'not_found' });
  });

  test('that was cut left nothing without an owner', async () => {
    const { accounts, newAccount, recovery, lastToken, storage } = world();
    const { id, email } = await newAccount();
    await recovery.requestReset(email, 'en');
    await storage.apiKeys.create(newApiKey(`key-${id}`, { accountId: id }));
    const { delete: deleteAccount } = storage.accounts;
    storage.accounts.delete = async (accountId) => {
      await deleteAccount(accountId);
      throw storeUnavailable(new Error('gone'));
    };
    try {
      await expect(accounts.remove(id)).rejects.toMatchObject({ code: 'store_unavailable' });
    } finally {
      storage.accounts.delete = deleteAccount;
    }
    expect(await accounts.find(id)).toBeNull();
    expect(await storage.apiKeys.find(`key-${id}`)).toBeNull();
    expect(await recovery.isResetLink(lastToken())).toBe(false);
  });

  test('never hands the name on, whenever it comes while somebody else registers with it', async () => {
    const { accounts, newAccount } = world();
    for (let round = 0; round < 15; round += 1) {
      const { id, username } = await newAccount();
      const register = (n: number) =>
        accounts.register({
          username,
          email: `${username}.${n}@example.com`,
          password: PASSWORD,
          fullName: null,
        });
      const [, ...others] = await Promise.all([accounts.remove(id), register(1), register(2), register(3)]);
      for (const other of others) expect(other).toEqual({ ok: false, reason: 'username_taken' });
      expect(await accounts.findByLogin(username)).toBeNull();
    }
  });

  test('is preceded by an export of all that is said of the person, and of nothing that signs them in', async () => {
    const { accounts, newAccount, now } = world();
    const { id, username, email } = await newAccount();
    await accounts.setFullName(id, 'Ada');
    const data = await accounts.exportData(id);
    expect(data).toEqual({
      ...{ id, username, email, isEmailVerified: false, fullName: 'Ada', roles: { portcullis: 'user' } },
      ...{ status: 'active', passwordChangedAt: now(), createdAt: now(), updatedAt: now() },
    });
    expect(JSON.stringify(data)).not.toContain('argon2');
  });
});

describeOnBothStores('changing one’s own password and address', (kind) => {
  const world = useWorld(kind);
  const by = (accountId: string, currentPassword: string = PASSWORD, device: string | null = null) => ({
    ...{ accountId, currentPassword, device, ip: IP, locale: 'de' as const },
  });
  const changeTo = (accountId: string, newPassword: string, current: string = PASSWORD) =>
    world().credentials.changePassword({ ...by(accountId, current), newPassword, exceptSessionUid: 'mine' });

  test('ends every other session, voids links, tells the person, and the old password is right no more', async () => {
    const { newAccount, signIn, ended, told, mails, recovery, lastToken } = world();
    const { id, username, email } = await newAccount();
    await recovery.requestReset(email, 'en');
    const link = lastToken();
    expect(await changeTo(id, NEXT_PASSWORD)).toEqual({ ok: true });
    expect(ended.at(-1)).toBe(`${id} mine`);
    expect(await recovery.isResetLink(link)).toBe(false);
    expect(told.at(-1)).toEqual({
      event: 'passwordChanged',
      details: { accountId: id, by: 'change', ip: IP },
    });
    const data = { username, ip: IP };
    expect(mails.at(-1)).toMatchObject({ to: email, locale: 'de', template: 'changed-password', data });
    expect(await signIn(username, PASSWORD)).toMatchObject({ ok: false });
    expect(await signIn(username, NEXT_PASSWORD)).toMatchObject({ ok: true });
  });

  test('refuses each of the last three passwords, however they are composed, and takes the fourth', async () => {
    const { newAccount, accounts } = world();
    const { id } = await newAccount();
    const umlaut = 'über sieben brücken musst du gehn';
    expect(await changeTo(id, umlaut)).toEqual({ ok: true });
    expect(await changeTo(id, NEXT_PASSWORD, umlaut)).toEqual({ ok: true });
    for (const reused of [NEXT_PASSWORD, umlaut, umlaut.normalize('NFD'), PASSWORD]) {
      expect(await changeTo(id, reused, NEXT_PASSWORD)).toMatchObject({
        reason: 'invalid',
        errors: [{ path: 'new_password', code: 'password_reused' }],
      });
    }
    expect(await changeTo(id, THIRD_PASSWORD, NEXT_PASSWORD)).toEqual({ ok: true });
    expect(await changeTo(id, PASSWORD, THIRD_PASSWORD)).toEqual({ ok: true });
    expect((await accounts.find(id))?.passwordHistory).toHaveLength(2);
  });

  test('refuses a weak password, and a wrong present one, which counts as a guess', async () => {
    const { newAccount, signIn, told, mails } = world();
    const { id, username } = await newAccount();
    expect(await changeTo(id, 'short')).toMatchObject({
      reason: 'invalid',
      errors: [{ path: 'new_password', code: 'password_short' }],
    });
    for (let n = 0; n < 5; n += 1) {
      expect(await changeTo(id, NEXT_PASSWORD, 'wrong')).toEqual({ ok: false, reason: 'wrong_password' });
    }
    expect(told).toContainEqual({ event: 'accountLocked', details: { accountId: id, ip: IP } });
    expect(mails.at(-1)).toMatchObject({ template: 'account-locked', locale: 'de' });
    expect(await changeTo(id, NEXT_PASSWORD)).toMatchObject({ ok: false, reason: 'locked' });
    expect(await signIn(username, PASSWORD)).toMatchObject({ reason: 'locked' });
    const { credentials } = world();
    expect(await credentials.confirm(by(id, PASSWORD, 'laptop'))).toMatchObject({
      ok: true,
      account: { id },
    });
  });

  test('is refused to an account that is gone or disabled', async () => {
    const { newAccount, accounts, credentials } = world();
    const { id } = await newAccount();
    await accounts.setStatus(id, 'disabled');
    for (const accountId of [id, 'gone']) {
      expect(await changeTo(accountId, NEXT_PASSWORD)).toEqual({ ok: false, reason: 'refused' });
      expect(await credentials.confirm(by(accountId))).toEqual({ ok: false, reason: 'refused' });
    }
  });

  test('is made once of several at once that know the same password', async () => {
    const { newAccount, accounts } = world();
    for (let round = 0; round < 5; round += 1) {
      const { id } = await newAccount();
      const wanted = [NEXT_PASSWORD, THIRD_PASSWORD, FOURTH_PASSWORD];
      const outcomes = await Promise.all(wanted.map((password) => changeTo(id, password)));
      expect(outcomes.filter(({ ok }) => ok)).toHaveLength(1);
      for (const outcome of outcomes) {
        if (!outcome.ok) expect(outcome).toEqual({ ok: false, reason: 'wrong_password' });
      }
      expect((await accounts.find(id))?.passwordHistory).toHaveLength(1);
    }
  });

  test('moves to a new address when its link is followed, and tells the old one', async () => {
    const { newAccount, credentials, recovery, accounts, mails, lastToken, told } = world();
    const { id, username, email } = await newAccount();
    const newEmail = `New.${email}`;
    expect(await credentials.changeEmail({ ...by(id), newEmail })).toEqual({ ok: true });
    expect(mails.at(-1)).toMatchObject({ to: newEmail, template: 'verify-email', data: { username } });
    expect(await accounts.find(id)).toMatchObject({ email });
    expect(await recovery.isVerificationLink(lastToken())).toBe(true);
    expect(await recovery.verifyEmail(lastToken(), 'de')).toMatchObject({
      ok: true,
      account: { email: newEmail, emailKey: newEmail.toLowerCase(), isEmailVerified: true },
    });
    expect(told.at(-1)).toEqual({ event: 'emailChanged', details: { accountId: id } });
    expect(mails.at(-1)).toMatchObject({
      to: email,
      template: 'changed-email',
      data: { username, newEmail },
    });
  });

  test('needs the present password and a plain address to move', async () => {
    const { newAccount, credentials, mails } = world();
    const { id } = await newAccount();
    const sent = mails.length;
    const newEmail = 'a@example.org, b@example.org';
    expect(await credentials.changeEmail({ ...by(id), newEmail })).toMatchObject({
      reason: 'invalid',
      errors: [{ path: 'email' }],
    });
    expect(await credentials.changeEmail({ ...by(id, 'wrong'), newEmail: 'a@example.org' })).toEqual({
      ok: false,
      reason: 'wrong_password',
    });
    expect(mails).toHaveLength(sent);
  });

  test('tells of an address that another has to that one only', async () => {
    const { newAccount, credentials, mails, recovery } = world();
    const [{ id }, other] = [await newAccount(), await newAccount()];
    expect(await credentials.changeEmail({ ...by(id), newEmail: other.email.toUpperCase() })).toEqual({
      ok: true,
    });
    expect(mails.at(-1)).toMatchObject({ to: other.email, template: 'already-registered' });
    expect(await recovery.isVerificationLink('x'.repeat(43))).toBe(false);
  });

  test('gives an address to the first of two who follow their links to it', async () => {
    const { newAccount, credentials, recovery, lastToken } = world();
    const tokens: string[] = [];
    for (const { id } of [await newAccount(), await newAccount()]) {
      await credentials.changeEmail({ ...by(id), newEmail: 'wanted@example.org' });
      tokens.push(lastToken());
    }
    const outcomes = await Promise.all(tokens.map((token) => recovery.verifyEmail(token, 'en')));
    expect(outcomes.filter(({ ok }) => ok)).toHaveLength(1);
    expect(outcomes).toContainEqual({ ok: false, reason: 'email_taken' });
  });

  test('does not move by a link that was sent before the password or the address changed', async () => {
    const { newAccount, credentials, recovery, accounts, lastToken } = world();
    const { id, email } = await newAccount();
    await credentials.changeEmail({ ...by(id), newEmail: `thief.${email}` });
    const first = lastToken();
    expect(await changeTo(id, NEXT_PASSWORD)).toEqual({ ok: true });
    expect(await recovery.verifyEmail(first, 'en')).toEqual({ ok: false, reason: 'invalid_token' });
    await credentials.changeEmail({ ...by(id, NEXT_PASSWORD), newEmail: `thief.${email}` });
    await accounts.setEmail(id, `safe.${email}`, true);
    expect(await recovery.verifyEmail(lastToken(), 'en')).toEqual({ ok: false, reason: 'invalid_token' });
  });
});
