/**
 * What port.ts promises, as tests that every driver passes on its real engine. Times are invented: a store has no
 * clock. Ids are new in each test, so the tests share one store.
 */
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { randomUUID } from 'node:crypto';

import type { ResourceServer, Storage } from '../../src/storage/port.ts';
import { withLatency } from '../support/latency.ts';
import { accountContract, oneTimeTokenContract } from './account-contract.ts';
import { apiKeyContract } from './api-key-contract.ts';
import { accountArtifactContract, artifactContract, grantContract } from './artifact-contract.ts';
import { auditContract, statisticsContract } from './log-contract.ts';
import { outboxContract } from './outbox-contract.ts';
import { newApiKey, newAuditRecord, newClient, newMessage, newOneTimeToken } from './races.ts';
import { customerContract } from './customer-contract.ts';
import { readAll } from './read-all.ts';
import { signingKeyContract } from './signing-key-contract.ts';
import { revocationContract } from './revocation-contract.ts';
import { RACE_TIMEOUT_MS, raceEntries, raceInOneProcess } from './rounds.ts';
import { sealedContract } from './sealed-contract.ts';
import { tokenStatusContract } from './token-status-contract.ts';

const NOW = 1_800_000_000;
const LATER = NOW + 60;

/** Describes the contract; `open` opens a store that is new and that nobody else uses. */
export function storageContract(name: string, open: () => Promise<Storage>): void {
  describe(`${name} keeps the storage contract`, () => {
    let storage: Storage;
    beforeAll(async () => {
      storage = await open();
    });
    afterAll(async () => {
      await storage.close();
    });
    const store = (): Storage => storage;

    describe('signing keys', () => signingKeyContract(store));
    describe('artifacts', () => artifactContract(store));
    describe('grants', () => grantContract(store));
    describe('artifacts of an account', () => accountArtifactContract(store));
    describe('accounts', () => accountContract(store));
    describe('one-time tokens', () => oneTimeTokenContract(store));
    describe('clients', () => clientContract(store));
    describe('resource servers', () => resourceServerContract(store));
    describe('sealed secrets', () => sealedContract(store));
    describe('names and counters', () => nameAndCounterContract(store));
    describe('outbox', () => outboxContract(store));
    describe('API keys', () => apiKeyContract(store));
    describe('customers', () => customerContract(store));
    describe('revocations', () => revocationContract(store, open));
    describe('token statuses', () => tokenStatusContract(store, open));
    describe('audit', () => auditContract(store));
    describe('statistics', () => statisticsContract(store));
    describe('the store as a whole', () => wholeContract(store, open));
    describe('races in one process, behind latency', () => raceContract(store));
  });
}

