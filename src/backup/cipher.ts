/**
 * The encryption of backups: an age file (age-encryption.org/v1), so that any `age` opens one, under a passphrase that
 * is derived from SECRET_KEY. Its chunks are authenticated one by one, in their order and with their end: what was
 * changed, cut, or put in another place does not open.
 */
import { Buffer } from 'node:buffer';
import { hkdfSync } from 'node:crypto';
import { Readable } from 'node:stream';

import { Decrypter, Encrypter } from 'age-encryption';

import { AppError } from '../errors.ts';

// How each of our files begins. A file that says more work makes whoever opens it spend a gigabyte before its key fails.
const START = /^age-encryption\.org\/v1\n-> scrypt [A-Za-z\d+/]{22} 10\n$/;
const START_BYTES = 58;
// The passphrase has 256 bits: there is nothing that work could make harder to guess.
const SCRYPT_LOG_N = 10;

/** A file, from its beginning each time. */
export type Source = () => AsyncIterable<Uint8Array>;

/** The passphrase of the backups of one SECRET_KEY. */
export const passphraseOf = (secretKey: string): string =>
  Buffer.from(hkdfSync('sha256', secretKey, '', 'portcullis backup', 32)).toString('base64url');

/** The encrypted bytes of `plain`. */
export async function encrypt(plain: Readable, passphrase: string): Promise<AsyncIterable<Uint8Array>> {
  const encrypter = new Encrypter();
  encrypter.setPassphrase(passphrase);
  encrypter.setScryptWorkFactor(SCRYPT_LOG_N);
  return encrypter.encrypt(toWeb(plain));
}

/** The bytes behind a source that one of the passphrases opens. What is read of them is genuine. */
export async function decrypt(
  source: AsyncIterable<Uint8Array>,
  passphrases: readonly string[],
): Promise<AsyncIterable<Uint8Array>> {
  const decrypter = new Decrypter();
  for (const passphrase of passphrases) decrypter.addPassphrase(passphrase);
  const checked = Readable.from(withStart(source), { objectMode: false });
  return decrypter.decrypt(toWeb(checked)).catch((cause: unknown) => {
    // What the source itself throws is no matter of keys.
    throw checked.errored ?? new AppError('invalid_request', WRONG_KEY, { cause });
  });
}

const WRONG_KEY =
  'The backup does not open with this SECRET_KEY (or its first bytes were changed): set SECRET_KEY, or ' +
  'SECRET_KEY_PREVIOUS, to that of the installation that it was made of.';

const NO_BACKUP = 'This file is no backup: name one that portcullis backup wrote.';

// The library is typed for browsers; Node's streams are what it is given there, too.
const toWeb = (stream: Readable) => Readable.toWeb(stream) as unknown as ReadableStream<Uint8Array>;

/** Refuses a file of another kind before the library works on it. */
async function* withStart(source: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  let start = Buffer.alloc(0);
  const isOurs = (): boolean => START.test(start.toString('latin1', 0, START_BYTES));
  for await (const chunk of source) {
    if (start.length >= START_BYTES) {
      yield chunk;
      continue;
    }
    start = Buffer.concat([start, chunk]);
    if (start.length < START_BYTES) continue;
    if (!isOurs()) break;
    yield start;
  }
  if (!isOurs()) throw new AppError('invalid_request', NO_BACKUP);
}
