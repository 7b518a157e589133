/**
 * Getting back in, and proving an address: what happens by mailed links. Who asks learns nothing of who has an
 * account; who follows a link of one use is whom the address belongs to.
 */
import { digest } from '../digest.ts';
import { isAppError } from '../errors.ts';
import type { Locale } from '../i18n/locale.ts';
import { toInstant } from '../instant.ts';
import type { Account, AccountStore, OneTimePurpose, OneTimeToken } from '../storage/port.ts';
import { changeAccount, changeCredential } from './account-changes.ts';
import type { CredentialChangeOptions } from './account-changes.ts';
import type { AccountEvents } from './events.ts';
import { parseEmail } from './identity.ts';
import type { FieldFault } from './identity.ts';
import { accountSubject } from './lockout.ts';
import type { Lockout } from './lockout.ts';
import { mayMail } from './mail-limits.ts';
import type { MailLimitOptions } from './mail-limits.ts';
import { createMailedLinks } from './mailed-links.ts';
import type { MailedLinks, MailedLinksOptions } from './mailed-links.ts';
import { isReused, withPassword } from './password-history.ts';
import { judgePassword } from './password-policy.ts';
import type { PasswordHasher } from './passwords.ts';
import { passwordFault } from './registration.ts';
import type { RegisterInput, SaveOutcome } from './registration.ts';
import { isServiceAccount } from './server-role.ts';

export interface RecoveryOptions extends MailedLinksOptions, MailLimitOptions {
  readonly accounts: Pick<AccountStore, 'find' | 'findByEmail' | 'replace'>;
  readonly hasher: PasswordHasher;
  readonly lockout: Pick<Lockout, 'unlock'>;
  readonly endSessions: CredentialChangeOptions['endSessions'];
  readonly product: string;
  readonly events: AccountEvents;
}

export interface PasswordReset {
  readonly token: string;
  readonly password: string;
  readonly ip: string;
  readonly locale: Locale;
}

/** `invalid_token`: malformed, unknown, used, expired, not the newest, or the account is disabled or gone. */
export type ResetOutcome =
  | { readonly ok: true; readonly account: Account }
  | { readonly ok: false; readonly reason: 'invalid_token' }
  | { readonly ok: false; readonly reason: 'invalid'; readonly errors: readonly FieldFault[] };

export type VerificationOutcome =
  | { readonly ok: true; readonly account: Account }
  | { readonly ok: false; readonly reason: 'invalid_token' | 'email_taken' };

/** What somebody called themselves who may have an account already. */
type Registrant = Pick<RegisterInput, 'username' | 'email'>;

export type Recovery = ReturnType<typeof createRecovery>;

/** Makes the recovery. */
export function createRecovery(options: RecoveryOptions) {
  const links = createMailedLinks(options);
  return {
    /** Mails a link to set a new password, where an account has the address; the same answer, and work, otherwise. */
    requestReset: (email: string, locale: Locale): Promise<void> =>
      request('reset-password', email, locale, () => true, links, options),
    /** The same for an administrator: what strangers asked for does not hinder it. */
    mailReset: async (email: string, locale: Locale): Promise<void> => {
      const address = parseEmail(email);
      const account = address.ok ? await options.accounts.findByEmail(address.value.emailKey) : null;
      if (account === null || !isOwner(account, account.email)) return;
      await links.send({ purpose: 'reset-password', account, email: account.email, locale });
    },
    /** True for a link that would be honoured now; it stays unused. */
    isResetLink: async (token: string): Promise<boolean> =>
      (await links.find('reset-password', token)) !== null,
    /** Nobody is signed in by it; every session of the account ends, and its lock. */
    resetPassword: (reset: PasswordReset): Promise<ResetOutcome> => resetPassword(reset, links, options),
    /** Mails a link that proves the address of an account that was just made. */
    requestVerification: async (account: Account, locale: Locale): Promise<void> => {
      if (!account.isEmailVerified) await sendVerification(account, locale, links, options);
    },
    /** The same by the address alone, for whoever lost the mail; the same answer, and work, for a stranger's. */
    resendVerification: (email: string, locale: Locale): Promise<void> =>
      request('verify-email', email, locale, (account) => !account.isEmailVerified, links, options),
    isVerificationLink: async (token: string): Promise<boolean> =>
      (await links.find('verify-email', token)) !== null ||
      (await links.find('change-email', token)) !== null,
    /** Takes both links to /account/verify: the address is proven, or the new one takes the place of the old. */
    verifyEmail: (token: string, locale: Locale): Promise<VerificationOutcome> =>
      verifyEmail(token, locale, links, options),
    /** Tells by mail what a registration came to, where that is not told on the page. */
    tellRegistered: (outcome: SaveOutcome, typed: Registrant, locale: Locale): Promise<void> =>
      outcome.ok
        ? sendVerification(outcome.account, locale, links, options)
        : tellTaken(typed, locale, options),
  };
}

async function request(
  purpose: OneTimePurpose,
  typed: string,
  locale: Locale,
  isFor: (account: Account) => boolean,
  links: MailedLinks,
  options: RecoveryOptions,
): Promise<void> {
  const address = parseEmail(typed);
  if (!address.ok) return;
  const { emailKey } = address.value;
  const account = await options.accounts.findByEmail(emailKey);
  const isMeant = account !== null && isOwner(account, account.email) && isFor(account);
  if ((await mayMail(purpose, emailKey, options, isMeant)) && account !== null) {
    await links.send({ purpose, account, email: account.email, locale });
  } else {
    await links.pretend(purpose, digest(emailKey));
  }
}

