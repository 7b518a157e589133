/**
 * What is kept of the events of one process, put together: the audit log and the figures by the hour, the listeners
 * that fill them, and the jobs that write them down. A part of the composition root.
 */
import { setTimeout as sleep } from 'node:timers/promises';

import { createAudit } from '../audit/audit.ts';
import type { Audit } from '../audit/audit.ts';
import { createAuditListener } from '../audit/events.ts';
import { createRefusalCounts } from '../audit/refusals.ts';
import { createBell, repeat } from '../background.ts';
import type { Events, EventListener } from '../events.ts';
import { createStatisticsListener } from '../statistics/events.ts';
import { createStatistics } from '../statistics/statistics.ts';
import type { Statistics } from '../statistics/statistics.ts';
import type { Storage } from '../storage/port.ts';

const STATISTICS_MS = 5_000;
const REFUSALS_MS = 60_000;
// What is noted is written at once; this is for what a store that was away did not take.
const AUDIT_MS = 5_000;
// All of a stop has ten seconds, of which requests and mails may take nine.
const LAST_FLUSH_MS = 500;

export interface Ledger {
  readonly audit: Audit;
  readonly statistics: Statistics;
  readonly listeners: readonly EventListener[];
  /** The events without their record: of changes that are recorded where they are made. */
  readonly unaudited: Events;
  /** Resolves once all have ended, after the signal. */
  run(onFailure: (error: unknown) => number, signal: AbortSignal): Promise<void>;
  /** Writes what is left, for half a second. */
  close(): Promise<void>;
}

interface LedgerOptions {
  readonly storage: Pick<Storage, 'audit' | 'statistics'>;
  /** Of the audit log. */
  readonly chainKey: string;
  /** Those that nobody else hears. */
  readonly events: Events;
  readonly now: () => number;
}

export function createLedger({ storage, chainKey, events, now }: LedgerOptions): Ledger {
  const bell = createBell();
  const audit = createAudit({ store: storage.audit, chainKey, onWaiting: bell.ring, now });
  const statistics = createStatistics({ store: storage.statistics, now });
  const refusals = createRefusalCounts();
  const noteRefusals = (): void => refusals.take().forEach(audit.note);
  let told = 0;

  const flushAudit = async (): Promise<number> => {
    await audit.flush();
    return AUDIT_MS;
  };
  const flushStatistics = async (): Promise<number> => {
    await statistics.flush();
    return STATISTICS_MS;
  };
  const countRefusals = async (): Promise<number> => {
    noteRefusals();
    const head = audit.head();
    if (head !== null && head.seq > told) events.auditReached(head);
    told = head?.seq ?? told;
    return REFUSALS_MS;
  };

  return {
    audit,
    statistics,
    unaudited: events,
    listeners: [createAuditListener(audit.note, refusals), createStatisticsListener(statistics)],
    run: async (onFailure, signal) => {
      await Promise.all([
        repeat(flushAudit, onFailure, signal, bell),
        repeat(flushStatistics, onFailure, signal),
        repeat(countRefusals, onFailure, signal),
      ]);
    },
    close: async () => {
      noteRefusals();
      const last = Promise.allSettled([audit.flush(), statistics.flush()]);
      await Promise.race([last, sleep(LAST_FLUSH_MS, undefined, { ref: false })]);
      const count = audit.waiting();
      if (count > 0) events.auditLost({ count, cause: 'the store does not take them' });
    },
  };
}
