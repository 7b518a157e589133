/**
 * The table of each store, for whoever reads or writes all of them: how a row becomes the record that a snapshot
 * gives, and a record the row that a restore writes.
 */
import type {
  Account,
  AuditRecord,
  Client,
  Customer,
  KeySet,
  NameKind,
  ResourceServer,
  StoredRecord,
  StoreName,
  StoreRecords,
} from '../port.ts';
import { recordOf, toKey } from './api-keys.ts';
import { keyOf } from './customers.ts';
import { toToken } from './one-time-tokens.ts';
import { toMessage } from './outbox.ts';
import { parseRecord } from './records.ts';
import { toRevocation } from './revocations.ts';
import { toTokenStatus } from './token-statuses.ts';
import type { Parameter, Row } from './statements.ts';

interface Table<T> {
  readonly name: string;
  /** Where the order of the rows matters. */
  readonly order?: string;
  readonly toRecord: (row: Row) => T;
  /** The same columns for every record. */
  readonly toRow: (record: T) => Values;
}

type Values = Readonly<Record<string, Parameter>>;

/** A trigger deletes those before one that outdoes them; MongoDB may still have had them, and all are to be counted. */
const LATEST_FIRST = 'cursor DESC';

export const TABLES: { readonly [Name in StoreName]: Table<StoreRecords[Name]> } = {
  signingKeys: {
    name: 'key_sets',
    toRecord: (row) => ({
      version: Number(row['version']),
      // Both were written from a KeySet.
      keys: JSON.parse(String(row['keys'])) as KeySet['keys'],
      retired: JSON.parse(String(row['retired'])) as KeySet['retired'],
    }),
    toRow: ({ version, keys, retired }) => ({
      ...{ id: 1, version },
      ...{ keys: JSON.stringify(keys), retired: JSON.stringify(retired) },
    }),
  },
  sealedSecrets: {
    name: 'sealed_secrets',
    toRecord: (row) => ({ name: String(row['name']), sealed: String(row['sealed']) }),
    toRow: ({ name, sealed }) => ({ name, sealed }),
  },
  names: {
    name: 'names',
    toRecord: (row) => ({ name: String(row['name']), kind: row['kind'] as NameKind }), // CHECKed by the table
    toRow: ({ name, kind }) => ({ name, kind }),
  },
  accounts: {
    name: 'accounts',
    toRecord: parseRecord<Account>,
    toRow: (account) => ({
      ...{ id: account.id, username: account.username, email_key: account.emailKey },
      ...{ role: account.roles['portcullis'] ?? null, status: account.status },
      ...{ version: account.version, record: JSON.stringify(account) },
    }),
  },
  clients: {
    name: 'clients',
    toRecord: parseRecord<Client>,
    toRow: (client) => ({
      ...{ client_id: client.clientId, is_vpn_node: Number(client.isVpnNode) },
      ...{ version: client.version, record: JSON.stringify(client) },
    }),
  },
  resourceServers: {
    name: 'resource_servers',
    toRecord: parseRecord<ResourceServer>,
    toRow: (server) => ({
      ...{ identifier: server.identifier, audience: server.audience, record: JSON.stringify(server) },
    }),
  },
  apiKeys: {
    name: 'api_keys', // triggers fill api_key_hashes
    toRecord: toKey,
    toRow: (key) => ({
      ...{ id: key.id, account_id: key.accountId, version: key.version },
      ...{ last_used_at: key.lastUsedAt, record: recordOf(key) },
    }),
  },
  customers: {
    name: 'customers',
    toRecord: parseRecord<Customer>,
    toRow: (customer) => ({
      ...{ key: keyOf(customer.username), customer_type: customer.customerType },
      ...{ account: customer.account, client_id: customer.clientId },
      ...{ version: customer.version, record: JSON.stringify(customer) },
    }),
  },
  oneTimeTokens: {
    name: 'one_time_tokens',
    toRecord: toToken,
    toRow: ({ accountId, purpose, hash, email, expiresAt }) => ({
      ...{ account_id: accountId, purpose, hash, email, expires_at: expiresAt },
    }),
  },
  outbox: {
    name: 'outbox',
    toRecord: toMessage,
    toRow: (message) => ({
      ...{ id: message.id, client_id: message.clientId, payload: JSON.stringify(message.payload) },
      ...{ created_at: message.createdAt, attempts: message.attempts, due_at: message.dueAt },
      ...{ last_error: message.lastError, failed_at: message.failedAt, expires_at: message.expiresAt },
    }),
  },
  artifacts: {
    name: 'artifacts',
    toRecord: (row) => ({
      ...{ model: String(row['model']), id: String(row['id']) },
      payload: JSON.parse(String(row['payload'])) as StoreRecords['artifacts']['payload'], // an object's JSON
      expiresAt: Number(row['expires_at']),
      consumedAt: row['consumed_at'] === null ? null : Number(row['consumed_at']),
      ...given('grantId', row['grant_id']),
      ...given('accountId', row['account_id']),
      ...given('uid', row['uid']),
      ...given('userCode', row['user_code']),
    }),
    toRow: (artifact) => ({
      ...{ model: artifact.model, id: artifact.id, payload: JSON.stringify(artifact.payload) },
      ...{ expires_at: artifact.expiresAt, consumed_at: artifact.consumedAt },
      ...{ grant_id: artifact.grantId ?? null, account_id: artifact.accountId ?? null },
      ...{ uid: artifact.uid ?? null, user_code: artifact.userCode ?? null },
    }),
  },
  counters: {
    name: 'counters',
    toRecord: (row) => ({
      ...{ key: String(row['key']), count: Number(row['count']), resetsAt: Number(row['resets_at']) },
    }),
    toRow: ({ key, count, resetsAt }) => ({ key, count, resets_at: resetsAt }),
  },
  revocations: {
    name: 'revocations',
    order: LATEST_FIRST,
    toRecord: toRevocation,
    toRow: ({ cursor, kind, subject, issuedBefore, expiresAt }) => ({
      ...{ cursor, kind, subject, issued_before: issuedBefore, expires_at: expiresAt },
    }),
  },
  tokenStatuses: {
    name: 'token_statuses',
    toRecord: toTokenStatus,
    toRow: ({ list, index, jti, subject, clientId, issuedAt, expiresAt }) => ({
      ...{ list, idx: index, jti, subject, client_id: clientId },
      ...{ issued_at: issuedAt, expires_at: expiresAt },
    }),
  },
  statistics: {
    name: 'statistics',
    toRecord: (row) => ({
      ...{ series: String(row['series']), hourAt: Number(row['hour_at']) },
      ...{ count: Number(row['count']), expiresAt: Number(row['expires_at']) },
    }),
    toRow: ({ series, hourAt, count, expiresAt }) => ({
      ...{ series, hour_at: hourAt, count, expires_at: expiresAt },
    }),
  },
  audit: {
    name: 'audit',
    order: 'seq',
    toRecord: parseRecord<AuditRecord>,
    toRow: (record) => ({
      ...{ seq: record.seq, at: record.at, actor: record.actor, action: record.action },
      ...{ target: record.target, record: JSON.stringify(record) },
    }),
  },
};

/** The row of a record, by its columns. */
export function rowOf({ store, record }: StoredRecord): Values {
  const { toRow } = TABLES[store] as { readonly toRow: (record: unknown) => Values }; // it is a record of this store
  return toRow(record);
}

/** A member that is left out where the column of text is null. */
const given = <Name extends string>(name: Name, value: unknown): Partial<Readonly<Record<Name, string>>> =>
  // A computed name is no name to the compiler.
  (typeof value === 'string' ? { [name]: value } : {}) as Partial<Readonly<Record<Name, string>>>;
