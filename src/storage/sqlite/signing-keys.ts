/** The signing key set in SQLite: one row, replaced as a whole, so that no reader ever sees half of it. */
import type { SealedKey, SigningKeyStore } from '../port.ts';
import type { Connection } from './connection.ts';

export function createSigningKeyStore({ database, read, write }: Connection): SigningKeyStore {
  const find = database.prepare('SELECT version, keys FROM key_sets WHERE id = 1');

  return {
    read: () =>
      read(() => {
        const row = find.get();
        if (row === undefined) return null;
        // written by write() below
        return { version: Number(row['version']), keys: JSON.parse(String(row['keys'])) as SealedKey[] };
      }),
    write: async (expectedVersion, keys) => {
      const json = JSON.stringify(keys);
      const { changes } =
        expectedVersion === 0
          ? await write('createKeySet', json)
          : await write('replaceKeySet', json, expectedVersion);
      return changes === 1;
    },
  };
}
