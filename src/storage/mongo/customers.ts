/** Customers in MongoDB: the record as JSON beside the fields that are searched; unique indexes settle races. */
import mongoose from 'mongoose';
import type { Model, QueryFilter } from 'mongoose';

import { AppError } from '../../errors.ts';
import type { Customer, CustomerFilter, CustomerStore } from '../port.ts';
import type { Calls } from './calls.ts';
import { isDuplicateKey } from './errors.ts';
import { createRecordFinder } from './finder.ts';
import { createPageReader } from './paging.ts';
import type { CustomerRow } from './rows.ts';

export function createCustomerStore(model: Model<CustomerRow>, calls: Calls): CustomerStore {
  const { find, findBy } = createRecordFinder<Customer, CustomerRow>(model, calls);
  const readPage = createPageReader(model, calls, '_id', toCustomer);

  return {
    // An upsert that changes nothing where the name is taken: unlike a bulk insert it tells which index refused it.
    create: async (customer) => {
      const _id = keyOf(customer.username);
      const change = { $setOnInsert: fieldsOf(customer) };
      const { upsertedCount } = await refusingTaken(
        customer,
        calls.run((options) => model.updateOne({ _id }, change, { ...options, upsert: true }).exec()),
      );
      if (upsertedCount === 0) throw conflict(null, customer);
    },
    find: (username) => find(keyOf(username)),
    findByAccount: (account) => findBy({ account }),
    findByClient: (clientId) => findBy({ clientId }),
    replace: async (customer) => {
      const previous = { _id: keyOf(customer.username), version: customer.version - 1 };
      const { modifiedCount } = await refusingTaken(
        customer,
        calls.run((options) => model.updateOne(previous, { $set: fieldsOf(customer) }, options).exec()),
      );
      return modifiedCount === 1;
    },
    delete: async (username) => {
      const _id = keyOf(username);
      const { deletedCount } = await calls.run((options) => model.deleteOne({ _id }, options).exec());
      return deletedCount === 1;
    },
    list: (page, filter = {}) => readPage(page, filterOf(filter)),
  };
}

/** It is found in any case. */
export const keyOf = (username: string): string => username.toLowerCase();

/** All of its row but the id. */
export const fieldsOf = (customer: Customer): Omit<CustomerRow, '_id'> => ({
  customerType: customer.customerType,
  account: customer.account,
  clientId: customer.clientId,
  version: customer.version,
  record: JSON.stringify(customer),
});

export const toCustomer = (row: CustomerRow): Customer => JSON.parse(row.record) as Customer; // written by fieldsOf()

function filterOf({ customerType, startsWith }: CustomerFilter): QueryFilter<CustomerRow> {
  const start = startsWith === undefined ? null : keyOf(startsWith);
  return {
    ...(customerType !== undefined && { customerType }),
    // A range, in which no character means anything. No name has U+10FFFF, and nothing sorts behind it.
    ...(start !== null && { $and: [{ _id: mongoose.trusted({ $gte: start, $lt: `${start}\u{10ffff}` }) }] }),
  };
}

async function refusingTaken<T>(customer: Customer, writing: Promise<T>): Promise<T> {
  try {
    return await writing;
  } catch (error) {
    throw isDuplicateKey(error) ? conflict(error, customer) : error;
  }
}

/** The engine's error for a taken key has the key of the index: `{ account: 1 }`. */
function conflict(error: unknown, { username, account, clientId }: Customer): AppError {
  const pattern: unknown =
    typeof error === 'object' && error !== null && 'keyPattern' in error ? error.keyPattern : {};
  const [field] = Object.keys(pattern ?? {});
  if (field === 'account') return taken('account', `the account "${account ?? ''}"`);
  if (field === 'clientId') return taken('client', `the client "${clientId ?? ''}"`);
  const message = `There is a customer "${username}" already.`;
  return new AppError('conflict', message, { errors: [{ path: 'username', message }] });
}

function taken(path: string, what: string): AppError {
  const message = `Another customer is tied to ${what}.`;
  return new AppError('conflict', message, { errors: [{ path, message }] });
}
