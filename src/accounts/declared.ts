/**
 * Users as an administrator declares them: what saving an input would do, and doing it. All that can be refused is
 * refused by the plan, before anything is written. A password counts for a new user only: it is the person's own
 * afterwards, and a file that is applied again must not bring an old one back.
 */
import { isDeepStrictEqual } from 'node:util';

import { AppError } from '../errors.ts';
import type { InputFault } from '../errors.ts';
import { foldName } from '../names.ts';
import type { Account, AccountStore } from '../storage/port.ts';
import type { Accounts } from './accounts.ts';
import { parseFullName, parseUsername } from './identity.ts';
import { hasAccount, isAdministrator, lastAdministrator, withdraw } from './last-administrator.ts';
import { judgePassword } from './password-policy.ts';
import { newAccountId, OWN_AUDIENCE, passwordFault, tombstone } from './registration.ts';
import type { CreateInput, RegistrationOptions } from './registration.ts';
import type { UserInput } from './schema.ts';
import { toUserFields } from './user-view.ts';
import type { UserFields } from './user-view.ts';

/** The roles that there are for an audience; null for one that is none. */
export type RolesOf = (audience: string) => Promise<readonly string[] | null>;

export interface UserPlan {
  readonly action: 'create' | 'update' | 'none';
  readonly accountId: string;
  /** The fields that change; none for a new user. */
  readonly changes: readonly string[];
  /** What they are and will be; all of a new user's, and null before it. */
  readonly before: Partial<UserFields> | null;
  readonly after: Partial<UserFields>;
  /** Saved after what gives: an administrator goes once the next one is there. */
  readonly takes: boolean;
  save(): Promise<Account>;
}

interface PlanOptions extends Pick<RegistrationOptions, 'names' | 'reservedNames' | 'product'> {
  readonly accounts: Accounts;
  readonly store: Pick<AccountStore, 'findByEmail' | 'list'>;
}

export type PlanUser = (
  input: UserInput,
  context: {
    readonly rolesOf: RolesOf;
    /** All that is declared at once, this input among them: one may make the administrator that another was. */
    readonly together: readonly UserInput[];
  },
) => Promise<UserPlan>;

/** Makes what plans users. A plan throws `invalid_request` or `conflict`, with the field where it is one. */
export const createUserPlanner =
  (options: PlanOptions): PlanUser =>
  async (input, { rolesOf, together }) => {
    const current = await options.accounts.findByLogin(input.username); // no username has an @
    const faults = await roleFaults(input, rolesOf);
    if (current === null) return planNew(input, faults, options);
    refuse(faults);
    return planChange(current, input, together, options);
  };

/** The account that the input makes of the present one. */
function edited(current: Account, input: UserInput): Account {
  const { email, email_verified: isVerified, full_name: fullName, role, roles, disabled } = input;
  const { [OWN_AUDIENCE]: present, ...others } = current.roles;
  const emailKey = email === undefined ? current.emailKey : foldName(email);
  return {
    ...current,
    email: email ?? current.email,
    emailKey,
    isEmailVerified: isVerified ?? (emailKey === current.emailKey && current.isEmailVerified),
    fullName: fullName === undefined ? current.fullName : (valueOf(parseFullName(fullName)) ?? null),
    roles: { ...(roles ?? others), [OWN_AUDIENCE]: role ?? present ?? 'user' },
    status: disabled === undefined ? current.status : disabled ? 'disabled' : 'active',
  };
}

const valueOf = <T>(parsed: { ok: true; value: T } | { ok: false }): T | undefined =>
  parsed.ok ? parsed.value : undefined;

async function planChange(
  current: Account,
  input: UserInput,
  together: readonly UserInput[],
  { accounts, store }: PlanOptions,
): Promise<UserPlan> {
  const next = edited(current, input);
  const plan = { accountId: current.id, ...differences(toUserFields(current), toUserFields(next)) };
  if (plan.changes.length === 0) return { ...plan, action: 'none', takes: false, save: async () => current };
  const holder = await store.findByEmail(next.emailKey);
  if (holder !== null && holder.id !== current.id) throw emailTaken();
  const takes = isAdministrator(current) && !isAdministrator(next);
  if (takes && !(await remainsAdministrator(together, store))) throw lastAdministrator(current.username);
  const save = (): Promise<Account> => saveChanges(current, next, accounts, store);
  return { ...plan, action: 'update', takes, save };
}

function differences(before: UserFields, after: UserFields): Pick<UserPlan, 'changes' | 'before' | 'after'> {
  const pairs = Object.entries(before).map(
    ([field, value]) => [field, value, fieldOf(after, field)] as const,
  );
  const changed = pairs.filter(([, from, to]) => !isDeepStrictEqual(from, to));
  return {
    changes: changed.map(([field]) => field),
    before: Object.fromEntries(changed.map(([field, from]) => [field, from])),
    after: Object.fromEntries(changed.map(([field, , to]) => [field, to])),
  };
}

const fieldOf = (fields: UserFields, name: string): unknown =>
  Object.entries(fields).find(([field]) => field === name)?.[1];

