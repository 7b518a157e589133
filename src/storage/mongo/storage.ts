/**
 * The MongoDB driver: the store of an installation with more than one instance. Every write is acknowledged by a
 * majority of the replica set and journaled there, every read is the primary's.
 */
import type { Storage } from '../port.ts';
import { createAccountStore } from './accounts.ts';
import { createApiKeyStore } from './api-keys.ts';
import { createArtifactStore } from './artifacts.ts';
import { createAuditStore } from './audit.ts';
import { createCalls } from './calls.ts';
import type { Calls } from './calls.ts';
import { createClientStore } from './clients.ts';
import { connect } from './connection.ts';
import { createCounterStore } from './counters.ts';
import { createCustomerStore } from './customers.ts';
import { prepareCollections } from './indexes.ts';
import { createNameStore } from './names.ts';
import { createOneTimeTokenStore } from './one-time-tokens.ts';
import { createOutboxStore } from './outbox.ts';
import { createResourceServerStore } from './resource-servers.ts';
import { createModels } from './schemas.ts';
import type { Models } from './schemas.ts';
import { assertWhole } from './restore-mark.ts';
import { createRevocationStore, deleteExpired } from './revocations.ts';
import { createSealedSecretStore } from './sealed-secrets.ts';
import { createSigningKeyStore } from './signing-keys.ts';
import { readSnapshot } from './snapshot.ts';
import { createStatisticsStore } from './statistics.ts';
import { createTokenStatusStore } from './token-statuses.ts';

interface MongoStorageOptions {
  /** `mongodb://…` or `mongodb+srv://…` of a replica set. */
  readonly uri: string;
  /** Without it the one that the URI names, or `portcullis`. */
  readonly databaseName?: string;
  /** No call waits longer; STORE_TIMEOUT_MS where it is not given. */
  readonly timeoutMs?: number | undefined;
}

/**
 * Opens the store, making its collections and indexes where they are missing. Rejects with
 * AppError('store_unavailable') where nobody answers, with a plain Error and its remedy where waiting will not help.
 */
export async function openMongoStorage({
  uri,
  databaseName,
  timeoutMs,
}: MongoStorageOptions): Promise<Storage> {
  const connection = await connect(uri, { databaseName, timeoutMs });
  const calls = createCalls(timeoutMs);
  const models = createModels(connection);
  try {
    await prepareCollections(models, calls);
    await assertWhole(models.restores, calls);
  } catch (error) {
    await connection.destroy(true);
    throw error;
  }
  return {
    artifacts: createArtifactStore(models.artifacts, calls),
    accounts: createAccountStore(models.accounts, calls),
    oneTimeTokens: createOneTimeTokenStore(models.oneTimeTokens, calls),
    clients: createClientStore(models.clients, calls),
    resourceServers: createResourceServerStore(models.resourceServers, calls),
    names: createNameStore(models.names, calls),
    signingKeys: createSigningKeyStore(models.keySets, calls),
    sealedSecrets: createSealedSecretStore(models.sealedSecrets, calls),
    counters: createCounterStore(models.counters, calls),
    outbox: createOutboxStore(models.outbox, calls),
    apiKeys: createApiKeyStore(models.apiKeys, calls),
    customers: createCustomerStore(models.customers, calls),
    revocations: createRevocationStore(models.revocations, calls),
    tokenStatuses: createTokenStatusStore(models.tokenStatuses, calls),
    audit: createAuditStore(models.audit, calls),
    statistics: createStatisticsStore(models.statistics, calls),
    snapshot: () => readSnapshot(models, calls),
    ping: createPing(models.probes, calls),
    // The expiry indexes do it for all others.
    deleteExpired: (now) => deleteExpired(models.revocations, calls, now),
    close: async () => {
      await calls.close();
      await connection.destroy(true);
    },
  };
}

/** A primary that lost its majority still reads, and says that it is writable: only a write tells. */
function createPing(model: Models['probes'], calls: Calls): Storage['ping'] {
  return async () => {
    await calls.run((options) =>
      model.updateOne({ _id: 'ping' }, { $inc: { count: 1 } }, { ...options, upsert: true }).exec(),
    );
  };
}
