/** Why a file cannot be opened: what waiting may mend is told as a store that cannot answer, the rest with a remedy. */
import { accessSync, constants } from 'node:fs';
import { dirname } from 'node:path';

import { storeUnavailable } from '../../errors.ts';
import { resultCode, translateError } from './errors.ts';

const READONLY = 8;
const CORRUPT = 11;
const CANTOPEN = 14;
const NOTADB = 26;

/** No space, no free handle, a disk that fails: all of them may pass. */
const PASSING = new Set(['ENOSPC', 'EDQUOT', 'EMFILE', 'ENFILE', 'EIO', 'EBUSY', 'ETXTBSY', 'ESTALE']);

/** The code of an error of the system. */
export const codeOf = (error: unknown): string =>
  Error.isError(error) && 'code' in error && typeof error.code === 'string' ? error.code : 'unknown';

export const isPassing = (error: unknown): boolean => PASSING.has(codeOf(error));

/** The error to reject with: a sentence that names the file and the remedy where trying again will not help. */
export function toOpeningError(path: string, error: unknown): unknown {
  if (isPassing(error)) return storeUnavailable(error);
  const sentence = sentenceFor(path, error);
  return sentence === null ? translateError(error) : new Error(sentence, { cause: error });
}

function sentenceFor(path: string, error: unknown): string | null {
  switch (codeOf(error)) {
    case 'EISDIR':
      return `The store ${path} is a folder: name a file in DATABASE_URL, such as sqlite:${path}/portcullis.db.`;
    case 'ENOTDIR':
      return `The folder ${dirname(path)} of the store is a file: change DATABASE_URL.`;
    case 'EACCES':
    case 'EPERM':
    case 'EROFS':
      return notWritable(path, codeOf(error));
  }
  switch (resultCode(error)) {
    case NOTADB:
      return `The store ${path} is a file of another kind, not an SQLite database: name another file in DATABASE_URL, or move this one away.`;
    case CORRUPT:
      return `The store ${path} is damaged: restore a backup of it, or move it away to start with an empty one.`;
    case READONLY:
      return notWritable(path, 'read-only');
    case CANTOPEN: // also on a full disk
      return mayWrite(path) && mayWrite(dirname(path)) ? null : notWritable(path, 'EACCES');
  }
  return null;
}

const notWritable = (path: string, reason: string): string =>
  `The store ${path} cannot be written (${reason}): make the file and its folder writable and owned by the user ` +
  `that runs Portcullis (chown, chmod u+rw), or change DATABASE_URL.`;

function mayWrite(path: string): boolean {
  try {
    accessSync(path, constants.R_OK | constants.W_OK);
    return true;
  } catch {
    return false;
  }
}
