/** What port.ts promises about the records of the protocol engine. Part of contract.ts. */
import { expect, test } from '@jest/globals';
import fc from 'fast-check';
import { randomUUID } from 'node:crypto';

import type { Artifact, PageRequest, Storage } from '../../src/storage/port.ts';

const NOW = 1_800_000_000;
const LATER = NOW + 60;

type Store = () => Storage;

export function artifactContract(store: Store): void {
  const newArtifact = (fields: Partial<Artifact> = {}): Artifact => ({
    model: 'AccessToken',
    id: randomUUID(),
    payload: { kind: 'AccessToken' },
    expiresAt: LATER,
    ...fields,
  });

  test('moves the end of a live artifact, never back, and brings none to life', async () => {
    const { artifacts } = store();
    const { model, id } = newArtifact();
    expect(await artifacts.extend(model, id, LATER, NOW)).toBe(false);
    expect(await artifacts.find(model, id, NOW)).toBeNull();
    await artifacts.upsert(newArtifact({ id }));
    expect(await artifacts.extend(model, id, LATER + 60, NOW)).toBe(true);
    expect(await artifacts.extend(model, id, LATER - 30, NOW)).toBe(true);
    expect(await artifacts.find(model, id, LATER)).toMatchObject({ expiresAt: LATER + 60 });
    expect(await artifacts.extend('Grant', id, LATER + 90, NOW)).toBe(false);
    expect(await artifacts.extend(model, id, LATER + 90, LATER + 60)).toBe(false);
    expect(await artifacts.find(model, id, LATER + 60)).toBeNull();
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

export function grantContract(store: Store): void {
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

export function accountArtifactContract(store: Store): void {
  const issue = async (accountId: string, fields: Partial<Artifact> = {}): Promise<Artifact> => {
    const id = randomUUID();
    const artifact = { model: 'Session', id, payload: { id }, expiresAt: LATER, accountId, ...fields };
    await store().artifacts.upsert(artifact);
    return artifact;
  };
  const isThere = async ({ model, id }: Artifact): Promise<boolean> =>
    (await store().artifacts.find(model, id, NOW)) !== null;

  test('revokes every artifact of an account and none of another, as often as asked', async () => {
    const [accountId, other] = [randomUUID(), randomUUID()];
    const theirs = await Promise.all([
      issue(accountId),
      issue(accountId, { model: 'AccessToken', grantId: randomUUID() }),
      issue(accountId, { model: 'Grant' }),
    ]);
    const beside = await issue(other);
    await store().artifacts.revokeAccount(accountId);
    expect(await Promise.all(theirs.map(isThere))).toEqual([false, false, false]);
    expect(await isThere(beside)).toBe(true);
    await store().artifacts.revokeAccount(accountId);
  });

  test('lists the live artifacts of one model that an account has, in the order of their ids', async () => {
    const { artifacts } = store();
    const accountId = randomUUID();
    const all = await Promise.all(Array.from({ length: 5 }, () => issue(accountId)));
    await Promise.all([
      issue(accountId, { model: 'Grant' }),
      issue(accountId, { expiresAt: NOW }),
      issue(randomUUID()),
    ]);
    const ids = all.map(({ id }) => id).sort();
    const [first = ''] = ids;
    await artifacts.consume('Session', first, NOW);
    const list = (page: PageRequest) => artifacts.listOfAccount('Session', accountId, page, NOW);
    expect(await list({ limit: 5 })).toEqual({
      items: ids.map((id) => ({ payload: { id }, expiresAt: LATER, consumedAt: id === first ? NOW : null })),
      next: null,
    });
    const { items, next } = await list({ limit: 2 });
    expect([items.map(({ payload }) => payload['id']), next]).toEqual([ids.slice(0, 2), ids[1]]);
    await artifacts.destroy('Session', String(next));
    const rest = await list({ limit: 3, after: next ?? '' });
    expect([rest.items.map(({ payload }) => payload['id']), rest.next]).toEqual([ids.slice(2), null]);
    const none = { items: [], next: null };
    expect(await artifacts.listOfAccount('Session', accountId, { limit: 10 }, LATER)).toEqual(none);
    expect(await artifacts.listOfAccount('Session', randomUUID(), { limit: 10 }, NOW)).toEqual(none);
  });

  test('counts the live artifacts of a model', async () => {
    const { artifacts } = store();
    const [model, other] = [`Counted-${randomUUID()}`, 'Session'];
    const before = await artifacts.count(other, NOW);
    for (const expiresAt of [NOW, NOW + 1, LATER]) {
      await issue(randomUUID(), { model, expiresAt });
      await issue(randomUUID(), { model: other, expiresAt });
    }
    expect(await artifacts.count(model, NOW)).toBe(2);
    expect(await artifacts.count(model, NOW + 1)).toBe(1);
    expect(await artifacts.count(model, LATER)).toBe(0);
    expect(await artifacts.count(other, NOW)).toBe(before + 2);
    expect(await artifacts.count(randomUUID(), NOW)).toBe(0);
  });

  test('follows an artifact to the account of its last upsert', async () => {
    const { artifacts } = store();
    const [before, after] = [randomUUID(), randomUUID()];
    const session = await issue(before);
    await artifacts.upsert({ ...session, accountId: after });
    await artifacts.revokeAccount(before);
    expect(await isThere(session)).toBe(true);
    const { model, id, payload, expiresAt } = session;
    await artifacts.upsert({ model, id, payload, expiresAt });
    await artifacts.revokeAccount(after);
    expect(await isThere(session)).toBe(true);
  });

  test('takes the account of an artifact that is inserted, also over an expired one', async () => {
    const { artifacts } = store();
    const accountId = randomUUID();
    const { model, id } = await issue(randomUUID(), { expiresAt: NOW });
    expect(await artifacts.insert({ model, id, payload: {}, expiresAt: LATER, accountId }, NOW)).toBe(true);
    expect((await artifacts.listOfAccount(model, accountId, { limit: 10 }, NOW)).items).toHaveLength(1);
    await artifacts.revokeAccount(accountId);
    expect(await artifacts.find(model, id, NOW)).toBeNull();
  });
}
