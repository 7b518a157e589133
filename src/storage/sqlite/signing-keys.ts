/** The signing key set in SQLite: one row, replaced as a whole, so that no reader ever sees half of it. */
import type { SealedKey, SigningKeyStore } from '../port.ts';
import type { Connection } from './connection.ts';

export function createSigningKeyStore({ database, read, write }: Connection): SigningKeyStore {
  const find = database.prepare('SELECT version, keys, retired FROM key_sets WHERE id = 1');

  return {
    read: () =>
      read(() => {
        const row = find.get();
        if (row === undefined) return null;
        // Both were written by write() below.
        const keys = JSON.parse(String(row['keys'])) as SealedKey[];
        const retired = JSON.parse(String(row['retired'])) as string[];
        return { version: Number(row['version']), keys, retired };
      }),
    write: async (expectedVersion, { keys, retired }) => {
      const next = [JSON.stringify(keys), JSON.stringify(retired)] as const;
      const { changes } =
        expectedVersion === 0
          ? await write('createKeySet', ...next)
          : await write('replaceKeySet', ...next, expectedVersion);
      return changes === 1;
    },
  };
}
