/** Customers in SQLite: the record as JSON beside the columns that are searched; unique columns settle races. */
import { AppError } from '../../errors.ts';
import type { Customer, CustomerFilter, CustomerStore } from '../port.ts';
import type { Connection } from './connection.ts';
import { isConstraint } from './errors.ts';
import { createRecordReader, toPage } from './records.ts';
import { createSelect, where } from './selection.ts';
import type { Condition } from './selection.ts';

export function createCustomerStore({ database, read, write }: Connection): CustomerStore {
  const readerBy = (column: 'key' | 'account' | 'client_id') =>
    createRecordReader<Customer>(database.prepare(`SELECT record FROM customers WHERE ${column} = ?`));
  const byKey = readerBy('key');
  const byAccount = readerBy('account');
  const byClient = readerBy('client_id');
  const select = createSelect(database, 'SELECT record FROM customers');
  const change = async (...statement: Parameters<typeof write>) => {
    const { changes } = await write(...statement);
    for (const reader of [byKey, byAccount, byClient]) reader.forget();
    return changes;
  };
  const put = async (name: 'createCustomer' | 'replaceCustomer', customer: Customer) => {
    const { username, customerType, account, clientId, version } = customer;
    const record = JSON.stringify(customer);
    try {
      return await change(name, keyOf(username), customerType, account, clientId, version, record);
    } catch (error) {
      throw isConstraint(error) ? conflict(error, customer) : error;
    }
  };

  return {
    create: async (customer) => {
      await put('createCustomer', customer);
    },
    find: (username) => read(() => byKey.find(keyOf(username))),
    findByAccount: (account) => read(() => byAccount.find(account)),
    findByClient: (clientId) => read(() => byClient.find(clientId)),
    replace: async (customer) => (await put('replaceCustomer', customer)) === 1,
    delete: async (username) => (await change('deleteCustomer', keyOf(username))) === 1,
    list: ({ after = '', limit }, filter = {}) =>
      read(() => {
        const rows = select([['key > ?', after], ...conditionsOf(filter)], 'key', limit + 1);
        return toPage<Customer>(rows, limit, ({ username }) => keyOf(username));
      }),
  };
}

/** It is found in any case. */
export const keyOf = (username: string): string => username.toLowerCase();

function conditionsOf({ customerType, startsWith }: CustomerFilter): readonly Condition[] {
  const of = where('customer_type = ?', customerType);
  if (startsWith === undefined) return of;
  const start = keyOf(startsWith);
  // A range, in which no character means anything. No name has U+10FFFF, and nothing sorts behind it.
  return [...of, ['key >= ? AND key < ?', start, `${start}\u{10ffff}`]];
}

/** SQLite names the column: "UNIQUE constraint failed: customers.account". */
function conflict(error: unknown, { username, account, clientId }: Customer): AppError {
  const reason = String(error);
  if (reason.includes('customers.account')) return taken('account', `the account "${account ?? ''}"`);
  if (reason.includes('customers.client_id')) return taken('client', `the client "${clientId ?? ''}"`);
  const message = `There is a customer "${username}" already.`;
  return new AppError('conflict', message, { errors: [{ path: 'username', message }] });
}

function taken(path: string, what: string): AppError {
  const message = `Another customer is tied to ${what}.`;
  return new AppError('conflict', message, { errors: [{ path, message }] });
}
