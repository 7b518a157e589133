/**
 * Using an API key. Its secret, its end and its owner are looked at each time, so that what ends or lessens it counts
 * at once; the last use is noted beside the request, and once a minute at most.
 */
import type { Permission } from '../permissions.ts';
import type { Account, AccountStore, ApiKey, ApiKeyStore } from '../storage/port.ts';
import { digestOf, isKey } from './format.ts';
import { countsAlone, isOver } from './rules.ts';

const TOUCH_SECONDS = 60;

export interface VerifyKeyOptions {
  readonly apiKeys: Pick<ApiKeyStore, 'findByHash' | 'touch'>;
  readonly accounts: Pick<AccountStore, 'find'>;
  /** What the owner may now. */
  readonly permissionsOf: (owner: Account) => readonly Permission[];
  /** Requests an hour that the owner has now. */
  readonly rateOf: (owner: Account) => number;
  readonly now: () => number;
}

/** A key that is good now, and whose owner is. */
export interface LivingKey {
  readonly keyId: string;
  readonly accountId: string;
  readonly account: Account;
  /** What the key and its owner may both. */
  readonly scopes: readonly Permission[];
  readonly rateLimit: number | null;
  readonly countsAlone: boolean;
}

/** Null for a value that is no key, or none that is good now. */
export type VerifyKey = (value: string) => Promise<LivingKey | null>;

export function createVerifyKey(options: VerifyKeyOptions): VerifyKey {
  const { apiKeys, accounts, permissionsOf, rateOf, now } = options;
  const noteUse = createNoteUse(apiKeys);
  return async (value) => {
    if (!isKey(value)) return null;
    const hash = digestOf(value);
    const key = await apiKeys.findByHash(hash);
    const secret = key?.secrets.find((known) => known.hash === hash);
    if (key === null || secret === undefined || isOver(secret, now()) || isOver(key, now())) return null;
    const { id: keyId, accountId, rateLimit } = key;
    const account = await accounts.find(accountId);
    if (account?.status !== 'active') return null;
    noteUse(key, now());
    const scopes = permissionsOf(account).filter((permission) => key.scopes.includes(permission));
    return { keyId, accountId, account, scopes, rateLimit, countsAlone: countsAlone(key, rateOf(account)) };
  };
}

/** Many requests at once are one note. One that is lost is made up for by the next use. */
function createNoteUse(apiKeys: Pick<ApiKeyStore, 'touch'>): (key: ApiKey, at: number) => void {
  const atWork = new Set<string>();
  return ({ id, lastUsedAt }, at) => {
    if (atWork.has(id) || (lastUsedAt !== null && at - lastUsedAt < TOUCH_SECONDS)) return;
    atWork.add(id);
    const done = (): void => void atWork.delete(id);
    apiKeys.touch(id, at).then(done, done);
  };
}
