/** Tells a store that cannot answer from a mistake in a call, and a taken key from both. */
import mongoose from 'mongoose';

import { storeUnavailable } from '../../errors.ts';

const { MongoBulkWriteError, MongoError, MongoInvalidArgumentError, MongoParseError } = mongoose.mongo;

const DUPLICATE_KEY = 11_000;

/** True where a unique index refused the write, or one item of a bulk write. */
export const isDuplicateKey = (error: unknown): boolean =>
  typeof error === 'object' && error !== null && 'code' in error && error.code === DUPLICATE_KEY;

/**
 * The error to reject with: AppError('store_unavailable') for whatever the engine says, since a refused write is
 * no answer; but a taken key and a call that was built wrong stay as they came.
 */
export function translateError(error: unknown): unknown {
  if (error instanceof mongoose.Error.MongooseServerSelectionError) return storeUnavailable(error);
  if (!(error instanceof MongoError) || isDuplicateKey(error)) return error;
  if (error instanceof MongoParseError || error instanceof MongoInvalidArgumentError) return error;
  return storeUnavailable(error);
}

/** Waits for a bulk write of one item for each key; gives the errors of those that failed alone. */
export async function itemErrors(
  keys: Iterable<string>,
  write: Promise<unknown>,
): Promise<ReadonlyMap<string, unknown>> {
  try {
    await write;
    return new Map();
  } catch (error) {
    if (!(error instanceof MongoBulkWriteError)) throw error;
    const failures = new Map([error.writeErrors].flat().map((failure) => [failure.index, failure]));
    // Without a majority nothing of it is certain, also what has no error of its own.
    if (failures.size === 0 || error.result.getWriteConcernError() !== undefined) throw error;
    return new Map(
      [...keys].flatMap((key, index) => (failures.has(index) ? [[key, failures.get(index)]] : [])),
    );
  }
}
