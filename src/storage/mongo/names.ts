/** The register of names in MongoDB: the first claim inserts, every later one reads in the same write. */
import type { Model } from 'mongoose';

import type { NameStore } from '../port.ts';
import type { Calls } from './calls.ts';
import type { NameRow } from './rows.ts';

export function createNameStore(model: Model<NameRow>, calls: Calls): NameStore {
  return {
    find: async (name) => {
      const row = await calls.run((options) => model.findById(name, null, options).lean<NameRow>().exec());
      return row?.kind ?? null;
    },
    claim: async (name, kind) => {
      const claim = { $setOnInsert: { kind } };
      const row = await calls.run((options) =>
        model
          .findOneAndUpdate({ _id: name }, claim, { ...options, upsert: true, returnDocument: 'after' })
          .lean<NameRow>()
          .exec(),
      );
      return row.kind;
    },
  };
}
