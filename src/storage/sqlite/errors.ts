/** Tells a store that cannot answer (full, locked, unreadable) from a mistake in a statement. */
import { storeUnavailable } from '../../errors.ts';

const CONSTRAINT = 19;
// BUSY, LOCKED, NOMEM, READONLY, INTERRUPT, IOERR, CORRUPT, FULL, CANTOPEN, PROTOCOL, NOTADB (sqlite.org/rescode.html)
const UNAVAILABLE = new Set([5, 6, 7, 8, 9, 10, 11, 13, 14, 15, 26]);

/** The primary result code of an SQLite error, also of one that crossed threads; undefined for anything else. */
export function resultCode(error: unknown): number | undefined {
  if (!Error.isError(error) || !('errcode' in error) || typeof error.errcode !== 'number') return undefined;
  return error.errcode & 0xff;
}

export const isConstraint = (error: unknown): boolean => resultCode(error) === CONSTRAINT;

/** True where the store as a whole cannot do it now, whatever the statement. */
export const isUnavailable = (error: unknown): boolean => {
  const code = resultCode(error);
  return code === undefined ? isClosedHandle(error) : UNAVAILABLE.has(code);
};

/** The error to reject with: AppError('store_unavailable') where the store is the reason, else as it came. */
export const translateError = (error: unknown): unknown =>
  isUnavailable(error) ? storeUnavailable(error) : error;

const isClosedHandle = (error: unknown): boolean =>
  Error.isError(error) && 'code' in error && error.code === 'ERR_INVALID_STATE';
