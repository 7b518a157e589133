/** What happens to accounts that somebody may ask about later. No event holds a secret, or a name that was typed. */
import type { AccountStatus } from '../storage/port.ts';

export type SignInRefusal = 'unknown' | 'wrong_password' | 'disabled' | 'unproven_email' | 'locked';

/** Who set a password: the person who knew the old one, who had the mailed link, or an administrator. */
export type PasswordChangedBy = 'change' | 'reset' | 'administrator';

/** One function an event; `accountId` is null where the name that was tried is nobody's. */
export interface AccountEvents {
  signedIn(event: { readonly accountId: string; readonly ip: string }): void;
  signInRefused(event: {
    readonly accountId: string | null;
    readonly ip: string;
    readonly reason: SignInRefusal;
  }): void;
  accountLocked(event: { readonly accountId: string | null; readonly ip: string }): void;
  accountRegistered(event: { readonly accountId: string }): void;
  /** `ip`: of the person who did it themselves. */
  passwordChanged(event: {
    readonly accountId: string;
    readonly by: PasswordChangedBy;
    readonly ip?: string;
  }): void;
  emailChanged(event: { readonly accountId: string }): void;
  accountStatusChanged(event: { readonly accountId: string; readonly status: AccountStatus }): void;
  accountDeleted(event: { readonly accountId: string }): void;
}
