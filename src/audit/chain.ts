/**
 * What binds the records of the audit log together: each carries an authentication code of itself and of the code
 * before it. Its key is in no database in the clear (see `chain-key.ts`), so that whoever may write to the database, and
 * does not have SECRET_KEY, can neither change a record nor make one; a plain digest they would simply compute anew.
 */
import { createHmac } from 'node:crypto';

import type { AuditRecord } from '../storage/port.ts';

/** What stands in the place of the code before the first record. */
const GENESIS = '';

/** A record before it has its place. */
export type Unchained = Omit<AuditRecord, 'seq' | 'previousHash' | 'hash'>;

export interface Chain {
  /** The record that comes after `previous`; null for the first one. */
  link(record: Unchained, previous: AuditRecord | null): AuditRecord;
  /** True where the record is as it was written. */
  isGenuine(record: AuditRecord): boolean;
  follows(record: AuditRecord, previous: AuditRecord | null): boolean;
}

/** Makes the chain under a key. */
export function createChain(key: string): Chain {
  const codeOf = (record: Omit<AuditRecord, 'hash'>): string =>
    createHmac('sha256', key).update(canonical(record)).digest('base64url');

  return {
    link: (unchained, previous) => {
      const record = { ...unchained, seq: (previous?.seq ?? 0) + 1, previousHash: previous?.hash ?? GENESIS };
      return { ...record, hash: codeOf(record) };
    },
    isGenuine: ({ hash, ...record }) => codeOf(record) === hash,
    follows: ({ seq, previousHash }, previous) =>
      seq === (previous?.seq ?? 0) + 1 && previousHash === (previous?.hash ?? GENESIS),
  };
}

/** One text for one value: JSON with the members of each object in the order of their names (as in RFC 8785). */
export function canonical(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map((item) => canonical(item ?? null)).join()}]`;
  if (typeof value !== 'object' || value === null) return JSON.stringify(value);
  const members = Object.entries(value)
    .filter(([, member]) => member !== undefined)
    .sort(([a], [b]) => (a < b ? -1 : 1));
  return `{${members.map(([name, member]) => `${JSON.stringify(name)}:${canonical(member)}`).join()}}`;
}
