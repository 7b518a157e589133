/**
 * What port.ts promises, as tests that every driver passes on its real engine. Times are invented: a store has no
 * clock. Ids are new in each test, so the tests share one store.
 */
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { randomUUID } from 'node:crypto';

import type { Artifact, Page, ResourceServer, Storage } from '../../src/storage/port.ts';
import { withLatency } from '../support/latency.ts';
import { newClient } from './races.ts';
import { RACE_TIMEOUT_MS, raceEntries, raceInOneProcess } from './rounds.ts';

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
    describe('clients', () => clientContract(store));
    describe('resource servers', () => resourceServerContract(store));
    describe('names and counters', () => nameAndCounterContract(store));
    describe('the store as a whole', () => wholeContract(store, open));
    describe('races in one process, behind latency', () => raceContract(store));
  });
}

function signingKeyContract(store: () => Storage): void {
  const key = (kid: string) => ({
    kid,
    alg: 'RS256',
    sealedJwk: `sealed ${kid}`,
    createdAt: NOW,
    signsFrom: LATER,
  });

  test('gives null on a new store', async () => {
    expect(await store().signingKeys.read()).toBeNull();
  });

  test('replaces the whole set of the expected version, and no other', async () => {
    const { signingKeys } = store();
    expect(await signingKeys.write(1, [key('a')])).toBe(false);
    expect(await signingKeys.write(0, [key('b'), key('a')])).toBe(true);
    expect(await signingKeys.write(0, [key('c')])).toBe(false);
    expect(await signingKeys.read()).toEqual({ version: 1, keys: [key('b'), key('a')] });
    expect(await signingKeys.write(1, [key('d')])).toBe(true);
    expect(await signingKeys.write(1, [key('e')])).toBe(false);
    expect(await signingKeys.read()).toEqual({ version: 2, keys: [key('d')] });
  });
}

