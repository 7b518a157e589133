/** Backups and restores on the command line, put together: a part of the composition root of administration. */
import { randomUUID } from 'node:crypto';

import { createAudit } from '../audit/audit.ts';
import type { Audit } from '../audit/audit.ts';
import { CHAIN_KEY } from '../audit/chain-key.ts';
import { createChain } from '../audit/chain.ts';
import { createRecordCheck } from '../audit/verify.ts';
import { passphraseOf } from '../backup/cipher.ts';
import type { Source } from '../backup/cipher.ts';
import { createConsistencyCheck } from '../backup/consistency.ts';
import type { ConsistencyCheck } from '../backup/consistency.ts';
import { sumOf } from '../backup/format.ts';
import type { Counts } from '../backup/format.ts';
import { openBackup } from '../backup/read.ts';
import { restore, verify } from '../backup/restore.ts';
import type { Contents, Progress, Restored } from '../backup/restore.ts';
import { writeBackup } from '../backup/write.ts';
import type { Config, Secrets } from '../config.ts';
import { toInstant } from '../instant.ts';
import { createSealer } from '../keys/sealer.ts';
import { foldName } from '../names.ts';
import { referencesOf } from '../oidc/references.ts';
import { COMMAND_TIMEOUT_MS, openRestoreTarget, openStorage } from '../storage/open.ts';
import type { Storage } from '../storage/port.ts';
import { readVersion } from '../version.ts';
import { unlock } from './sealed.ts';

// A backup does not wait long for its record: it is most wanted where the disk is full.
const AUDIT_WAIT_MS = 2_000;

export type { Source } from '../backup/cipher.ts';
export type { Finding, Findings } from '../backup/consistency.ts';
export type { Counts } from '../backup/format.ts';
export { sumOf } from '../backup/format.ts';
export type { Contents, Progress, Restored } from '../backup/restore.ts';

export interface BackupRequest {
  /** For the audit log: where it goes. */
  readonly to: string;
  readonly write: (bytes: Uint8Array) => Promise<void>;
  readonly onProgress: (counts: Counts) => void;
}

export interface BackupOutcome {
  readonly counts: Counts;
  readonly createdAt: string;
  /** False where the audit log could not be written: the backup is none the worse. */
  readonly isRecorded: boolean;
}

/** Takes a backup of the store as it is at this moment, beside whatever works on it. */
export async function takeBackup(
  config: Config,
  secrets: Secrets,
  { to, write, onProgress }: BackupRequest,
): Promise<BackupOutcome> {
  const storage = await openStorage(secrets.databaseUrl, COMMAND_TIMEOUT_MS);
  try {
    const isRecorded = await record(await openAudit(storage, secrets), 'store.backup', { to });
    const createdAt = toInstant(now());
    const counts = await writeBackup({
      batches: storage.snapshot(),
      header: {
        ...{ portcullis: readVersion(), createdAt },
        ...{ issuer: config.issuer, storeKind: config.database.kind },
      },
      passphrase: passphraseOf(secrets.secretKey),
      write,
      onProgress,
    });
    return { counts, createdAt, isRecorded };
  } finally {
    await storage.close();
  }
}

/** Reads all of a backup, and checks whether its records go together. Throws a sentence where it is damaged. */
export async function verifyBackup(
  secrets: Secrets,
  source: Source,
  onProgress: Progress,
): Promise<Contents> {
  return verify(await openBackup(source, passphrasesOf(secrets)), createCheck(secrets), onProgress);
}

/** The passphrase with which any `age` opens the backups of this SECRET_KEY. */
export const backupPassphrase = ({ secretKey }: Secrets): string => passphraseOf(secretKey);

/** Fills the store that the settings name. */
export async function restoreBackup(
  secrets: Secrets,
  source: Source,
  onProgress: Progress,
): Promise<Restored & Pick<BackupOutcome, 'isRecorded'>> {
  const restored = await restore({
    open: () => openBackup(source, passphrasesOf(secrets)),
    openTarget: () => openRestoreTarget(secrets.databaseUrl),
    createCheck: () => createCheck(secrets),
    onProgress,
    now,
  });
  return { ...restored, isRecorded: await recordRestore(secrets, restored) };
}

async function recordRestore(secrets: Secrets, { header, counts }: Restored): Promise<boolean> {
  const storage = await openStorage(secrets.databaseUrl, COMMAND_TIMEOUT_MS);
  try {
    const details = { created_at: header.createdAt, records: sumOf(counts) };
    return await record(await openAudit(storage, secrets), 'store.restore', details);
  } catch {
    return false; // what does not open was told as a fault
  } finally {
    await storage.close();
  }
}

/** Throws a sentence where the store was made under another SECRET_KEY. */
async function openAudit(storage: Storage, secrets: Secrets): Promise<Audit> {
  const chainKey = await unlock(storage, sealerOf(secrets));
  return createAudit({ store: storage.audit, chainKey, waitMs: AUDIT_WAIT_MS, now });
}

async function record(
  audit: Pick<Audit, 'note' | 'flush'>,
  action: 'store.backup' | 'store.restore',
  details: Readonly<Record<string, string | number>>,
): Promise<boolean> {
  const by = { actor: 'cli', ip: null, requestId: randomUUID() };
  audit.note({ by, action, target: null, details });
  return audit.flush().then(
    () => true,
    () => false,
  );
}

const createCheck = (secrets: Secrets): ConsistencyCheck =>
  createConsistencyCheck({
    open: sealerOf(secrets).open,
    chainKeyName: CHAIN_KEY,
    checkChain: (chainKey) => createRecordCheck(createChain(chainKey)),
    foldName,
    referencesOf,
    now,
  });

const sealerOf = ({ secretKey, previousSecretKey }: Secrets) => createSealer(secretKey, previousSecretKey);

const passphrasesOf = ({ secretKey, previousSecretKey }: Secrets): readonly string[] =>
  [secretKey, previousSecretKey].filter((key) => key !== null).map(passphraseOf);

const now = (): number => Math.floor(Date.now() / 1_000);