/** True where somebody administers the server once all of them are saved. */
async function remainsAdministrator(
  together: readonly UserInput[],
  store: Pick<AccountStore, 'list'>,
): Promise<boolean> {
  if (together.some(({ role, disabled }) => role === 'admin' && disabled !== true)) return true;
  const inputs = new Map(together.map((input) => [foldName(input.username), input]));
  return hasAccount(store, (account) => {
    const input = inputs.get(account.username);
    return isAdministrator(input === undefined ? account : edited(account, input));
  });
}

/** The address first: it is the one thing that may still be refused. */
async function saveChanges(
  current: Account,
  next: Account,
  accounts: Accounts,
  store: Pick<AccountStore, 'list'>,
): Promise<Account> {
  const { id } = current;
  if (next.email !== current.email || next.isEmailVerified !== current.isEmailVerified)
    await accounts.setEmail(id, next.email, next.isEmailVerified);
  if (next.fullName !== current.fullName) await accounts.setFullName(id, next.fullName);
  const give = async ({ roles, status }: Account): Promise<void> => {
    if (!isDeepStrictEqual(next.roles, current.roles)) await accounts.setRoles(id, roles);
    if (next.status !== current.status) await accounts.setStatus(id, status);
  };
  const take = (): Promise<void> => give(next);
  if (isAdministrator(next)) await take();
  else await withdraw(current, store, { take, giveBack: () => give(current) });
  return (await accounts.find(id)) ?? next;
}

async function planNew(
  input: UserInput,
  found: readonly InputFault[],
  { accounts, names, reservedNames, product, store }: PlanOptions,
): Promise<UserPlan> {
  const name = parseUsername(input.username, { reserved: reservedNames, mayBeOfficial: true });
  const faults = [...(name.ok ? [] : [name.fault]), ...emailFaults(input), ...found];
  const { username, password } = input;
  const email = emailOf(input);
  const weakness = password === undefined ? null : judgePassword(password, { username, email, product });
  refuse(weakness === null ? faults : [...faults, passwordFault(weakness)]);
  const folded = foldName(username);
  if ((await names.isTaken(folded)) || (await names.isOwn(tombstone(folded)))) throw usernameTaken();
  if ((await store.findByEmail(foldName(email))) !== null) throw emailTaken();
  const created = toCreateInput(input, newAccountId());
  return {
    action: 'create',
    accountId: created.id,
    changes: [],
    before: null,
    after: toUserFields(created),
    takes: false,
    save: () => create(created, accounts),
  };
}

const emailFaults = ({ email, role }: UserInput): readonly InputFault[] =>
  email === undefined && role !== 'service_account'
    ? [{ path: 'email', message: 'a new user needs one' }]
    : [];

/** Nobody reads the mails of a program: no server can have an address under .invalid (RFC 2606). */
const emailOf = ({ email, role, username }: UserInput): string =>
  email ?? (role === 'service_account' ? `${foldName(username)}@service.invalid` : '');

const toCreateInput = (input: UserInput, id: string): CreateInput & { readonly id: string } => ({
  id,
  username: input.username,
  email: emailOf(input),
  isEmailVerified: input.email_verified ?? false,
  fullName: input.full_name ?? null,
  credential: credentialOf(input),
  roles: { ...input.roles, ...(input.role !== undefined && { [OWN_AUDIENCE]: input.role }) },
  status: input.disabled === true ? 'disabled' : 'active',
});

function credentialOf({ password, password_hash: hash }: UserInput): CreateInput['credential'] {
  if (password !== undefined) return { kind: 'password', password };
  return hash === undefined ? { kind: 'none' } : { kind: 'hash', hash };
}

async function create(input: CreateInput, accounts: Accounts): Promise<Account> {
  const outcome = await accounts.create(input);
  if (outcome.ok) return outcome.account;
  if (outcome.reason === 'invalid') throw invalid(outcome.errors);
  throw outcome.reason === 'email_taken' ? emailTaken() : usernameTaken();
}

async function roleFaults({ roles = {} }: UserInput, rolesOf: RolesOf): Promise<readonly InputFault[]> {
  const faults: InputFault[] = [];
  for (const [audience, role] of Object.entries(roles)) {
    const there = await rolesOf(audience);
    const path = `roles.${audience}`;
    if (there === null || there.length === 0)
      faults.push({ path, message: 'there is no such audience, or it has no roles' });
    else if (!there.includes(role)) faults.push({ path, message: `one of ${there.join(', ')}` });
  }
  return faults;
}

function refuse(faults: readonly InputFault[]): void {
  if (faults.length > 0) throw invalid(faults);
}

const invalid = (errors: readonly InputFault[]): AppError =>
  new AppError('invalid_request', errors.map(({ path, message }) => `${path}: ${message}`).join('; '), {
    errors,
  });

const taken = (path: string, message: string): AppError =>
  new AppError('conflict', `${path}: ${message}`, { errors: [{ path, message }] });
const usernameTaken = (): AppError =>
  taken('username', 'it is, or was, the name of somebody or something else: choose another');
const emailTaken = (): AppError => taken('email', 'another user has this address');
