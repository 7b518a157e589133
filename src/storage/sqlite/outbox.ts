/** The outbox in SQLite: due messages are leased by the one statement that finds, marks and gives them. */
import type { OutboxMessage, OutboxStore } from '../port.ts';
import type { Connection } from './connection.ts';
import { toPage } from './records.ts';
import { createSelect } from './selection.ts';
import type { Condition } from './selection.ts';
import type { Row } from './statements.ts';

export function createOutboxStore({ database, read, write }: Connection): OutboxStore {
  const select = createSelect(database, 'SELECT * FROM outbox');

  return {
    put: async (messages) => {
      await write('putMessages', JSON.stringify(messages));
    },
    take: async (limit, leaseEndsAt, now) => {
      const { rows } = await write('takeMessages', limit, leaseEndsAt, now);
      return rows.map(toMessage).toSorted(byAge); // RETURNING promises no order
    },
    delete: async (id) => (await write('deleteMessage', id)).changes === 1,
    defer: async (id, { dueAt, lastError, failedAt }) =>
      (await write('deferMessage', dueAt, lastError, failedAt, id)).changes === 1,
    list: ({ after = '', limit }, now, { isFailed } = {}) =>
      read(() => {
        const conditions: readonly Condition[] = [
          ['id > ?', after],
          ['expires_at > ?', now],
          ...(isFailed === undefined ? [] : [FAILED[isFailed ? 'yes' : 'no']]),
        ];
        return toPage(select(conditions, 'id', limit + 1), limit, ({ id }) => id, toMessage);
      }),
  };
}

const FAILED: Readonly<Record<'yes' | 'no', Condition>> = {
  yes: ['failed_at IS NOT NULL'],
  no: ['failed_at IS NULL'],
};

const byAge = (a: OutboxMessage, b: OutboxMessage): number =>
  a.createdAt - b.createdAt || (a.id < b.id ? -1 : 1);

export const toMessage = (row: Row): OutboxMessage => ({
  id: String(row['id']),
  clientId: String(row['client_id']),
  payload: JSON.parse(String(row['payload'])) as OutboxMessage['payload'], // written by put()
  createdAt: Number(row['created_at']),
  attempts: Number(row['attempts']),
  dueAt: Number(row['due_at']),
  lastError: row['last_error'] as string | null, // a column of text
  failedAt: row['failed_at'] === null ? null : Number(row['failed_at']),
  expiresAt: Number(row['expires_at']),
});
