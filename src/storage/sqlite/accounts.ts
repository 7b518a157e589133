/** Accounts in SQLite: the record as JSON beside the columns that are searched; unique indexes settle races. */
import { AppError } from '../../errors.ts';
import type { Account, AccountStore } from '../port.ts';
import type { Connection } from './connection.ts';
import { isConstraint } from './errors.ts';
import { createRecordReader, toPage } from './records.ts';

export function createAccountStore({ database, read, write }: Connection): AccountStore {
  const readerBy = (column: 'id' | 'username' | 'email_key') =>
    createRecordReader<Account>(database.prepare(`SELECT record FROM accounts WHERE ${column} = ?`));
  const byId = readerBy('id');
  const byUsername = readerBy('username');
  const byEmail = readerBy('email_key');
  const list = database.prepare('SELECT record FROM accounts WHERE username > ? ORDER BY username LIMIT ?');
  const change = async (...statement: Parameters<typeof write>) => {
    const { changes } = await write(...statement);
    for (const reader of [byId, byUsername, byEmail]) reader.forget();
    return changes;
  };
  const put = async (name: 'createAccount' | 'replaceAccount', account: Account) => {
    const { id, username, emailKey, version } = account;
    try {
      return await change(name, id, username, emailKey, version, JSON.stringify(account));
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
    list: ({ after = '', limit }) =>
      read(() => toPage<Account>(list.all(after, limit + 1), limit, (account) => account.username)),
  };
}

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
