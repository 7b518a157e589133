/** Artifacts in MongoDB: every "once" is one conditional write of one document, acknowledged by a majority. */
import mongoose from 'mongoose';
import type { Model } from 'mongoose';

import type { Artifact, ArtifactStore, StoredArtifact } from '../port.ts';
import { changeTo, createUpsert, dateOf } from './artifact-upserts.ts';
import type { Calls } from './calls.ts';
import { deleteAll } from './delete-all.ts';
import { isDuplicateKey } from './errors.ts';
import { createFinder, findConfirmed, readOptions } from './finder.ts';
import { createPageReader } from './paging.ts';
import type { ArtifactRow } from './rows.ts';

export function createArtifactStore(model: Model<ArtifactRow>, calls: Calls): ArtifactStore {
  const find = createFinder(model, calls);
  const readPage = createPageReader(model, calls, '_id', toArtifact);

  return {
    upsert: createUpsert(model, calls),
    insert: (artifact, now) => insert(model, calls, artifact, now),
    find: async (kind, id, now) => {
      const isWanted = (found: ArtifactRow): boolean => found.model === kind && isLive(found, now);
      const row = await find(id, isWanted);
      return row !== null && isWanted(row) ? toArtifact(row) : null;
    },
    findBy: async (kind, key, value, now) => {
      const filter = { model: kind, [key]: value, expiresAt: after(now) };
      const row = await findConfirmed(calls, (options) =>
        model.findOne(filter, null, options).lean<ArtifactRow>().exec(),
      );
      return row === null ? null : toArtifact(row);
    },
    consume: async (kind, id, now) => {
      const filter = { _id: id, model: kind, consumedAt: null, expiresAt: after(now) };
      const { modifiedCount } = await calls.run((options) =>
        model.updateOne(filter, { $set: { consumedAt: now } }, options).exec(),
      );
      return modifiedCount === 1;
    },
    extend: async (kind, id, expiresAt, now) => {
      const filter = { _id: id, model: kind, expiresAt: after(now) };
      const { matchedCount } = await calls.run((options) =>
        model.updateOne(filter, { $max: { expiresAt: dateOf(expiresAt) } }, options).exec(),
      );
      return matchedCount === 1;
    },
    destroy: async (kind, id) => {
      await calls.run((options) => model.deleteOne({ _id: id, model: kind }, options).exec());
    },
    revokeGrant: (grantId) => deleteAll(model, calls, { grantId }),
    revokeAccount: (accountId) => deleteAll(model, calls, { accountId }),
    listOfAccount: (kind, accountId, page, now) =>
      readPage(page, { accountId, model: kind, expiresAt: after(now) }),
    count: async (kind, now) => {
      const filter = { model: kind, expiresAt: after(now) };
      return calls.run((options) => model.countDocuments(filter, readOptions('local', options)).exec());
    },
  };
}

/** An expired one is overwritten by the first; the filter no longer matches for the others, whose insert then fails. */
async function insert(
  model: Model<ArtifactRow>,
  calls: Calls,
  artifact: Artifact,
  now: number,
): Promise<boolean> {
  const expired = { _id: artifact.id, expiresAt: upTo(now) };
  const { $set, $unset } = changeTo(artifact);
  const change = { $set, $unset: { ...$unset, consumedAt: 1 } };
  try {
    await calls.run((options) => model.updateOne(expired, change, { ...options, upsert: true }).exec());
    return true;
  } catch (error) {
    if (!isDuplicateKey(error)) throw error;
    return false;
  }
}

const after = (now: number) => mongoose.trusted({ $gt: dateOf(now) });
const upTo = (now: number) => mongoose.trusted({ $lte: dateOf(now) });

const isLive = (row: ArtifactRow, now: number): boolean => row.expiresAt > dateOf(now);

const toArtifact = (row: ArtifactRow): StoredArtifact => ({
  payload: JSON.parse(row.payload) as Artifact['payload'], // written by changeTo()
  expiresAt: row.expiresAt.getTime() / 1000,
  consumedAt: row.consumedAt ?? null,
});
