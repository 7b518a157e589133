/** Backups in memory: written, taken apart, and put together in ways in which the program never writes one. */
import { Buffer } from 'node:buffer';
import { Readable } from 'node:stream';
import { gzipSync } from 'node:zlib';

import { encrypt, passphraseOf } from '../../src/backup/cipher.ts';
import type { Source } from '../../src/backup/cipher.ts';
import { openBackup } from '../../src/backup/read.ts';
import { writeBackup } from '../../src/backup/write.ts';
import type { StoredRecord } from '../../src/storage/port.ts';

export const PASSPHRASE = passphraseOf('a secret key');
export const OTHER = passphraseOf('another secret key');

export const HEADER = {
  portcullis: '0.1.0',
  createdAt: '2026-01-31T12:00:00.000Z',
  issuer: 'https://id.example',
  storeKind: 'sqlite',
};

/** So many records, of no compressible kind. */
export const records = (count: number): readonly StoredRecord[] =>
  Array.from({ length: count }, (_, n) => ({
    store: 'names',
    record: { name: `name ${n} ${crypto.randomUUID()} ü\n`, kind: 'account' },
  }));

/** The bytes of a backup of these. */
export async function write(all: readonly StoredRecord[], batch = 200): Promise<Buffer> {
  const chunks: Uint8Array[] = [];
  await writeBackup({
    batches: batches(all, batch),
    header: HEADER,
    passphrase: PASSPHRASE,
    write: async (bytes) => void chunks.push(bytes),
    onProgress: () => undefined,
  });
  return Buffer.concat(chunks);
}

async function* batches(all: readonly StoredRecord[], batch: number) {
  for (let from = 0; from < all.length; from += batch) yield all.slice(from, from + batch);
}

/** A file whose lines are these, under the right passphrase. */
export const encrypted = (...lines: readonly object[]): Promise<Buffer> =>
  encryptedText(lines.map((line) => `${JSON.stringify(line)}\n`).join(''));

export async function encryptedText(text: string): Promise<Buffer> {
  return Buffer.concat(await Array.fromAsync(await encrypt(Readable.from([gzipSync(text)]), PASSPHRASE)));
}

/** In small pieces, as from a slow disk. */
export const sourceOf = (bytes: Uint8Array, piece = 1_000): Source =>
  async function* () {
    for (let from = 0; from < bytes.length; from += piece) yield bytes.subarray(from, from + piece);
  };

/** All that is in it. */
export async function read(
  bytes: Uint8Array,
  passphrases: readonly string[] = [PASSPHRASE],
): Promise<readonly StoredRecord[]> {
  const { batches: all } = await openBackup(sourceOf(bytes), passphrases);
  return (await Array.fromAsync(all)).flat();
}
