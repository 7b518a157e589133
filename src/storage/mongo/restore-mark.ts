/** The mark of a store that is being filled from a backup: while it is there, nothing else opens the store. */
import type { Model } from 'mongoose';

import { AppError } from '../../errors.ts';
import { RESTORE_REFUSALS } from '../port.ts';
import type { CallOptions, Calls } from './calls.ts';
import { isDuplicateKey } from './errors.ts';
import { readOptions } from './finder.ts';
import type { RestoreRow } from './rows.ts';

const ID = 'restore';
// What a restore writes keeps the set busy, and nobody's request waits for it.
const PATIENT_MS = 15_000;

/** Whose restore it is; null where the store is whole. */
export async function readMark(
  model: Model<RestoreRow>,
  calls: Calls,
  timeoutMs?: number,
): Promise<string | null> {
  const read = (options: CallOptions) =>
    model.findById(ID, null, readOptions('linearizable', options)).lean<RestoreRow>().exec();
  return (await calls.attempt(read, performance.now(), timeoutMs))?.owner ?? null;
}

/** Takes the place of the mark of `previous`, where that is still there: of two that try, one succeeds. */
export async function putMark(
  model: Model<RestoreRow>,
  calls: Calls,
  {
    previous,
    owner,
    now,
  }: { readonly previous: string | null; readonly owner: string; readonly now: number },
): Promise<void> {
  const change = { $set: { owner, beganAt: now } };
  const expected = previous === null ? { _id: ID, beganAt: now, owner } : { _id: ID, owner: previous };
  try {
    const { upsertedCount, modifiedCount } = await calls.run((options) =>
      model.updateOne(expected, change, { ...options, upsert: previous === null }).exec(),
    );
    if (upsertedCount + modifiedCount === 0) throw taken();
  } catch (error) {
    throw isDuplicateKey(error) ? taken() : error;
  }
}

export async function removeMark(model: Model<RestoreRow>, calls: Calls, owner: string): Promise<void> {
  const { deletedCount } = await calls.run((options) => model.deleteOne({ _id: ID, owner }, options).exec());
  if (deletedCount === 0) throw taken();
}

/** Throws a sentence where a restore is under way, or was cut. */
export async function assertWhole(model: Model<RestoreRow>, calls: Calls): Promise<void> {
  if ((await readMark(model, calls)) !== null) throw new Error(RESTORE_REFUSALS.unfinished);
}

/** Throws AppError('conflict') where the mark is not this restore's any more. */
export async function assertOwn(model: Model<RestoreRow>, calls: Calls, owner: string): Promise<void> {
  if ((await readMark(model, calls, PATIENT_MS)) !== owner) throw taken();
}

const taken = (): AppError => new AppError('conflict', RESTORE_REFUSALS.taken);
