/**
 * Accounts: how they come, what is said of them, and how they end. What a person does with their own password and
 * address is in `credentials.ts`, what mailed links do in `recovery.ts`, signing in in `sign-in.ts`.
 */
import { AppError } from '../errors.ts';
import type {
  Account,
  AccountStatus,
  AccountStore,
  ApiKeyStore,
  Contact,
  OneTimeTokenStore,
} from '../storage/port.ts';
import { betweenEndings, changeAccount } from './account-changes.ts';
import { foldLogin, parseEmail, parseFullName } from './identity.ts';
import type { FieldFault } from './identity.ts';
import { isAdministrator, withdraw } from './last-administrator.ts';
import { isReused, withoutPassword, withPassword } from './password-history.ts';
import { judgePassword } from './password-policy.ts';
import { createRegistration, passwordFault, tombstone } from './registration.ts';
import type { RegistrationOptions } from './registration.ts';
import { isServiceAccount } from './server-role.ts';

export interface AccountsOptions extends RegistrationOptions {
  readonly oneTimeTokens: Pick<OneTimeTokenStore, 'revokeAccount'>;
  readonly apiKeys: Pick<ApiKeyStore, 'deleteOfAccount'>;
  /** Ends every session, grant and token of the account. */
  readonly revokeEverything: (accountId: string) => Promise<void>;
}

/** All that is said of a person here, and nothing that signs them in. */
export type AccountExport = Omit<Account, 'passwordHash' | 'passwordHistory' | 'emailKey' | 'version'>;

export type Accounts = ReturnType<typeof createAccounts>;

/** Makes the slice. What changes an account throws `not_found` where it is gone. */
export function createAccounts(options: AccountsOptions) {
  const { accounts } = options;

  const change = async (accountId: string, edit: (account: Account) => Account): Promise<Account> => {
    const changed = await changeAccount(accountId, edit, options);
    if (changed === null) throw gone();
    return changed;
  };

  return {
    ...createRegistration(options),
    find: accounts.find,
    list: accounts.list,
    findByLogin: (login: string) => findByLogin(accounts, login),
    /** A full name as it was typed; null, or nothing but spaces, for none. Throws `invalid_request`. */
    setFullName: async (accountId: string, typed: string | null): Promise<Account> => {
      const fullName = valueOf(parseFullName(typed));
      return change(accountId, (account) => ({ ...account, fullName }));
    },
    /** In the place of what was said before; both null for nothing. */
    setContact: (accountId: string, contact: Contact): Promise<Account> =>
      change(accountId, ({ contact: _before, ...account }) =>
        contact.phoneNumber === null && contact.address === null ? account : { ...account, contact },
      ),
    /** By an administrator: nobody is asked, and earlier links to the old address are void. Throws `conflict`. */
    setEmail: async (accountId: string, typed: string, isEmailVerified: boolean): Promise<Account> => {
      const address = valueOf(parseEmail(typed));
      const account = await change(accountId, (current) => ({ ...current, ...address, isEmailVerified }));
      await options.oneTimeTokens.revokeAccount(accountId);
      options.events.emailChanged({ accountId });
      return account;
    },
    /** Audience → role, in the place of all that there were; the caller knows which roles an audience has. */
    setRoles: (accountId: string, roles: Readonly<Record<string, string>>): Promise<Account> =>
      setRoles(accountId, roles, change, options),
    setStatus: (accountId: string, status: AccountStatus): Promise<Account> =>
      setStatus(accountId, status, change, options),
    setPassword: (accountId: string, password: string): Promise<Account> =>
      setPassword(accountId, password, change, options),
    /** Throws `conflict` for the last administrator. */
    remove: (accountId: string): Promise<void> => remove(accountId, change, options),
    exportData: async (accountId: string): Promise<AccountExport> => {
      const account = await accounts.find(accountId);
      if (account === null) throw gone();
      return toExport(account);
    },
  };
}

type Change = (accountId: string, edit: (account: Account) => Account) => Promise<Account>;

/** An account by its username or its address, in any spelling; the names of both hold an @ or they do not. */
export async function findByLogin(
  accounts: Pick<AccountStore, 'findByUsername' | 'findByEmail'>,
  login: string,
): Promise<Account | null> {
  const folded = foldLogin(login);
  if (folded === null) return null;
  return folded.includes('@') ? accounts.findByEmail(folded) : accounts.findByUsername(folded);
}

