/**
 * API keys in SQLite: the record as JSON, and beside it what a use changes. Triggers keep the digests of its secrets
 * in a table of their own, which no two keys share.
 */
import { AppError } from '../../errors.ts';
import type { ApiKey, ApiKeyStore } from '../port.ts';
import type { Connection } from './connection.ts';
import { isConstraint } from './errors.ts';
import { parseRecord, toPage } from './records.ts';
import { createSelect, where } from './selection.ts';
import type { Row } from './statements.ts';

const SELECT = 'SELECT record, last_used_at FROM api_keys';

export function createApiKeyStore({ database, read, write }: Connection): ApiKeyStore {
  const find = database.prepare(`${SELECT} WHERE id = ?`);
  const findByHash = database.prepare(
    `${SELECT} WHERE id = (SELECT key_id FROM api_key_hashes WHERE hash = ?)`,
  );
  const select = createSelect(database, SELECT);
  const count = database.prepare('SELECT count(*) AS count FROM api_keys');

  return {
    create: async (key) => {
      const { id, accountId, version, lastUsedAt } = key;
      await refusingTaken(id, write('createApiKey', id, accountId, version, lastUsedAt, recordOf(key)));
    },
    find: (id) => read(() => toKeyOrNull(find.get(id))),
    findByHash: (hash) => read(() => toKeyOrNull(findByHash.get(hash))),
    replace: async (key) => {
      const { id, accountId, version } = key;
      const replaced = write('replaceApiKey', id, accountId, version, recordOf(key));
      return (await refusingTaken(id, replaced)).changes === 1;
    },
    touch: async (id, usedAt) => {
      await write('touchApiKey', id, usedAt);
    },
    delete: async (id) => (await write('deleteApiKey', id)).changes === 1,
    deleteOfAccount: async (accountId) => {
      await write('deleteApiKeysOfAccount', accountId);
    },
    list: ({ after = '', limit }, { accountId } = {}) =>
      read(() => {
        const rows = select([['id > ?', after], ...where('account_id = ?', accountId)], 'id', limit + 1);
        return toPage(rows, limit, ({ id }) => id, toKey);
      }),
    count: () => read(() => Number(count.get()?.['count'])),
  };
}

/** A use is told by the column alone. */
export const recordOf = (key: ApiKey): string => JSON.stringify({ ...key, lastUsedAt: null });

async function refusingTaken<T>(id: string, writing: Promise<T>): Promise<T> {
  try {
    return await writing;
  } catch (error) {
    if (!isConstraint(error)) throw error;
    throw new AppError('conflict', `The id "${id}" of the API key, or a secret of it, is taken.`);
  }
}

const toKeyOrNull = (row: Row | undefined): ApiKey | null => (row === undefined ? null : toKey(row));

/** From the columns `record` and `last_used_at`. */
export function toKey(row: Row): ApiKey {
  const lastUsedAt = row['last_used_at'] === null ? null : Number(row['last_used_at']);
  return { ...parseRecord<ApiKey>(row), lastUsedAt };
}
