/** The places of tokens in status lists, in MongoDB: the id is the place, which settles who has it. */
import { randomUUID } from 'node:crypto';

import mongoose from 'mongoose';
import type { Model, PipelineStage } from 'mongoose';

import { storeUnavailable } from '../../errors.ts';
import type { Revocation, TokenStatus, TokenStatusStore } from '../port.ts';
import { dateOf } from './artifact-upserts.ts';
import type { Calls } from './calls.ts';
import { isDuplicateKey, itemErrors } from './errors.ts';
import { findConfirmed, readOptions } from './finder.ts';
import { createGroup } from './group-commit.ts';
import type { TokenStatusRow } from './rows.ts';

// A second turn forms and goes out while the first one waits for the journals.
const INSERTS_AT_ONCE = 2;

export function createTokenStatusStore(model: Model<TokenStatusRow>, calls: Calls): TokenStatusStore {
  const insert = createGroup<TokenStatus, boolean>(
    calls,
    async (statuses, options) => {
      const rows = [...statuses.values()].map(toRow);
      const write = model.insertMany(rows, { ...options, ordered: false, lean: true });
      const errors = await itemErrors(statuses.keys(), write);
      return (key) => isInserted(errors.get(key));
    },
    INSERTS_AT_ONCE,
  );

  return {
    insert: (status) => insert(randomUUID(), status),
    findNamed: async (revocations, now) => {
      if (revocations.length === 0) return [];
      const found = await calls.run((options) =>
        model
          .aggregate<{ _id: string; indexes: number[]; end: Date }>(namedBy(revocations, dateOf(now)))
          // The revocations are those that a majority has: so is what was there before them.
          .option(readOptions('majority', options))
          .exec(),
      );
      return found.map(({ _id, indexes, end }) => ({ list: _id, indexes, expiresAt: secondsOf(end) }));
    },
    findEnd: async (list, now) => {
      const filter = { list, expiresAt: mongoose.trusted({ $gt: dateOf(now) }) };
      const last = await findConfirmed(calls, (options) =>
        model
          .findOne(filter, { expiresAt: 1 }, options)
          .sort({ expiresAt: -1 })
          .lean<TokenStatusRow>()
          .exec(),
      );
      return last && secondsOf(last.expiresAt);
    },
    lists: async (now) => {
      // By the index from list to list, without a look at what is between.
      const ends = await calls.run((options) =>
        model
          .aggregate<{ _id: string; end: Date }>([
            { $sort: { list: 1, expiresAt: -1 } },
            { $group: { _id: '$list', end: { $first: '$expiresAt' } } },
          ])
          .option(readOptions('local', options))
          .exec(),
      );
      return ends
        .filter(({ end }) => end > dateOf(now))
        .map(({ _id }) => _id)
        .toSorted((one, other) => (one < other ? -1 : 1));
    },
  };
}

/** False where the place is taken. */
function isInserted(error: unknown): boolean {
  if (error === undefined) return true;
  if (isDuplicateKey(error)) return false;
  throw storeUnavailable(error);
}

/**
 * Gathers what a clause for each person and node names, each with an index of its own, and one for all single tokens.
 * What has expired is left out afterwards: with its time in the clauses the engine would choose among indexes for each
 * of five hundred, and some would be read from the beginning.
 */
const namedBy = (revocations: Parameters<TokenStatusStore['findNamed']>[0], now: Date): PipelineStage[] => [
  {
    $match: {
      $or: [
        { jti: { $in: subjectsOf(revocations) } },
        ...revocations.flatMap<object>(({ kind, subject, issuedBefore }) => {
          if (kind === 'person') return [{ subject, issuedAt: { $lt: issuedBefore } }];
          return kind === 'node' ? [{ clientId: subject, issuedAt: { $lt: issuedBefore } }] : [];
        }),
      ],
    },
  },
  {
    $group: {
      _id: '$list',
      indexes: { $push: { $cond: [{ $gt: ['$expiresAt', now] }, '$index', '$$REMOVE'] } },
      end: { $max: '$expiresAt' },
    },
  },
  { $match: { end: { $gt: now } } },
];

const subjectsOf = (revocations: readonly Pick<Revocation, 'kind' | 'subject'>[]): string[] =>
  revocations.flatMap(({ kind, subject }) => (kind === 'token' ? [subject] : []));

const secondsOf = (date: Date): number => date.getTime() / 1000;

export const toRow = ({ expiresAt, ...status }: TokenStatus): TokenStatusRow => ({
  _id: `${status.list}:${status.index}`,
  ...status,
  expiresAt: dateOf(expiresAt),
});

export const toTokenStatus = ({ _id, expiresAt, ...status }: TokenStatusRow): TokenStatus => ({
  ...status,
  expiresAt: secondsOf(expiresAt),
});
