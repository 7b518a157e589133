/**
 * Reads by id, grouped, whose refusals are certain. A read from the primary sees every write that was
 * acknowledged, unless that primary was deposed and does not know it yet (a partition, for seconds). What is found
 * there is as good as it was, and nothing can be written on it; but a client throws away a token that is called
 * unknown. So "it is not there" is asked again with read concern `linearizable`, which a deposed primary cannot
 * answer. Asking everything that way would cost five times the time.
 */
import mongoose from 'mongoose';
import type { Model, QueryFilter } from 'mongoose';

import { createRecordParser } from '../parsed.ts';
import type { CallOptions, Calls } from './calls.ts';
import { createGroup } from './group-commit.ts';

// A second turn goes out while the first one waits for the engine.
const READS_AT_ONCE = 2;

type ReadConcern = 'local' | 'majority' | 'linearizable';

/** Finds a row by id; one that is absent, or that `isGood` refuses, only after it was confirmed. */
type FindById<Row> = (id: string, isGood?: (row: Row) => boolean) => Promise<Row | null>;

const always = () => true;

export function createFinder<Row extends { readonly _id: string }>(
  model: Model<Row>,
  calls: Calls,
): FindById<Row> {
  const createReads = (level: ReadConcern) =>
    createGroup<null, Row | null>(
      calls,
      async (ids, options) => {
        const filter = { _id: mongoose.trusted({ $in: [...ids.keys()] }) };
        // Without a batch size the first 101 come alone, and the rest takes a second round trip.
        const read = { ...readOptions(level, options), batchSize: ids.size + 1 };
        const rows = await model.find(filter, null, read).lean<Row[]>().exec();
        const byId = new Map(rows.map((row) => [row._id, row]));
        return (id) => byId.get(id) ?? null;
      },
      READS_AT_ONCE,
    );
  const read = createReads('local');
  const confirm = createReads('linearizable');

  return async (id, isGood = always) => {
    const since = performance.now();
    const row = await read(id, null, since);
    return row !== null && isGood(row) ? row : confirm(id, null, since);
  };
}

/** The same for one read by something else than the id. */
export async function findConfirmed<Row>(
  calls: Calls,
  query: (options: object) => Promise<Row | null>,
): Promise<Row | null> {
  const since = performance.now();
  const row = await calls.run((options) => query(readOptions('local', options)), since);
  return row ?? calls.run((options) => query(readOptions('linearizable', options)), since);
}

/** Finds the records of a collection that keeps each of them whole as JSON: by id, or by a field beside it. */
export function createRecordFinder<T, Row extends { readonly _id: string; readonly record: string }>(
  model: Model<Row>,
  calls: Calls,
) {
  const findRow = createFinder(model, calls);
  const parse = createRecordParser<T>();
  const toRecord = (row: Row | null): T | null => row && parse(row._id, row.record);
  return {
    find: async (id: string) => toRecord(await findRow(id)),
    findBy: async (filter: QueryFilter<Row>) =>
      toRecord(
        await findConfirmed(calls, (options) => model.findOne(filter, null, options).lean<Row>().exec()),
      ),
  };
}

/** What a read hands to the driver. */
export const readOptions = (level: ReadConcern, options: CallOptions) => ({
  ...options,
  readConcern: { level },
});
