/**
 * New accounts: by the people themselves, who decide nothing but who they are, and by administrators. The name is
 * claimed before the account is made; that of a deleted account is never given out again (see `tombstone`).
 */
import { randomBytes } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';

import { AppError, isAppError } from '../errors.ts';
import type { NameSide } from '../names.ts';
import type { Account, AccountStatus, AccountStore } from '../storage/port.ts';
import type { AccountEvents } from './events.ts';
import { parseEmail, parseFullName, parseUsername } from './identity.ts';
import type { FieldFault } from './identity.ts';
import { judgePassword, PASSWORD_SENTENCES } from './password-policy.ts';
import type { PasswordFault } from './password-policy.ts';
import { isKnownHash } from './passwords.ts';
import type { PasswordHasher } from './passwords.ts';

/** 144 random bits: an id is never made twice, and is no name that a person could choose by chance. */
const ID_BYTES = 18;

/** What follows the hash takes a tenth of this, whatever is taken: the answer waits for the rest of it. */
const CONCEALED_MS = 250;

/** The audience that stands for this server itself among an account's roles. */
export const OWN_AUDIENCE = 'portcullis';
/** What an account may be on this server itself. */
export const SERVER_ROLES = ['admin', 'user', 'developer', 'guest', 'service_account'] as const;
const REGISTERED_ROLES = { [OWN_AUDIENCE]: 'user' } as const;

export interface RegistrationOptions {
  readonly accounts: AccountStore;
  /** The accounts' side of the register of names. */
  readonly names: NameSide;
  /** Names of this server itself: nobody is called so, or as what looks like it. */
  readonly reservedNames: readonly string[];
  readonly hasher: PasswordHasher;
  /** What people call this service: no password is made of it. */
  readonly product: string;
  readonly events: AccountEvents;
  readonly now: () => number;
}

/** What a person says of themselves. */
export interface RegisterInput {
  readonly username: string;
  readonly email: string;
  readonly password: string;
  readonly fullName: string | null;
}

/** What an administrator says of somebody. */
export interface CreateInput {
  /** As `newAccountId` made it, where it is told before the account is there. */
  readonly id?: string;
  readonly username: string;
  readonly email: string;
  readonly isEmailVerified: boolean;
  readonly fullName: string | null;
  readonly credential: Credential;
  /** Audience → role; without one for this server itself it is `user`. */
  readonly roles: Readonly<Record<string, string>>;
  readonly status: AccountStatus;
}

/** A password, the hash that another system made of one, or none: then the person sets one by a mailed link. */
export type Credential =
  | { readonly kind: 'password'; readonly password: string }
  | { readonly kind: 'hash'; readonly hash: string }
  | { readonly kind: 'none' };

export type RegisterOutcome = SaveOutcome | Invalid;

interface Invalid {
  readonly ok: false;
  readonly reason: 'invalid';
  readonly errors: readonly FieldFault[];
}

/** What only whoever reads the mails of the address may learn where registration is concealed. */
export type SaveOutcome =
  | { readonly ok: true; readonly account: Account }
  | { readonly ok: false; readonly reason: 'username_taken' | 'email_taken' };

/** Makes what registers people. Each function throws AppError('overloaded') where too many passwords wait. */
export function createRegistration(options: RegistrationOptions) {
  return {
    /** A person registers, and is told what is taken. */
    register: async (input: RegisterInput): Promise<RegisterOutcome> => {
      const prepared = await prepareOwn(input, options);
      return prepared.ok ? save(prepared.account, options) : prepared;
    },
    /**
     * A person registers, and is told nothing but what is wrong with the input: the rest is the same answer at the
     * same time. `tell` has the mails sent that say what happened.
     */
    registerConcealed: async (
      input: RegisterInput,
      tell: (outcome: SaveOutcome) => Promise<void>,
    ): Promise<{ readonly ok: true } | Invalid> => {
      const prepared = await prepareOwn(input, options);
      if (!prepared.ok) return prepared;
      await Promise.all([save(prepared.account, options).then(tell), sleep(CONCEALED_MS)]);
      return { ok: true };
    },
    /** An administrator makes an account, or imports one with the hash that it had. */
    create: async (input: CreateInput): Promise<RegisterOutcome> => {
      const { id, isEmailVerified, roles, status, ...person } = input;
      const all = { ...REGISTERED_ROLES, ...roles };
      const given = { ...(id && { id }), isEmailVerified, isVouchedFor: true, roles: all, status };
      const prepared = await prepare(person, given, { mayBeOfficial: true }, options);
      return prepared.ok ? save(prepared.account, options) : prepared;
    },
  };
}

type Person = Pick<CreateInput, 'username' | 'email' | 'fullName' | 'credential'>;
type Given = Pick<Account, 'isEmailVerified' | 'roles' | 'status'> &
  Partial<Pick<Account, 'id' | 'isVouchedFor'>>;

