/** Accounts in SQLite: the record as JSON beside the columns that are searched; unique indexes settle races. */
import { AppError } from '../../errors.ts';
import type { Account, AccountFilter, AccountStatus, AccountStore } from '../port.ts';
import type { Connection } from './connection.ts';
import { isConstraint } from './errors.ts';
import { createRecordReader, toPage } from './records.ts';
import { createSelect, where } from './selection.ts';
import type { Condition } from './selection.ts';
import type { Row } from './statements.ts';

export function createAccountStore({ database, read, write }: Connection): AccountStore {
  const readerBy = (column: 'id' | 'username' | 'email_key') =>
    createRecordReader<Account>(database.prepare(`SELECT record FROM accounts WHERE ${column} = ?`));
  const byId = readerBy('id');
  const byUsername = readerBy('username');
  const byEmail = readerBy('email_key');
  const select = createSelect(database, 'SELECT id FROM accounts INDEXED BY accounts_list');
  const readIds = database.prepare(
    'SELECT record FROM accounts WHERE id IN (SELECT value FROM json_each(?)) ORDER BY username',
  );
  const count = database.prepare(
    'SELECT role, status, count(*) AS count FROM accounts GROUP BY role, status',
  );
  const change = async (...statement: Parameters<typeof write>) => {
    const { changes } = await write(...statement);
    for (const reader of [byId, byUsername, byEmail]) reader.forget();
    return changes;
  };
  const put = async (name: 'createAccount' | 'replaceAccount', account: Account) => {
    const { id, username, emailKey, status, version } = account;
    const role = account.roles['portcullis'] ?? null;
    try {
      return await change(name, id, username, emailKey, role, status, version, JSON.stringify(account));
    } catch (error) {
      throw isConstraint(error) ? conflict(error, account) : error;
    }
  };

  return {
    create: async (account) => {
      await put('createAccount', account);
    },
    find: (id) => read(() => byId.find(id)),
    findByUsername: (username) => read(() => byUsername.find(username)),
    findByEmail: (emailKey) => read(() => byEmail.find(emailKey)),
    replace: async (account) => (await put('replaceAccount', account)) === 1,
    delete: async (id) => (await change('deleteAccount', id)) === 1,
    list: ({ after = '', limit }, filter = {}) =>
      read(() => {
        const conditions: readonly Condition[] = [['username > ?', after], ...conditionsOf(filter)];
        const ids = select(conditions, 'username', limit + 1).map(({ id }) => id);
        return toPage<Account>(readIds.all(JSON.stringify(ids)), limit, ({ username }) => username);
      }),
    count: () => read(() => count.all().map(toCount)),
  };
}

function conditionsOf({ startsWith, status, role }: AccountFilter): readonly Condition[] {
  return [
    ...(startsWith === undefined ? [] : [startOf(startsWith)]),
    ...where('status = ?', status),
    ...where('role = ?', role),
  ];
}

/** A range, in which no character that was typed means anything. No name has U+10FFFF, and nothing sorts behind it. */
function startOf(text: string): Condition {
  const end = `${text}\u{10ffff}`;
  return ['username >= ? AND username < ? OR email_key >= ? AND email_key < ?', ...[text, end, text, end]];
}

const toCount = ({ role, status, count }: Row) => ({
  // Every record has a status, and perhaps a role.
  role: role as string | null,
  status: status as AccountStatus,
  count: Number(count),
});

/** SQLite names the column: "UNIQUE constraint failed: accounts.username". */
function conflict(error: unknown, { id, username, email }: Account): AppError {
  const reason = String(error);
  if (reason.includes('accounts.username')) return taken('username', `The username "${username}" is taken.`);
  if (reason.includes('accounts.email_key')) {
    return taken('email', `Another account has the address "${email}".`);
  }
  return new AppError('conflict', `An account with the id "${id}" exists already.`);
}

const taken = (path: string, message: string): AppError =>
  new AppError('conflict', message, { errors: [{ path, message }] });