function clientContract(store: () => Storage): void {
  test('gives back a client as it was created, and null for an unknown one', async () => {
    const client = {
      ...newClient(randomUUID()),
      isVpnNode: true,
      secrets: [
        { hash: 'a', expiresAt: LATER },
        { hash: 'b', expiresAt: null },
      ],
      scopes: ['openid', 'read'],
      metadata: { redirect_uris: ['https://a.example/'], 'a.b': { $ne: null } },
    };
    await store().clients.create(client);
    expect(await store().clients.find(client.clientId)).toEqual(client);
    expect(await store().clients.find(randomUUID())).toBeNull();
  });

  test('refuses an id that is taken', async () => {
    const client = newClient(randomUUID());
    await store().clients.create(client);
    await expect(store().clients.create(client)).rejects.toMatchObject({ code: 'conflict' });
  });

  test('refuses an id that is taken in other upper and lower case, finds it, and finds clients by theirs alone', async () => {
    const { clients } = store();
    const id = `Node-${randomUUID()}`;
    const other = id.toUpperCase();
    expect(await clients.findSpelling(id)).toBeNull();
    await clients.create(newClient(id));
    await expect(clients.create(newClient(other))).rejects.toMatchObject({ code: 'conflict' });
    for (const spelling of [id, other, id.toLowerCase()])
      expect(await clients.findSpelling(spelling)).toBe(id);
    expect(await clients.find(other)).toBeNull();
    expect(await clients.replace({ ...newClient(other), version: 2 })).toBe(false);
    expect(await clients.delete(other)).toBe(false);
    await clients.delete(id);
    expect(await clients.findSpelling(id)).toBeNull();
    await clients.create(newClient(other));
  });

  test('replaces the version before the given one, and no other', async () => {
    const client = newClient(randomUUID());
    const { clients } = store();
    const second = { ...client, version: 2, isVpnNode: true, scopes: ['read'] };
    expect(await clients.replace(second)).toBe(false);
    await clients.create(client);
    expect(await clients.replace(second)).toBe(true);
    expect(await clients.replace({ ...client, version: 2 })).toBe(false);
    expect(await clients.replace({ ...client, version: 4 })).toBe(false);
    expect(await clients.find(client.clientId)).toEqual(second);
  });

  test('deletes a client once', async () => {
    const client = newClient(randomUUID());
    await store().clients.create(client);
    expect(await store().clients.delete(client.clientId)).toBe(true);
    expect(await store().clients.delete(client.clientId)).toBe(false);
    expect(await store().clients.find(client.clientId)).toBeNull();
  });

  test('lists clients in the order of their ids, page by page, all or of one kind', async () => {
    const prefix = randomUUID();
    const ids = ['a', 'b', 'c', 'd', 'e'].map((letter) => `${prefix}-${letter}`);
    const [first = '', second = ''] = ids;
    for (const clientId of ids.toReversed()) {
      await store().clients.create({ ...newClient(clientId), isVpnNode: clientId.endsWith('b') });
    }
    const read = async (after: string, limit: number, filter?: { isVpnNode: boolean }) => {
      const { items, next } = await store().clients.list({ after, limit }, filter);
      return { ids: items.map(({ clientId }) => clientId).filter((id) => id.startsWith(prefix)), next };
    };
    expect(await read(prefix, 2)).toEqual({ ids: [first, second], next: second });
    expect((await read(second, 3)).ids).toEqual(ids.slice(2));
    expect((await read(prefix, 1_000, { isVpnNode: true })).ids).toEqual([second]);
    expect((await read(prefix, 1_000, { isVpnNode: false })).ids).toEqual(ids.filter((id) => id !== second));
    expect((await read(prefix, 1_000)).next).toBeNull();
    expect(await store().clients.list({ after: '\u{10ffff}', limit: 10 })).toEqual({ items: [], next: null });
  });

  test('reads every client exactly once by pages of any size', async () => {
    const all = await readAll((after) => store().clients.list({ after, limit: 1_000 }));
    const byTwo = await readAll((after) => store().clients.list({ after, limit: 2 }));
    expect(byTwo).toEqual(all);
  });
}

