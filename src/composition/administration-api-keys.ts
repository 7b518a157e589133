/**
 * API keys as an administrator makes and changes them, each change with its audit record. A key is named by its id; a
 * user who is named beside it must be its owner.
 */
import { findByLogin } from '../accounts/accounts.ts';
import { serverRoleOf } from '../accounts/server-role.ts';
import { createApiKeys } from '../apikeys/api-keys.ts';
import type { ApiKeys, Asking } from '../apikeys/api-keys.ts';
import type { ApiKeyEvents } from '../apikeys/events.ts';
import { KeyChanges, NewKey, toChanges, toView } from '../apikeys/schema.ts';
import type { KeyView } from '../apikeys/schema.ts';
import { accountOf } from '../audit/entry.ts';
import type { Recorder } from '../audit/entry.ts';
import type { Config } from '../config.ts';
import { AppError } from '../errors.ts';
import { checked } from '../http/body.ts';
import { createPermissionsOf } from '../permissions.ts';
import type { Account, ApiKey, Page, PageRequest, Storage } from '../storage/port.ts';

export interface OwnedKeyView extends KeyView {
  /** The owner’s username; `(deleted)` of a key that a deletion which was cut left over. */
  readonly user: string;
}

export interface OwnedKeyWithSecret extends OwnedKeyView {
  readonly secret: string;
}

/** `login`: the owner's username or address; null where nobody is named. */
export interface ApiKeyAdministration {
  /** Throws `invalid_request` or `forbidden` with each fault. */
  create(login: string, fields: object): Promise<OwnedKeyWithSecret>;
  list(login: string | null, page: PageRequest): Promise<Page<OwnedKeyView>>;
  show(keyId: string, login: string | null): Promise<OwnedKeyView>;
  update(keyId: string, login: string | null, fields: object): Promise<OwnedKeyView>;
  rotate(keyId: string, login: string | null, overlapSeconds: number): Promise<OwnedKeyWithSecret>;
  delete(keyId: string, login: string | null): Promise<void>;
}

interface ApiKeyAdministrationOptions {
  readonly config: Pick<Config, 'permissions'>;
  readonly storage: Pick<Storage, 'accounts' | 'apiKeys'>;
  readonly record: Recorder;
  readonly now: () => number;
}

interface Owned {
  readonly key: ApiKey;
  readonly owner: Account;
}

/** `owner`: null where the key alone is left. */
interface Kept {
  readonly key: ApiKey;
  readonly owner: Account | null;
}

/** No username has these characters. */
const DELETED = '(deleted)';

export function createApiKeyAdministration(options: ApiKeyAdministrationOptions): ApiKeyAdministration {
  const { storage, record, now } = options;
  const apiKeys = openApiKeys(options);
  const { getUser, getKept, getOwned } = createLookups(options);
  const shown = (key: ApiKey, owner: Account | null): OwnedKeyView => ({
    ...toView(key, now()),
    user: owner?.username ?? DELETED,
  });

  return {
    create: async (login, fields) => {
      const owner = await getUser(login);
      const input = checked(NewKey, fields);
      const change = { action: 'api_key.create', target: accountOf(owner.id), details: { after: input } };
      const { key, secret } = await record(change, () =>
        apiKeys.create(asAdministrator(owner), { ...toChanges(input), name: input.name }),
      );
      return { ...shown(key, owner), secret };
    },
    list: async (login, page) => {
      const owner = login === null ? null : await getUser(login);
      const found = await storage.apiKeys.list(page, owner === null ? {} : { accountId: owner.id });
      const items = await Promise.all(
        found.items.map(async (key) => shown(key, owner ?? (await storage.accounts.find(key.accountId)))),
      );
      return { items, next: found.next };
    },
    show: async (keyId, login) => {
      const { key, owner } = await getKept(keyId, login);
      return shown(key, owner);
    },
    update: async (keyId, login, fields) => {
      const { key, owner } = await getOwned(keyId, login);
      const after = checked(KeyChanges, fields);
      const before = Object.fromEntries(Object.entries(toView(key, now())).filter(([name]) => name in after));
      const change = { action: 'api_key.update', target: targetOf(key), details: { before, after } };
      const changed = await record(change, () =>
        apiKeys.update(asAdministrator(owner), key.id, toChanges(after)),
      );
      return shown(changed, owner);
    },
    rotate: async (keyId, login, overlapSeconds) => {
      const { key, owner } = await getOwned(keyId, login);
      const details = { overlap_seconds: overlapSeconds };
      const change = { action: 'api_key.rotate', target: targetOf(key), details };
      const rotated = await record(change, () => apiKeys.rotate(owner.id, key.id, overlapSeconds));
      return { ...shown(rotated.key, owner), secret: rotated.secret };
    },
    delete: async (keyId, login) => {
      const { key, owner } = await getKept(keyId, login);
      const details = { name: key.name, user: owner?.username ?? DELETED };
      const change = { action: 'api_key.delete', target: targetOf(key), details };
      await record(change, () => apiKeys.delete(key.accountId, key.id));
    },
  };
}

const openApiKeys = ({ config, storage, now }: ApiKeyAdministrationOptions): ApiKeys => {
  const permissionsOf = createPermissionsOf(config.permissions);
  const ofOwner = (owner: Account) => permissionsOf(serverRoleOf(owner));
  return createApiKeys({ ...storage, permissionsOf: ofOwner, events: UNHEARD, now });
};

function createLookups({ storage }: ApiKeyAdministrationOptions) {
  const getUser = async (login: string): Promise<Account> => {
    const account = await findByLogin(storage.accounts, login);
    if (account !== null) return account;
    throw new AppError('not_found', `There is no user "${login}".`);
  };
  const getKept = async (keyId: string, login: string | null): Promise<Kept> => {
    const key = await storage.apiKeys.find(keyId);
    if (key === null) throw new AppError('not_found', `There is no API key "${keyId}".`);
    if (login === null || (await getUser(login)).id === key.accountId)
      return { key, owner: await storage.accounts.find(key.accountId) };
    throw new AppError('not_found', `"${login}" has no API key "${keyId}".`);
  };
  const getOwned = async (keyId: string, login: string | null): Promise<Owned> => {
    const { key, owner } = await getKept(keyId, login);
    if (owner !== null) return { key, owner };
    throw new AppError(
      'not_found',
      `The owner of the API key "${keyId}" is deleted, and nobody can use it: portcullis api-keys delete ${keyId}`,
    );
  };
  return { getUser, getKept, getOwned };
}

const asAdministrator = (owner: Account): Asking => ({
  owner,
  maxRate: null,
  isStillIn: async () => true,
});
const targetOf = ({ id }: ApiKey): string => `api-key:${id}`;

/** What was done is in the audit log. */
const UNHEARD: ApiKeyEvents = {
  apiKeyCreated: () => undefined,
  apiKeyChanged: () => undefined,
  apiKeyRotated: () => undefined,
  apiKeyDeleted: () => undefined,
};