function artifactContract(store: () => Storage): void {
  const newArtifact = (fields: Partial<Artifact> = {}): Artifact => ({
    model: 'AccessToken',
    id: randomUUID(),
    payload: { kind: 'AccessToken' },
    expiresAt: LATER,
    ...fields,
  });

  test('gives back what was upserted, not consumed', async () => {
    const artifact = newArtifact();
    await store().artifacts.upsert(artifact);
    expect(await store().artifacts.find(artifact.model, artifact.id, NOW)).toEqual({
      payload: artifact.payload,
      expiresAt: LATER,
      consumedAt: null,
    });
  });

  test('gives null for an unknown id, and for a known one of another model', async () => {
    const { id } = newArtifact();
    await store().artifacts.upsert(newArtifact({ id }));
    expect(await store().artifacts.find('AccessToken', randomUUID(), NOW)).toBeNull();
    expect(await store().artifacts.find('RefreshToken', id, NOW)).toBeNull();
  });

  test('never gives or consumes an artifact from the second on at which it expires', async () => {
    const artifact = newArtifact({ uid: randomUUID(), userCode: randomUUID() });
    const { model, id, uid = '', userCode = '' } = artifact;
    const { artifacts } = store();
    await artifacts.upsert(artifact);
    expect(await artifacts.find(model, id, LATER - 1)).not.toBeNull();
    expect(await artifacts.findBy(model, 'uid', uid, LATER - 1)).not.toBeNull();
    expect(await artifacts.find(model, id, LATER)).toBeNull();
    expect(await artifacts.findBy(model, 'uid', uid, LATER)).toBeNull();
    expect(await artifacts.findBy(model, 'userCode', userCode, LATER)).toBeNull();
    expect(await artifacts.consume(model, id, LATER)).toBe(false);
    expect(await artifacts.consume(model, id, LATER - 1)).toBe(true);
  });

  test('replaces payload, expiry and links at the next upsert', async () => {
    const first = newArtifact({ model: 'Session', uid: randomUUID(), grantId: randomUUID() });
    const { model, id, uid = '', grantId = '' } = first;
    const { artifacts } = store();
    await artifacts.upsert(first);
    await artifacts.upsert(
      newArtifact({ model, id, payload: { second: true }, expiresAt: LATER + 1, userCode: id }),
    );
    expect(await artifacts.find(model, id, LATER)).toMatchObject({
      payload: { second: true },
      expiresAt: LATER + 1,
    });
    expect(await artifacts.findBy(model, 'uid', uid, NOW)).toBeNull();
    expect(await artifacts.findBy(model, 'userCode', id, NOW)).toMatchObject({ payload: { second: true } });
    await artifacts.revokeGrant(grantId);
    expect(await artifacts.find(model, id, NOW)).not.toBeNull();
  });

  test('keeps a consumed artifact consumed through an upsert', async () => {
    const artifact = newArtifact();
    const { artifacts } = store();
    await artifacts.upsert(artifact);
    expect(await artifacts.consume(artifact.model, artifact.id, NOW)).toBe(true);
    await artifacts.upsert({ ...artifact, expiresAt: LATER + 60 });
    expect(await artifacts.find(artifact.model, artifact.id, NOW)).toMatchObject({ consumedAt: NOW });
    expect(await artifacts.consume(artifact.model, artifact.id, NOW + 1)).toBe(false);
  });

  test('consumes once, and never what is not there', async () => {
    const { model, id } = newArtifact();
    const { artifacts } = store();
    expect(await artifacts.consume(model, id, NOW)).toBe(false);
    await artifacts.upsert(newArtifact({ id }));
    expect(await artifacts.consume(model, id, NOW)).toBe(true);
    expect(await artifacts.consume(model, id, NOW)).toBe(false);
  });

  test('finds by uid and by user code within the model only', async () => {
    const { artifacts } = store();
    const [session, code] = [randomUUID(), randomUUID()];
    await artifacts.upsert(newArtifact({ model: 'Session', uid: session, payload: { is: 'session' } }));
    await artifacts.upsert(newArtifact({ model: 'DeviceCode', userCode: code, payload: { is: 'code' } }));
    expect(await artifacts.findBy('Session', 'uid', session, NOW)).toMatchObject({
      payload: { is: 'session' },
    });
    expect(await artifacts.findBy('DeviceCode', 'userCode', code, NOW)).toMatchObject({
      payload: { is: 'code' },
    });
    expect(await artifacts.findBy('DeviceCode', 'uid', session, NOW)).toBeNull();
    expect(await artifacts.findBy('Session', 'userCode', session, NOW)).toBeNull();
  });

  test('refuses to insert over a live artifact, consumed or not, and leaves it as it is', async () => {
    const artifact = newArtifact();
    const { model, id } = artifact;
    const { artifacts } = store();
    expect(await artifacts.insert(artifact, NOW)).toBe(true);
    expect(await artifacts.insert({ ...artifact, payload: { second: true } }, NOW)).toBe(false);
    await artifacts.consume(model, id, NOW);
    expect(await artifacts.insert({ ...artifact, payload: { second: true } }, LATER - 1)).toBe(false);
    expect(await artifacts.find(model, id, NOW)).toMatchObject({
      payload: artifact.payload,
      consumedAt: NOW,
    });
  });

  test('inserts over an expired artifact as if it had never been', async () => {
    const old = newArtifact({ uid: randomUUID(), expiresAt: NOW });
    const { model, id, uid = '' } = old;
    const { artifacts } = store();
    await artifacts.upsert(old);
    await artifacts.consume(model, id, NOW - 1);
    expect(await artifacts.insert(newArtifact({ id, payload: { fresh: true } }), NOW)).toBe(true);
    expect(await artifacts.find(model, id, NOW)).toEqual({
      payload: { fresh: true },
      expiresAt: LATER,
      consumedAt: null,
    });
    expect(await artifacts.findBy(model, 'uid', uid, NOW - 1)).toBeNull();
  });

  test('destroys an artifact, and does not mind one that is not there', async () => {
    const artifact = newArtifact();
    const { model, id } = artifact;
    const { artifacts } = store();
    await artifacts.upsert(artifact);
    await artifacts.destroy(model, id);
    expect(await artifacts.find(model, id, NOW)).toBeNull();
    await artifacts.destroy(model, id);
  });

  test('gives back any payload under any id, whatever its keys and characters', async () => {
    const { artifacts } = store();
    const hostile = fc.constantFrom(
      '__proto__',
      'constructor',
      '$ne',
      '$where',
      'a.b',
      '.',
      '',
      '\0',
      '\ud800',
      '”;--',
    );
    const key = fc.oneof(hostile, fc.string({ unit: 'binary' }));
    const payload = fc.dictionary(key, fc.oneof(hostile, fc.jsonValue()), { noNullPrototype: true });
    const text = fc.oneof(
      fc.constantFrom("'; DROP TABLE artifacts; --", '{"$ne":null}', '%', '*'),
      fc.string(),
    );
    await fc.assert(
      fc.asyncProperty(payload, text, text, async (given, id, uidStart) => {
        const unique = `${id}${randomUUID()}`;
        const uid = `${uidStart}${unique}`;
        await artifacts.upsert({ model: 'Session', id: unique, payload: given, expiresAt: LATER, uid });
        // As text, since equality of values trips over a key that is called `constructor`.
        const expected = JSON.stringify(given);
        expect(JSON.stringify((await artifacts.find('Session', unique, NOW))?.payload)).toBe(expected);
        expect(JSON.stringify((await artifacts.findBy('Session', 'uid', uid, NOW))?.payload)).toBe(expected);
        expect(await artifacts.find('Session', id, NOW)).toBeNull();
      }),
      { numRuns: 50 },
    );
  });

  test('gives each of a thousand simultaneous callers its own artifact, or its own null', async () => {
    const { artifacts } = store();
    const all = Array.from({ length: 500 }, (_, n) => newArtifact({ payload: { n } }));
    await Promise.all(all.map((artifact) => artifacts.upsert(artifact)));
    const found = await Promise.all(all.map(({ model, id }) => artifacts.find(model, id, NOW)));
    const absent = await Promise.all(all.map(({ model, id }) => artifacts.find(model, `not ${id}`, NOW)));
    expect(found.map((artifact) => artifact?.payload)).toEqual(all.map(({ payload }) => payload));
    expect(new Set(absent)).toEqual(new Set([null]));
  });

  test('keeps one whole artifact of many that are upserted under one id at once', async () => {
    const { artifacts } = store();
    const { model, id } = newArtifact();
    const versions = Array.from({ length: 20 }, (_, n) =>
      newArtifact({ id, payload: { n }, expiresAt: LATER + n }),
    );
    await Promise.all(versions.map((version) => artifacts.upsert(version)));
    const found = await artifacts.find(model, id, NOW);
    expect(versions).toContainEqual(
      expect.objectContaining({ payload: found?.payload, expiresAt: found?.expiresAt }),
    );
  });
}

