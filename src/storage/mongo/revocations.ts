/**
 * Revocations in MongoDB: a chain, in which each names the cursor that it stands behind, and two cannot stand behind
 * one. So a cursor is there before a greater one is, and what a majority has is always a beginning of the chain:
 * readers ask for that alone. The greatest is never deleted: whoever appends needs it.
 */
import { randomUUID } from 'node:crypto';

import mongoose from 'mongoose';
import type { Model } from 'mongoose';

import type { Revocation, RevocationStore, StoredRevocation } from '../port.ts';
import type { CallOptions, Calls } from './calls.ts';
import { isDuplicateKey } from './errors.ts';
import { findConfirmed, readOptions } from './finder.ts';
import { createGroup } from './group-commit.ts';
import type { RevocationRow } from './rows.ts';

// As much as one sweep of SQLite takes.
const SWEEP_ROWS = 500;

interface Waiting {
  readonly revocation: Revocation;
  readonly now: number;
}

export function createRevocationStore(model: Model<RevocationRow>, calls: Calls): RevocationStore {
  // One turn at a time: the callers of one process do not compete, and rarely wait for those of another.
  const append = createGroup<Waiting, number>(calls, async (waiting, options) => {
    const cursors = await appendAll(model, [...waiting.values()], options);
    const byKey = new Map([...waiting.keys()].map((key, index) => [key, cursors[index]]));
    return (key) => byKey.get(key) ?? 0;
  });

  return {
    append: (revocation, now) => append(randomUUID(), { revocation, now }),
    list: async (after, limit, now) => {
      const rows = await calls.run((options) =>
        model
          .find(
            { _id: mongoose.trusted({ $gt: after }), expiresAt: mongoose.trusted({ $gt: now }) },
            null,
            readOptions('majority', options),
          )
          .sort({ _id: 1 })
          .limit(limit)
          .lean<RevocationRow[]>()
          .exec(),
      );
      return rows.map(toRevocation);
    },
    find: async (kind, subject, now) => {
      const filter = { kind, subject, expiresAt: mongoose.trusted({ $gt: now }) };
      const row = await findConfirmed(calls, (options) =>
        model.findOne(filter, null, options).sort({ issuedBefore: -1 }).lean<RevocationRow>().exec(),
      );
      return row && toRevocation(row);
    },
  };
}

/** Gives their cursors, in their order. */
async function appendAll(
  model: Model<RevocationRow>,
  waiting: readonly Waiting[],
  options: CallOptions,
): Promise<readonly number[]> {
  const appended: RevocationRow[] = [];
  while (appended.length < waiting.length) {
    const rows = chain(waiting.slice(appended.length), await findLast(model, options));
    appended.push(...rows.slice(0, await insertInOrder(model, rows, options)));
  }
  await model.bulkWrite(
    appended.map((row) => ({ deleteMany: { filter: outdoneBy(row) } })),
    { ...options, ordered: false },
  );
  return appended.map(({ _id }) => _id);
}

async function findLast(model: Model<RevocationRow>, options: CallOptions): Promise<number> {
  const read = readOptions('local', options); // behind one that is rolled back afterwards nothing is ever committed
  const last = await model.findOne({}, { _id: 1 }, read).sort({ _id: -1 }).lean<RevocationRow>().exec();
  return last?._id ?? 0;
}

const chain = (waiting: readonly Waiting[], last: number): readonly RevocationRow[] => {
  let behind = last;
  return waiting.map(({ revocation, now }) => {
    const row = { ...revocation, _id: Math.max(behind + 1, now * 1_000), behind };
    behind = row._id;
    return row;
  });
};

/** Inserts until somebody else was quicker; tells how many. */
async function insertInOrder(
  model: Model<RevocationRow>,
  rows: readonly RevocationRow[],
  options: CallOptions,
): Promise<number> {
  try {
    await model.insertMany([...rows], { ...options, ordered: true, lean: true });
    return rows.length;
  } catch (error) {
    // Without a majority nothing of it is certain.
    if (!isBulkError(error) || !isDuplicateKey(error) || error.result.getWriteConcernError() !== undefined) {
      throw error;
    }
    return error.insertedCount;
  }
}

const isBulkError = (error: unknown): error is mongoose.mongo.MongoBulkWriteError =>
  error instanceof mongoose.mongo.MongoBulkWriteError;

const outdoneBy = ({ _id, kind, subject, issuedBefore, expiresAt }: RevocationRow) => ({
  kind,
  subject,
  _id: mongoose.trusted({ $lt: _id }),
  issuedBefore: mongoose.trusted({ $lte: issuedBefore }),
  expiresAt: mongoose.trusted({ $lte: expiresAt }),
});

/** Deletes a batch of what expired; tells how many. */
export async function deleteExpired(model: Model<RevocationRow>, calls: Calls, now: number): Promise<number> {
  const expired = await calls.run((options) =>
    model
      .find({ expiresAt: mongoose.trusted({ $lte: now }) }, { _id: 1 }, readOptions('local', options))
      .sort({ expiresAt: 1 })
      .limit(SWEEP_ROWS)
      .lean<Pick<RevocationRow, '_id'>[]>()
      .exec(),
  );
  if (expired.length === 0) return 0;
  const last = await calls.run((options) => findLast(model, options));
  const ids = expired.map(({ _id }) => _id).filter((_id) => _id < last);
  const { deletedCount } = await calls.run((options) =>
    model.deleteMany({ _id: mongoose.trusted({ $in: ids }) }, options).exec(),
  );
  return deletedCount;
}

export const toRevocation = ({ _id, ...row }: RevocationRow): StoredRevocation => ({
  cursor: _id,
  kind: row.kind,
  subject: row.subject,
  issuedBefore: row.issuedBefore,
  expiresAt: row.expiresAt,
});
