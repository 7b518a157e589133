/** Clients in SQLite: the record as JSON beside the columns that are searched. */
import { AppError } from '../../errors.ts';
import type { Client, ClientStore } from '../port.ts';
import type { Connection } from './connection.ts';
import { createRecordReader, toPage } from './records.ts';

export function createClientStore({ database, read, write }: Connection): ClientStore {
  const list = database.prepare(
    `SELECT record FROM clients WHERE client_id > ? AND (? IS NULL OR is_vpn_node = ?)
     ORDER BY client_id LIMIT ?`,
  );
  const clients = createRecordReader<Client>(
    database.prepare('SELECT record FROM clients WHERE client_id = ?'),
  );
  const findSpelling = database.prepare('SELECT client_id FROM clients WHERE lower(client_id) = lower(?)');
  const change = async (...statement: Parameters<typeof write>) => {
    const { changes } = await write(...statement);
    clients.forget();
    return changes;
  };

  return {
    create: async (client) => {
      const { clientId, isVpnNode, version } = client;
      const changes = await change(
        'createClient',
        clientId,
        Number(isVpnNode),
        version,
        JSON.stringify(client),
      );
      if (changes === 0) throw new AppError('conflict', `A client with the id "${clientId}" exists already.`);
    },
    find: (clientId) => read(() => clients.find(clientId)),
    findSpelling: (clientId) =>
      read(() => {
        const row = findSpelling.get(clientId);
        return row === undefined ? null : String(row['client_id']);
      }),
    replace: async (client) => {
      const { clientId, isVpnNode, version } = client;
      const record = JSON.stringify(client);
      return (await change('replaceClient', Number(isVpnNode), version, record, clientId, version - 1)) === 1;
    },
    delete: async (clientId) => (await change('deleteClient', clientId)) === 1,
    list: ({ after = '', limit }, { isVpnNode } = {}) =>
      read(() => {
        const wanted = isVpnNode === undefined ? null : Number(isVpnNode);
        return toPage<Client>(list.all(after, wanted, wanted, limit + 1), limit, (client) => client.clientId);
      }),
  };
}