function grantContract(store: () => Storage): void {
  const issue = async (grantId: string, model: string): Promise<Artifact> => {
    const artifact = { model, id: randomUUID(), payload: {}, expiresAt: LATER, grantId };
    await store().artifacts.upsert(artifact);
    return artifact;
  };
  const isThere = async ({ model, id }: Artifact): Promise<boolean> =>
    (await store().artifacts.find(model, id, NOW)) !== null;

  test('revokes every artifact under a grant and none under another, as often as asked', async () => {
    const [grant, other] = [randomUUID(), randomUUID()];
    const under = await Promise.all(
      ['AccessToken', 'RefreshToken', 'AuthorizationCode'].map((m) => issue(grant, m)),
    );
    const beside = await issue(other, 'AccessToken');
    await store().artifacts.revokeGrant(grant);
    expect(await Promise.all(under.map(isThere))).toEqual([false, false, false]);
    expect(await isThere(beside)).toBe(true);
    await store().artifacts.revokeGrant(grant);
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

async function readAll<T>(list: (after?: string) => Promise<Page<T>>): Promise<T[]> {
  const items: T[] = [];
  let page = await list();
  while (page.next !== null) {
    items.push(...page.items);
    page = await list(page.next);
  }
  return [...items, ...page.items];
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
}

function wholeContract(store: () => Storage, open: () => Promise<Storage>): void {
  test('says that it can read and write', async () => {
    await store().ping();
  });

  test('deletes nothing that lives, and forgets nothing that counts', async () => {
    const { artifacts, counters } = store();
    const artifact = { model: 'Session', id: randomUUID(), payload: {}, expiresAt: LATER + 1 };
    await artifacts.upsert(artifact);
    await counters.hit(artifact.id, 61, NOW);
    while ((await store().deleteExpired(LATER)) > 0);
    expect(await artifacts.find('Session', artifact.id, LATER)).not.toBeNull();
    expect(await counters.hit(artifact.id, 61, LATER)).toMatchObject({ count: 2 });
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
