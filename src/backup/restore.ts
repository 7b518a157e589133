/** Filling an empty store from a backup: all of the file is checked before the first record is written, and the store after the last. */
import { AppError, isAppError } from '../errors.ts';
import { RESTORE_REFUSALS } from '../storage/port.ts';
import type { RestoreTarget, StoredRecord } from '../storage/port.ts';
import type { ConsistencyCheck, Findings } from './consistency.ts';
import { createCounter, differing } from './format.ts';
import type { BackupHeader, Counts } from './format.ts';
import type { Backup } from './read.ts';

const LARGE_BATCH = 1_000;

type Batches = AsyncIterable<readonly StoredRecord[]>;

/** What is done, and how far it is. */
export type Progress = (step: 'checking' | 'writing' | 'comparing', counts: Counts) => void;

/** What a backup holds. */
export interface Contents {
  readonly header: BackupHeader;
  readonly counts: Counts;
  readonly findings: Findings;
}

export interface Restored extends Contents {
  /** 'anew' where the store held what a restore had left that was cut. */
  readonly began: 'empty' | 'anew';
}

export interface RestoreOptions {
  /** Opens the backup from its beginning. */
  readonly open: () => Promise<Backup>;
  /** Opens the store, where that makes one that was not there. */
  readonly openTarget: () => Promise<RestoreTarget>;
  readonly createCheck: () => ConsistencyCheck;
  readonly onProgress: Progress;
  readonly now: () => number;
}

/** Reads all of a backup. Throws a sentence where it is not as it was written. */
export async function verify(
  { header, batches }: Backup,
  check: ConsistencyCheck,
  onProgress: Progress,
): Promise<Contents> {
  const counts = await readAll(
    batches,
    (batch) => check.add(batch),
    (sum) => onProgress('checking', sum),
  );
  return { header, counts, findings: check.end() };
}

/** Checks, fills, and compares. Where it throws after it began, the store stays marked and does not open. */
export async function restore(options: RestoreOptions): Promise<Restored> {
  const { open, openTarget, createCheck, onProgress, now } = options;
  const { header, counts } = await verify(await open(), createCheck(), onProgress);
  const target = await openTarget();
  try {
    const began = await target.begin(now());
    const findings = await fill(target, counts, options).catch((error: unknown) => {
      throw unfinished(error);
    });
    return { header, counts, findings, began };
  } finally {
    await target.close();
  }
}

async function fill(target: RestoreTarget, counts: Counts, options: RestoreOptions): Promise<Findings> {
  const { open, onProgress } = options;
  const { batches } = await open();
  await readAll(
    inLargeBatches(batches),
    (batch) => target.write(batch),
    (sum) => onProgress('writing', sum),
  );
  const findings = await compare(target, counts, options);
  await target.finish();
  return findings;
}

/** Each is a transaction, or a round trip. */
async function* inLargeBatches(batches: Batches): AsyncGenerator<readonly StoredRecord[]> {
  let kept: StoredRecord[] = [];
  for await (const batch of batches) {
    kept.push(...batch);
    if (kept.length < LARGE_BATCH) continue;
    yield kept;
    kept = [];
  }
  yield kept;
}

async function compare(
  target: RestoreTarget,
  counts: Counts,
  { createCheck, onProgress }: RestoreOptions,
): Promise<Findings> {
  const check = createCheck();
  const held = await readAll(
    target.snapshot(),
    (batch) => check.add(batch),
    (sum) => onProgress('comparing', sum),
  );
  const [first] = differing(counts, held);
  if (first === undefined) return check.end();
  const found = `${first}: ${counts[first]} in the backup, ${held[first]} in the store`;
  throw new AppError('conflict', `${RESTORE_REFUSALS.written} (${found}.)`);
}

async function readAll(
  batches: Batches,
  take: (batch: readonly StoredRecord[]) => Promise<void> | void,
  onProgress: (counts: Counts) => void,
): Promise<Counts> {
  const counter = createCounter();
  for await (const batch of batches) {
    await take(batch);
    counter.add(batch);
    onProgress(counter.counts());
  }
  return counter.counts();
}

const UNFINISHED =
  'The restore did not come to its end, and the store does not open until one has: run it once more, it begins anew.';

const unfinished = (error: unknown): Error => new Error(`${reasonOf(error)} ${UNFINISHED}`, { cause: error });

/** Of a store that gives way (a full disk, an engine that is away) its own words say more than ours. */
function reasonOf(error: unknown): string {
  if (!Error.isError(error)) return `${String(error)}.`;
  const cause = isAppError(error, 'store_unavailable') ? error.cause : undefined;
  return Error.isError(cause) ? `The store cannot be written (${cause.message}).` : error.message;
}
