/** What port.ts promises about API keys. Part of contract.ts. */
import { expect, test } from '@jest/globals';
import { randomUUID } from 'node:crypto';

import type { ApiKey, Storage } from '../../src/storage/port.ts';
import { newApiKey } from './races.ts';
import { readAll } from './read-all.ts';

const NOW = 1_800_000_000;

type Store = () => Storage;

const secret = (hash: string = randomUUID()) => ({ hash, expiresAt: null });

export function apiKeyContract(store: Store): void {
  findContract(store);
  takenContract(store);
  replaceContract(store);
  touchContract(store);
  deleteContract(store);

  test('lists keys in the order of their ids, page by page, all or those of an account', async () => {
    const { apiKeys } = store();
    const accountId = randomUUID();
    const keys = Array.from({ length: 5 }, () => newApiKey(randomUUID(), { accountId }));
    for (const key of [...keys, newApiKey(randomUUID())]) await apiKeys.create(key);
    const sorted = keys.toSorted((a, b) => (a.id < b.id ? -1 : 1));
    for (const limit of [1, 2, 5, 100]) {
      expect(await readAll((after) => apiKeys.list({ after, limit }, { accountId }))).toEqual(sorted);
    }
    expect((await apiKeys.list({ limit: 2 }, { accountId })).next).toBe(sorted[1]?.id);
    const all = await readAll((after) => apiKeys.list({ after, limit: 1_000 }));
    expect(await readAll((after) => apiKeys.list({ after, limit: 2 }))).toEqual(all);
    expect(all.length).toBe(await apiKeys.count());
    expect(all.map(({ id }) => id)).toEqual(expect.arrayContaining(keys.map(({ id }) => id)));
    expect(await apiKeys.list({ limit: 1 }, { accountId: randomUUID() })).toEqual({ items: [], next: null });
  });
}

function findContract(store: Store): void {
  test('gives back a key as it was created, by its id and by any of its secrets', async () => {
    const { apiKeys } = store();
    const secrets = [{ hash: randomUUID(), expiresAt: NOW - 60 }, secret()];
    const key = newApiKey(randomUUID(), {
      name: 'Zoë’s $ne "gateway"',
      secrets,
      scopes: ['read', 'a.b'],
      rateLimit: 250,
      expiresAt: NOW - 1,
      lastUsedAt: NOW - 3_600,
    });
    await apiKeys.create(key);
    expect(await apiKeys.find(key.id)).toEqual(key);
    for (const { hash } of secrets) expect(await apiKeys.findByHash(hash)).toEqual(key);
  });

  test('gives null for what it does not know, and takes no value for another', async () => {
    const { apiKeys } = store();
    const key = newApiKey(randomUUID());
    await apiKeys.create(key);
    for (const other of [randomUUID(), key.accountId, key.secrets[0]?.hash ?? '', '', '$ne']) {
      expect(await apiKeys.find(other)).toBeNull();
    }
    for (const other of [randomUUID(), key.accountId, key.id, '', '$ne']) {
      expect(await apiKeys.findByHash(other)).toBeNull();
    }
  });

  test('takes any number of keys without a secret', async () => {
    const { apiKeys } = store();
    const keys = [newApiKey(randomUUID(), { secrets: [] }), newApiKey(randomUUID(), { secrets: [] })];
    for (const key of keys) await apiKeys.create(key);
    for (const key of keys) expect(await apiKeys.find(key.id)).toEqual(key);
  });
}

function takenContract(store: Store): void {
  const conflict = { code: 'conflict' };

  test('refuses an id that is taken, and a secret that any other key has, and changes nothing', async () => {
    const { apiKeys } = store();
    const [shared, own] = [secret(), secret()];
    const key = newApiKey(randomUUID(), { secrets: [secret(), shared] });
    await apiKeys.create(key);
    const count = await apiKeys.count();
    await expect(apiKeys.create(newApiKey(key.id))).rejects.toMatchObject(conflict);
    const other = newApiKey(randomUUID(), { secrets: [own, { ...shared, expiresAt: NOW }] });
    await expect(apiKeys.create(other)).rejects.toMatchObject(conflict);
    expect(await apiKeys.find(other.id)).toBeNull();
    expect(await apiKeys.findByHash(own.hash)).toBeNull();
    expect(await apiKeys.findByHash(shared.hash)).toEqual(key);
    expect(await apiKeys.find(key.id)).toEqual(key);
    expect(await apiKeys.count()).toBe(count);
  });

  test('refuses to replace by a secret that another key has, and changes nothing', async () => {
    const { apiKeys } = store();
    const [first, second] = [newApiKey(randomUUID()), newApiKey(randomUUID())];
    await apiKeys.create(first);
    await apiKeys.create(second);
    const taking = { ...second, secrets: [...second.secrets, ...first.secrets] };
    await expect(apiKeys.replace({ ...taking, version: 2 })).rejects.toMatchObject(conflict);
    expect(await apiKeys.find(second.id)).toEqual(second);
    expect(await apiKeys.findByHash(first.secrets[0]?.hash ?? '')).toEqual(first);
    expect(await apiKeys.findByHash(second.secrets[0]?.hash ?? '')).toEqual(second);
    // A stale version is told as such, whatever else it holds.
    expect(await apiKeys.replace({ ...taking, version: 7 })).toBe(false);
  });

  test('frees the secrets of a key that is deleted or has them no more', async () => {
    const { apiKeys } = store();
    const [kept, dropped] = [secret(), secret()];
    const key = newApiKey(randomUUID(), { secrets: [kept, dropped] });
    await apiKeys.create(key);
    await apiKeys.replace({ ...key, secrets: [kept], version: 2 });
    await apiKeys.create(newApiKey(randomUUID(), { secrets: [dropped] }));
    await apiKeys.delete(key.id);
    await apiKeys.create(newApiKey(randomUUID(), { secrets: [kept] }));
  });
}

