/**
 * The audit log: who did what to whom, kept for ever in one chain (see `chain.ts`). A change by an administrator is
 * recorded before it is made, so that none is without its record; where it then fails, a second record says so.
 * Other events wait in a short queue, and are written as soon as the store takes them.
 */
import { AppError, isAppError } from '../errors.ts';
import type { AuditFilter, AuditRecord, AuditStore, Page, PageRequest } from '../storage/port.ts';
import { createChain } from './chain.ts';
import type { Actor, AuditEntry, Recorder } from './entry.ts';
import { createQueue } from './queue.ts';
import { verifyChain } from './verify.ts';
import type { KnownRecord, Verification } from './verify.ts';
import { createWriter } from './writer.ts';

interface AuditOptions {
  readonly store: AuditStore;
  /** See `chain-key.ts`. */
  readonly chainKey: string;
  /** How long a change waits for its turn; a command may wait longer than a request. */
  readonly waitMs?: number;
  /** Something waits: `flush` has work. */
  readonly onWaiting?: () => void;
  readonly now: () => number;
}

export interface Audit {
  /**
   * Gives what records the changes of one actor: first what is about to be done, then it does it. It throws
   * `store_unavailable`, and does nothing, where that cannot be recorded. What the work throws is recorded, too, and
   * thrown on.
   */
  as(by: Actor): Recorder;
  /** Records what has happened, soon. */
  note(entry: AuditEntry): void;
  /** Writes what waits; rejects where the store does not take it, which then waits on. */
  flush(): Promise<void>;
  /** How many wait. */
  waiting(): number;
  /** The newest record that this process wrote; null where it wrote none. */
  head(): KnownRecord | null;
  list(page: PageRequest, filter?: AuditFilter, order?: 'newest' | 'oldest'): Promise<Page<AuditRecord>>;
  verify(known: KnownRecord | null): Promise<Verification>;
}

export function createAudit({ store, chainKey, waitMs, onWaiting, now }: AuditOptions): Audit {
  const chain = createChain(chainKey);
  let head: KnownRecord | null = null;
  const write = createWriter({ store, chain, waitMs, now });
  const append = async (entry: AuditEntry): Promise<AuditRecord> => {
    const record = await write(entry);
    head = { seq: record.seq, hash: record.hash };
    return record;
  };
  const queue = createQueue(append);
  const note = (entry: AuditEntry): void => {
    queue.add(entry);
    onWaiting?.();
  };

  return {
    note,
    flush: queue.flush,
    waiting: queue.waiting,
    head: () => head,
    as: (by) => async (change, work) => {
      const entry = { by, ...change };
      const { seq } = await append(entry).catch((cause: unknown) => {
        throw unrecorded(cause);
      });
      try {
        return await work();
      } catch (error) {
        note({ ...entry, details: { outcome: 'failed', of: seq, code: codeOf(error) } });
        throw error;
      }
    },
    list: store.list,
    verify: (known) => verifyChain(store, chain, known),
  };
}

const unrecorded = (cause: unknown): AppError =>
  new AppError(
    'store_unavailable',
    'Nothing was changed: the audit log cannot be written just now. Try again in a moment.',
    { cause, retryAfterSeconds: 2 },
  );

const codeOf = (error: unknown): string => (isAppError(error) ? error.code : 'server_error');
