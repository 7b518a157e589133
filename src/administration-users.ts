/**
 * The users' part of administration: the accounts slice on the store itself, and what an administrator does with it.
 * Each user is named by username or address, in any spelling.
 */
import { createAccounts } from './accounts/accounts.ts';
import type { Accounts } from './accounts/accounts.ts';
import { createUserPlanner } from './accounts/declared.ts';
import type { PlanUser, RolesOf, UserPlan } from './accounts/declared.ts';
import type { AccountEvents } from './accounts/events.ts';
import { importUsers } from './accounts/import.ts';
import type { ImportCounts, ImportLine, RefusedLine } from './accounts/import.ts';
import { withdraw } from './accounts/last-administrator.ts';
import { accountSubject, createLockout } from './accounts/lockout.ts';
import type { Lockout } from './accounts/lockout.ts';
import { createPasswordHasher } from './accounts/passwords.ts';
import { OWN_AUDIENCE } from './accounts/registration.ts';
import { parseUser } from './accounts/schema.ts';
import type { Config } from './config.ts';
import { AppError } from './errors.ts';
import { createNameSide, reservedNames } from './names.ts';
import type { Account, Page, PageRequest, Storage } from './storage/port.ts';

export type { ImportCounts, ImportLine, RefusedLine } from './accounts/import.ts';

/** A user as it is shown, in the words of apply files; no hash. */
export interface UserView {
  readonly id: string;
  readonly username: string;
  readonly email: string;
  readonly email_verified: boolean;
  readonly full_name: string | null;
  readonly role: string;
  /** At other audiences. */
  readonly roles: Readonly<Record<string, string>>;
  readonly disabled: boolean;
  /** False: a mailed link comes first. */
  readonly has_password: boolean;
  readonly created_at: string;
  readonly updated_at: string;
}

export interface UserDetails extends UserView {
  readonly password_changed_at: string | null;
  /** By failed sign-ins; null where it is not. */
  readonly locked_until: string | null;
}

/** Gives the password that somebody types; throws where they do not. */
type AskPassword = () => Promise<string>;

export interface UserAdministration {
  list(page: PageRequest): Promise<Page<UserView>>;
  show(login: string): Promise<UserDetails>;
  /** Refuses `fields` that are taken or wrong, with each fault, before it asks for a password; null: none yet. */
  create(fields: object, askPassword: AskPassword | null): Promise<UserView>;
  /** Keeps what `fields` does not name; tells the names of what changed. */
  update(
    login: string,
    fields: object,
  ): Promise<{ readonly user: UserView; readonly changes: readonly string[] }>;
  /** Gives the username, which nobody is called again. */
  delete(login: string): Promise<string>;
  /** Nobody signs in as them, and all that they have ends. */
  lock(login: string): Promise<UserView>;
  /** Lifts what `lock` did, and what failed sign-ins did. */
  unlock(login: string): Promise<UserView>;
  /** Every session ends. */
  setPassword(login: string, askPassword: AskPassword): Promise<UserView>;
  import(
    lines: AsyncIterable<ImportLine>,
    onRefused: (refused: RefusedLine) => void,
    onProgress: (counts: ImportCounts) => void,
  ): Promise<ImportCounts>;
}

/** The users, and what plans them for an apply file. */
export function createUserAdministration(
  config: Config,
  storage: Storage,
  now: () => number,
): { readonly users: UserAdministration; readonly planUser: PlanUser; readonly rolesOf: RolesOf } {
  const accounts = openAccounts(config, storage, now);
  const lockout = createLockout({ counters: storage.counters, now });
  const planUser = createUserPlanner({ ...partsOf(config, storage), accounts, store: storage.accounts });
  const rolesOf = createRolesOf(config, storage);

  const get = async (login: string): Promise<Account> => {
    const account = await accounts.findByLogin(login);
    if (account !== null) return account;
    throw new AppError('not_found', `There is no user "${login}".`);
  };
  const { planned, planNew } = createPlanning(planUser, rolesOf, accounts);
  const create = async (fields: object): Promise<Account> => (await planNew(fields)).save();
  const users: UserAdministration = {
    list: async (page) => {
      const { items, next } = await accounts.list(page);
      return { items: items.map(toView), next };
    },
    show: async (login) => {
      const account = await get(login);
      return {
        ...toView(account),
        password_changed_at: toTime(account.passwordChangedAt),
        locked_until: toTime(await lockout.lockedUntil(accountSubject(account.id))),
      };
    },
    create: async (fields, askPassword) => {
      const plan = await planNew(fields);
      if (askPassword === null) return toView(await plan.save());
      return toView(await create({ ...fields, password: await askPassword() }));
    },
    update: async (login, fields) => {
      const plan = await planned({ ...fields, username: (await get(login)).username });
      return { user: toView(await plan.save()), changes: plan.changes };
    },
    ...createEndings(accounts, storage, lockout, get),
    setPassword: async (login, askPassword) => {
      const { id } = await get(login);
      return toView(await accounts.setPassword(id, await askPassword()));
    },
    import: (lines, onRefused, onProgress) => importUsers(lines, { create, onRefused, onProgress }),
  };
  return { users, planUser, rolesOf };
}

