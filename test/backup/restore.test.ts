/** A restore checks before it writes, and compares what it wrote: what it tells on the way, and where it stops. */
import { afterAll, expect, test } from '@jest/globals';
import { randomUUID } from 'node:crypto';
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { createConsistencyCheck } from '../../src/backup/consistency.ts';
import { sumOf } from '../../src/backup/format.ts';
import { openBackup } from '../../src/backup/read.ts';
import { restore } from '../../src/backup/restore.ts';
import type { Progress, Restored } from '../../src/backup/restore.ts';
import { storeUnavailable } from '../../src/errors.ts';
import { openRestoreTarget, openStorage } from '../../src/storage/open.ts';
import { RESTORE_REFUSALS } from '../../src/storage/port.ts';
import type { RestoreTarget, StoredRecord } from '../../src/storage/port.ts';
import { recordsOf } from '../storage/filled.ts';
import { PASSPHRASE, records, sourceOf, write } from './files.ts';

const folder = mkdtempSync(join(tmpdir(), 'portcullis-restore-'));
const newPath = (): string => join(folder, `${randomUUID()}.db`);
const UNFINISHED = 'The restore did not come to its end, and the store does not open until one has';

afterAll(() => rmSync(folder, { recursive: true }));

interface Attempt {
  readonly path: string;
  readonly bytes: Uint8Array;
  /** What happens to the store behind the restore's back. */
  readonly disturb?: (target: RestoreTarget) => RestoreTarget;
  readonly onProgress?: Progress;
}

const attempt = ({
  path,
  bytes,
  disturb = (it) => it,
  onProgress = () => undefined,
}: Attempt): Promise<Restored> =>
  restore({
    open: () => openBackup(sourceOf(bytes, 10_000), [PASSPHRASE]),
    openTarget: async () => disturb(await openRestoreTarget(`sqlite:${path}`)),
    createCheck: () =>
      createConsistencyCheck({
        open: (sealed) => sealed,
        chainKeyName: 'chain',
        checkChain: () => () => null,
        foldName: (name) => name,
        referencesOf: () => ({ grant: null, clientId: null }),
        now: () => 1,
      }),
    onProgress,
    now: () => 1,
  });

test('checks all, then writes all, then compares all, and tells how far it is', async () => {
  const steps: [string, number][] = [];
  const path = newPath();
  const onProgress: Progress = (step, counts) => void steps.push([step, sumOf(counts)]);
  const restored = await attempt({ path, bytes: await write(records(2_500)), onProgress });
  expect(restored).toMatchObject({ began: 'empty', counts: { names: 2_500, accounts: 0 } });
  expect([...new Set(steps.map(([step]) => step))]).toEqual(['checking', 'writing', 'comparing']);
  for (const step of ['checking', 'writing', 'comparing'])
    expect(steps.findLast(([name]) => name === step)).toEqual([step, 2_500]);
  const storage = await openStorage(`sqlite:${path}`);
  expect(await recordsOf(storage.snapshot())).toHaveLength(2_500);
  await storage.close();
});

test('opens no store for a backup whose last bytes are wrong', async () => {
  const path = newPath();
  const bytes = await write(records(2_500));
  await expect(attempt({ path, bytes: bytes.subarray(0, -1) })).rejects.toThrow('The backup is damaged');
  expect(existsSync(path)).toBe(false);
});

test('stops where the store holds more than was written, and leaves its mark', async () => {
  const path = newPath();
  const more: StoredRecord = { store: 'names', record: { name: 'one more', kind: 'account' } };
  const disturb = (target: RestoreTarget): RestoreTarget => ({
    ...target,
    write: (batch) => target.write(batch.length < 1_000 ? [...batch, more] : batch),
  });
  const restoring = attempt({ path, bytes: await write(records(2_500)), disturb });
  await expect(restoring).rejects.toThrow(
    `${RESTORE_REFUSALS.written} (names: 2500 in the backup, 2501 in the store.) ${UNFINISHED}`,
  );
  await expect(openStorage(`sqlite:${path}`)).rejects.toThrow(RESTORE_REFUSALS.unfinished);
  expect(await attempt({ path, bytes: await write(records(1)) })).toMatchObject({ began: 'anew' });
});

test.each([
  [
    'a store that gives way',
    storeUnavailable(new Error('disk I/O error')),
    'The store cannot be written (disk I/O error).',
  ],
  ['anything else', new Error('Out of luck.'), 'Out of luck.'],
])('stops for %s, and says what the reason was', async (_name, error, reason) => {
  const disturb = (target: RestoreTarget): RestoreTarget => ({
    ...target,
    write: async () => Promise.reject(error),
  });
  const restoring = attempt({ path: newPath(), bytes: await write(records(10)), disturb });
  await expect(restoring).rejects.toThrow(`${reason} ${UNFINISHED}`);
});
