/** Revocations in SQLite: there is one writer at a time, so their numbers are given in the order of their commits. */
import type { Revocation, RevocationStore, StoredRevocation } from '../port.ts';
import type { Connection } from './connection.ts';
import type { Row } from './statements.ts';

export function createRevocationStore({ database, read, write }: Connection): RevocationStore {
  const select = database.prepare(
    'SELECT * FROM revocations WHERE cursor > ? AND expires_at > ? ORDER BY cursor LIMIT ?',
  );
  const selectOf = database.prepare(
    `SELECT * FROM revocations WHERE kind = ? AND subject = ? AND expires_at > ?
     ORDER BY issued_before DESC LIMIT 1`,
  );

  return {
    append: async ({ kind, subject, issuedBefore, expiresAt }, now) => {
      const { rows } = await write('appendRevocation', kind, subject, issuedBefore, expiresAt, now);
      return Number(rows[0]?.['cursor']);
    },
    list: (after, limit, now) => read(() => select.all(after, now, limit).map(toRevocation)),
    find: (kind, subject, now) =>
      read(() => {
        const row = selectOf.get(kind, subject, now);
        return row === undefined ? null : toRevocation(row);
      }),
  };
}

export const toRevocation = (row: Row): StoredRevocation => ({
  cursor: Number(row['cursor']),
  kind: row['kind'] as Revocation['kind'], // written from one
  subject: String(row['subject']),
  issuedBefore: Number(row['issued_before']),
  expiresAt: Number(row['expires_at']),
});
