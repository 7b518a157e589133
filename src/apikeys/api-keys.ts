/**
 * API keys: how they come, change and go. What one may is never more than its owner may, and is read when it is used
 * (see `verify.ts`). A key is somebody's: to everybody else it is not there.
 */
import { AppError } from '../errors.ts';
import { KEY_PERMISSIONS } from '../permissions.ts';
import type { Permission } from '../permissions.ts';
import type { Account, AccountStore, ApiKey, ApiKeyStore, Page, PageRequest } from '../storage/port.ts';
import type { ApiKeyEvents } from './events.ts';
import { digestOf, makeKey, makeKeyId } from './format.ts';
import { isOver, settleExpiry, settleRate, settleScopes } from './rules.ts';
import { createTurns } from './turns.ts';

/** Enough for a key a program; who needs more has them on service accounts. */
export const MAX_KEYS = 50;
// Each lost race means that another change was made, so a handful suffices for all that is not an attack.
const MAX_ATTEMPTS = 10;

export interface ApiKeysOptions {
  readonly apiKeys: ApiKeyStore;
  readonly accounts: Pick<AccountStore, 'find'>;
  /** What the owner may now. */
  readonly permissionsOf: (owner: Account) => readonly Permission[];
  readonly events: ApiKeyEvents;
  readonly now: () => number;
}

/** Whose key it is, and who asks. */
export interface Asking {
  readonly owner: Account;
  /** The most that may be said of the key, requests an hour; null where an administrator asks, who may say any. */
  readonly maxRate: number | null;
  /** False once what they signed in by has ended. */
  readonly isStillIn: () => Promise<boolean>;
}

/** What is said of a key; what is left out stays as it is, or has its default. */
export interface ApiKeyChanges {
  readonly name?: string | undefined;
  /** Without them the key may what its owner may, but for administration. */
  readonly scopes?: readonly Permission[] | undefined;
  /** Requests an hour; null: as its owner has. */
  readonly rateLimit?: number | null | undefined;
  /** Unix seconds; null: it does not expire. */
  readonly expiresAt?: number | null | undefined;
}

export interface ApiKeyInput extends ApiKeyChanges {
  readonly name: string;
}

/** A key with its secret, which is never to be had again. */
export interface WithSecret {
  readonly key: ApiKey;
  readonly secret: string;
}

export interface ApiKeys {
  /** Throws `conflict` where the account has MAX_KEYS, `forbidden` for what the owner may not give. */
  create(asking: Asking, input: ApiKeyInput): Promise<WithSecret>;
  list(accountId: string, page: PageRequest): Promise<Page<ApiKey>>;
  /** Throws `not_found`, as what follows does, also for another account's. */
  get(accountId: string, keyId: string): Promise<ApiKey>;
  /** Changes what is given. Throws `conflict` for a key that has expired: it stays so. */
  update(asking: Asking, keyId: string, changes: ApiKeyChanges): Promise<ApiKey>;
  /** Gives it a new secret; the one before goes on for `overlapSeconds`, and none before that. */
  rotate(accountId: string, keyId: string, overlapSeconds: number): Promise<WithSecret>;
  delete(accountId: string, keyId: string): Promise<void>;
}

/** Makes the slice. */
export function createApiKeys(options: ApiKeysOptions): ApiKeys {
  const { apiKeys, events, now } = options;
  const takeTurn = createTurns();

  const get = async (accountId: string, keyId: string): Promise<ApiKey> => {
    const key = await apiKeys.find(keyId);
    if (key?.accountId === accountId) return key;
    throw new AppError('not_found', 'There is no such API key.');
  };

  const change = async (accountId: string, keyId: string, edit: (key: ApiKey) => ApiKey): Promise<ApiKey> => {
    for (let attempt = 0; attempt < MAX_ATTEMPTS; attempt += 1) {
      const current = await get(accountId, keyId);
      if (isOver(current, now())) throw new AppError('conflict', 'This API key has expired: make a new one.');
      const next = { ...edit(current), version: current.version + 1 };
      if (await apiKeys.replace(next)) return next;
    }
    throw new AppError('conflict', 'This API key kept changing: try again.');
  };

  return {
    create: (asking, input) => takeTurn(asking.owner.id, () => create(asking, input, options)),
    list: (accountId, page) => apiKeys.list(page, { accountId }),
    get,
    update: async (asking, keyId, changes) => {
      const accountId = asking.owner.id;
      const edited = settle(asking, changes, options);
      const key = await change(accountId, keyId, (current) => ({ ...current, ...edited }));
      const fields = Object.keys(edited).filter((field) => field !== 'isOwnRate');
      events.apiKeyChanged({ accountId, keyId, changes: fields });
      return key;
    },
    rotate: async (accountId, keyId, overlapSeconds) => {
      const secret = makeKey();
      const key = await change(accountId, keyId, (current) =>
        rotated(current, secret, now() + overlapSeconds),
      );
      events.apiKeyRotated({ accountId, keyId, overlapSeconds });
      return { key, secret };
    },
    delete: async (accountId, keyId) => {
      await get(accountId, keyId);
      if (!(await apiKeys.delete(keyId))) throw new AppError('not_found', 'There is no such API key.');
      events.apiKeyDeleted({ accountId, keyId });
    },
  };
}

