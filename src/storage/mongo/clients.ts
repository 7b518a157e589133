/** Clients in MongoDB: the record as JSON beside the fields that are searched. */
import type { Model } from 'mongoose';

import { AppError } from '../../errors.ts';
import type { Client, ClientStore } from '../port.ts';
import type { Calls } from './calls.ts';
import { isDuplicateKey } from './errors.ts';
import { createRecordFinder, findConfirmed } from './finder.ts';
import { createPageReader } from './paging.ts';
import type { ClientRow } from './rows.ts';

export function createClientStore(model: Model<ClientRow>, calls: Calls): ClientStore {
  const { find } = createRecordFinder<Client, ClientRow>(model, calls);
  const readPage = createPageReader(model, calls, '_id', toClient);

  return {
    create: async (client) => {
      try {
        const row = { _id: client.clientId, ...fieldsOf(client) };
        await calls.run((options) => model.insertMany([row], { ...options, lean: true }));
      } catch (error) {
        if (!isDuplicateKey(error)) throw error;
        throw new AppError('conflict', `A client with the id "${client.clientId}" exists already.`);
      }
    },
    find,
    findSpelling: async (clientId) => {
      const row = await findConfirmed(calls, (options) =>
        model
          .findOne({ foldedId: fold(clientId) }, { _id: 1 }, options)
          .lean<Pick<ClientRow, '_id'>>()
          .exec(),
      );
      return row?._id ?? null;
    },
    replace: async (client) => {
      const previous = { _id: client.clientId, version: client.version - 1 };
      const { modifiedCount } = await calls.run((options) =>
        model.updateOne(previous, { $set: fieldsOf(client) }, options).exec(),
      );
      return modifiedCount === 1;
    },
    delete: async (clientId) => {
      const { deletedCount } = await calls.run((options) =>
        model.deleteOne({ _id: clientId }, options).exec(),
      );
      return deletedCount === 1;
    },
    list: (page, { isVpnNode } = {}) => readPage(page, isVpnNode === undefined ? {} : { isVpnNode }),
  };
}

const fold = (clientId: string): string => clientId.toLowerCase();

/** All of its row but the id. */
export const fieldsOf = (client: Client): Omit<ClientRow, '_id'> => ({
  foldedId: fold(client.clientId),
  isVpnNode: client.isVpnNode,
  version: client.version,
  record: JSON.stringify(client),
});

export const toClient = (row: ClientRow): Client => JSON.parse(row.record) as Client; // written by fieldsOf()
