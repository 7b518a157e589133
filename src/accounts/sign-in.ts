/**
 * Signing in by username or address and password. Unknown, wrong and disabled are one answer and take one time; a
 * name that nobody has locks as one that somebody has. Whatever follows (session, device, page) is the caller's.
 */
import { setTimeout as sleep } from 'node:timers/promises';

import { isAppError } from '../errors.ts';
import type { Locale } from '../i18n/locale.ts';
import { toInstant } from '../instant.ts';
import type { Mailer } from '../mail/mailer.ts';
import type { Account, AccountStore } from '../storage/port.ts';
import { changeAccount } from './account-changes.ts';
import { findByLogin } from './accounts.ts';
import type { AccountEvents, SignInRefusal } from './events.ts';
import { foldLogin } from './identity.ts';
import { accountSubject, deviceSubject, nameSubject } from './lockout.ts';
import type { Lockout, Subject } from './lockout.ts';
import { mayMail } from './mail-limits.ts';
import type { MailLimitOptions } from './mail-limits.ts';
import { guessPassword } from './password-guess.ts';
import { isSamePassword } from './password-history.ts';
import type { PasswordHasher } from './passwords.ts';
import { isServiceAccount } from './server-role.ts';

/**
 * A refusal takes no less, waiting for its turn apart. Checking the hash of another system costs what that system
 * chose, until its owner first signs in here: bcrypt of cost 12 takes 250 ms, our own argon2 20. What costs more
 * than this (a bcrypt of cost 13 and beyond) still tells that somebody has the name.
 */
const REFUSAL_MS = 300;

export interface SignInOptions extends MailLimitOptions {
  readonly accounts: Pick<AccountStore, 'find' | 'findByUsername' | 'findByEmail' | 'replace'>;
  readonly hasher: PasswordHasher;
  readonly lockout: Lockout;
  readonly mailer: Pick<Mailer, 'send'>;
  /**
   * Of those who registered themselves, where registering tells nobody what is taken: or whoever registers with a
   * stranger's address would learn by signing in whether an account was made.
   */
  readonly mustProveEmail: boolean;
  /** Tests shorten it. */
  readonly refusalMs?: number | undefined;
  readonly events: AccountEvents;
}

export interface SignInAttempt {
  /** A username or an address, in any spelling. */
  readonly login: string;
  readonly password: string;
  /** The id under which this browser is known for an account, since its owner signed in on it before; else null. */
  readonly deviceOf: (account: Account) => string | null;
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
  /** Counts a mail that tells of a device. Who did not prove the address may have written down a stranger's. */
  mayTell(account: Account, template: 'new-device' | 'other-device'): Promise<boolean>;
}

/** Makes the sign-in. */
export const createSignIn = (options: SignInOptions): SignIn => ({
  attempt: async (attempt) => {
    const { refusalMs = REFUSAL_MS } = options;
    const since = performance.now();
    const { outcome, waitedMs } = await judge(attempt, options);
    if (!outcome.ok) await sleep(Math.max(0, refusalMs + waitedMs - (performance.now() - since)));
    return outcome;
  },
  mayTell: async ({ isEmailVerified, emailKey }, template) =>
    isEmailVerified && mayMail(template, emailKey, options),
});

interface Judged {
  readonly outcome: SignInOutcome;
  readonly waitedMs: number;
}

async function judge(attempt: SignInAttempt, options: SignInOptions): Promise<Judged> {
  const account = await findByLogin(options.accounts, attempt.login);
  const device = account && attempt.deviceOf(account);
  const guess = await guessPassword(
    {
      subject: subjectOf(account, device, attempt.login),
      password: attempt.password,
      hash: account?.passwordHash ?? null,
      isAllowed: account !== null && mayEnter(account, options),
    },
    options,
  );
  if (guess.outcome === 'locked') {
    tellRefused(account, 'locked', attempt, options);
    return { outcome: { ok: false, reason: 'locked', untilAt: guess.untilAt }, waitedMs: 0 };
  }
  if (guess.outcome === 'right' && account !== null)
    return { outcome: await admit(account, guess.isOutdated, attempt, options), waitedMs: 0 };
  const { lockedNow, waitedMs } = guess.outcome === 'wrong' ? guess : { lockedNow: false, waitedMs: 0 };
  if (lockedNow) await tellLocked(account, device, attempt, options);
  return { outcome: refuse(account, attempt, options), waitedMs };
}

const mayEnter = (account: Account, { mustProveEmail }: SignInOptions): boolean =>
  account.status === 'active' &&
  !isServiceAccount(account) &&
  (!mustProveEmail || account.isEmailVerified || account.isVouchedFor === true);

function subjectOf(account: Account | null, device: string | null, login: string): Subject {
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
  if (current === null || !mayEnter(current, options) || !isSamePassword(current, account))
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
  tellRefused(account, reasonOf(account, options), attempt, options);
  return { ok: false, reason: 'refused' };
}

function reasonOf(account: Account | null, options: SignInOptions): SignInRefusal {
  if (account === null) return 'unknown';
  if (account.status !== 'active') return 'disabled';
  return mayEnter(account, options) || isServiceAccount(account) ? 'wrong_password' : 'unproven_email';
}

const tellRefused = (
  account: Account | null,
  reason: SignInRefusal,
  { ip }: SignInAttempt,
  { events }: SignInOptions,
): void => events.signInRefused({ accountId: account?.id ?? null, ip, reason });

async function tellLocked(
  account: Account | null,
  device: string | null,
  { ip, locale }: SignInAttempt,
  options: SignInOptions,
): Promise<void> {
  const { events, mailer, now } = options;
  events.accountLocked({ accountId: account?.id ?? null, ip });
  // A device of one's own that is locked tells it to whoever sits there; a disabled account has nobody to tell.
  if (account?.status !== 'active' || device !== null) return;
  if (!(await mayMail('account-locked', account.emailKey, options))) return;
  const when = toInstant(now());
  const data = { username: account.username, when, ip };
  mailer.send({ to: account.email, locale, template: 'account-locked', data });
}