/** What ends a user's access, and what brings it back. */
function createEndings(
  accounts: Accounts,
  storage: Storage,
  lockout: Lockout,
  get: (login: string) => Promise<Account>,
): Pick<UserAdministration, 'delete' | 'lock' | 'unlock'> {
  /** Disabled first, so that two who are taken at once are both kept where they are the last two. */
  const disable = async (account: Account): Promise<void> =>
    withdraw(account, storage.accounts, {
      take: () => accounts.setStatus(account.id, 'disabled'),
      giveBack: () => accounts.setStatus(account.id, 'active'),
    });

  return {
    delete: async (login) => {
      const account = await get(login);
      await disable(account);
      await accounts.remove(account.id);
      return account.username;
    },
    lock: async (login) => {
      const account = await get(login);
      await disable(account);
      return toView({ ...account, status: 'disabled' });
    },
    unlock: async (login) => {
      const account = await get(login);
      await lockout.unlock(accountSubject(account.id));
      return toView(account.status === 'active' ? account : await accounts.setStatus(account.id, 'active'));
    },
  };
}

/** Planning one user by itself, and one that is not there yet. */
function createPlanning(planUser: PlanUser, rolesOf: RolesOf, accounts: Accounts) {
  const planned = async (fields: object): Promise<UserPlan> => {
    const input = parseUser(fields);
    return planUser(input, { rolesOf, together: [input] });
  };
  const planNew = async (fields: object): Promise<UserPlan> => {
    const { username } = parseUser(fields);
    if ((await accounts.findByLogin(username)) === null) return planned(fields);
    const message = 'there is a user of this name already: change it by update, or choose another';
    throw new AppError('conflict', `username: ${message}`, { errors: [{ path: 'username', message }] });
  };
  return { planned, planNew };
}

/** What the slice and its plans judge names and passwords by. */
const partsOf = (config: Config, storage: Storage) => ({
  names: createNameSide(storage.names, 'account', reservedNames(config)),
  reservedNames: reservedNames(config),
  product: config.brand.name,
});

const openAccounts = (config: Config, storage: Storage, now: () => number): Accounts =>
  createAccounts({
    ...partsOf(config, storage),
    accounts: storage.accounts,
    oneTimeTokens: storage.oneTimeTokens,
    hasher: createPasswordHasher(),
    revokeEverything: storage.artifacts.revokeAccount,
    events: UNHEARD,
    now,
  });

/** A command answers the one who typed it; the server's log is the server's. */
const UNHEARD: AccountEvents = {
  signedIn: () => undefined,
  signInRefused: () => undefined,
  accountLocked: () => undefined,
  accountRegistered: () => undefined,
  passwordChanged: () => undefined,
  emailChanged: () => undefined,
  accountStatusChanged: () => undefined,
  accountDeleted: () => undefined,
};

/** The roles that people have on VPN nodes, and at each resource server. */
const createRolesOf =
  ({ vpn }: Config, { resourceServers }: Storage): RolesOf =>
  async (audience) => {
    if (audience === vpn.audience) return Object.keys(vpn.roles);
    const found = await resourceServers.findByAudience(audience);
    return found && Object.keys(found.roles);
  };

const toView = (account: Account): UserView => {
  const { [OWN_AUDIENCE]: role = 'user', ...roles } = account.roles;
  return {
    id: account.id,
    username: account.username,
    email: account.email,
    email_verified: account.isEmailVerified,
    full_name: account.fullName,
    role,
    roles,
    disabled: account.status === 'disabled',
    has_password: account.passwordHash !== null,
    created_at: new Date(account.createdAt * 1000).toISOString(),
    updated_at: new Date(account.updatedAt * 1000).toISOString(),
  };
};

const toTime = (seconds: number | null): string | null =>
  seconds === null ? null : new Date(seconds * 1000).toISOString();
