/** Mailed links, on both stores: of one use, of one purpose, the newest only, and no help to who guesses addresses. */
import { expect, test } from '@jest/globals';
import { hash } from 'node:crypto';

import { describeOnBothStores } from '../support/server.ts';
import { IP, ISSUER, NEXT_PASSWORD, PASSWORD, useWorld } from './world.ts';

const INVALID = { ok: false, reason: 'invalid_token' };

describeOnBothStores('a forgotten password', (kind) => {
  const world = useWorld(kind);
  const reset = (token: string, password: string = NEXT_PASSWORD) =>
    world().recovery.resetPassword({ token, password, ip: IP, locale: 'de' });

  test('is replaced by a link, made of the issuer, that ends every session and the lock', async () => {
    const { recovery, newAccount, signIn, mails, lastToken, ended, told } = world();
    const { id, username, email } = await newAccount();
    for (let n = 0; n < 5; n += 1) await signIn(username, 'wrong');
    await recovery.requestReset(email.toUpperCase(), 'de');
    expect(mails.at(-1)).toEqual({
      ...{ to: email, locale: 'de', template: 'reset-password' },
      data: {
        username,
        link: expect.stringMatching(/^https:\/\/id\.example\.com\/account\/reset\?token=[\w-]{43}$/),
      },
    });
    expect(await recovery.isResetLink(lastToken())).toBe(true);
    expect(await reset(lastToken())).toMatchObject({ ok: true, account: { id, isEmailVerified: true } });
    expect(ended.at(-1)).toBe(`${id} -`);
    expect(told.at(-1)).toEqual({
      event: 'passwordChanged',
      details: { accountId: id, by: 'reset', ip: IP },
    });
    expect(mails.at(-1)).toMatchObject({
      to: email,
      template: 'changed-password',
      data: { username, ip: IP },
    });
    expect(await signIn(username, NEXT_PASSWORD)).toMatchObject({ ok: true });
    expect(await signIn(username, PASSWORD)).toMatchObject({ ok: false });
  });

  test('link is good once, of ten who follow it at once for one', async () => {
    const { recovery, newAccount, lastToken } = world();
    const { email } = await newAccount();
    await recovery.requestReset(email, 'en');
    const token = lastToken();
    const outcomes = await Promise.all(
      Array.from({ length: 10 }, (_, n) => reset(token, `${NEXT_PASSWORD} number ${n}`)),
    );
    expect(outcomes.filter(({ ok }) => ok)).toHaveLength(1);
    expect(outcomes.filter(({ ok }) => !ok)).toEqual(Array.from({ length: 9 }, () => INVALID));
    expect(await reset(token)).toEqual(INVALID);
  });

  test('link is good for an hour, and only while it is the newest', async () => {
    const { recovery, newAccount, lastToken, advance } = world();
    const { email } = await newAccount();
    await recovery.requestReset(email, 'en');
    const older = lastToken();
    await recovery.requestReset(email, 'en');
    expect(await reset(older)).toEqual(INVALID);
    advance(3_599);
    expect(await recovery.isResetLink(lastToken())).toBe(true);
    advance(1);
    expect(await recovery.isResetLink(lastToken())).toBe(false);
    expect(await reset(lastToken())).toEqual(INVALID);
  });

  test('link stays good while its password is refused', async () => {
    const { recovery, newAccount, lastToken } = world();
    const { email } = await newAccount();
    await recovery.requestReset(email, 'en');
    const token = lastToken();
    for (const [password, code] of [
      ['short', 'password_short'],
      [PASSWORD, 'password_reused'],
      [`it is ${email} 77`, 'password_personal'],
    ] as const) {
      expect(await reset(token, password)).toMatchObject({
        reason: 'invalid',
        errors: [{ path: 'password', code }],
      });
    }
    expect(await reset(token)).toMatchObject({ ok: true });
  });

  test('link is void where the account was disabled, deleted or moved to another address', async () => {
    const { recovery, newAccount, lastToken, storage } = world();
    for (const change of ['disabled', 'deleted', 'moved'] as const) {
      const account = await newAccount();
      await recovery.requestReset(account.email, 'en');
      // On the store itself: the slice voids the links, too.
      const next = { ...account, version: 2 };
      if (change === 'disabled') await storage.accounts.replace({ ...next, status: 'disabled' });
      if (change === 'deleted') await storage.accounts.delete(account.id);
      if (change === 'moved') await storage.accounts.replace({ ...next, email: `x.${account.email}` });
      expect(await reset(lastToken())).toEqual(INVALID);
    }
  });

  test.each(['', 'x', 'x'.repeat(43), 'x'.repeat(5_000), '../../etc/passwd', '{"$ne":null}'])(
    'link of a token that was never made is void: %j',
    async (token) => {
      expect(await reset(token)).toEqual(INVALID);
      expect(await world().recovery.verifyEmail(token, 'en')).toEqual(INVALID);
    },
  );

  test('link is no link of another purpose', async () => {
    const { recovery, newAccount, lastToken } = world();
    const account = await newAccount();
    await recovery.requestReset(account.email, 'en');
    expect(await recovery.isVerificationLink(lastToken())).toBe(false);
    expect(await recovery.verifyEmail(lastToken(), 'en')).toEqual(INVALID);
    await recovery.requestVerification(account, 'en');
    expect(await recovery.isResetLink(lastToken())).toBe(false);
    expect(await reset(lastToken())).toEqual(INVALID);
  });

  test('is not told from an address that nobody has: the same answer, the same writes, and no mail', async () => {
    const { recovery, newAccount, accounts, mails } = world();
    const [known, disabled] = [await newAccount(), await newAccount()];
    await accounts.setStatus(disabled.id, 'disabled');
    const sent = mails.length;
    for (const email of ['ghost@example.com', disabled.email, 'no address', '', 'a@b.c\r\nBcc: d@e.f']) {
      await recovery.requestReset(email, 'en');
    }
    expect(mails).toHaveLength(sent);
    await recovery.requestReset(known.email, 'en');
    expect(mails).toHaveLength(sent + 1);
  });

  test('sends five mails an hour to one address, and leaves the newest link good', async () => {
    const { recovery, newAccount, mails, lastToken, advance } = world();
    const { email } = await newAccount();
    const sent = mails.length;
    for (let n = 0; n < 9; n += 1) await recovery.requestReset(email, 'en');
    expect(mails).toHaveLength(sent + 5);
    expect(await recovery.isResetLink(lastToken())).toBe(true);
    advance(3_600);
    await recovery.requestReset(email, 'en');
    expect(mails).toHaveLength(sent + 6);
  });

  test('link is found by the digest of its token only', async () => {
    const { recovery, newAccount, lastToken, storage, now } = world();
    await recovery.requestReset((await newAccount()).email, 'en');
    const digest = hash('sha256', lastToken(), 'base64url');
    expect(await storage.oneTimeTokens.find('reset-password', lastToken(), now())).toBeNull();
    expect(await storage.oneTimeTokens.find('reset-password', digest, now())).not.toBeNull();
    expect(await recovery.isResetLink(digest)).toBe(false);
  });
});