function resourceServerContract(store: () => Storage): void {
  const newResourceServer = (fields: Partial<ResourceServer> = {}): ResourceServer => ({
    identifier: `https://${randomUUID()}.example/`,
    audience: randomUUID(),
    signingAlg: 'RS256',
    sealedSecret: null,
    scopes: ['read'],
    accessTokenLifetime: 3600,
    roles: { basic: 10, 'a.b': 20, $admin: 50 },
    defaultRole: 'basic',
    ...fields,
  });

  test('gives back a resource server by its identifier and by its audience', async () => {
    const one = newResourceServer({ signingAlg: 'HS256', sealedSecret: 'sealed', defaultRole: null });
    const { resourceServers } = store();
    await resourceServers.put(one);
    expect(await resourceServers.find(one.identifier)).toEqual(one);
    expect(await resourceServers.findByAudience(one.audience)).toEqual(one);
    expect(await resourceServers.find(one.audience)).toBeNull();
    expect(await resourceServers.findByAudience(one.identifier)).toBeNull();
  });

  test('replaces a resource server, and frees the audience that it had', async () => {
    const first = newResourceServer();
    const second = { ...first, audience: randomUUID(), scopes: [] };
    const { resourceServers } = store();
    await resourceServers.put(first);
    await resourceServers.put(first);
    await resourceServers.put(second);
    expect(await resourceServers.find(first.identifier)).toEqual(second);
    expect(await resourceServers.findByAudience(first.audience)).toBeNull();
    await resourceServers.put(newResourceServer({ audience: first.audience }));
  });

  test('refuses an audience that another one has, and changes nothing', async () => {
    const [first, second] = [newResourceServer(), newResourceServer()];
    const { resourceServers } = store();
    await resourceServers.put(first);
    await resourceServers.put(second);
    const { audience } = first;
    await expect(resourceServers.put(newResourceServer({ audience }))).rejects.toMatchObject({
      code: 'conflict',
    });
    await expect(resourceServers.put({ ...second, audience })).rejects.toMatchObject({ code: 'conflict' });
    expect(await resourceServers.findByAudience(audience)).toEqual(first);
    expect(await resourceServers.find(second.identifier)).toEqual(second);
  });

  test('lets twenty callers put the same resource server at once', async () => {
    const one = newResourceServer();
    await Promise.all(Array.from({ length: 20 }, () => store().resourceServers.put(one)));
    expect(await store().resourceServers.find(one.identifier)).toEqual(one);
  });

  test('deletes a resource server once, and lists the others in the order of their identifiers', async () => {
    const { resourceServers } = store();
    const one = newResourceServer();
    await resourceServers.put(one);
    expect(await resourceServers.delete(one.identifier)).toBe(true);
    expect(await resourceServers.delete(one.identifier)).toBe(false);
    const all = await readAll((after) => resourceServers.list({ after, limit: 2 }));
    const identifiers = all.map(({ identifier }) => identifier);
    expect(identifiers).toEqual([...new Set(identifiers)].sort());
    expect(identifiers).not.toContain(one.identifier);
  });
}

function nameAndCounterContract(store: () => Storage): void {
  test('gives a name to the side that claims it first, for ever', async () => {
    const { names } = store();
    const name = randomUUID();
    expect(await names.find(name)).toBeNull();
    expect(await names.claim(name, 'service')).toBe('service');
    expect(await names.find(name)).toBe('service');
    expect(await names.claim(name, 'account')).toBe('service');
    expect(await names.claim(name, 'service')).toBe('service');
    expect(await names.claim(`${name} `, 'account')).toBe('account');
  });

  test('counts hits within a window that begins at the first one, each key for itself', async () => {
    const { counters } = store();
    const key = randomUUID();
    expect(await counters.hit(key, 60, NOW)).toEqual({ count: 1, resetsAt: NOW + 60 });
    expect(await counters.hit(key, 60, NOW + 59)).toEqual({ count: 2, resetsAt: NOW + 60 });
    expect(await counters.hit(`$${key}`, 30, NOW)).toEqual({ count: 1, resetsAt: NOW + 30 });
    expect(await counters.hit(key, 30, NOW + 60)).toEqual({ count: 1, resetsAt: NOW + 90 });
    expect(await counters.hit(key, 30, NOW + 61)).toEqual({ count: 2, resetsAt: NOW + 90 });
  });

  test('tells the count of an open window without adding to it, and null where none is open', async () => {
    const { counters } = store();
    const key = randomUUID();
    expect(await counters.find(key, NOW)).toBeNull();
    await counters.hit(key, 60, NOW);
    await counters.hit(key, 60, NOW);
    expect(await counters.find(key, NOW + 59)).toEqual({ count: 2, resetsAt: NOW + 60 });
    expect(await counters.find(key, NOW + 59)).toEqual({ count: 2, resetsAt: NOW + 60 });
    expect(await counters.find(key, NOW + 60)).toBeNull();
  });

  test('forgets a counter that is cleared, and no other, as often as asked', async () => {
    const { counters } = store();
    const [key, other] = [randomUUID(), randomUUID()];
    await counters.hit(key, 60, NOW);
    await counters.hit(other, 60, NOW);
    await counters.clear(key);
    await counters.clear(key);
    expect(await counters.find(key, NOW)).toBeNull();
    expect(await counters.find(other, NOW)).toMatchObject({ count: 1 });
    expect(await counters.hit(key, 60, NOW + 5)).toEqual({ count: 1, resetsAt: NOW + 65 });
  });
}

