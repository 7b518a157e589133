/**
 * Appends to the audit log, one record after the other: within this process in the order in which they were asked
 * for, beside other processes by compare-and-set on the number. Whoever was slower links to the new end.
 */
import { setTimeout as sleep } from 'node:timers/promises';

import { AppError } from '../errors.ts';
import type { AuditRecord, AuditStore } from '../storage/port.ts';
import type { Chain } from './chain.ts';
import { toDetails } from './details.ts';
import type { AuditEntry } from './entry.ts';

/** No try begins later than this: with the store's own bound a request that waits for its record ends within 3 s. */
const WAIT_MS = 1_200;
/** Processes that lost a race together do not meet again at once. */
const MAX_PAUSE_MS = 8;

interface WriterOptions {
  readonly store: AuditStore;
  readonly chain: Chain;
  readonly waitMs?: number | undefined;
  readonly now: () => number;
}

/** Resolves with the record once it is durable. */
export type Append = (entry: AuditEntry) => Promise<AuditRecord>;

export function createWriter({ store, chain, waitMs = WAIT_MS, now }: WriterOptions): Append {
  let turn: Promise<unknown> = Promise.resolve();
  /** The end as this process knows it; another one may have moved it. */
  let end: AuditRecord | null = null;
  /** Whether the store took it was not to be learned: the next try of the same entry finds out. */
  let doubtful: { readonly entry: AuditEntry; readonly record: AuditRecord } | null = null;

  const isTaken = async (record: AuditRecord): Promise<boolean> => {
    const { items } = await store.list({ after: String(record.seq - 1), limit: 1 }, {}, 'oldest');
    return items[0]?.hash === record.hash;
  };

  const put = async (entry: AuditEntry): Promise<AuditRecord | null> => {
    if (doubtful?.entry === entry && (await isTaken(doubtful.record))) return doubtful.record;
    const { by, action, target, details } = entry;
    const unchained = { at: now(), ...by, action, target, details: toDetails(details) };
    const record = chain.link(unchained, end ?? (await store.last()));
    doubtful = { entry, record };
    const isWritten = await store.append(record);
    doubtful = null;
    end = isWritten ? record : null;
    return end;
  };

  const write = async (entry: AuditEntry, until: number): Promise<AuditRecord> => {
    while (performance.now() < until) {
      const record = await put(entry);
      if (record !== null) return record;
      await sleep(Math.random() * MAX_PAUSE_MS);
    }
    throw new AppError('overloaded', 'The audit log has more to write than it can.');
  };

  return (entry) => {
    const until = performance.now() + waitMs;
    const written = turn.then(() => write(entry, until));
    turn = written.catch(() => {
      end = null;
    });
    return written;
  };
}
