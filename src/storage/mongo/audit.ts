/** The audit log in MongoDB: the number of a record is its `_id`, so of all who append it one succeeds. */
import mongoose from 'mongoose';
import type { Model, QueryFilter } from 'mongoose';

import type { AuditFilter, AuditRecord, AuditStore } from '../port.ts';
import type { Calls } from './calls.ts';
import { isDuplicateKey } from './errors.ts';
import { findConfirmed, readOptions } from './finder.ts';
import type { AuditRow } from './rows.ts';

export function createAuditStore(model: Model<AuditRow>, calls: Calls): AuditStore {
  return {
    append: async (record) => {
      try {
        await calls.run((options) => model.insertMany([toRow(record)], { ...options, lean: true }));
        return true;
      } catch (error) {
        if (!isDuplicateKey(error)) throw error;
        return false;
      }
    },
    last: async () => {
      const row = await findConfirmed(calls, (options) =>
        model.findOne({}, null, options).sort({ _id: -1 }).lean<AuditRow>().exec(),
      );
      return row && toRecord(row);
    },
    list: async ({ after, limit }, filter = {}, order = 'newest') => {
      const seq = after === undefined ? undefined : Number(after);
      if (Number.isNaN(seq)) return { items: [], next: null }; // no list gave that cursor
      const wanted = filterOf(filter, seq, order === 'newest');
      const rows = await calls.run((options) =>
        model
          .find(wanted, null, readOptions('local', options))
          .sort({ _id: order === 'newest' ? -1 : 1 })
          .limit(limit + 1)
          .lean<AuditRow[]>()
          .exec(),
      );
      const last = rows.length > limit ? rows[limit - 1] : undefined;
      return {
        items: rows.slice(0, limit).map(toRecord),
        next: last === undefined ? null : String(last._id),
      };
    },
  };
}

function filterOf(
  { actor, action, target, from, until }: AuditFilter,
  after: number | undefined,
  isNewest: boolean,
): QueryFilter<AuditRow> {
  return {
    ...(actor !== undefined && { actor }),
    ...(action !== undefined && { action }),
    ...(target !== undefined && { target }),
    ...((from !== undefined || until !== undefined) && {
      at: mongoose.trusted({
        ...(from !== undefined && { $gte: from }),
        ...(until !== undefined && { $lt: until }),
      }),
    }),
    ...(after !== undefined && {
      _id: mongoose.trusted(isNewest ? { $lt: after } : { $gt: after }),
    }),
  };
}

export const toRow = (record: AuditRecord): AuditRow => ({
  _id: record.seq,
  at: record.at,
  actor: record.actor,
  action: record.action,
  target: record.target,
  record: JSON.stringify(record),
});

export const toRecord = (row: AuditRow): AuditRecord => JSON.parse(row.record) as AuditRecord; // written by toRow()
