/** The file of a backup: what is read is what was written, or it is refused. */
import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { createHash } from 'node:crypto';

import { openBackup } from '../../src/backup/read.ts';
import { writeBackup } from '../../src/backup/write.ts';
import { storeUnavailable } from '../../src/errors.ts';
import {
  encrypted,
  encryptedText,
  HEADER,
  OTHER,
  PASSPHRASE,
  read,
  records,
  sourceOf,
  write,
} from './files.ts';

const DAMAGED = { code: 'invalid_request', message: expect.stringContaining('The backup is damaged') };
const WRONG_KEY = {
  code: 'invalid_request',
  message: expect.stringContaining('does not open with this SECRET_KEY'),
};
const NO_BACKUP = { code: 'invalid_request', message: expect.stringContaining('This file is no backup') };

const HEAD = { format: 'portcullis-backup', version: 1, ...HEADER };
const sha256 = (...lines: readonly object[]): string =>
  createHash('sha256')
    .update(lines.map((line) => `${JSON.stringify(line)}\n`).join(''))
    .digest('base64url');

describe('a backup', () => {
  test.each([0, 1, 199, 200, 5_000])('of %d records gives them back', async (count) => {
    const all = records(count);
    const bytes = await write(all);
    expect(await read(bytes)).toEqual(all);
    expect((await openBackup(sourceOf(bytes), [PASSPHRASE])).header).toEqual(HEAD);
  });

  test('is not the same file twice, and shows nothing of what is in it', async () => {
    const all = records(3);
    const [one, other] = [await write(all), await write(all)];
    expect(one.equals(other)).toBe(false);
    expect(one.includes('account')).toBe(false);
  });

  test('opens with the passphrase before, and with no other', async () => {
    const bytes = await write(records(3));
    expect(await read(bytes, [OTHER, PASSPHRASE])).toHaveLength(3);
    await expect(read(bytes, [OTHER])).rejects.toMatchObject(WRONG_KEY);
  });

  test('that was changed anywhere does not open, or is told as damaged', async () => {
    const bytes = await write(records(4_000));
    expect(bytes.length).toBeGreaterThan(70_000); // more than one chunk of the encryption
    await fc.assert(
      fc.asyncProperty(fc.nat(bytes.length - 1), fc.integer({ min: 1, max: 255 }), async (at, change) => {
        const changed = Buffer.from(bytes);
        changed[at] = (changed[at] ?? 0) ^ change;
        await expect(read(changed)).rejects.toMatchObject({ code: 'invalid_request' });
      }),
      {
        numRuns: 40,
        examples: [
          [0, 1],
          [30, 1],
          [150, 1],
          [bytes.length - 1, 1],
        ],
      },
    );
  });

  test('that was cut anywhere does not open, or is told as damaged', async () => {
    const bytes = await write(records(4_000));
    await fc.assert(
      fc.asyncProperty(fc.nat(bytes.length - 1), async (length) => {
        await expect(read(bytes.subarray(0, length))).rejects.toMatchObject({ code: 'invalid_request' });
      }),
      { numRuns: 40, examples: [[0], [10], [100], [65_536], [bytes.length - 1]] },
    );
    await expect(read(Buffer.concat([bytes, Buffer.alloc(1)]))).rejects.toMatchObject(DAMAGED);
  });

  test.each([
    ['an empty file', ''],
    ['a short one', 'age'],
    ['a text', 'Dear reader,\n'.repeat(99)],
    [
      'one that asks for a gigabyte of work',
      `age-encryption.org/v1\n-> scrypt ${'A'.repeat(22)} 20\n`.padEnd(999, 'A'),
    ],
  ])('is not %s', async (_name, text) => {
    await expect(read(Buffer.from(text))).rejects.toMatchObject(NO_BACKUP);
  });

  test('of a format to come is refused by the name of the program that reads it', async () => {
    const bytes = await encrypted({ ...HEAD, version: 2, portcullis: '9.1.0' });
    await expect(read(bytes)).rejects.toThrow(
      'The backup has format 2, and this version of Portcullis reads format 1: ' +
        'use Portcullis 9.1.0, which wrote it, or a newer one.',
    );
  });

  test('is refused where its lines are not all that were written, whoever encrypted them', async () => {
    const [record] = records(1);
    if (record === undefined) throw new Error('there is one');
    const end = (names: number, digest = sha256(HEAD, record)) => ({
      end: { counts: { names }, sha256: digest },
    });
    expect(await read(await encrypted(HEAD, record, end(1)))).toEqual([record]);
    for (const lines of [
      [],
      [{ format: 'another', version: 1 }],
      [HEAD, record],
      [HEAD, record, end(2)],
      [HEAD, record, end(1, sha256(HEAD))],
      [HEAD, end(1), record],
      [HEAD, record, record, end(1)],
    ])
      await expect(encrypted(...lines).then((bytes) => read(bytes))).rejects.toMatchObject(DAMAGED);
    const text = [HEAD, record, end(1)].map((line) => JSON.stringify(line)).join('\n');
    await expect(encryptedText(text).then((bytes) => read(bytes))).rejects.toMatchObject(DAMAGED);
  });

  test('may be left before its end', async () => {
    const { batches } = await openBackup(sourceOf(await write(records(5_000))), [PASSPHRASE]);
    for await (const batch of batches) {
      expect(batch.length).toBeGreaterThan(0);
      break;
    }
  });
});

describe('what fails beside it', () => {
  const failing = new Error('the disk does not answer');

  test('in reading is told as it is, and not as a damaged backup', async () => {
    const bytes = await write(records(5_000));
    for (const after of [0, 50, 100_000]) {
      const source = async function* () {
        yield* sourceOf(bytes.subarray(0, after))();
        throw failing;
      };
      const reading = openBackup(source, [PASSPHRASE]).then(({ batches }) => Array.fromAsync(batches));
      await expect(reading).rejects.toBe(failing);
    }
  });

  test('in the store ends the backup with that', async () => {
    const unavailable = storeUnavailable(failing);
    const batches = async function* () {
      yield records(300);
      throw unavailable;
    };
    const written = writeBackup({
      ...{ batches: batches(), header: HEADER, passphrase: PASSPHRASE, onProgress: () => undefined },
      write: async () => undefined,
    });
    await expect(written).rejects.toBe(unavailable);
  });

  test('in writing ends the backup with that, and lets go of the store', async () => {
    let [isLeft, writes] = [false, 0];
    const batches = async function* () {
      try {
        for (;;) yield records(200);
      } finally {
        isLeft = true;
      }
    };
    const written = writeBackup({
      ...{ batches: batches(), header: HEADER, passphrase: PASSPHRASE, onProgress: () => undefined },
      write: async () => ((writes += 1) > 4 ? Promise.reject(failing) : undefined),
    });
    await expect(written).rejects.toBe(failing);
    expect(isLeft).toBe(true);
  });
});
