/** What an administrator does to a user without saying anything of them: what ends their access, or brings it back. */
import type { Recorder } from '../audit/entry.ts';
import type { Account, AccountStore } from '../storage/port.ts';
import type { Accounts } from './accounts.ts';
import { withdraw } from './last-administrator.ts';
import type { LockedAccounts } from './locked-accounts.ts';
import { accountSubject } from './lockout.ts';
import { toUserFields, toUserView } from './user-view.ts';
import type { UserView } from './user-view.ts';

/** Gives the password that somebody types; throws where they do not. */
export type AskPassword = () => Promise<string>;

/** Each throws `not_found` for a name that nobody has, and `conflict` where it would leave no administrator. */
export interface Endings {
  /** Gives the username, which nobody is called again. */
  delete(name: string): Promise<string>;
  /** Nobody signs in as them, and all that they have ends. */
  lock(name: string): Promise<UserView>;
  /** Lifts what `lock` did, and what failed sign-ins did. */
  unlock(name: string): Promise<UserView>;
  /** Every session ends. */
  setPassword(name: string, askPassword: AskPassword): Promise<UserView>;
  /** Ends every session, and all that was issued in them. */
  endSessions(name: string): Promise<void>;
}

export interface EndingsOptions {
  readonly record: Recorder;
  readonly accounts: Accounts;
  readonly store: Pick<AccountStore, 'list'>;
  readonly locked: LockedAccounts;
  readonly revokeEverything: (accountId: string) => Promise<void>;
  readonly get: (name: string) => Promise<Account>;
}

export function createEndings({
  record,
  accounts,
  store,
  locked,
  revokeEverything,
  get,
}: EndingsOptions): Endings {
  const recorded = <T>(verb: string, { id }: Account, details: object, work: () => Promise<T>): Promise<T> =>
    record({ action: `account.${verb}`, target: `account:${id}`, details: { ...details } }, work);
  /** Disabled first, so that two who are taken at once are both kept where they are the last two. */
  const disable = async (account: Account): Promise<void> =>
    withdraw(account, store, {
      take: () => accounts.setStatus(account.id, 'disabled'),
      giveBack: () => accounts.setStatus(account.id, 'active'),
    });

  return {
    delete: async (name) => {
      const account = await get(name);
      const before = { username: account.username, ...toUserFields(account) };
      await recorded('delete', account, { before, after: null }, async () => {
        await accounts.remove(account.id);
        await locked.forget(account.id);
      });
      return account.username;
    },
    lock: async (name) => {
      const account = await get(name);
      const change = { before: { disabled: account.status === 'disabled' }, after: { disabled: true } };
      await recorded('lock', account, change, () => disable(account));
      return toUserView({ ...account, status: 'disabled' });
    },
    unlock: async (name) => {
      const account = await get(name);
      const subject = accountSubject(account.id);
      const untilAt = await locked.lockout.lockedUntil(subject);
      const before = { disabled: account.status === 'disabled', locked_until: untilAt };
      const after = { disabled: false, locked_until: null };
      return recorded('unlock', account, { before, after }, async () => {
        await locked.lockout.unlock(subject);
        const isActive = account.status === 'active';
        return toUserView(isActive ? account : await accounts.setStatus(account.id, 'active'));
      });
    },
    setPassword: async (name, askPassword) => {
      const account = await get(name);
      const password = await askPassword();
      const set = (): Promise<Account> => accounts.setPassword(account.id, password);
      return toUserView(await recorded('reset_password', account, {}, set));
    },
    endSessions: async (name) => {
      const account = await get(name);
      await recorded('sessions_end', account, {}, () => revokeEverything(account.id));
    },
  };
}
