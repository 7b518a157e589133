/** Resource servers in SQLite; the unique index on the audience settles races. */
import { AppError } from '../../errors.ts';
import type { ResourceServer, ResourceServerStore } from '../port.ts';
import type { Connection } from './connection.ts';
import { isConstraint } from './errors.ts';
import { createRecordReader, toPage } from './records.ts';

export function createResourceServerStore({ database, read, write }: Connection): ResourceServerStore {
  const find = database.prepare('SELECT record FROM resource_servers WHERE identifier = ?');
  const findByAudience = database.prepare('SELECT record FROM resource_servers WHERE audience = ?');
  const list = database.prepare(
    'SELECT record FROM resource_servers WHERE identifier > ? ORDER BY identifier LIMIT ?',
  );
  const toResourceServer = createRecordReader<ResourceServer>();

  return {
    put: async (resourceServer) => {
      const { identifier, audience } = resourceServer;
      try {
        await write('putResourceServer', identifier, audience, JSON.stringify(resourceServer));
      } catch (error) {
        if (!isConstraint(error)) throw error;
        throw new AppError('conflict', `Another resource server has the audience "${audience}".`);
      }
    },
    find: (identifier) => read(() => toResourceServer(find.get(identifier), identifier)),
    findByAudience: (audience) =>
      read(() => toResourceServer(findByAudience.get(audience), `audience ${audience}`)),
    delete: async (identifier) => (await write('deleteResourceServer', identifier)).changes === 1,
    list: ({ after = '', limit }) =>
      read(() => toPage<ResourceServer>(list.all(after, limit + 1), limit, (item) => item.identifier)),
  };
}
