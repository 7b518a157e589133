/** The mark of a store that is being filled from a backup: while it is there, nothing else opens the store. */
import type { DatabaseSync } from 'node:sqlite';

import { AppError } from '../../errors.ts';
import { RESTORE_REFUSALS } from '../port.ts';

/** Whose restore it is; null where the store is whole. */
export function readMark(database: DatabaseSync): string | null {
  const owner = database.prepare('SELECT owner FROM restores').get()?.['owner'];
  return owner === undefined ? null : String(owner);
}

/** Takes the place of an earlier mark. */
export function putMark(database: DatabaseSync, owner: string, now: number): void {
  database.prepare('REPLACE INTO restores VALUES (1, ?, ?)').run(owner, now);
}

export function removeMark(database: DatabaseSync): void {
  database.exec('DELETE FROM restores');
}

/** Throws a sentence where a restore is under way, or was cut. */
export function assertWhole(database: DatabaseSync): void {
  if (readMark(database) !== null) throw new Error(RESTORE_REFUSALS.unfinished);
}

/** Throws AppError('conflict') where the mark is not this restore's any more. */
export function assertOwn(database: DatabaseSync, owner: string): void {
  if (readMark(database) !== owner) throw new AppError('conflict', RESTORE_REFUSALS.taken);
}
