/** The outbox in MongoDB: each message is leased by one write that finds, marks and gives it. */
import mongoose from 'mongoose';
import type { Model } from 'mongoose';

import { isAppError, storeUnavailable } from '../../errors.ts';
import type { OutboxMessage, OutboxStore } from '../port.ts';
import { dateOf } from './artifact-upserts.ts';
import type { Calls } from './calls.ts';
import { isDuplicateKey, itemErrors } from './errors.ts';
import { createPageReader } from './paging.ts';
import type { OutboxRow } from './rows.ts';

export function createOutboxStore(model: Model<OutboxRow>, calls: Calls): OutboxStore {
  const readPage = createPageReader(model, calls, '_id', toMessage);

  return {
    put: (messages) => put(model, calls, messages),
    take: (limit, leaseEndsAt, now) => take(model, calls, limit, leaseEndsAt, now),
    delete: async (id) => {
      const { deletedCount } = await calls.run((options) => model.deleteOne({ _id: id }, options).exec());
      return deletedCount === 1;
    },
    defer: async (id, { dueAt, lastError, failedAt }) => {
      const change = { $set: { dueAt, lastError, failedAt, isFailed: failedAt !== null } };
      const { matchedCount } = await calls.run((options) =>
        model.updateOne({ _id: id }, change, options).exec(),
      );
      return matchedCount === 1;
    },
    list: (page, now, { isFailed } = {}) =>
      readPage(page, { expiresAt: after(now), ...(isFailed !== undefined && { isFailed }) }),
  };
}

async function put(model: Model<OutboxRow>, calls: Calls, messages: readonly OutboxMessage[]): Promise<void> {
  if (messages.length === 0) return;
  const ids = messages.map(({ id }) => id);
  const errors = await calls.run((options) =>
    itemErrors(ids, model.insertMany(messages.map(toRow), { ...options, ordered: false, lean: true })),
  );
  const failure = [...errors.values()].find((error) => !isDuplicateKey(error));
  if (failure !== undefined) throw storeUnavailable(failure);
}

/** One after the other, since only one can have the message that is due longest. */
async function take(
  model: Model<OutboxRow>,
  calls: Calls,
  limit: number,
  leaseEndsAt: number,
  now: number,
): Promise<readonly OutboxMessage[]> {
  const since = performance.now();
  const due = { isFailed: false, dueAt: mongoose.trusted({ $lte: now }), expiresAt: after(now) };
  const lease = { $set: { dueAt: leaseEndsAt }, $inc: { attempts: 1 } };
  const takeOne = () =>
    calls.run(
      (options) =>
        model
          .findOneAndUpdate(due, lease, { ...options, sort: { dueAt: 1, _id: 1 }, returnDocument: 'after' })
          .lean<OutboxRow>()
          .exec(),
      since,
    );
  const taken: OutboxMessage[] = [];
  try {
    while (taken.length < limit) {
      const row = await takeOne();
      if (row === null) break;
      taken.push(toMessage(row));
    }
  } catch (error) {
    // What is leased already is for this caller alone: nobody else would send it before the lease ends.
    if (taken.length === 0 || !isAppError(error, 'store_unavailable')) throw error;
  }
  return taken.toSorted(byAge);
}

const after = (now: number) => mongoose.trusted({ $gt: dateOf(now) });

const byAge = (a: OutboxMessage, b: OutboxMessage): number =>
  a.createdAt - b.createdAt || (a.id < b.id ? -1 : 1);

export const toRow = ({ id, payload, expiresAt, ...message }: OutboxMessage): OutboxRow => ({
  ...message,
  _id: id,
  payload: JSON.stringify(payload),
  isFailed: message.failedAt !== null,
  expiresAt: dateOf(expiresAt),
});

export const toMessage = (row: OutboxRow): OutboxMessage => ({
  id: row._id,
  clientId: row.clientId,
  payload: JSON.parse(row.payload) as OutboxMessage['payload'], // written by toRow()
  createdAt: row.createdAt,
  attempts: row.attempts,
  dueAt: row.dueAt,
  lastError: row.lastError,
  failedAt: row.failedAt,
  expiresAt: row.expiresAt.getTime() / 1000,
});
