/** Resource servers in MongoDB; the unique index on the audience settles races. */
import type { Model } from 'mongoose';

import { AppError } from '../../errors.ts';
import type { ResourceServer, ResourceServerStore } from '../port.ts';
import type { Calls } from './calls.ts';
import { isDuplicateKey } from './errors.ts';
import { createRecordFinder } from './finder.ts';
import { createPageReader } from './paging.ts';
import type { ResourceServerRow } from './rows.ts';

export function createResourceServerStore(
  model: Model<ResourceServerRow>,
  calls: Calls,
): ResourceServerStore {
  const { find, findBy } = createRecordFinder<ResourceServer, ResourceServerRow>(model, calls);
  const readPage = createPageReader(model, calls, '_id', toResourceServer);

  return {
    put: async (resourceServer) => {
      const { identifier, audience } = resourceServer;
      const change = { $set: { audience, record: JSON.stringify(resourceServer) } };
      try {
        await calls.run((options) =>
          model.updateOne({ _id: identifier }, change, { ...options, upsert: true }).exec(),
        );
      } catch (error) {
        if (!isDuplicateKey(error)) throw error;
        throw new AppError('conflict', `Another resource server has the audience "${audience}".`);
      }
    },
    find,
    findByAudience: (audience) => findBy({ audience }),
    replace: async (current, next) => {
      const expected = { _id: current.identifier, record: JSON.stringify(current) };
      const change = { $set: { record: JSON.stringify(next) } };
      const { modifiedCount } = await calls.run((options) =>
        model.updateOne(expected, change, options).exec(),
      );
      return modifiedCount === 1;
    },
    delete: async (identifier) => {
      const { deletedCount } = await calls.run((options) =>
        model.deleteOne({ _id: identifier }, options).exec(),
      );
      return deletedCount === 1;
    },
    list: (page) => readPage(page),
  };
}

// The record is written above, from a ResourceServer.
export const toResourceServer = (row: ResourceServerRow): ResourceServer =>
  JSON.parse(row.record) as ResourceServer;