function replaceContract(store: Store): void {
  test('replaces the version before the given one, and no other', async () => {
    const { apiKeys } = store();
    const key = newApiKey(randomUUID());
    const second: ApiKey = { ...key, version: 2, name: 'second', secrets: [secret()], rateLimit: 5 };
    expect(await apiKeys.replace(second)).toBe(false);
    await apiKeys.create(key);
    expect(await apiKeys.replace(second)).toBe(true);
    expect(await apiKeys.replace({ ...key, version: 2 })).toBe(false);
    expect(await apiKeys.replace({ ...key, version: 4 })).toBe(false);
    expect(await apiKeys.find(key.id)).toEqual(second);
    expect(await apiKeys.findByHash(second.secrets[0]?.hash ?? '')).toEqual(second);
    expect(await apiKeys.findByHash(key.secrets[0]?.hash ?? '')).toBeNull();
  });

  test('never replaces the time of the last use', async () => {
    const { apiKeys } = store();
    const key = newApiKey(randomUUID());
    await apiKeys.create(key);
    await apiKeys.touch(key.id, NOW + 5);
    expect(await apiKeys.replace({ ...key, version: 2, name: 'second' })).toBe(true);
    expect(await apiKeys.replace({ ...key, version: 3, name: 'third', lastUsedAt: NOW + 9 })).toBe(true);
    expect(await apiKeys.find(key.id)).toEqual({ ...key, version: 3, name: 'third', lastUsedAt: NOW + 5 });
  });
}

function touchContract(store: Store): void {
  test('notes the latest use, and changes no version', async () => {
    const { apiKeys } = store();
    const key = newApiKey(randomUUID());
    await apiKeys.create(key);
    await Promise.all(Array.from({ length: 20 }, (_, n) => apiKeys.touch(key.id, NOW + ((n * 7) % 20))));
    await apiKeys.touch(key.id, NOW + 3);
    const used = { ...key, lastUsedAt: NOW + 19 };
    expect(await apiKeys.find(key.id)).toEqual(used);
    expect(await apiKeys.findByHash(key.secrets[0]?.hash ?? '')).toEqual(used);
    expect((await apiKeys.list({ limit: 1 }, { accountId: key.accountId })).items).toEqual([used]);
    expect(await apiKeys.replace({ ...key, version: 2 })).toBe(true);
  });

  test('does not mind the use of a key that is gone, and makes none of it', async () => {
    const id = randomUUID();
    await store().apiKeys.touch(id, NOW);
    expect(await store().apiKeys.find(id)).toBeNull();
  });
}

function deleteContract(store: Store): void {
  test('deletes a key once, with its secrets', async () => {
    const { apiKeys } = store();
    const key = newApiKey(randomUUID());
    await apiKeys.create(key);
    expect(await apiKeys.delete(key.id)).toBe(true);
    expect(await apiKeys.delete(key.id)).toBe(false);
    expect(await apiKeys.find(key.id)).toBeNull();
    expect(await apiKeys.findByHash(key.secrets[0]?.hash ?? '')).toBeNull();
  });

  test('deletes every key of an account and none of another, as often as asked', async () => {
    const { apiKeys } = store();
    const accountId = randomUUID();
    const keys = Array.from({ length: 3 }, () => newApiKey(randomUUID(), { accountId }));
    const beside = newApiKey(randomUUID());
    for (const key of [...keys, beside]) await apiKeys.create(key);
    await apiKeys.deleteOfAccount(accountId);
    await apiKeys.deleteOfAccount(accountId);
    for (const { id, secrets } of keys) {
      expect(await apiKeys.find(id)).toBeNull();
      expect(await apiKeys.findByHash(secrets[0]?.hash ?? '')).toBeNull();
    }
    expect(await apiKeys.find(beside.id)).toEqual(beside);
  });
}
