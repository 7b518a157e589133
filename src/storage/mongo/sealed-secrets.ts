/** Sealed secrets in MongoDB: a sealed text is never made twice, so it is its own version for compare-and-set. */
import type { Model } from 'mongoose';

import type { SealedSecretStore } from '../port.ts';
import type { Calls } from './calls.ts';
import { isDuplicateKey } from './errors.ts';
import { readOptions } from './finder.ts';
import type { SealedSecretRow } from './rows.ts';

export function createSealedSecretStore(model: Model<SealedSecretRow>, calls: Calls): SealedSecretStore {
  return {
    // Linearizable: what was made with a secret that is rolled back afterwards could never be checked.
    find: async (name) => {
      const row = await calls.run((options) =>
        model.findById(name, null, readOptions('linearizable', options)).lean<SealedSecretRow>().exec(),
      );
      return row?.sealed ?? null;
    },
    replace: async (name, current, sealed) => {
      if (current === null) return create(model, calls, { _id: name, sealed });
      const { modifiedCount } = await calls.run((options) =>
        model.updateOne({ _id: name, sealed: current }, { $set: { sealed } }, options).exec(),
      );
      return modifiedCount === 1;
    },
  };
}

/** Of all who create it at once one succeeds. */
async function create(model: Model<SealedSecretRow>, calls: Calls, row: SealedSecretRow): Promise<boolean> {
  try {
    await calls.run((options) => model.insertMany([row], { ...options, lean: true }));
    return true;
  } catch (error) {
    if (!isDuplicateKey(error)) throw error;
    return false;
  }
}
