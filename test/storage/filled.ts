/** A store with something in each of its parts, and all that a store holds, to be compared with another's. */
import { randomUUID } from 'node:crypto';

import { STORE_NAMES } from '../../src/storage/port.ts';
import type { Storage, StoredRecord, StoreName } from '../../src/storage/port.ts';
import {
  newAccount,
  newApiKey,
  newAuditRecord,
  newClient,
  newCustomer,
  newMessage,
  newOneTimeToken,
  newRevocation,
  newTokenStatus,
} from './races.ts';

const NOW = 1_800_000_000;
const LATER = NOW + 60;
const EXPIRED = 1_000;

/** Puts something into one part, with every field that it may have. */
type Fill = (storage: Storage) => Promise<unknown>;

export const FILL: Readonly<Record<StoreName, Fill>> = {
  signingKeys: async ({ signingKeys }) => {
    const key = { kid: 'k', alg: 'RS256', sealedJwk: 'sealed', createdAt: NOW, signsFrom: null };
    await signingKeys.write(0, { keys: [key], retired: [] });
    await signingKeys.write(1, { keys: [key, { ...key, kid: 'l', signsFrom: LATER }], retired: ['old'] });
  },
  sealedSecrets: ({ sealedSecrets }) => sealedSecrets.replace('a secret', null, 'sealed'),
  names: async ({ names }) => {
    await names.claim('ada', 'account');
    await names.claim('billing', 'service');
  },
  accounts: async ({ accounts }) => {
    await accounts.create(newAccount(randomUUID()));
    const contact = { phoneNumber: '+1', address: 'Straße 1\nÖrtchen' };
    const [roles, passwordHistory] = [{ portcullis: 'admin', 'vpn-node': 'basic' }, ['$a', '$b']];
    await accounts.create(newAccount(randomUUID(), { contact, roles, passwordHistory, status: 'disabled' }));
  },
  clients: async ({ clients }) => {
    const secrets = [{ hash: 'h', expiresAt: LATER }];
    const metadata = { 10: 'ten', 9: 'nine', b: { $ne: null }, 'a.b': 'ü', __proto__: null };
    const jwk = { kty: 'EC', crv: 'P-256', x: 'x', y: 'y', alg: 'ES256' };
    const keys = [{ kid: 'new', jwk, addedAt: NOW, expiresAt: null }];
    const enrolment = { hash: 'h', expiresAt: LATER, kid: 'new' };
    await clients.create({
      ...{ ...newClient('Billing'), isVpnNode: true, secrets, metadata, version: 7 },
      ...{ keys, enrolment },
    });
  },
  resourceServers: ({ resourceServers }) =>
    resourceServers.put({
      ...{ identifier: 'urn:x', audience: 'x', signingAlg: 'HS256', sealedSecret: 'sealed', scopes: ['x'] },
      ...{ accessTokenLifetime: 60, roles: { admin: 50, basic: 10 }, defaultRole: 'basic' },
    }),
  apiKeys: async ({ apiKeys }) => {
    const key = newApiKey(randomUUID());
    await apiKeys.create(key);
    await apiKeys.touch(key.id, NOW);
    await apiKeys.create(newApiKey(randomUUID()));
  },
  customers: async ({ customers }) => {
    const metadata = { 10: 'ten', 9: 'nine', $ne: null, 'a.b': { c: ['ü', {}] } };
    const fields = { email: 'a@a.example', company: 'Acme Ü', subscriptionTier: 'gold', metadata };
    await customers.create(newCustomer('Acme', { ...fields, clientId: 'Billing', version: 3 }));
    await customers.create(newCustomer('b', { account: 'ada' }));
    await customers.create(newCustomer('c'));
  },
  oneTimeTokens: async ({ oneTimeTokens }) => {
    await oneTimeTokens.put(newOneTimeToken(randomUUID()));
    await oneTimeTokens.put(newOneTimeToken(randomUUID(), { expiresAt: EXPIRED }));
  },
  outbox: async ({ outbox }) => {
    const [first, second] = [newMessage(NOW), newMessage(NOW, { payload: { sub: 'ada', sid: 'ß' } })];
    await outbox.put([first, second]);
    await outbox.defer(first.id, { dueAt: LATER, lastError: 'no answer', failedAt: NOW });
  },
  artifacts: async ({ artifacts }) => {
    const links = { grantId: 'g', accountId: 'a', uid: 'u', userCode: 'c' };
    await artifacts.upsert({
      model: 'Session',
      id: 'all',
      payload: { a: [1, null] },
      expiresAt: LATER,
      ...links,
    });
    await artifacts.upsert({ model: 'Grant', id: 'none', payload: {}, expiresAt: 253_402_300_799 });
    await artifacts.upsert({ model: 'AuthorizationCode', id: 'used', payload: {}, expiresAt: LATER });
    await artifacts.consume('AuthorizationCode', 'used', NOW);
    await artifacts.upsert({ model: 'AccessToken', id: 'old', payload: {}, expiresAt: EXPIRED });
  },
  counters: async ({ counters }) => {
    for (let hits = 0; hits < 3; hits += 1) await counters.hit('a key', 60, NOW);
    await counters.hit('expired', 60, EXPIRED);
  },
  revocations: async ({ revocations }) => {
    await revocations.append(newRevocation('ada'), NOW);
    await revocations.append(newRevocation('ada', { issuedBefore: NOW - 9 }), NOW);
    await revocations.append(newRevocation('berlin', { kind: 'node' }), NOW);
    await revocations.append(newRevocation('9', { kind: 'token', expiresAt: EXPIRED }), NOW);
    await revocations.append(newRevocation('8', { kind: 'token' }), NOW);
  },
  tokenStatuses: async ({ tokenStatuses }) => {
    await tokenStatuses.insert(newTokenStatus({ list: 'first', index: 65_535 }));
    await tokenStatuses.insert(newTokenStatus({ list: 'second', expiresAt: EXPIRED }));
  },
  statistics: async ({ statistics }) => {
    await statistics.add([{ series: 'sign-in', hourAt: NOW, count: 3 }], LATER);
    await statistics.add([{ series: 'sign-in', hourAt: NOW, count: 4 }], LATER + 5);
  },
  audit: async ({ audit }) => {
    await audit.append(newAuditRecord(1, { target: null, details: { 2: 'b', 1: 'a', z: { ü: [] } } }));
    for (let seq = 2; seq < 13; seq += 1) await audit.append(newAuditRecord(seq));
  },
};

