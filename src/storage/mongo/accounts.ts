/** Accounts in MongoDB: the record as JSON beside the fields that are searched; unique indexes settle races. */
import mongoose from 'mongoose';
import type { Model, QueryFilter } from 'mongoose';

import { AppError } from '../../errors.ts';
import type { Account, AccountFilter, AccountStore } from '../port.ts';
import type { Calls } from './calls.ts';
import { isDuplicateKey } from './errors.ts';
import { createRecordFinder, readOptions } from './finder.ts';
import { createPageReader } from './paging.ts';
import type { AccountRow } from './rows.ts';

export function createAccountStore(model: Model<AccountRow>, calls: Calls): AccountStore {
  const { find, findBy } = createRecordFinder<Account, AccountRow>(model, calls);
  const readPage = createPageReader(model, calls, 'username', toAccount);

  return {
    create: (account) => create(model, calls, account),
    find,
    findByUsername: (username) => findBy({ username }),
    findByEmail: (emailKey) => findBy({ emailKey }),
    replace: (account) => replace(model, calls, account),
    delete: async (id) => {
      const { deletedCount } = await calls.run((options) => model.deleteOne({ _id: id }, options).exec());
      return deletedCount === 1;
    },
    list: (page, filter = {}) => readPage(page, filterOf(filter)),
    count: () => count(model, calls),
  };
}

/** An upsert that changes nothing where the id is taken: unlike a bulk insert it tells which index refused it. */
async function create(model: Model<AccountRow>, calls: Calls, account: Account): Promise<void> {
  const change = { $setOnInsert: fieldsOf(account) };
  try {
    const { upsertedCount } = await calls.run((options) =>
      model.updateOne({ _id: account.id }, change, { ...options, upsert: true }).exec(),
    );
    if (upsertedCount === 0) throw conflict(null, account);
  } catch (error) {
    throw isDuplicateKey(error) ? conflict(error, account) : error;
  }
}

async function replace(model: Model<AccountRow>, calls: Calls, account: Account): Promise<boolean> {
  const previous = { _id: account.id, version: account.version - 1 };
  try {
    const { modifiedCount } = await calls.run((options) =>
      model.updateOne(previous, { $set: fieldsOf(account) }, options).exec(),
    );
    return modifiedCount === 1;
  } catch (error) {
    throw isDuplicateKey(error) ? conflict(error, account) : error;
  }
}

function filterOf({ startsWith, status, role }: AccountFilter): QueryFilter<AccountRow> {
  return {
    ...(startsWith !== undefined && {
      $or: [{ username: startOf(startsWith) }, { emailKey: startOf(startsWith) }],
    }),
    ...(status !== undefined && { status }),
    ...(role !== undefined && { role }),
  };
}

/** A range, in which no character that was typed means anything. No name has U+10FFFF, and nothing sorts behind it. */
const startOf = (text: string) => mongoose.trusted({ $gte: text, $lt: `${text}\u{10ffff}` });

async function count(model: Model<AccountRow>, calls: Calls) {
  const counted = await calls.run((options) =>
    model
      .aggregate<{ readonly _id: Pick<AccountRow, 'role' | 'status'>; readonly count: number }>(
        [{ $group: { _id: { role: '$role', status: '$status' }, count: { $sum: 1 } } }],
        { ...readOptions('local', options), hint: 'role_status' },
      )
      .exec(),
  );
  return counted.map(({ _id: { role, status }, count: accounts }) => ({ role, status, count: accounts }));
}

/** All of its row but the id. */
export const fieldsOf = (account: Account): Omit<AccountRow, '_id'> => ({
  username: account.username,
  emailKey: account.emailKey,
  role: account.roles['portcullis'] ?? null,
  status: account.status,
  version: account.version,
  record: JSON.stringify(account),
});

export function toAccount(row: AccountRow): Account {
  return JSON.parse(row.record) as Account; // written by fieldsOf()
}

function conflict(error: unknown, { id, username, email }: Account): AppError {
  const field = takenField(error);
  if (field === 'username') return taken('username', `The username "${username}" is taken.`);
  if (field === 'emailKey') return taken('email', `Another account has the address "${email}".`);
  return new AppError('conflict', `An account with the id "${id}" exists already.`);
}

const taken = (path: string, message: string): AppError =>
  new AppError('conflict', message, { errors: [{ path, message }] });

/** The engine's error for a taken key has the key of the index: `{ username: 1 }`. */
function takenField(error: unknown): string | undefined {
  if (typeof error !== 'object' || error === null || !('keyPattern' in error)) return undefined;
  return Object.keys(error.keyPattern ?? {})[0];
}
