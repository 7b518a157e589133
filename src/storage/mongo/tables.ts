/**
 * The collection of each store, for whoever reads or writes all of them: how a document becomes the record that a
 * snapshot gives, and a record the document that a restore writes.
 */
import type { KeySet, StoredRecord, StoreName, StoreRecords } from '../port.ts';
import { fieldsOf as accountFields, toAccount } from './accounts.ts';
import { fieldsOf as keyFields, toKey } from './api-keys.ts';
import { changeTo, dateOf } from './artifact-upserts.ts';
import { toRecord as toAuditRecord, toRow as toAuditRow } from './audit.ts';
import { fieldsOf as clientFields, toClient } from './clients.ts';
import { fieldsOf as customerFields, keyOf as customerKey, toCustomer } from './customers.ts';
import { toToken } from './one-time-tokens.ts';
import { toMessage, toRow as toOutboxRow } from './outbox.ts';
import { toResourceServer } from './resource-servers.ts';
import { toRevocation } from './revocations.ts';
import type {
  AccountRow,
  ApiKeyRow,
  ArtifactRow,
  AuditRow,
  ClientRow,
  CounterRow,
  CustomerRow,
  KeySetRow,
  NameRow,
  OneTimeTokenRow,
  OutboxRow,
  ResourceServerRow,
  RevocationRow,
  SealedSecretRow,
  StatisticsRow,
  TokenStatusRow,
} from './rows.ts';
import type { Models } from './schemas.ts';
import { ID as KEY_SET_ID } from './signing-keys.ts';
import { toRow as toTokenStatusRow, toTokenStatus } from './token-statuses.ts';

interface Table<T, Row> {
  readonly name: keyof Models;
  /** Where the order of the rows matters. */
  readonly order?: Readonly<Record<string, 1 | -1>>;
  readonly toRecord: (row: Row) => T;
  readonly toRow: (record: T) => Row;
}

/** What each store's collection holds. */
interface Rows {
  readonly signingKeys: KeySetRow;
  readonly sealedSecrets: SealedSecretRow;
  readonly names: NameRow;
  readonly accounts: AccountRow;
  readonly clients: ClientRow;
  readonly resourceServers: ResourceServerRow;
  readonly apiKeys: ApiKeyRow;
  readonly customers: CustomerRow;
  readonly oneTimeTokens: OneTimeTokenRow;
  readonly outbox: OutboxRow;
  readonly artifacts: ArtifactRow;
  readonly counters: CounterRow;
  readonly revocations: RevocationRow;
  readonly tokenStatuses: TokenStatusRow;
  readonly statistics: StatisticsRow;
  readonly audit: AuditRow;
}

export const TABLES: { readonly [Name in StoreName]: Table<StoreRecords[Name], Rows[Name]> } = {
  signingKeys: {
    name: 'keySets',
    toRecord: ({ version, keys, retired = [] }) => ({
      version,
      keys: JSON.parse(keys) as KeySet['keys'], // written from a KeySet
      retired,
    }),
    toRow: ({ version, keys, retired }) => ({
      _id: KEY_SET_ID,
      version,
      keys: JSON.stringify(keys),
      retired: [...retired],
    }),
  },
  sealedSecrets: {
    name: 'sealedSecrets',
    toRecord: ({ _id: name, sealed }) => ({ name, sealed }),
    toRow: ({ name, sealed }) => ({ _id: name, sealed }),
  },
  names: {
    name: 'names',
    toRecord: ({ _id: name, kind }) => ({ name, kind }),
    toRow: ({ name, kind }) => ({ _id: name, kind }),
  },
  accounts: {
    name: 'accounts',
    toRecord: toAccount,
    toRow: (account) => ({ _id: account.id, ...accountFields(account) }),
  },
  clients: {
    name: 'clients',
    toRecord: toClient,
    toRow: (client) => ({ _id: client.clientId, ...clientFields(client) }),
  },
  resourceServers: {
    name: 'resourceServers',
    toRecord: toResourceServer,
    toRow: (server) => ({
      _id: server.identifier,
      audience: server.audience,
      record: JSON.stringify(server),
    }),
  },
  apiKeys: {
    name: 'apiKeys',
    toRecord: toKey,
    toRow: (key) => ({ _id: key.id, lastUsedAt: key.lastUsedAt, ...keyFields(key) }),
  },
  customers: {
    name: 'customers',
    toRecord: toCustomer,
    toRow: (customer) => ({ _id: customerKey(customer.username), ...customerFields(customer) }),
  },
  oneTimeTokens: {
    name: 'oneTimeTokens',
    toRecord: toToken,
    toRow: ({ expiresAt, ...token }) => ({
      _id: `${token.purpose}:${token.accountId}`,
      ...token,
      expiresAt: dateOf(expiresAt),
    }),
  },
  outbox: { name: 'outbox', toRecord: toMessage, toRow: toOutboxRow },
  artifacts: {
    name: 'artifacts',
    toRecord: ({ _id: id, payload, expiresAt, consumedAt = null, ...links }) => ({
      ...links,
      id,
      payload: JSON.parse(payload) as StoreRecords['artifacts']['payload'], // an object's JSON
      expiresAt: secondsOf(expiresAt),
      consumedAt,
    }),
    toRow: ({ consumedAt, ...artifact }) => ({
      _id: artifact.id,
      ...changeTo(artifact).$set,
      ...(consumedAt !== null && { consumedAt }),
    }),
  },
  counters: {
    name: 'counters',
    toRecord: ({ _id: key, count, resetsAt }) => ({ key, count, resetsAt: secondsOf(resetsAt) }),
    toRow: ({ key, count, resetsAt }) => ({ _id: key, count, resetsAt: dateOf(resetsAt) }),
  },
  revocations: {
    name: 'revocations',
    order: { _id: -1 }, // SQLite deletes those before one that outdoes them
    toRecord: toRevocation,
    toRow: ({ cursor, ...revocation }) => ({ _id: cursor, ...revocation }),
  },
  tokenStatuses: { name: 'tokenStatuses', toRecord: toTokenStatus, toRow: toTokenStatusRow },
  statistics: {
    name: 'statistics',
    toRecord: ({ series, hourAt, count, expiresAt }) => ({
      ...{ series, hourAt, count },
      expiresAt: secondsOf(expiresAt),
    }),
    toRow: ({ series, hourAt, count, expiresAt }) => ({
      ...{ _id: `${hourAt}:${series}`, series, hourAt, count },
      expiresAt: dateOf(expiresAt),
    }),
  },
  audit: { name: 'audit', order: { _id: 1 }, toRecord: toAuditRecord, toRow: toAuditRow },
};

/** The document of a record. */
export function rowOf({ store, record }: StoredRecord): object {
  const { toRow } = TABLES[store] as { readonly toRow: (record: unknown) => object }; // it is a record of this store
  return toRow(record);
}

const secondsOf = (date: Date): number => date.getTime() / 1000;
