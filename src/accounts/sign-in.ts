/**
 * Signing in by username or address and password. Unknown, wrong and disabled are one answer and take one time; a
 * name that nobody has locks as one that somebody has. Whatever follows (session, device, page) is the caller's.
 */
import { isAppError } from '../errors.ts';
import type { Locale } from '../i18n/locale.ts';
import type { Mailer } from '../mail/mailer.ts';
import type { Account, AccountStore } from '../storage/port.ts';
import { changeAccount } from './account-changes.ts';
import { findByLogin } from './accounts.ts';
import type { AccountEvents, SignInRefusal } from './events.ts';
import { foldLogin } from './identity.ts';
import { accountSubject, deviceSubject, nameSubject } from './lockout.ts';
import type { Lockout } from './lockout.ts';
import { guessPassword } from './password-guess.ts';
import { isSamePassword } from './password-history.ts';
import type { PasswordHasher } from './passwords.ts';

export interface SignInOptions {
  readonly accounts: Pick<AccountStore, 'find' | 'findByUsername' | 'findByEmail' | 'replace'>;
  readonly hasher: PasswordHasher;
  readonly lockout: Lockout;
  readonly mailer: Pick<Mailer, 'send'>;
  readonly events: AccountEvents;
  readonly now: () => number;
}

export interface SignInAttempt {
  /** A username or an address, in any spelling. */
  readonly login: string;
  readonly password: string;
  /** The id under which this browser is known for an account, since its owner signed in on it before; else null. */
  readonly deviceOf: (accountId: string) => string | null;
  readonly ip: string;
  /** Of the mail that tells of a lock. */
  readonly locale: Locale;
}

export type SignInOutcome =
  | { readonly ok: true; readonly account: Account }
  | { readonly ok: false; readonly reason: 'refused' }
  | { readonly ok: false; readonly reason: 'locked'; readonly untilAt: number };

export interface SignIn {
  /** Throws `overloaded` where too many wait, `invalid_request` for a password that is too long. */
  attempt(attempt: SignInAttempt): Promise<SignInOutcome>;
}

/** Makes the sign-in. */
export const createSignIn = (options: SignInOptions): SignIn => ({
  attempt: async (attempt) => {
    const account = await findByLogin(options.accounts, attempt.login);
    const device = account && attempt.deviceOf(account.id);
    const guess = await guessPassword(
      {
        subject: subjectOf(account, device, attempt.login),
        password: attempt.password,
        hash: account?.passwordHash ?? null,
        isAllowed: account?.status === 'active',
      },
      options,
    );
    if (guess.outcome === 'locked') {
      tellRefused(account, 'locked', attempt, options);
      return { ok: false, reason: 'locked', untilAt: guess.untilAt };
    }
    if (guess.outcome === 'right' && account !== null)
      return admit(account, guess.isOutdated, attempt, options);
    if (guess.outcome === 'wrong' && guess.lockedNow) tellLocked(account, device, attempt, options);
    return refuse(account, attempt, options);
  },
});

function subjectOf(account: Account | null, device: string | null, login: string): string {
  if (account === null) return nameSubject(foldLogin(login) ?? login);
  return device === null ? accountSubject(account.id) : deviceSubject(account.id, device);
}

/** Read again: who was disabled, or got another password, while the hash was computed is not let in by the old one. */
async function admit(
  account: Account,
  isOutdated: boolean,
  attempt: SignInAttempt,
  options: SignInOptions,
): Promise<SignInOutcome> {
  if (isOutdated) await rehash(account, attempt.password, options);
  const current = await options.accounts.find(account.id);
  if (current?.status !== 'active' || !isSamePassword(current, account))
    return refuse(current ?? account, attempt, options);
  options.events.signedIn({ accountId: current.id, ip: attempt.ip });
  return { ok: true, account: current };
}

/** The password stays what it was, so it joins no history. Where too many wait, the next sign-in does it. */
async function rehash(account: Account, password: string, options: SignInOptions): Promise<void> {
  try {
    const passwordHash = await options.hasher.hash(password);
    const replaced = (latest: Account): Account | null =>
      latest.passwordHash === account.passwordHash ? { ...latest, passwordHash } : null;
    await changeAccount(account.id, replaced, options);
  } catch (error) {
    if (!isAppError(error, 'overloaded') && !isAppError(error, 'conflict')) throw error;
  }
}

function refuse(account: Account | null, attempt: SignInAttempt, options: SignInOptions): SignInOutcome {
  const reason = account === null ? 'unknown' : account.status === 'active' ? 'wrong_password' : 'disabled';
  tellRefused(account, reason, attempt, options);
  return { ok: false, reason: 'refused' };
}

const tellRefused = (
  account: Account | null,
  reason: SignInRefusal,
  { ip }: SignInAttempt,
  { events }: SignInOptions,
): void => events.signInRefused({ accountId: account?.id ?? null, ip, reason });

function tellLocked(
  account: Account | null,
  device: string | null,
  { ip, locale }: SignInAttempt,
  { events, mailer, now }: SignInOptions,
): void {
  events.accountLocked({ accountId: account?.id ?? null, ip });
  // A device of one's own that is locked tells it to whoever sits there; a disabled account has nobody to tell.
  if (account?.status !== 'active' || device !== null) return;
  const when = new Date(now() * 1000).toISOString();
  const data = { username: account.username, when, ip };
  mailer.send({ to: account.email, locale, template: 'account-locked', data });
}
