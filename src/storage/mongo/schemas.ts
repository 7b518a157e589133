/**
 * What each collection holds and the indexes that its promises rest on. An object whose keys are not ours (a
 * payload, a client's metadata) is kept as JSON text: it comes back exactly, whatever its keys are called, and
 * costs no more than a nested document.
 */
import mongoose from 'mongoose';
import type { Connection, Model, mongo, Schema, SchemaDefinition } from 'mongoose';

import type { NameKind, OneTimePurpose } from '../port.ts';

/** `_id` is `model:id`. No `consumedAt`: not consumed. */
export interface ArtifactRow {
  readonly _id: string;
  readonly model: string;
  readonly payload: string;
  readonly expiresAt: Date;
  readonly consumedAt?: number;
  readonly grantId?: string;
  readonly accountId?: string;
  readonly uid?: string;
  readonly userCode?: string;
}

/** `record` is the whole Account as JSON; what is searched stands beside it. */
export interface AccountRow {
  readonly _id: string;
  readonly username: string;
  readonly emailKey: string;
  readonly version: number;
  readonly record: string;
}

/** `_id` is `purpose:accountId`: an account has one a purpose. */
export interface OneTimeTokenRow {
  readonly _id: string;
  readonly purpose: OneTimePurpose;
  readonly accountId: string;
  readonly hash: string;
  readonly email: string;
  readonly expiresAt: Date;
}

/** `record` is the whole Client as JSON; what is searched stands beside it. `foldedId` is the id in lower case. */
export interface ClientRow {
  readonly _id: string;
  readonly foldedId: string;
  readonly isVpnNode: boolean;
  readonly version: number;
  readonly record: string;
}

/** `record` is the whole ResourceServer as JSON. */
export interface ResourceServerRow {
  readonly _id: string;
  readonly audience: string;
  readonly record: string;
}

export interface NameRow {
  readonly _id: string;
  readonly kind: NameKind;
}

/** There is one, so that no reader ever sees half of a key set; `keys` are its SealedKeys as JSON. */
export interface KeySetRow {
  readonly _id: string;
  readonly version: number;
  readonly keys: string;
}

export interface CounterRow {
  readonly _id: string;
  readonly count: number;
  readonly resetsAt: Date;
}

/** There is one, written by ping(). */
export interface ProbeRow {
  readonly _id: string;
  readonly count: number;
}

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
const keySets = defineSchema<KeySetRow>({ _id: String, version: Number, keys: String });
const counters = defineSchema<CounterRow>({ _id: String, count: Number, resetsAt: Date });
const probes = defineSchema<ProbeRow>({ _id: String, count: Number });

// The engine deletes by its own clock, readers judge by ours: a clock that is ten minutes off loses nothing.
const DELETED_AFTER_SECONDS = 600;

/** What each collection has beside the index on `_id`. */
export const INDEXES: Readonly<Record<keyof Models, readonly IndexSpec[]>> = {
  artifacts: [
    { name: 'expiry', key: { expiresAt: 1 }, expireAfterSeconds: DELETED_AFTER_SECONDS },
    { name: 'grant', key: { grantId: 1 }, partialFilterExpression: { grantId: { $exists: true } } },
    {
      name: 'account',
      key: { accountId: 1, model: 1, _id: 1 },
      partialFilterExpression: { accountId: { $exists: true } },
    },
    { name: 'uid', key: { uid: 1, model: 1 }, partialFilterExpression: { uid: { $exists: true } } },
    {
      name: 'user_code',
      key: { userCode: 1, model: 1 },
      partialFilterExpression: { userCode: { $exists: true } },
    },
  ],
  accounts: [
    { name: 'username', key: { username: 1 }, unique: true },
    { name: 'email', key: { emailKey: 1 }, unique: true },
  ],
  oneTimeTokens: [
    { name: 'hash', key: { hash: 1, purpose: 1 }, unique: true },
    { name: 'account', key: { accountId: 1 } },
    { name: 'expiry', key: { expiresAt: 1 }, expireAfterSeconds: DELETED_AFTER_SECONDS },
  ],
  clients: [
    { name: 'folded_id', key: { foldedId: 1 }, unique: true },
    { name: 'vpn_nodes', key: { isVpnNode: 1, _id: 1 } },
  ],
  resourceServers: [{ name: 'audience', key: { audience: 1 }, unique: true }],
  names: [],
  keySets: [],
  counters: [{ name: 'expiry', key: { resetsAt: 1 }, expireAfterSeconds: DELETED_AFTER_SECONDS }],
  probes: [],
};

/** As the engine takes it and as it lists it. */
export interface IndexSpec extends mongo.IndexDescription {
  readonly name: string;
}

export interface Models {
  readonly artifacts: Model<ArtifactRow>;
  readonly accounts: Model<AccountRow>;
  readonly oneTimeTokens: Model<OneTimeTokenRow>;
  readonly clients: Model<ClientRow>;
  readonly resourceServers: Model<ResourceServerRow>;
  readonly names: Model<NameRow>;
  readonly keySets: Model<KeySetRow>;
  readonly counters: Model<CounterRow>;
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
    counters: connection.model<CounterRow>('counters', counters, 'counters'),
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
