/** API keys in MongoDB: the record as JSON; a unique index over the digests of all secrets settles races. */
import type { Model } from 'mongoose';

import { AppError } from '../../errors.ts';
import type { ApiKey, ApiKeyStore } from '../port.ts';
import type { Calls } from './calls.ts';
import { deleteAll } from './delete-all.ts';
import { isDuplicateKey } from './errors.ts';
import { createFinder, findConfirmed, readOptions } from './finder.ts';
import { createPageReader } from './paging.ts';
import type { ApiKeyRow } from './rows.ts';

export function createApiKeyStore(model: Model<ApiKeyRow>, calls: Calls): ApiKeyStore {
  const find = createFinder(model, calls);
  const readPage = createPageReader(model, calls, '_id', toKey);

  return {
    create: async (key) => {
      const row = { _id: key.id, lastUsedAt: key.lastUsedAt, ...fieldsOf(key) };
      await refusingTaken(
        key.id,
        calls.run((options) => model.insertMany([row], { ...options, lean: true })),
      );
    },
    find: async (id) => {
      const row = await find(id);
      return row && toKey(row);
    },
    findByHash: async (hash) => {
      const row = await findConfirmed(calls, (options) =>
        model.findOne({ hashes: hash }, null, options).lean<ApiKeyRow>().exec(),
      );
      return row && toKey(row);
    },
    replace: async (key) => {
      const previous = { _id: key.id, version: key.version - 1 };
      const { modifiedCount } = await refusingTaken(
        key.id,
        calls.run((options) => model.updateOne(previous, { $set: fieldsOf(key) }, options).exec()),
      );
      return modifiedCount === 1;
    },
    touch: async (id, usedAt) => {
      const change = { $max: { lastUsedAt: usedAt } };
      await calls.run((options) => model.updateOne({ _id: id }, change, options).exec());
    },
    delete: async (id) => {
      const { deletedCount } = await calls.run((options) => model.deleteOne({ _id: id }, options).exec());
      return deletedCount === 1;
    },
    deleteOfAccount: (accountId) => deleteAll(model, calls, { accountId }),
    list: (page, { accountId } = {}) => readPage(page, accountId === undefined ? {} : { accountId }),
    count: () => calls.run((options) => model.countDocuments({}, readOptions('local', options)).exec()),
  };
}

async function refusingTaken<T>(id: string, writing: Promise<T>): Promise<T> {
  try {
    return await writing;
  } catch (error) {
    if (!isDuplicateKey(error)) throw error;
    throw new AppError('conflict', `The id "${id}" of the API key, or a secret of it, is taken.`);
  }
}

/** Its row but for the id and the last use. */
export const fieldsOf = (key: ApiKey): Omit<ApiKeyRow, '_id' | 'lastUsedAt'> => ({
  accountId: key.accountId,
  hashes: key.secrets.map(({ hash }) => hash),
  version: key.version,
  record: JSON.stringify({ ...key, lastUsedAt: null }),
});

export const toKey = ({ record, lastUsedAt }: ApiKeyRow): ApiKey => ({
  ...(JSON.parse(record) as ApiKey), // written by fieldsOf()
  lastUsedAt,
});