/** Puts something into every part. */
export async function fill(storage: Storage): Promise<void> {
  for (const store of STORE_NAMES) await FILL[store](storage);
}

type Batches = AsyncIterable<readonly StoredRecord[]>;

export async function recordsOf(batches: Batches): Promise<readonly StoredRecord[]> {
  return (await Array.fromAsync(batches)).flat();
}

/**
 * As text, so that the order of members counts, in an order that no store decides. Without what expired long ago, which
 * MongoDB deletes when it gets to it.
 */
export async function contentOf(storage: { snapshot(): Batches }): Promise<readonly string[]> {
  const lasting = (await recordsOf(storage.snapshot())).filter((it) => !hasExpired(it));
  return lasting.map((record) => JSON.stringify(sorted(record))).toSorted();
}

const hasExpired = ({ record }: StoredRecord): boolean =>
  ('expiresAt' in record && record.expiresAt === EXPIRED) ||
  ('resetsAt' in record && record.resetsAt < 2 * EXPIRED);

/** An artifact's own members come in the order of each driver; of what is kept as text the order is kept, too. */
const sorted = ({ store, record }: StoredRecord): object =>
  store === 'artifacts' || store === 'outbox' || store === 'oneTimeTokens'
    ? [store, Object.entries(record).toSorted(([a], [b]) => (a < b ? -1 : 1))]
    : [store, record];
