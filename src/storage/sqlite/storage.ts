/** The SQLite driver: the whole store is one file, opened by any number of processes of one machine. */
import type { Storage } from '../port.ts';
import { createAccountStore } from './accounts.ts';
import { createApiKeyStore } from './api-keys.ts';
import { createArtifactStore } from './artifacts.ts';
import { createAuditStore } from './audit.ts';
import { createClientStore } from './clients.ts';
import { openConnection } from './connection.ts';
import type { Connection } from './connection.ts';
import { createCounterStore } from './counters.ts';
import { createCustomerStore } from './customers.ts';
import { createNameStore } from './names.ts';
import { createOneTimeTokenStore } from './one-time-tokens.ts';
import { toOpeningError } from './opening-error.ts';
import { createOutboxStore } from './outbox.ts';
import { createResourceServerStore } from './resource-servers.ts';
import { createRevocationStore } from './revocations.ts';
import { createSealedSecretStore } from './sealed-secrets.ts';
import { createSigningKeyStore } from './signing-keys.ts';
import { readSnapshot } from './snapshot.ts';
import { createStatisticsStore } from './statistics.ts';
import { createTokenStatusStore } from './token-statuses.ts';

interface SqliteStorageOptions {
  readonly path: string;
  /** No write waits longer; STORE_TIMEOUT_MS where it is not given. */
  readonly timeoutMs?: number | undefined;
}

/**
 * Opens the store at `path`, making the file and its folder where they are missing. Rejects with
 * AppError('store_unavailable') where trying again may help, with a plain Error and its remedy where it will not.
 */
export async function openSqliteStorage({ path, timeoutMs }: SqliteStorageOptions): Promise<Storage> {
  const connection = openConnection(path, timeoutMs);
  try {
    const storage = { ...createStores(connection), snapshot: () => readSnapshot(path) };
    await storage.ping(); // a damaged file may show only when it is read
    return storage;
  } catch (error) {
    await connection.close();
    throw toOpeningError(path, Error.isError(error) ? (error.cause ?? error) : error);
  }
}

function createStores(connection: Connection): Omit<Storage, 'snapshot'> {
  const { database, read, write, isFailing } = connection;
  const ping = database.prepare('SELECT version FROM key_sets');
  return {
    artifacts: createArtifactStore(connection),
    accounts: createAccountStore(connection),
    oneTimeTokens: createOneTimeTokenStore(connection),
    clients: createClientStore(connection),
    resourceServers: createResourceServerStore(connection),
    names: createNameStore(connection),
    signingKeys: createSigningKeyStore(connection),
    sealedSecrets: createSealedSecretStore(connection),
    counters: createCounterStore(connection),
    outbox: createOutboxStore(connection),
    apiKeys: createApiKeyStore(connection),
    customers: createCustomerStore(connection),
    revocations: createRevocationStore(connection),
    tokenStatuses: createTokenStatusStore(connection),
    audit: createAuditStore(connection),
    statistics: createStatisticsStore(connection),
    ping: async () => {
      await read(() => ping.get());
      if (isFailing()) await write('probe'); // reads go on where nothing can be written: only a write tells
    },
    deleteExpired: async (now) => {
      const swept = await Promise.all([
        write('sweepArtifacts', now),
        write('sweepOneTimeTokens', now),
        write('sweepCounters', now),
        write('sweepOutbox', now),
        write('sweepRevocations', now),
        write('sweepTokenStatuses', now),
        write('sweepStatistics', now),
      ]);
      return swept.reduce((sum, { changes }) => sum + changes, 0);
    },
    close: () => connection.close(),
  };
}
