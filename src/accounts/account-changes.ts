/** Changing an account by compare-and-set: what another one changed meanwhile is read again, never overwritten. */
import { AppError } from '../errors.ts';
import type { Account, AccountStore, OneTimeTokenStore } from '../storage/port.ts';

// Each lost race means that another change was made, so a handful suffices for all that is not an attack.
const MAX_ATTEMPTS = 10;

export interface ChangeOptions {
  readonly accounts: Pick<AccountStore, 'find' | 'replace'>;
  readonly now: () => number;
}

/**
 * Replaces the account by what `edit` makes of it, which is asked again where somebody was quicker. Null from `edit`
 * gives up; null where the account is gone. Throws AppError('conflict') for an address that another one has.
 */
export async function changeAccount(
  accountId: string,
  edit: (account: Account) => Account | null,
  { accounts, now }: ChangeOptions,
): Promise<Account | null> {
  for (let attempt = 0; attempt < MAX_ATTEMPTS; attempt += 1) {
    const current = await accounts.find(accountId);
    const edited = current && edit(current);
    if (current === null || edited === null) return null;
    const next = { ...edited, version: current.version + 1, updatedAt: now() };
    if (await accounts.replace(next)) return next;
  }
  throw new AppError('conflict', 'This account kept changing: try again.');
}

/**
 * Makes a change after which nobody gets in as before, between two endings: the first, so that a store that gives way
 * after the change leaves nothing of before alive, and one more of what was made meanwhile: that one is told.
 */
export async function betweenEndings<T>(
  end: (isTold: boolean) => Promise<void>,
  change: () => Promise<T>,
): Promise<T> {
  await end(false);
  const changed = await change();
  await end(true);
  return changed;
}

export interface CredentialChangeOptions extends ChangeOptions {
  /** Ends the account's sessions and what they got; all but one where that is given. */
  readonly endSessions: (accountId: string, exceptUid: string | null, isTold: boolean) => Promise<void>;
  readonly oneTimeTokens: Pick<OneTimeTokenStore, 'revokeAccount'>;
}

/** `changeAccount` for what signs people in: between two endings of all sessions, but that of `exceptUid`. */
export const changeCredential = (
  accountId: string,
  exceptUid: string | null,
  edit: (account: Account) => Account | null,
  options: CredentialChangeOptions,
): Promise<Account | null> => {
  const end = async (isTold: boolean): Promise<void> => {
    await options.endSessions(accountId, exceptUid, isTold);
    await options.oneTimeTokens.revokeAccount(accountId); // a link that somebody else asked for would undo it
  };
  return betweenEndings(end, () => changeAccount(accountId, edit, options));
};
