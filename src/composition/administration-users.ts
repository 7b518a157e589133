/**
 * The users' part of administration: the accounts slice on the store itself, and what an administrator does with it,
 * each change with its audit record. The command line names a user by username or address, the admin API by id.
 */
import { createAccounts } from '../accounts/accounts.ts';
import type { Accounts } from '../accounts/accounts.ts';
import { createUserPlanner } from '../accounts/declared.ts';
import type { PlanUser, RolesOf, UserPlan } from '../accounts/declared.ts';
import type { AccountEvents } from '../accounts/events.ts';
import { importUsers } from '../accounts/import.ts';
import type { ImportCounts, ImportLine, RefusedLine } from '../accounts/import.ts';
import { createEndings } from '../accounts/endings.ts';
import type { AskPassword, Endings } from '../accounts/endings.ts';
import type { LockedAccounts } from '../accounts/locked-accounts.ts';
import { accountSubject } from '../accounts/lockout.ts';
import type { PasswordHasher } from '../accounts/passwords.ts';
import { parseUser } from '../accounts/schema.ts';
import { toUserView } from '../accounts/user-view.ts';
import type { UserView } from '../accounts/user-view.ts';
import type { Recorder } from '../audit/entry.ts';
import type { Config } from '../config.ts';
import { AppError } from '../errors.ts';
import { toInstantOrNull } from '../instant.ts';
import { createNameSide, foldName, reservedNames } from '../names.ts';
import type { Account, Page, PageRequest, Storage } from '../storage/port.ts';

export type { ImportCounts, ImportLine, RefusedLine } from '../accounts/import.ts';
export type { UserView } from '../accounts/user-view.ts';

export interface UserDetails extends UserView {
  readonly password_changed_at: string | null;
  /** By failed sign-ins; null where it is not. */
  readonly locked_until: string | null;
}

export interface UserFilter {
  /** How the username or the address begins. */
  readonly startsWith?: string | undefined;
  readonly role?: string | undefined;
  /** `locked`: by failed sign-ins. */
  readonly status?: 'active' | 'disabled' | 'locked' | undefined;
}

export interface UserAdministration extends Endings {
  list(page: PageRequest, filter?: UserFilter): Promise<Page<UserView>>;
  show(name: string): Promise<UserDetails>;
  /** Refuses `fields` that are taken or wrong, with each fault, before it asks for a password; null: none yet. */
  create(fields: object, askPassword: AskPassword | null): Promise<UserView>;
  /** Keeps what `fields` does not name; tells the names of what changed. */
  update(
    name: string,
    fields: object,
  ): Promise<{ readonly user: UserView; readonly changes: readonly string[] }>;
  import(
    lines: AsyncIterable<ImportLine>,
    onRefused: (refused: RefusedLine) => void,
    onProgress: (counts: ImportCounts) => void,
  ): Promise<ImportCounts>;
}

/** Who administers: what records their changes, and how they name users. */
export interface Administrator {
  readonly record: Recorder;
  readonly naming: 'login' | 'id';
}

export interface UserAdministrationOptions {
  readonly config: Config;
  readonly storage: Storage;
  readonly hasher: PasswordHasher;
  readonly locked: LockedAccounts;
  /** Ends all that was issued to the account. */
  readonly revokeEverything: (accountId: string) => Promise<void>;
  /** Hears what was done, beside the record of it. */
  readonly events: AccountEvents;
  readonly now: () => number;
}

export interface Users {
  as(administrator: Administrator): UserAdministration;
  /** Plans one user of an apply file. */
  planAs(record: Recorder): PlanUser;
  readonly rolesOf: RolesOf;
}

/** The users, as each administrator works on them. */
export function createUserAdministration(options: UserAdministrationOptions): Users {
  const { config, storage } = options;
  const accounts = createAccounts({
    ...options,
    ...partsOf(config, storage),
    accounts: storage.accounts,
    oneTimeTokens: storage.oneTimeTokens,
    apiKeys: storage.apiKeys,
  });
  const plan = createUserPlanner({ ...partsOf(config, storage), accounts, store: storage.accounts });
  const rolesOf = createRolesOf(config, storage);
  const planAs =
    (record: Recorder): PlanUser =>
    async (...planned) =>
      recorded(await plan(...planned), planned[0].username, record);
  return {
    rolesOf,
    planAs,
    as: (administrator) =>
      administer(administrator, accounts, planAs(administrator.record), rolesOf, options),
  };
}

function administer(
  { record, naming }: Administrator,
  accounts: Accounts,
  planUser: PlanUser,
  rolesOf: RolesOf,
  options: UserAdministrationOptions,
): UserAdministration {
  const get = async (name: string): Promise<Account> => {
    const account = await (naming === 'id' ? accounts.find(name) : accounts.findByLogin(name));
    if (account !== null) return account;
    throw new AppError('not_found', `There is no user "${name}".`);
  };
  const { planned, planNew } = createPlanning(planUser, rolesOf, accounts);
  const create = async (fields: object): Promise<Account> => (await planNew(fields)).save();
  return {
    ...createReading(get, options),
    create: async (fields, askPassword) => {
      const plan = await planNew(fields);
      if (askPassword === null) return toUserView(await plan.save());
      return toUserView(await create({ ...fields, password: await askPassword() }));
    },
    update: async (name, fields) => {
      const plan = await planned({ ...fields, username: (await get(name)).username });
      return { user: toUserView(await plan.save()), changes: plan.changes };
    },
    ...createEndings({ ...options, store: options.storage.accounts, record, accounts, get }),
    import: (lines, onRefused, onProgress) => importUsers(lines, { create, onRefused, onProgress }),
  };
}

type Get = (name: string) => Promise<Account>;

function createReading(
  get: Get,
  { storage, locked }: UserAdministrationOptions,
): Pick<UserAdministration, 'list' | 'show'> {
  return {
    list: async (page, { startsWith, role, status } = {}) => {
      const prefix = startsWith === undefined ? undefined : foldName(startsWith);
      const { items, next } = await (status === 'locked'
        ? locked.list(page, { startsWith: prefix, role })
        : storage.accounts.list(page, { startsWith: prefix, role, status }));
      return { items: items.map(toUserView), next };
    },
    show: async (name) => {
      const account = await get(name);
      return {
        ...toUserView(account),
        password_changed_at: toInstantOrNull(account.passwordChangedAt),
        locked_until: toInstantOrNull(await locked.lockout.lockedUntil(accountSubject(account.id))),
      };
    },
  };
}

/** The plan whose saving is recorded first; one that changes nothing is no change. */
function recorded(plan: UserPlan, username: string, record: Recorder): UserPlan {
  const { action, accountId, before, after, save } = plan;
  if (action === 'none') return plan;
  const details = { before, after: action === 'create' ? { username, ...after } : after };
  const change = { action: `account.${action}`, target: `account:${accountId}`, details };
  return { ...plan, save: () => record(change, save) };
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

/** The roles that people have on VPN nodes, and at each resource server. */
const createRolesOf =
  ({ vpn }: Config, { resourceServers }: Storage): RolesOf =>
  async (audience) => {
    if (audience === vpn.audience) return Object.keys(vpn.roles);
    const found = await resourceServers.findByAudience(audience);
    return found && Object.keys(found.roles);
  };
