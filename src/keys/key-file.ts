/** Reads the file of a key. What is no file, or too long for a key, is refused at once: a pipe may never have an end. */
import { closeSync, constants, fstatSync, lstatSync, openSync, readSync } from 'node:fs';
import type { Stats } from 'node:fs';

// Larger than any key: what is longer is none.
const MAX_BYTES = 65_536;

/**
 * `shown` is what the file is called in a refusal, and `remedy` ends it, or `remedyOfMissing` where there is no such
 * file. Throws a sentence.
 */
export function readKeyFile(path: string, shown: string, remedy: string, remedyOfMissing = remedy): string {
  const handle = open(path, shown, { EACCES: DENIED, EPERM: DENIED, ENOENT: remedyOfMissing, other: remedy });
  try {
    const found = fstatSync(handle);
    if (!found.isFile()) throw new Error(`${shown} is no key: it is ${kindOf(found)}. ${remedy}`);
    const bytes = readUpTo(handle, MAX_BYTES + 1);
    if (bytes.length <= MAX_BYTES) return bytes.toString('utf8');
    throw new Error(`${shown} is no key: it is larger than 64 KiB. ${remedy}`);
  } finally {
    closeSync(handle);
  }
}

const DENIED = 'Make it readable for this user.';

type Remedies = Readonly<Record<string, string>> & { readonly other: string };

function open(path: string, shown: string, remedies: Remedies): number {
  try {
    // Without O_NONBLOCK a pipe is opened once somebody writes into it.
    return openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);
  } catch (cause) {
    const code = Error.isError(cause) && 'code' in cause ? String(cause.code) : 'unknown';
    const reason = code === 'ENOENT' ? missing(path) : code;
    throw new Error(`${shown} cannot be read (${reason}). ${remedies[code] ?? remedies.other}`, { cause });
  }
}

const missing = (path: string): string =>
  lstatSync(path, { throwIfNoEntry: false })?.isSymbolicLink() === true
    ? 'it is a link to a file that is not there'
    : 'there is no such file';

const kindOf = (found: Stats): string =>
  found.isDirectory() ? 'a folder' : found.isFIFO() ? 'a pipe' : 'a device, not a file';

function readUpTo(handle: number, length: number): Buffer {
  const bytes = Buffer.alloc(length);
  let end = 0;
  for (let read = -1; read !== 0 && end < length; end += read)
    read = readSync(handle, bytes, end, length - end, null);
  return bytes.subarray(0, end);
}