type Prepared = { readonly ok: true; readonly account: Account } | Invalid;

const prepareOwn = (
  { username, email, password, fullName }: RegisterInput,
  options: RegistrationOptions,
): Promise<Prepared> =>
  prepare(
    { username, email, fullName, credential: { kind: 'password', password } },
    { isEmailVerified: false, roles: REGISTERED_ROLES, status: 'active' },
    { mayBeOfficial: false },
    options,
  );

/** The account as it would be saved. */
async function prepare(
  person: Person,
  given: Given,
  { mayBeOfficial }: { readonly mayBeOfficial: boolean },
  options: RegistrationOptions,
): Promise<Prepared> {
  const checked = check(person, mayBeOfficial, options);
  if (!checked.ok) return { ok: false, reason: 'invalid', errors: checked.errors };
  // Hashed before anything is looked up: a name that is taken takes as long as one that is free.
  const passwordHash = await hashOf(person.credential, options.hasher);
  const at = options.now();
  const account = {
    id: newAccountId(),
    ...checked.identity,
    ...given,
    passwordHash,
    passwordHistory: [],
    passwordChangedAt: passwordHash === null ? null : at,
    createdAt: at,
    updatedAt: at,
    version: 1,
  };
  return { ok: true, account };
}

type Identity = Pick<Account, 'username' | 'email' | 'emailKey' | 'fullName'>;

function check(
  person: Person,
  mayBeOfficial: boolean,
  { reservedNames, product }: RegistrationOptions,
):
  { readonly ok: true; readonly identity: Identity } | { readonly ok: false; readonly errors: FieldFault[] } {
  const username = parseUsername(person.username, { reserved: reservedNames, mayBeOfficial });
  const email = parseEmail(person.email);
  const fullName = parseFullName(person.fullName);
  const fault = judgeCredential(person, product);
  if (username.ok && email.ok && fullName.ok && fault === null) {
    return { ok: true, identity: { username: username.value, ...email.value, fullName: fullName.value } };
  }
  const faults = [username, email, fullName].flatMap((field) => (field.ok ? [] : [field.fault]));
  return { ok: false, errors: fault === null ? faults : [...faults, fault] };
}

function judgeCredential({ credential, username, email }: Person, product: string): FieldFault | null {
  if (credential.kind === 'password') {
    const fault = judgePassword(credential.password, { username, email, product });
    return fault && passwordFault(fault);
  }
  if (credential.kind === 'none' || isKnownHash(credential.hash)) return null;
  const message =
    'no hash that can be checked: argon2, bcrypt ($2a$, $2b$, $2y$), pbkdf2_sha256$… or $scrypt$ln=…, of bounded cost';
  return { path: 'password_hash', code: 'password_hash_unknown', message };
}

export const newAccountId = (): string => randomBytes(ID_BYTES).toString('base64url');

/** Why a password was refused, beside its field. */
export const passwordFault = (code: PasswordFault): FieldFault<PasswordFault> => ({
  path: 'password',
  code,
  message: PASSWORD_SENTENCES[code],
});

async function hashOf(credential: Credential, hasher: PasswordHasher): Promise<string | null> {
  if (credential.kind === 'password') return hasher.hash(credential.password);
  return credential.kind === 'hash' ? credential.hash : null;
}

/**
 * Marks the name of a deleted account. The name itself stays claimed, too, but that it is says less: a claim whose
 * account could not be saved leaves a name that may still be had. No name of a service has a space.
 */
export const tombstone = (username: string): string => `deleted ${username}`;

async function save(account: Account, options: RegistrationOptions): Promise<SaveOutcome> {
  const { accounts, names, events } = options;
  const { username } = account;
  if ((await accounts.findByUsername(username)) !== null) return { ok: false, reason: 'username_taken' };
  if ((await accounts.findByEmail(account.emailKey)) !== null) return { ok: false, reason: 'email_taken' };
  const isFree = !(await names.isOwn(tombstone(username))) && (await names.claim(username));
  if (!isFree) return { ok: false, reason: 'username_taken' };
  try {
    await accounts.create(account);
  } catch (error) {
    if (!isAppError(error, 'conflict')) throw error;
    return { ok: false, reason: takenField(error) };
  }
  // Looked for once more: a deletion that made room for this account only now left its mark before.
  if (await names.isOwn(tombstone(username))) {
    await accounts.delete(account.id);
    return { ok: false, reason: 'username_taken' };
  }
  events.accountRegistered({ accountId: account.id });
  return { ok: true, account };
}

/** The store tells which of the two another one was quicker with. */
function takenField(error: AppError): 'username_taken' | 'email_taken' {
  const [fault] = error.errors ?? [];
  return fault?.path === 'email' ? 'email_taken' : 'username_taken';
}
