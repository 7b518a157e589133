/**
 * What a signed-in person does with their own password and address. Both need the present password, which counts as
 * a guess: a session that was stolen is no way around the lockout.
 */
import { AppError } from '../errors.ts';
import type { Locale } from '../i18n/locale.ts';
import { toInstant } from '../instant.ts';
import type { Mailer } from '../mail/mailer.ts';
import type { Account, AccountStore, OneTimeTokenStore } from '../storage/port.ts';
import { changeCredential } from './account-changes.ts';
import type { CredentialChangeOptions } from './account-changes.ts';
import type { AccountEvents } from './events.ts';
import { parseEmail } from './identity.ts';
import type { FieldFault } from './identity.ts';
import { accountSubject, deviceSubject } from './lockout.ts';
import type { Lockout } from './lockout.ts';
import { mayMail } from './mail-limits.ts';
import type { MailLimitOptions } from './mail-limits.ts';
import { createMailedLinks } from './mailed-links.ts';
import { guessPassword } from './password-guess.ts';
import { isReused, isSamePassword, withPassword } from './password-history.ts';
import { judgePassword } from './password-policy.ts';
import type { PasswordHasher } from './passwords.ts';
import { passwordFault } from './registration.ts';

export interface CredentialsOptions extends MailLimitOptions {
  readonly accounts: Pick<AccountStore, 'find' | 'findByEmail' | 'replace'>;
  readonly oneTimeTokens: OneTimeTokenStore;
  readonly hasher: PasswordHasher;
  readonly lockout: Lockout;
  readonly endSessions: CredentialChangeOptions['endSessions'];
  readonly mailer: Pick<Mailer, 'send'>;
  readonly issuer: string;
  readonly product: string;
  readonly events: AccountEvents;
}

/** Who asks, and from where. */
export interface Confirmation {
  readonly accountId: string;
  readonly currentPassword: string;
  /** The id of a device that this account signed in on before; null for a stranger's. */
  readonly device: string | null;
  readonly ip: string;
  readonly locale: Locale;
}

export interface PasswordChange extends Confirmation {
  readonly newPassword: string;
  /** The session that goes on: the one that asks; null for none. */
  readonly exceptSessionUid: string | null;
}

export interface EmailChange extends Confirmation {
  readonly newEmail: string;
}

/** `refused`: the account is gone or disabled. */
export type ConfirmationRefusal =
  | { readonly ok: false; readonly reason: 'refused' | 'wrong_password' }
  | { readonly ok: false; readonly reason: 'locked'; readonly untilAt: number };

export type ChangeOutcome =
  | { readonly ok: true }
  | { readonly ok: false; readonly reason: 'invalid'; readonly errors: readonly FieldFault[] }
  | ConfirmationRefusal;

export type Credentials = ReturnType<typeof createCredentials>;

/** Makes them. Each throws `overloaded` where too many wait, `invalid_request` for a password that is too long. */
export const createCredentials = (options: CredentialsOptions) => ({
  /** Asks for the password again, before something that cannot be undone. */
  confirm: async (
    confirmation: Confirmation,
  ): Promise<{ readonly ok: true; readonly account: Account } | ConfirmationRefusal> =>
    confirm(confirmation, options),
  changePassword: async (change: PasswordChange): Promise<ChangeOutcome> => changePassword(change, options),
  /** Mails a link to the new address: the old one stays until it is followed (see recovery.verifyEmail). */
  changeEmail: async (change: EmailChange): Promise<ChangeOutcome> => changeEmail(change, options),
  /** The same for who gave the password a moment ago: signed in just now, say. Throws `invalid_request`. */
  changeEmailOfConfirmed: async (
    account: Account,
    change: Omit<EmailChange, 'currentPassword'>,
  ): Promise<void> => {
    const address = parseEmail(change.newEmail);
    if (!address.ok) throw new AppError('invalid_request', `email: ${address.fault.message}`);
    await mailNewAddress(account, address.value, change, options);
  },
});

