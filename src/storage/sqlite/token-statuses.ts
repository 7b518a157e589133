/** The places of tokens in status lists, in SQLite: the primary key settles who has one. */
import type { NamedStatuses, TokenStatus, TokenStatusStore } from '../port.ts';
import type { Connection } from './connection.ts';
import type { Row } from './statements.ts';

/** The tokens that the revocations of one kind name: few revocations, each of which an index leads on from. */
const named = (kind: string, match: string): string =>
  `SELECT list, idx, s.expires_at AS expires_at FROM json_each(?1) AS r CROSS JOIN token_statuses AS s
   WHERE r.value ->> 'kind' = '${kind}' AND ${match} AND s.expires_at > ?2`;

const EACH_NAMED = [
  named('token', "s.jti = r.value ->> 'subject'"),
  named('person', "s.subject = r.value ->> 'subject' AND s.issued_at < r.value ->> 'issuedBefore'"),
  named('node', "s.client_id = r.value ->> 'subject' AND s.issued_at < r.value ->> 'issuedBefore'"),
].join(' UNION ALL ');

/** A node may have a hundred thousand: a row for each would take longer than to find them. */
const NAMED = `SELECT list, json_group_array(idx) AS indexes, max(expires_at) AS expires_at
  FROM (${EACH_NAMED}) GROUP BY list`;

/** From list to list by the index, without a look at what is between. */
const LISTS = `WITH RECURSIVE lists (list) AS (
    SELECT min(list) FROM token_statuses
    UNION ALL SELECT (SELECT min(s.list) FROM token_statuses AS s WHERE s.list > lists.list) FROM lists
      WHERE list IS NOT NULL
  )
  SELECT list FROM lists WHERE list IS NOT NULL
    AND (SELECT max(expires_at) FROM token_statuses AS s WHERE s.list = lists.list) > ? ORDER BY list`;

export function createTokenStatusStore({ database, read, write }: Connection): TokenStatusStore {
  const selectNamed = database.prepare(NAMED);
  const selectEnd = database.prepare('SELECT max(expires_at) AS "end" FROM token_statuses WHERE list = ?');
  const selectLists = database.prepare(LISTS);

  return {
    insert: async ({ list, index, jti, subject, clientId, issuedAt, expiresAt }) =>
      (await write('insertTokenStatus', list, index, jti, subject, clientId, issuedAt, expiresAt)).changes ===
      1,
    findNamed: (revocations, now) => {
      const given = revocations.map(({ kind, subject, issuedBefore }) => ({ kind, subject, issuedBefore }));
      return read(() => selectNamed.all(JSON.stringify(given), now).map(toNamed));
    },
    findEnd: (list, now) =>
      read(() => {
        const end = Number(selectEnd.get(list)?.['end'] ?? 0);
        return end > now ? end : null;
      }),
    lists: (now) => read(() => selectLists.all(now).map(({ list }) => String(list))),
  };
}

const toNamed = (row: Row): NamedStatuses => ({
  list: String(row['list']),
  indexes: JSON.parse(String(row['indexes'])) as NamedStatuses['indexes'], // of a column of integers
  expiresAt: Number(row['expires_at']),
});

export const toTokenStatus = (row: Row): TokenStatus => ({
  list: String(row['list']),
  index: Number(row['idx']),
  jti: String(row['jti']),
  subject: String(row['subject']),
  clientId: String(row['client_id']),
  issuedAt: Number(row['issued_at']),
  expiresAt: Number(row['expires_at']),
});
