/** Resource servers in SQLite; the unique index on the audience settles races. */
import { AppError } from '../../errors.ts';
import type { ResourceServer, ResourceServerStore } from '../port.ts';
import type { Connection } from './connection.ts';
import { isConstraint } from './errors.ts';
import { createRecordReader, toPage } from './records.ts';

export function createResourceServerStore({ database, read, write }: Connection): ResourceServerStore {
  const byIdentifier = createRecordReader<ResourceServer>(
    database.prepare('SELECT record FROM resource_servers WHERE identifier = ?'),
  );
  const byAudience = createRecordReader<ResourceServer>(
    database.prepare('SELECT record FROM resource_servers WHERE audience = ?'),
  );
  const change = async (...statement: Parameters<typeof write>) => {
    const { changes } = await write(...statement);
    byIdentifier.forget();
    byAudience.forget();
    return changes;
  };
  const list = database.prepare(
    'SELECT record FROM resource_servers WHERE identifier > ? ORDER BY identifier LIMIT ?',
  );

  return {
    put: async (resourceServer) => {
      const { identifier, audience } = resourceServer;
      try {
        await change('putResourceServer', identifier, audience, JSON.stringify(resourceServer));
      } catch (error) {
        if (!isConstraint(error)) throw error;
        throw new AppError('conflict', `Another resource server has the audience "${audience}".`);
      }
    },
    find: (identifier) => read(() => byIdentifier.find(identifier)),
    findByAudience: (audience) => read(() => byAudience.find(audience)),
    replace: async (current, next) => {
      const [expected, record] = [JSON.stringify(current), JSON.stringify(next)];
      return (await change('replaceResourceServer', record, current.identifier, expected)) === 1;
    },
    delete: async (identifier) => (await change('deleteResourceServer', identifier)) === 1,
    list: ({ after = '', limit }) =>
      read(() => toPage<ResourceServer>(list.all(after, limit + 1), limit, (item) => item.identifier)),
  };
}