async function confirm(
  { accountId, currentPassword, device, ip, locale }: Confirmation,
  options: CredentialsOptions,
): Promise<{ ok: true; account: Account } | ConfirmationRefusal> {
  const account = await options.accounts.find(accountId);
  if (account?.status !== 'active') return { ok: false, reason: 'refused' };
  const subject = device === null ? accountSubject(accountId) : deviceSubject(accountId, device);
  const guess = await guessPassword(
    { subject, password: currentPassword, hash: account.passwordHash, isAllowed: true },
    options,
  );
  if (guess.outcome === 'right') return { ok: true, account };
  if (guess.outcome === 'locked') return { ok: false, reason: 'locked', untilAt: guess.untilAt };
  if (guess.lockedNow) {
    options.events.accountLocked({ accountId, ip });
    if (device === null) await tell(account, { template: 'account-locked', ip, locale }, options);
  }
  return { ok: false, reason: 'wrong_password' };
}

/** Of several changes at once that know the same password one is made; for the others it is the password no more. */
async function changePassword(change: PasswordChange, options: CredentialsOptions): Promise<ChangeOutcome> {
  const { accountId, currentPassword, newPassword, exceptSessionUid, ip, locale } = change;
  const { hasher, product, now, events } = options;
  const confirmed = await confirm(change, options);
  if (!confirmed.ok) return confirmed;
  const { account } = confirmed;
  const { username, email } = account;
  const fault =
    judgePassword(newPassword, { username, email, product }) ??
    ((await isReused(hasher, account, newPassword, currentPassword)) ? 'password_reused' : null);
  if (fault !== null) {
    return { ok: false, reason: 'invalid', errors: [{ ...passwordFault(fault), path: 'new_password' }] };
  }
  const passwordHash = await hasher.hash(newPassword);
  const replaced = (latest: Account): Account | null =>
    isSamePassword(latest, account) ? withPassword(latest, passwordHash, now()) : null;
  const changed = await changeCredential(accountId, exceptSessionUid, replaced, options);
  if (changed === null) return { ok: false, reason: 'wrong_password' };
  events.passwordChanged({ accountId, by: 'change', ip });
  await tell(changed, { template: 'changed-password', ip, locale }, options);
  return { ok: true };
}

async function changeEmail(change: EmailChange, options: CredentialsOptions): Promise<ChangeOutcome> {
  const address = parseEmail(change.newEmail);
  if (!address.ok) return { ok: false, reason: 'invalid', errors: [address.fault] };
  const confirmed = await confirm(change, options);
  if (!confirmed.ok) return confirmed;
  await mailNewAddress(confirmed.account, address.value, change, options);
  return { ok: true };
}

/** Whether the address is another account's is told to whoever reads its mails, and to nobody else. */
async function mailNewAddress(
  account: Account,
  { email, emailKey }: { readonly email: string; readonly emailKey: string },
  { ip, locale }: Pick<EmailChange, 'ip' | 'locale'>,
  options: CredentialsOptions,
): Promise<void> {
  const holder = await options.accounts.findByEmail(emailKey);
  const links = createMailedLinks(options);
  const isFree = holder === null || holder.id === account.id;
  if (isFree && (await mayMail('change-email', emailKey, options))) {
    await links.send({ purpose: 'change-email', account, email, locale });
  } else {
    await links.pretend('change-email', account.id);
    if (!isFree) await tell(holder, { template: 'already-registered', ip, locale }, options);
  }
}

interface Notice {
  readonly template: 'account-locked' | 'changed-password' | 'already-registered';
  readonly ip: string;
  readonly locale: Locale;
}

async function tell(
  { email, emailKey, username }: Account,
  { template, ip, locale }: Notice,
  options: CredentialsOptions,
): Promise<void> {
  if (!(await mayMail(template, emailKey, options))) return;
  const when = toInstant(options.now());
  options.mailer.send({ to: email, locale, template, data: { username, when, ip } });
}
