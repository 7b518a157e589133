/** The tokens of mailed links in SQLite: used up by the one statement that deletes and gives the row. */
import type { OneTimePurpose, OneTimeToken, OneTimeTokenStore } from '../port.ts';
import type { Connection } from './connection.ts';

export function createOneTimeTokenStore({ database, read, write }: Connection): OneTimeTokenStore {
  const find = database.prepare(
    'SELECT * FROM one_time_tokens WHERE purpose = ? AND hash = ? AND expires_at > ?',
  );

  return {
    put: async ({ accountId, purpose, hash, email, expiresAt }) => {
      await write('putOneTimeToken', accountId, purpose, hash, email, expiresAt);
    },
    find: (purpose, hash, now) => read(() => toToken(find.get(purpose, hash, now))),
    consume: async (purpose, hash, now) =>
      toToken((await write('consumeOneTimeToken', purpose, hash, now)).rows[0]),
    revokeAccount: async (accountId) => {
      await write('revokeOneTimeTokensOfAccount', accountId);
    },
  };
}

function toToken(row: Readonly<Record<string, unknown>> | undefined): OneTimeToken | null {
  if (row === undefined) return null;
  return {
    purpose: row['purpose'] as OneTimePurpose, // written by put()
    accountId: String(row['account_id']),
    hash: String(row['hash']),
    email: String(row['email']),
    expiresAt: Number(row['expires_at']),
  };
}