describeOnBothStores('an address', (kind) => {
  const world = useWorld(kind);

  test('is proven by its link, once', async () => {
    const { recovery, newAccount, accounts, mails, lastToken } = world();
    const account = await newAccount();
    await recovery.requestVerification(account, 'de');
    const { username, email, id } = account;
    const link = `${ISSUER}/account/verify?token=${lastToken()}`;
    expect(mails.at(-1)).toEqual({
      to: email,
      locale: 'de',
      template: 'verify-email',
      data: { username, link },
    });
    expect(await recovery.verifyEmail(lastToken(), 'de')).toMatchObject({ ok: true, account: { id } });
    expect(await accounts.find(id)).toMatchObject({ isEmailVerified: true, email });
    expect(await recovery.verifyEmail(lastToken(), 'de')).toEqual(INVALID);
    const sent = mails.length;
    await recovery.requestVerification({ ...account, isEmailVerified: true }, 'de');
    await recovery.resendVerification(email, 'de');
    expect(mails).toHaveLength(sent);
  });

  test('gets its link again by being named, for a day', async () => {
    const { recovery, newAccount, lastToken, advance } = world();
    const { email } = await newAccount();
    await recovery.resendVerification(email, 'en');
    const token = lastToken();
    advance(86_399);
    expect(await recovery.isVerificationLink(token)).toBe(true);
    advance(1);
    expect(await recovery.verifyEmail(token, 'en')).toEqual(INVALID);
  });

  test('is not proven by a link that was sent to another one', async () => {
    const { recovery, newAccount, storage, lastToken } = world();
    const account = await newAccount();
    await recovery.requestVerification(account, 'en');
    const [email, emailKey] = [`x.${account.email}`, `x.${account.emailKey}`];
    await storage.accounts.replace({ ...account, email, emailKey, version: 2 });
    expect(await recovery.verifyEmail(lastToken(), 'en')).toEqual(INVALID);
    expect(await storage.accounts.find(account.id)).toMatchObject({ isEmailVerified: false });
  });

  test('that somebody registers with again is told so, where an account has it', async () => {
    const { recovery, newAccount, mails } = world();
    const { email, username } = await newAccount();
    const taken = { ok: false, reason: 'email_taken' } as const;
    await recovery.tellRegistered(taken, { username: 'another', email }, 'en');
    const data = { username, when: expect.any(String) };
    expect(mails.at(-1)).toEqual({ to: email, locale: 'en', template: 'already-registered', data });
    const sent = mails.length;
    await recovery.tellRegistered(taken, { username: 'another', email: 'no address' }, 'en');
    expect(mails).toHaveLength(sent);
  });

  test('is told that a username was taken, where it is nobody’s yet, five times an hour', async () => {
    const { recovery, newAccount, mails } = world();
    const { username } = await newAccount();
    const taken = { ok: false, reason: 'username_taken' } as const;
    const sent = mails.length;
    for (let n = 0; n < 7; n += 1) {
      await recovery.tellRegistered(taken, { username, email: 'Ghost@example.com' }, 'de');
    }
    expect(mails).toHaveLength(sent + 5);
    const link = `${ISSUER}/account/register`;
    const data = { username, when: expect.any(String), link };
    const mail = { to: 'Ghost@example.com', locale: 'de', template: 'username-taken', data };
    expect(mails.at(-1)).toEqual(mail);
  });
});
