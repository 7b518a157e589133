/** The indexes that the promises of the port rest on: indexes.ts makes and checks them. */
import type { mongo } from 'mongoose';

import type { Models } from './schemas.ts';

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
    // Sessions are counted; to have all the others in it would make every token dearer.
    {
      name: 'sessions',
      key: { model: 1, expiresAt: 1 },
      partialFilterExpression: { model: 'Session' },
    },
  ],
  accounts: [
    { name: 'username', key: { username: 1 }, unique: true },
    { name: 'email', key: { emailKey: 1 }, unique: true },
    { name: 'role_status', key: { role: 1, status: 1, username: 1 } },
    { name: 'status', key: { status: 1, username: 1 } },
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
  sealedSecrets: [],
  counters: [{ name: 'expiry', key: { resetsAt: 1 }, expireAfterSeconds: DELETED_AFTER_SECONDS }],
  outbox: [
    { name: 'due', key: { isFailed: 1, dueAt: 1, _id: 1, expiresAt: 1 } },
    { name: 'failed', key: { isFailed: 1, _id: 1 } },
    { name: 'expiry', key: { expiresAt: 1 }, expireAfterSeconds: DELETED_AFTER_SECONDS },
  ],
  apiKeys: [
    {
      name: 'hashes',
      key: { hashes: 1 },
      unique: true,
      // Two keys without a secret would be taken for two of the same.
      partialFilterExpression: { hashes: { $gt: '' } },
    },
    { name: 'account', key: { accountId: 1, _id: 1 } },
  ],
  customers: [
    // Most are tied to nothing, which is no value of its own.
    {
      name: 'tied_account',
      key: { account: 1 },
      unique: true,
      partialFilterExpression: { account: { $gt: '' } },
    },
    {
      name: 'tied_client',
      key: { clientId: 1 },
      unique: true,
      partialFilterExpression: { clientId: { $gt: '' } },
    },
    { name: 'type', key: { customerType: 1, _id: 1 } },
  ],
  revocations: [
    {
      name: 'behind',
      key: { behind: 1 },
      unique: true,
      partialFilterExpression: { behind: { $exists: true } },
    },
    { name: 'subject', key: { kind: 1, subject: 1, issuedBefore: 1 } },
    // Not one by which the engine deletes: the greatest cursor has to stay.
    { name: 'expiry', key: { expiresAt: 1 } },
  ],
  tokenStatuses: [
    { name: 'jti', key: { jti: 1 } },
    { name: 'subject', key: { subject: 1, issuedAt: 1 } },
    { name: 'client', key: { clientId: 1, issuedAt: 1 } },
    // Also from list to list: the first of each is its end.
    { name: 'end', key: { list: 1, expiresAt: -1 } },
    { name: 'expiry', key: { expiresAt: 1 }, expireAfterSeconds: DELETED_AFTER_SECONDS },
  ],
  audit: [
    { name: 'at', key: { at: 1, _id: 1 } },
    { name: 'actor', key: { actor: 1, _id: 1 } },
    { name: 'action', key: { action: 1, _id: 1 } },
    { name: 'target', key: { target: 1, _id: 1 } },
  ],
  statistics: [
    { name: 'hour', key: { hourAt: 1, series: 1 } },
    { name: 'expiry', key: { expiresAt: 1 }, expireAfterSeconds: DELETED_AFTER_SECONDS },
  ],
  restores: [],
  probes: [],
};

/** As the engine takes it and as it lists it. */
export interface IndexSpec extends mongo.IndexDescription {
  readonly name: string;
}
