/** The register of names in SQLite. */
import type { NameKind, NameStore } from '../port.ts';
import type { Connection } from './connection.ts';

export function createNameStore({ database, read, write }: Connection): NameStore {
  const find = database.prepare('SELECT kind FROM names WHERE name = ?');

  return {
    // The column is CHECKed by the table.
    find: (name) => read(() => (find.get(name)?.['kind'] ?? null) as NameKind | null),
    // The row is the one just written or found, and its kind is CHECKed by the table.
    claim: async (name, kind) => (await write('claimName', name, kind)).rows[0]?.['kind'] as NameKind,
  };
}
