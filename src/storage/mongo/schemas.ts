/** The schemas and models of the collections; rows.ts says what they hold, index-specs.ts by what they are found. */
import mongoose from 'mongoose';
import type { Connection, Model, Schema, SchemaDefinition } from 'mongoose';

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
  ProbeRow,
  ResourceServerRow,
  RestoreRow,
  RevocationRow,
  SealedSecretRow,
  StatisticsRow,
  TokenStatusRow,
} from './rows.ts';

const artifacts = defineSchema<ArtifactRow>({
  _id: String,
  model: String,
  payload: String,
  expiresAt: Date,
  consumedAt: Number,
  grantId: String,
  accountId: String,
  uid: String,
  userCode: String,
});
const accounts = defineSchema<AccountRow>({
  _id: String,
  username: String,
  emailKey: String,
  role: String,
  status: String,
  version: Number,
  record: String,
});
const oneTimeTokens = defineSchema<OneTimeTokenRow>({
  _id: String,
  purpose: String,
  accountId: String,
  hash: String,
  email: String,
  expiresAt: Date,
});
const clients = defineSchema<ClientRow>({
  _id: String,
  foldedId: String,
  isVpnNode: Boolean,
  version: Number,
  record: String,
});
const resourceServers = defineSchema<ResourceServerRow>({ _id: String, audience: String, record: String });
const names = defineSchema<NameRow>({ _id: String, kind: String });
const keySets = defineSchema<KeySetRow>({ _id: String, version: Number, keys: String, retired: [String] });
const sealedSecrets = defineSchema<SealedSecretRow>({ _id: String, sealed: String });
const counters = defineSchema<CounterRow>({ _id: String, count: Number, resetsAt: Date });
const outbox = defineSchema<OutboxRow>({
  _id: String,
  clientId: String,
  payload: String,
  createdAt: Number,
  attempts: Number,
  dueAt: Number,
  lastError: String,
  isFailed: Boolean,
  failedAt: Number,
  expiresAt: Date,
});
const apiKeys = defineSchema<ApiKeyRow>({
  _id: String,
  accountId: String,
  hashes: [String],
  version: Number,
  lastUsedAt: Number,
  record: String,
});
const customers = defineSchema<CustomerRow>({
  _id: String,
  customerType: String,
  account: String,
  clientId: String,
  version: Number,
  record: String,
});
const revocations = defineSchema<RevocationRow>({
  _id: Number,
  behind: Number,
  kind: String,
  subject: String,
  issuedBefore: Number,
  expiresAt: Number,
});
const tokenStatuses = defineSchema<TokenStatusRow>({
  _id: String,
  list: String,
  index: Number,
  jti: String,
  subject: String,
  clientId: String,
  issuedAt: Number,
  expiresAt: Date,
});
const audit = defineSchema<AuditRow>({
  _id: Number,
  at: Number,
  actor: String,
  action: String,
  target: String,
  record: String,
});
const statistics = defineSchema<StatisticsRow>({
  _id: String,
  series: String,
  hourAt: Number,
  count: Number,
  expiresAt: Date,
});
const restores = defineSchema<RestoreRow>({ _id: String, owner: String, beganAt: Number });
const probes = defineSchema<ProbeRow>({ _id: String, count: Number });

export interface Models {
  readonly artifacts: Model<ArtifactRow>;
  readonly accounts: Model<AccountRow>;
  readonly oneTimeTokens: Model<OneTimeTokenRow>;
  readonly clients: Model<ClientRow>;
  readonly resourceServers: Model<ResourceServerRow>;
  readonly names: Model<NameRow>;
  readonly keySets: Model<KeySetRow>;
  readonly sealedSecrets: Model<SealedSecretRow>;
  readonly counters: Model<CounterRow>;
  readonly outbox: Model<OutboxRow>;
  readonly apiKeys: Model<ApiKeyRow>;
  readonly customers: Model<CustomerRow>;
  readonly revocations: Model<RevocationRow>;
  readonly tokenStatuses: Model<TokenStatusRow>;
  readonly audit: Model<AuditRow>;
  readonly statistics: Model<StatisticsRow>;
  readonly restores: Model<RestoreRow>;
  readonly probes: Model<ProbeRow>;
}

export function createModels(connection: Connection): Models {
  return {
    artifacts: connection.model<ArtifactRow>('artifacts', artifacts, 'artifacts'),
    accounts: connection.model<AccountRow>('accounts', accounts, 'accounts'),
    oneTimeTokens: connection.model<OneTimeTokenRow>('one_time_tokens', oneTimeTokens, 'one_time_tokens'),
    clients: connection.model<ClientRow>('clients', clients, 'clients'),
    resourceServers: connection.model<ResourceServerRow>(
      'resource_servers',
      resourceServers,
      'resource_servers',
    ),
    names: connection.model<NameRow>('names', names, 'names'),
    keySets: connection.model<KeySetRow>('key_sets', keySets, 'key_sets'),
    sealedSecrets: connection.model<SealedSecretRow>('sealed_secrets', sealedSecrets, 'sealed_secrets'),
    counters: connection.model<CounterRow>('counters', counters, 'counters'),
    outbox: connection.model<OutboxRow>('outbox', outbox, 'outbox'),
    apiKeys: connection.model<ApiKeyRow>('api_keys', apiKeys, 'api_keys'),
    customers: connection.model<CustomerRow>('customers', customers, 'customers'),
    revocations: connection.model<RevocationRow>('revocations', revocations, 'revocations'),
    tokenStatuses: connection.model<TokenStatusRow>('token_statuses', tokenStatuses, 'token_statuses'),
    audit: connection.model<AuditRow>('audit', audit, 'audit'),
    statistics: connection.model<StatisticsRow>('statistics', statistics, 'statistics'),
    restores: connection.model<RestoreRow>('restores', restores, 'restores'),
    probes: connection.model<ProbeRow>('probes', probes, 'probes'),
  };
}

function defineSchema<Row>(definition: SchemaDefinition<Row>): Schema<Row> {
  return new mongoose.Schema<Row>(definition, {
    strict: 'throw',
    strictQuery: 'throw',
    versionKey: false,
    id: false,
  });
}
