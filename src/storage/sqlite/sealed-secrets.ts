/** Sealed secrets in SQLite: a sealed text is never made twice, so it is its own version for compare-and-set. */
import type { SealedSecretStore } from '../port.ts';
import type { Connection } from './connection.ts';

export function createSealedSecretStore({ database, read, write }: Connection): SealedSecretStore {
  const find = database.prepare('SELECT sealed FROM sealed_secrets WHERE name = ?');

  return {
    find: (name) =>
      read(() => {
        const row = find.get(name);
        return row === undefined ? null : String(row['sealed']);
      }),
    replace: async (name, current, sealed) => {
      const { changes } =
        current === null
          ? await write('createSealedSecret', name, sealed)
          : await write('replaceSealedSecret', sealed, name, current);
      return changes === 1;
    },
  };
}
