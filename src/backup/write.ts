/** Writing a backup: records in, encrypted bytes out, a few batches in memory at a time. */
import { Buffer } from 'node:buffer';
import { createHash } from 'node:crypto';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { createGzip } from 'node:zlib';

import type { StoredRecord } from '../storage/port.ts';
import { encrypt } from './cipher.ts';
import { createCounter, FORMAT, VERSION } from './format.ts';
import type { BackupEnd, BackupHeader, Counts } from './format.ts';

type Batches = AsyncIterable<readonly StoredRecord[]>;

export interface WriteOptions {
  readonly batches: Batches;
  readonly header: Omit<BackupHeader, 'format' | 'version'>;
  readonly passphrase: string;
  /** Takes the bytes in their order; the next ones come when it is done with these. */
  readonly write: (bytes: Uint8Array) => Promise<void>;
  readonly onProgress: (counts: Counts) => void;
}

/** Writes it to its end; gives what is in it. When it settles, it has let go of the batches. */
export async function writeBackup(options: WriteOptions): Promise<Counts> {
  const { batches, passphrase, write } = options;
  const [counter, gzip, left] = [createCounter(), createGzip(), { promise: Promise.resolve() }];
  const drain = async (): Promise<void> => {
    for await (const bytes of await encrypt(gzip, passphrase)) await write(bytes);
  };
  const lines = linesOf({ ...options, batches: tellingEnd(batches, left) }, counter);
  const outcomes = await Promise.allSettled([drain(), pipeline(Readable.from(lines), gzip)]);
  await left.promise;
  for (const outcome of outcomes) if (outcome.status === 'rejected') throw outcome.reason;
  return counter.counts();
}

/** A stream that is given up does not wait until its source has ended. */
async function* tellingEnd(
  batches: Batches,
  left: { promise: Promise<void> },
): AsyncGenerator<readonly StoredRecord[]> {
  const end = Promise.withResolvers<undefined>();
  left.promise = end.promise;
  try {
    yield* batches;
  } finally {
    end.resolve(undefined);
  }
}

async function* linesOf(
  { batches, header, onProgress }: WriteOptions,
  counter: ReturnType<typeof createCounter>,
): AsyncGenerator<Buffer> {
  const digest = createHash('sha256');
  const toBytes = (values: readonly object[]): Buffer => {
    const bytes = Buffer.from(values.map((value) => `${JSON.stringify(value)}\n`).join(''));
    digest.update(bytes);
    return bytes;
  };
  yield toBytes([{ format: FORMAT, version: VERSION, ...header } satisfies BackupHeader]);
  for await (const batch of batches) {
    counter.add(batch);
    onProgress(counter.counts());
    yield toBytes(batch);
  }
  const end: BackupEnd = { end: { counts: counter.counts(), sha256: digest.copy().digest('base64url') } };
  yield toBytes([end]);
}