function wholeContract(store: () => Storage, open: () => Promise<Storage>): void {
  test('says that it can read and write', async () => {
    await store().ping();
  });

  test('deletes nothing that lives, and forgets nothing that counts', async () => {
    const { artifacts, counters, oneTimeTokens } = store();
    const artifact = { model: 'Session', id: randomUUID(), payload: {}, expiresAt: LATER + 1 };
    await artifacts.upsert(artifact);
    await counters.hit(artifact.id, 61, NOW);
    const token = newOneTimeToken(artifact.id, { expiresAt: LATER + 1 });
    await oneTimeTokens.put(token);
    const { audit, apiKeys, outbox, statistics } = store();
    const key = newApiKey(artifact.id, { expiresAt: NOW });
    const message = newMessage(NOW, { expiresAt: LATER + 1 });
    const hour = { series: artifact.id, hourAt: NOW, count: 1 };
    const record = newAuditRecord(((await audit.last())?.seq ?? 0) + 1);
    await apiKeys.create(key);
    await outbox.put([message]);
    await statistics.add([hour], NOW);
    await statistics.add([hour], LATER + 1);
    await statistics.add([hour], NOW);
    await audit.append(record);
    while ((await store().deleteExpired(LATER)) > 0);
    expect(await apiKeys.find(key.id)).toEqual(key);
    expect((await outbox.list({ limit: 1_000 }, LATER)).items).toContainEqual(message);
    expect(await statistics.read(NOW)).toContainEqual({ ...hour, count: 3 });
    expect(await audit.last()).toEqual(record);
    expect(await artifacts.find('Session', artifact.id, LATER)).not.toBeNull();
    expect(await counters.hit(artifact.id, 61, LATER)).toMatchObject({ count: 2 });
    expect(await oneTimeTokens.find(token.purpose, token.hash, LATER)).toEqual(token);
  });

  test('finishes what waits when it is closed, then answers nobody with null or false', async () => {
    const other = await open();
    const ids = Array.from({ length: 50 }, () => randomUUID());
    const writes = ids.map((id) =>
      other.artifacts.insert({ model: 'Session', id, payload: {}, expiresAt: LATER }, NOW),
    );
    await other.close();
    expect(new Set(await Promise.all(writes))).toEqual(new Set([true]));
    const unavailable = { code: 'store_unavailable' };
    await expect(other.artifacts.find('Session', ids[0] ?? '', NOW)).rejects.toMatchObject(unavailable);
    await expect(other.artifacts.consume('Session', ids[0] ?? '', NOW)).rejects.toMatchObject(unavailable);
    await expect(other.clients.find('a')).rejects.toMatchObject(unavailable);
    await expect(other.accounts.findByEmail('a')).rejects.toMatchObject(unavailable);
    await expect(other.oneTimeTokens.consume('verify-email', 'a', NOW)).rejects.toMatchObject(unavailable);
    await expect(other.outbox.take(1, LATER, NOW)).rejects.toMatchObject(unavailable);
    await expect(other.apiKeys.findByHash('a')).rejects.toMatchObject(unavailable);
    await expect(other.audit.append(newAuditRecord(1))).rejects.toMatchObject(unavailable);
    await expect(other.audit.last()).rejects.toMatchObject(unavailable);
    await expect(other.statistics.read(NOW)).rejects.toMatchObject(unavailable);
    await expect(other.ping()).rejects.toMatchObject(unavailable);
  });
}

function raceContract(store: () => Storage): void {
  for (const [name, { fact }] of raceEntries) {
    test(
      fact,
      async () => expect(await raceInOneProcess(withLatency(store()), name)).toEqual([]),
      RACE_TIMEOUT_MS,
    );
  }
}