type Settled = Partial<Pick<ApiKey, 'name' | 'scopes' | 'rateLimit' | 'isOwnRate' | 'expiresAt'>>;

/** What of an input is given, once nothing of it is refused. */
function settle(
  { owner, maxRate }: Asking,
  { name, scopes, rateLimit, expiresAt }: ApiKeyChanges,
  { permissionsOf, now }: ApiKeysOptions,
): Settled {
  return {
    ...(name !== undefined && { name }),
    ...(scopes !== undefined && { scopes: settleScopes(scopes, permissionsOf(owner)) }),
    ...(rateLimit !== undefined && settleRate(rateLimit, maxRate)),
    ...(expiresAt !== undefined && { expiresAt: settleExpiry(expiresAt, now()) }),
  };
}

/**
 * In this process one at a time for an account. Another one may be at it, too: so it is counted again afterwards, and
 * whoever finds too many takes the own one back.
 */
async function create(asking: Asking, input: ApiKeyInput, options: ApiKeysOptions): Promise<WithSecret> {
  const { apiKeys, permissionsOf, events, now } = options;
  const { owner } = asking;
  const given = settle(asking, input, options);
  if ((await countOf(owner.id, apiKeys)) >= MAX_KEYS) throw tooMany();
  const secret = makeKey();
  const key: ApiKey = {
    id: makeKeyId(now()),
    accountId: owner.id,
    name: input.name,
    secrets: [{ hash: digestOf(secret), expiresAt: null }],
    scopes: given.scopes ?? defaultScopes(permissionsOf(owner)),
    rateLimit: given.rateLimit ?? null,
    ...(given.isOwnRate === true && { isOwnRate: true }),
    createdAt: now(),
    expiresAt: given.expiresAt ?? null,
    lastUsedAt: null,
    version: 1,
  };
  await apiKeys.create(key);
  const refusal = await refusalOf(asking, options);
  if (refusal !== null) {
    await apiKeys.delete(key.id);
    throw refusal;
  }
  events.apiKeyCreated({ accountId: owner.id, keyId: key.id, scopes: key.scopes });
  return { key, secret };
}

/**
 * Why a key that was just stored does not stay. Whatever ends the keys of an account ends its sessions, or disables
 * it, before: so this key was ended with the others, or that is found here.
 */
async function refusalOf(
  { owner, isStillIn }: Asking,
  { apiKeys, accounts }: ApiKeysOptions,
): Promise<AppError | null> {
  const current = await accounts.find(owner.id);
  if (current?.status !== owner.status || !(await isStillIn()))
    return new AppError('conflict', 'The account changed meanwhile: sign in, and try again.');
  return (await countOf(owner.id, apiKeys)) > MAX_KEYS ? tooMany() : null;
}

async function countOf(accountId: string, apiKeys: ApiKeyStore): Promise<number> {
  const { items } = await apiKeys.list({ limit: MAX_KEYS + 1 }, { accountId });
  return items.length;
}

const tooMany = (): AppError =>
  new AppError('conflict', `An account has at most ${MAX_KEYS} API keys: delete one first.`);

const defaultScopes = (permissions: readonly Permission[]): readonly Permission[] =>
  KEY_PERMISSIONS.filter((scope) => !scope.startsWith('admin:') && permissions.includes(scope));

/** The key with a new secret, and its newest one until `oldUntil`. */
function rotated(key: ApiKey, secret: string, oldUntil: number): ApiKey {
  const [newest] = key.secrets;
  const old = newest === undefined ? [] : [{ hash: newest.hash, expiresAt: oldUntil }];
  return { ...key, secrets: [{ hash: digestOf(secret), expiresAt: null }, ...old] };
}