/** Every session, grant and token, and every link that was mailed. */
async function endAccess(
  accountId: string,
  { revokeEverything, oneTimeTokens }: AccountsOptions,
): Promise<void> {
  await revokeEverything(accountId);
  await oneTimeTokens.revokeAccount(accountId);
}

/** Disabling ends all that the account has, also where an earlier attempt failed in between. */
async function setStatus(
  accountId: string,
  status: AccountStatus,
  change: Change,
  options: AccountsOptions,
): Promise<Account> {
  const account = await change(accountId, (current) => ({ ...current, status }));
  if (status === 'disabled') await endAccess(accountId, options);
  options.events.accountStatusChanged({ accountId, status });
  return account;
}

/** Who becomes a service account loses the password, and all that it opened. */
async function setRoles(
  accountId: string,
  roles: Readonly<Record<string, string>>,
  change: Change,
  options: AccountsOptions,
): Promise<Account> {
  const becomesService = (account: Account | null): boolean =>
    account !== null && isServiceAccount({ ...account, roles }) && !isServiceAccount(account);
  const set = (): Promise<Account> =>
    change(accountId, (account) => {
      const next = { ...account, roles: { ...roles } };
      return becomesService(account) ? withoutPassword(next) : next;
    });
  return becomesService(await options.accounts.find(accountId))
    ? betweenEndings(() => endAccess(accountId, options), set)
    : set();
}

/** By an administrator, by the same rules as for everybody. Every session ends. Throws `invalid_request`. */
async function setPassword(
  accountId: string,
  password: string,
  change: Change,
  options: AccountsOptions,
): Promise<Account> {
  const { accounts, hasher, product, events, now } = options;
  const current = await accounts.find(accountId);
  if (current === null) throw gone();
  if (isServiceAccount(current)) {
    throw new AppError(
      'invalid_request',
      'A service account has no password: give it API keys, or a client.',
    );
  }
  const { username, email } = current;
  const fault = judgePassword(password, { username, email, product });
  if (fault !== null) throw invalid(passwordFault(fault));
  if (await isReused(hasher, current, password, null)) throw invalid(passwordFault('password_reused'));
  const passwordHash = await hasher.hash(password);
  const changed = await betweenEndings(
    () => endAccess(accountId, options),
    () => change(accountId, (account) => withPassword(account, passwordHash, now())),
  );
  events.passwordChanged({ accountId, by: 'administrator' });
  return changed;
}

/**
 * Deletes all but the name, which nobody is called again. An administrator is disabled first, so that two who go at
 * once both stay where they are the last two. The name is marked before the account goes, so that no moment lets
 * another have it. All that it has ends before it, too, so that a deletion which is cut leaves nothing without an owner.
 */
async function remove(accountId: string, change: Change, options: AccountsOptions): Promise<void> {
  const { accounts, names, apiKeys, events } = options;
  const account = await accounts.find(accountId);
  if (account !== null && isAdministrator(account)) {
    const become = (status: AccountStatus) => () => change(accountId, (current) => ({ ...current, status }));
    await withdraw(account, accounts, { take: become('disabled'), giveBack: become('active') });
  }
  if (account !== null) await names.claim(tombstone(account.username));
  const endAll = async (): Promise<void> => {
    await endAccess(accountId, options);
    await apiKeys.deleteOfAccount(accountId);
  };
  await endAll(); // before it is gone, applications can be told of the end of its sessions
  const wasThere = await accounts.delete(accountId);
  await endAll(); // of what was made meanwhile
  if (!wasThere) throw gone();
  events.accountDeleted({ accountId });
}

/** An allow-list: what is added to an account later is not told before somebody decided so. */
const toExport = (account: Account): AccountExport => ({
  id: account.id,
  username: account.username,
  email: account.email,
  isEmailVerified: account.isEmailVerified,
  fullName: account.fullName,
  ...(account.contact !== undefined && { contact: account.contact }),
  passwordChangedAt: account.passwordChangedAt,
  roles: account.roles,
  status: account.status,
  createdAt: account.createdAt,
  updatedAt: account.updatedAt,
});

function valueOf<T>(parsed: { ok: true; value: T } | { ok: false; fault: FieldFault }): T {
  if (parsed.ok) return parsed.value;
  throw invalid(parsed.fault);
}

const invalid = (fault: FieldFault): AppError =>
  new AppError('invalid_request', `${fault.path}: ${fault.message}`, { errors: [fault] });

const gone = (): AppError => new AppError('not_found', 'There is no such account.');
