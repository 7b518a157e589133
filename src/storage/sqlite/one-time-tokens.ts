/** The tokens of mailed links in SQLite: used up by the one statement that deletes and gives the row. */
import type { OneTimePurpose, OneTimeToken, OneTimeTokenStore } from '../port.ts';
import type { Connection } from './connection.ts';
import type { Row } from './statements.ts';

export function createOneTimeTokenStore({ database, read, write }: Connection): OneTimeTokenStore {
  const find = database.prepare(
    'SELECT * FROM one_time_tokens WHERE purpose = ? AND hash = ? AND expires_at > ?',
  );

  return {
    put: async ({ accountId, purpose, hash, email, expiresAt }) => {
      await write('putOneTimeToken', accountId, purpose, hash, email, expiresAt);
    },
    find: (purpose, hash, now) => read(() => toTokenOrNull(find.get(purpose, hash, now))),
    consume: async (purpose, hash, now) =>
      toTokenOrNull((await write('consumeOneTimeToken', purpose, hash, now)).rows[0]),
    revokeAccount: async (accountId) => {
      await write('revokeOneTimeTokensOfAccount', accountId);
    },
  };
}

const toTokenOrNull = (row: Row | undefined): OneTimeToken | null =>
  row === undefined ? null : toToken(row);

export const toToken = (row: Row): OneTimeToken => ({
  purpose: row['purpose'] as OneTimePurpose, // written by put()
  accountId: String(row['account_id']),
  hash: String(row['hash']),
  email: String(row['email']),
  expiresAt: Number(row['expires_at']),
});
