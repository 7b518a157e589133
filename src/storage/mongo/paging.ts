/** Pages of records, in the order of a unique key: one more than asked for tells whether there is a next page. */
import mongoose from 'mongoose';
import type { Model, QueryFilter } from 'mongoose';

import type { Page, PageRequest } from '../port.ts';
import type { Calls } from './calls.ts';
import { readOptions } from './finder.ts';

/** `key` is what rows are listed by: it has a unique index. */
export function createPageReader<
  Key extends '_id' | 'username',
  Row extends Readonly<Record<Key, string>>,
  T,
>(model: Model<Row>, calls: Calls, key: Key, toRecord: (row: Row) => T) {
  return async ({ after = '', limit }: PageRequest, filter: QueryFilter<Row> = {}): Promise<Page<T>> => {
    const wanted = { ...filter, [key]: mongoose.trusted({ $gt: after }) };
    const rows = await calls.run((options) =>
      model
        .find(wanted, null, readOptions('local', options))
        .sort({ [key]: 1 })
        .limit(limit + 1)
        .lean<Row[]>()
        .exec(),
    );
    const last = rows.length > limit ? rows[limit - 1] : undefined;
    return { items: rows.slice(0, limit).map(toRecord), next: last?.[key] ?? null };
  };
}
