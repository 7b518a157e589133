/** The tokens of mailed links in MongoDB: used up by the one write that deletes and gives the document. */
import mongoose from 'mongoose';
import type { Model } from 'mongoose';

import type { OneTimePurpose, OneTimeToken, OneTimeTokenStore } from '../port.ts';
import { dateOf } from './artifact-upserts.ts';
import type { Calls } from './calls.ts';
import { deleteAll } from './delete-all.ts';
import { findConfirmed } from './finder.ts';
import type { OneTimeTokenRow } from './rows.ts';

export function createOneTimeTokenStore(model: Model<OneTimeTokenRow>, calls: Calls): OneTimeTokenStore {
  return {
    put: async ({ purpose, accountId, hash, email, expiresAt }) => {
      const change = { $set: { purpose, accountId, hash, email, expiresAt: dateOf(expiresAt) } };
      await calls.run((options) =>
        model.updateOne({ _id: `${purpose}:${accountId}` }, change, { ...options, upsert: true }).exec(),
      );
    },
    find: async (purpose, hash, now) => {
      const row = await findConfirmed(calls, (options) =>
        model
          .findOne(live(purpose, hash, now), null, options)
          .lean<OneTimeTokenRow>()
          .exec(),
      );
      return row && toToken(row);
    },
    consume: async (purpose, hash, now) => {
      const row = await calls.run((options) =>
        model
          .findOneAndDelete(live(purpose, hash, now), options)
          .lean<OneTimeTokenRow>()
          .exec(),
      );
      return row && toToken(row);
    },
    revokeAccount: (accountId) => deleteAll(model, calls, { accountId }),
  };
}

const live = (purpose: OneTimePurpose, hash: string, now: number) => ({
  purpose,
  hash,
  expiresAt: mongoose.trusted({ $gt: dateOf(now) }),
});

export const toToken = ({ purpose, accountId, hash, email, expiresAt }: OneTimeTokenRow): OneTimeToken => ({
  purpose,
  accountId,
  hash,
  email,
  expiresAt: expiresAt.getTime() / 1000,
});
