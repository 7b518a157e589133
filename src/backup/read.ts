/** Reading a backup: whoever reads its records to their end without an error has read all of it, as it was written. */
import { Buffer } from 'node:buffer';
import { createHash } from 'node:crypto';
import { pipeline, Readable } from 'node:stream';
import { createGunzip } from 'node:zlib';

import { AppError, isAppError } from '../errors.ts';
import type { StoredRecord } from '../storage/port.ts';
import { decrypt } from './cipher.ts';
import type { Source } from './cipher.ts';
import { createCounter, differing, FORMAT, VERSION } from './format.ts';
import type { BackupEnd, BackupHeader, Counts } from './format.ts';

const LINE_FEED = 0x0a;
const READ_BYTES = 64 * 1024;

export interface Backup {
  readonly header: BackupHeader;
  /** Throws AppError('invalid_request') with a sentence where it is not what was written. To be read once. */
  readonly batches: AsyncIterable<readonly StoredRecord[]>;
}

/** Opens one that any of the passphrases opens. */
export async function openBackup(source: Source, passphrases: readonly string[]): Promise<Backup> {
  const failed: { error?: unknown } = {};
  const decrypted = await decrypt(noting(source(), failed), passphrases);
  const lines = linesOf(translated(decrypted, failed));
  const first = await lines.next();
  if (first.done === true) throw damaged();
  const [head, ...rest] = first.value;
  return { header: toHeader(head), batches: toBatches(head, rest, lines) };
}

/** A disk that cannot be read is told as such, and not as a backup that was changed. */
async function* noting(
  source: AsyncIterable<Uint8Array>,
  failed: { error?: unknown },
): AsyncGenerator<Uint8Array> {
  try {
    yield* source;
  } catch (error) {
    failed.error = error;
    throw error;
  }
}

async function* translated(
  bytes: AsyncIterable<Uint8Array>,
  failed: { readonly error?: unknown },
): AsyncGenerator<Buffer> {
  const gunzip = createGunzip({ chunkSize: READ_BYTES });
  // Whatever ends one of the two ends the other; the iteration below tells why.
  pipeline(Readable.from(bytes, { objectMode: false }), gunzip, () => undefined);
  try {
    for await (const chunk of gunzip) yield chunk as Buffer; // it gives nothing else
  } catch (error) {
    throw Error.isError(failed.error) ? failed.error : damaged(error);
  }
}

/** The lines that each chunk ends, without their line feeds. */
async function* linesOf(chunks: AsyncIterable<Buffer>): AsyncGenerator<readonly Buffer[]> {
  let kept: Buffer[] = [];
  for await (const chunk of chunks) {
    const lines: Buffer[] = [];
    let start = 0;
    for (let end = chunk.indexOf(LINE_FEED); end !== -1; end = chunk.indexOf(LINE_FEED, start)) {
      lines.push(Buffer.concat([...kept, chunk.subarray(start, end)]));
      kept = [];
      start = end + 1;
    }
    kept.push(chunk.subarray(start));
    if (lines.length > 0) yield lines;
  }
  if (kept.some(({ length }) => length > 0)) throw damaged();
}

function toHeader(line: Buffer | undefined): BackupHeader {
  // It opened under our passphrase: we wrote it, perhaps in a version to come.
  const header = JSON.parse(String(line)) as BackupHeader;
  if (header.format !== FORMAT) throw damaged();
  if (header.version === VERSION) return header;
  throw new AppError(
    'invalid_request',
    `The backup has format ${header.version}, and this version of Portcullis reads format ${VERSION}: ` +
      `use Portcullis ${header.portcullis}, which wrote it, or a newer one.`,
  );
}

async function* toBatches(
  head: Buffer | undefined,
  rest: readonly Buffer[],
  lines: AsyncIterable<readonly Buffer[]>,
): AsyncGenerator<readonly StoredRecord[]> {
  const counter = createCounter();
  const digest = createHash('sha256');
  const ends: BackupEnd[] = [];
  const add = (line: Buffer): void => void digest.update(line).update('\n');
  const toBatch = (batch: readonly Buffer[]): readonly StoredRecord[] => {
    const records = batch.flatMap((line) => {
      if (ends.length > 0) throw damaged();
      const value = JSON.parse(line.toString()) as StoredRecord | BackupEnd; // we wrote it
      if ('store' in value) {
        add(line);
        return [value];
      }
      ends.push(value);
      return [];
    });
    counter.add(records);
    return records;
  };
  if (head !== undefined) add(head);
  yield toBatch(rest);
  for await (const batch of lines) yield toBatch(batch);
  assertEnd(ends[0], counter.counts(), digest.digest('base64url'));
}

function assertEnd(last: BackupEnd | undefined, counts: Counts, sha256: string): void {
  if (last?.end.sha256 !== sha256 || differing(last.end.counts, counts).length > 0) throw damaged();
}

const damaged = (cause?: unknown): AppError =>
  isAppError(cause) ? cause : new AppError('invalid_request', DAMAGED, { cause });

const DAMAGED =
  'The backup is damaged: it was cut or changed since it was written. Copy it anew from where it was taken, ' +
  'or take another backup.';
