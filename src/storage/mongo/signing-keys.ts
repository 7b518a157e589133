/** The signing key set in MongoDB: one document, replaced as a whole, so that no reader ever sees half of it. */
import type { Model } from 'mongoose';

import type { SealedKey, SigningKeyStore } from '../port.ts';
import type { Calls } from './calls.ts';
import { isDuplicateKey } from './errors.ts';
import { readOptions } from './finder.ts';
import type { KeySetRow } from './rows.ts';

/** Of the one document. */
export const ID = 'signing-keys';

export function createSigningKeyStore(model: Model<KeySetRow>, calls: Calls): SigningKeyStore {
  return {
    // Linearizable: to sign with a key that is rolled back afterwards would make tokens that nobody can verify.
    read: async () => {
      const row = await calls.run((options) =>
        model.findById(ID, null, readOptions('linearizable', options)).lean<KeySetRow>().exec(),
      );
      if (row === null) return null;
      const keys = JSON.parse(row.keys) as SealedKey[]; // written by write()
      return { version: row.version, keys, retired: row.retired ?? [] };
    },
    write: async (expectedVersion, { keys, retired }) => {
      const expected = { _id: ID, version: expectedVersion };
      const next = { version: expectedVersion + 1, keys: JSON.stringify(keys), retired: [...retired] };
      const change = { $set: next };
      const upsert = expectedVersion === 0; // then there is none, and of all inserts one succeeds
      try {
        const { modifiedCount, upsertedCount } = await calls.run((options) =>
          model.updateOne(expected, change, { ...options, upsert }).exec(),
        );
        return modifiedCount + upsertedCount === 1;
      } catch (error) {
        if (!isDuplicateKey(error)) throw error;
        return false;
      }
    },
  };
}
