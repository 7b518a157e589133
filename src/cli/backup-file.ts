/**
 * The file of a backup. It is written beside its place, read back, and gets its name only when it is good: what bears
 * the name of a backup is a whole one, whatever happened meanwhile.
 */
import { createReadStream } from 'node:fs';
import { link, lstat, open, rename, unlink } from 'node:fs/promises';
import type { FileHandle } from 'node:fs/promises';
import { dirname } from 'node:path';

import { errorCode } from '../config/secret-sources.ts';
import { AppError, isAppError } from '../errors.ts';
import { unreadable } from './io.ts';

const READ_BYTES = 256 * 1024;
const FULL = new Set(['ENOSPC', 'EDQUOT', 'EFBIG']);

type Write = (bytes: Uint8Array) => Promise<void>;
type Source = () => AsyncIterable<Uint8Array>;

/** Has a new file of mode 0600 filled, then checked. Leaves nothing where one of the two throws. */
export async function writeNewFile<Filled, Checked>(
  file: string,
  fill: (write: Write) => Promise<Filled>,
  check: (source: Source) => Promise<Checked>,
): Promise<readonly [Filled, Checked]> {
  if (await exists(file)) throw isThere(file);
  const partial = `${file}.partial`;
  const handle = await refusing(file, open(partial, 'wx', 0o600)).catch((error: unknown) => {
    throw isAppError(error, 'conflict') ? isBeingWritten(partial) : error;
  });
  try {
    const filled = await fillAndSync(handle, file, fill);
    const checked = await check(() => readFrom(partial));
    await giveName(partial, file);
    return [filled, checked];
  } catch (error) {
    await unlink(partial).catch(() => undefined); // where it cannot be deleted the first error says more
    throw error;
  }
}

async function fillAndSync<Filled>(
  handle: FileHandle,
  file: string,
  fill: (write: Write) => Promise<Filled>,
): Promise<Filled> {
  try {
    const filled = await fill((bytes) => refusing(file, handle.writeFile(bytes)));
    await refusing(file, handle.sync());
    return filled;
  } finally {
    await handle.close();
  }
}

/** The bytes of a file that a person named. */
export async function* readFrom(file: string): AsyncGenerator<Uint8Array> {
  try {
    // It is opened without an encoding, so it gives bytes.
    for await (const bytes of createReadStream(file, { highWaterMark: READ_BYTES })) yield bytes as Buffer;
  } catch (error) {
    throw new AppError('invalid_request', unreadable(file, error), { cause: error });
  }
}

/** Names the file where what it holds is refused: whoever checks many reads which one it is. */
export async function naming<T>(file: string, work: Promise<T>): Promise<T> {
  try {
    return await work;
  } catch (error) {
    if (!isAppError(error, 'invalid_request') || error.message.includes(file)) throw error;
    throw new AppError(error.code, `${file}: ${error.message}`, { cause: error });
  }
}

/** A link is never made over a file that came meanwhile; but not every file system has links. */
async function giveName(partial: string, file: string): Promise<void> {
  try {
    await link(partial, file);
    await unlink(partial);
  } catch (error) {
    if (errorCode(error) === 'EEXIST') throw isThere(file);
    await refusing(file, rename(partial, file));
  }
  const folder = await open(dirname(file));
  await folder.sync().finally(() => folder.close()); // so that a power cut leaves the name, too
}

const exists = (file: string): Promise<boolean> =>
  lstat(file).then(
    () => true,
    () => false,
  );

const isThere = (file: string): AppError =>
  new AppError(
    'conflict',
    `${file} is there already and was left as it is: give --output another name, such as one with the date.`,
  );

const isBeingWritten = (partial: string): AppError =>
  new AppError(
    'conflict',
    `${partial} is there already: another backup is being written there, or was cut. Delete it in that case.`,
  );

async function refusing<T>(file: string, work: Promise<T>): Promise<T> {
  try {
    return await work;
  } catch (error) {
    throw refusal(file, error);
  }
}

function refusal(file: string, cause: unknown): AppError {
  const code = errorCode(cause);
  if (code === 'EEXIST') return isThere(file);
  const reason =
    code === 'ENOENT'
      ? `The folder of ${file} does not exist: make it first.`
      : FULL.has(code)
        ? `${file} cannot be written, since the disk is full (${code}): nothing of it is left. Give --output another disk.`
        : `${file} cannot be written (${code}): give --output a place where this user may write.`;
  return new AppError('invalid_request', reason, { cause });
}
