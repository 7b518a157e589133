/** The SQLite driver: the whole store is one file, opened by any number of processes of one machine. */
import type { Storage } from '../port.ts';
import { createAccountStore } from './accounts.ts';
import { createArtifactStore } from './artifacts.ts';
import { createClientStore } from './clients.ts';
import { openConnection } from './connection.ts';
import { createCounterStore } from './counters.ts';
import { createNameStore } from './names.ts';
import { createOneTimeTokenStore } from './one-time-tokens.ts';
import { createResourceServerStore } from './resource-servers.ts';
import { createSigningKeyStore } from './signing-keys.ts';

/** Opens the store at `path`, making the file and its folder where they are missing. */
export async function openSqliteStorage({ path }: { readonly path: string }): Promise<Storage> {
  const connection = openConnection(path);
  const { database, read, write } = connection;
  const ping = database.prepare('SELECT version FROM key_sets');
  return {
    artifacts: createArtifactStore(connection),
    accounts: createAccountStore(connection),
    oneTimeTokens: createOneTimeTokenStore(connection),
    clients: createClientStore(connection),
    resourceServers: createResourceServerStore(connection),
    names: createNameStore(connection),
    signingKeys: createSigningKeyStore(connection),
    counters: createCounterStore(connection),
    ping: async () => {
      await read(() => ping.get());
    },
    deleteExpired: async (now) => {
      const swept = await Promise.all([
        write('sweepArtifacts', now),
        write('sweepOneTimeTokens', now),
        write('sweepCounters', now),
      ]);
      return swept.reduce((sum, { changes }) => sum + changes, 0);
    },
    close: () => connection.close(),
  };
}