async function sendVerification(
  account: Account,
  locale: Locale,
  links: MailedLinks,
  options: RecoveryOptions,
): Promise<void> {
  const { email, emailKey } = account;
  if (!(await mayMail('verify-email', emailKey, options))) return;
  await links.send({ purpose: 'verify-email', account, email, locale });
}

/** The owner of the address has an account already; to anybody else's the username was no longer to be had. */
async function tellTaken(typed: Registrant, locale: Locale, options: RecoveryOptions): Promise<void> {
  const address = parseEmail(typed.email);
  if (!address.ok) return;
  const { emailKey } = address.value;
  const owner = await options.accounts.findByEmail(emailKey);
  const template = owner === null ? 'username-taken' : 'already-registered';
  const isMeant = owner === null || owner.status === 'active';
  if (!(await mayMail(template, emailKey, options, isMeant))) return;
  const when = toInstant(options.now());
  if (owner === null) {
    const data = { username: typed.username, when, link: `${options.issuer}/account/register` };
    options.mailer.send({ to: address.value.email, locale, template, data });
  } else {
    const data = { username: owner.username, when };
    options.mailer.send({ to: owner.email, locale, template, data });
  }
}

/** The link is used up last, so that a password that is refused leaves it for a better one. */
async function resetPassword(
  { token, password, ip, locale }: PasswordReset,
  links: MailedLinks,
  options: RecoveryOptions,
): Promise<ResetOutcome> {
  const { hasher, product, now, events, lockout, mailer } = options;
  const account = await ownerOf(await links.find('reset-password', token), options);
  if (account === null) return { ok: false, reason: 'invalid_token' };
  const { username, email, id } = account;
  const fault =
    judgePassword(password, { username, email, product }) ??
    ((await isReused(hasher, account, password, null)) ? 'password_reused' : null);
  if (fault !== null) return { ok: false, reason: 'invalid', errors: [passwordFault(fault)] };
  const passwordHash = await hasher.hash(password);
  if ((await links.consume('reset-password', token)) === null) return { ok: false, reason: 'invalid_token' };
  // The mail was read, so the address is proven, too.
  const reset = (latest: Account): Account | null =>
    isOwner(latest, email) ? { ...withPassword(latest, passwordHash, now()), isEmailVerified: true } : null;
  const changed = await changeCredential(id, null, reset, options);
  if (changed === null) return { ok: false, reason: 'invalid_token' };
  await lockout.unlock(accountSubject(id));
  events.passwordChanged({ accountId: id, by: 'reset', ip });
  const data = { username, when: toInstant(now()), ip };
  mailer.send({ to: email, locale, template: 'changed-password', data });
  return { ok: true, account: changed };
}

async function verifyEmail(
  token: string,
  locale: Locale,
  links: MailedLinks,
  options: RecoveryOptions,
): Promise<VerificationOutcome> {
  const proof = await links.consume('verify-email', token);
  const account = await ownerOf(proof, options);
  if (account === null) {
    const change = proof === null ? await links.consume('change-email', token) : null;
    return change === null ? { ok: false, reason: 'invalid_token' } : moveTo(change, locale, options);
  }
  const verified = await changeAccount(
    account.id,
    (latest) => (isOwner(latest, account.email) ? { ...latest, isEmailVerified: true } : null),
    options,
  );
  return verified === null ? { ok: false, reason: 'invalid_token' } : { ok: true, account: verified };
}

/** The new address takes the place of the old one, which is told so: it may be its owner who did not ask for it. */
async function moveTo(
  { accountId, email }: OneTimeToken,
  locale: Locale,
  options: RecoveryOptions,
): Promise<VerificationOutcome> {
  const address = parseEmail(email);
  const old = await options.accounts.find(accountId);
  if (old?.status !== 'active' || !address.ok) return { ok: false, reason: 'invalid_token' };
  const moved = await withoutConflict(
    changeAccount(
      accountId,
      (latest) =>
        isOwner(latest, old.email) ? { ...latest, ...address.value, isEmailVerified: true } : null,
      options,
    ),
  );
  if (moved === 'conflict') return { ok: false, reason: 'email_taken' };
  if (moved === null) return { ok: false, reason: 'invalid_token' };
  await options.oneTimeTokens.revokeAccount(accountId);
  options.events.emailChanged({ accountId });
  if (!(await mayMail('changed-email', old.emailKey, options))) return { ok: true, account: moved };
  const data = { username: old.username, newEmail: email, when: toInstant(options.now()) };
  options.mailer.send({ to: old.email, locale, template: 'changed-email', data });
  return { ok: true, account: moved };
}

async function withoutConflict<T>(change: Promise<T>): Promise<T | 'conflict'> {
  try {
    return await change;
  } catch (error) {
    if (isAppError(error, 'conflict')) return 'conflict';
    throw error;
  }
}

/** The account that a link was for, while it is active and has the address that the link was sent to. */
async function ownerOf(token: OneTimeToken | null, { accounts }: RecoveryOptions): Promise<Account | null> {
  const account = token && (await accounts.find(token.accountId));
  return token !== null && account !== null && isOwner(account, token.email) ? account : null;
}

/** Nobody owns a service account by its address. */
const isOwner = (account: Account, email: string): boolean =>
  account.status === 'active' && account.email === email && !isServiceAccount(account);
