/** A record as it is told, the same by the API, by `--json` and in an export. */
import { toInstant } from '../instant.ts';
import type { AuditRecord } from '../storage/port.ts';

export interface AuditView {
  readonly seq: number;
  /** A time as text (RFC 3339). */
  readonly at: string;
  readonly actor: string;
  readonly action: string;
  readonly target: string | null;
  readonly ip: string | null;
  readonly request_id: string | null;
  readonly details: Record<string, unknown>;
  readonly previous_hash: string;
  readonly hash: string;
}

export const toAuditView = (record: AuditRecord): AuditView => ({
  seq: record.seq,
  at: toInstant(record.at),
  actor: record.actor,
  action: record.action,
  target: record.target,
  ip: record.ip,
  request_id: record.requestId,
  details: { ...record.details },
  previous_hash: record.previousHash,
  hash: record.hash,
});
