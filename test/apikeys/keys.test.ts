/** What an API key looks like, and that one is looked for in the store only where it can be one. */
import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';

import { digestOf, isKey, makeKey, makeKeyId } from '../../src/apikeys/format.ts';
import { settleExpiry } from '../../src/apikeys/rules.ts';
import { createTurns } from '../../src/apikeys/turns.ts';
import { createVerifyKey } from '../../src/apikeys/verify.ts';
import { isAppError } from '../../src/errors.ts';
import type { Account, ApiKey } from '../../src/storage/port.ts';

const NOW = 1_800_000_000;
const DAY = 86_400;
const DIGITS = '0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz';

describe('a key', () => {
  test('is a prefix, 256 random bits and a checksum, in letters and digits', () => {
    const keys = Array.from({ length: 200 }, makeKey);
    for (const key of keys) expect(key).toMatch(/^pcl_[0-9A-Za-z]{49}$/);
    expect(new Set(keys).size).toBe(keys.length);
    expect(new Set(keys.map(digestOf)).size).toBe(keys.length);
    expect(keys.every(isKey)).toBe(true);
    // Every digit stands everywhere, so the numbers fill what is there for them.
    expect(new Set(keys.map((key) => key[20])).size).toBeGreaterThan(30);
  });

  test('with one letter changed, swapped, missing or more is none', () => {
    fc.assert(
      fc.property(fc.nat(48), fc.constantFrom(...Array.from(DIGITS)), (at, digit) => {
        const key = makeKey();
        const place = 4 + at;
        const changed = key.slice(0, place) + digit + key.slice(place + 1);
        expect(isKey(changed)).toBe(changed === key);
        expect(isKey(key.slice(0, place) + key.slice(place + 1))).toBe(false);
        expect(isKey(key.slice(0, place) + digit + key.slice(place))).toBe(false);
      }),
    );
  });

  test.each([
    '',
    'pcl_',
    `pcl_${'0'.repeat(49)}`,
    `PCL_${makeKey().slice(4)}`,
    ` ${makeKey()}`,
    `${makeKey()}\n`,
  ])('is not %j', (value) => expect(isKey(value)).toBe(false));

  test('has an id that tells nothing of it, and sorts by when it was made', () => {
    const ids = [NOW, NOW + 1, NOW + 61, NOW + 62 ** 3, NOW + 40 * 365 * DAY].map(makeKeyId);
    for (const id of ids) expect(id).toMatch(/^[0-9A-Za-z]{19}$/);
    expect(ids.toSorted((a, b) => (a < b ? -1 : 1))).toEqual(ids);
    expect(makeKeyId(NOW)).not.toBe(makeKeyId(NOW));
  });
});

describe('the end of a key', () => {
  test('is a time to come, within five years, or none', () => {
    expect(settleExpiry(null, NOW)).toBeNull();
    expect(settleExpiry(NOW + 1, NOW)).toBe(NOW + 1);
    expect(settleExpiry(NOW + 1_826 * DAY, NOW)).toBe(NOW + 1_826 * DAY);
    for (const bad of [NOW, NOW - 1, 0, NOW + 1_826 * DAY + 1]) {
      expect(thrownBy(() => settleExpiry(bad, NOW))).toMatchObject({
        code: 'invalid_request',
        errors: [{ path: 'expires_at' }],
      });
    }
  });
});

const thrownBy = (work: () => unknown): unknown => {
  try {
    work();
  } catch (error) {
    if (isAppError(error)) return error;
    throw error;
  }
  return null;
};

describe('a look at a key', () => {
  const secret = makeKey();
  const key: ApiKey = {
    id: makeKeyId(NOW),
    accountId: 'one',
    name: 'a',
    secrets: [{ hash: digestOf(secret), expiresAt: null }],
    scopes: ['profile:read', 'sessions:read'],
    rateLimit: null,
    createdAt: NOW,
    expiresAt: null,
    lastUsedAt: null,
    version: 1,
  };
  const owner = { id: 'one', status: 'active', roles: {} } as unknown as Account; // all that is looked at

  /** A store that counts what it is asked. */
  const counting = (touch: () => Promise<void>) => {
    const asked: string[] = [];
    const verify = createVerifyKey({
      apiKeys: {
        findByHash: async (hash) => {
          asked.push('find');
          return hash === digestOf(secret) ? key : null;
        },
        touch: () => {
          asked.push('touch');
          return touch();
        },
      },
      accounts: { find: async () => owner },
      permissionsOf: () => ['profile:read'],
      rateOf: () => 100,
      now: () => NOW,
    });
    return { asked, verify };
  };

  test('asks the store for nothing that cannot be one', async () => {
    const { asked, verify } = counting(async () => undefined);
    for (const value of [
      '',
      'pcl_1',
      `${secret.slice(0, -1)}${secret.endsWith('0') ? '1' : '0'}`,
      'x'.repeat(256),
    ]) {
      expect(await verify(value)).toBeNull();
    }
    expect(asked).toEqual([]);
    expect(await verify(makeKey())).toBeNull();
    expect(asked).toEqual(['find']);
  });

  test('gives what the key and its owner may both', async () => {
    const { verify } = counting(async () => undefined);
    expect(await verify(secret)).toEqual({
      keyId: key.id,
      accountId: 'one',
      account: owner,
      scopes: ['profile:read'],
      rateLimit: null,
      countsAlone: false,
    });
  });

  test('waits for no note of its use, makes one at a time, and lives with a lost one', async () => {
    const { promise, reject } = Promise.withResolvers<undefined>();
    const { asked, verify } = counting(() => promise);
    for (let use = 0; use < 3; use += 1) expect(await verify(secret)).not.toBeNull();
    expect(asked.filter((it) => it === 'touch')).toHaveLength(1);
    reject(new Error('the store is away'));
    await promise.catch(() => undefined);
    expect(await verify(secret)).not.toBeNull();
    expect(asked.filter((it) => it === 'touch')).toHaveLength(2);
  });
});

describe('turns', () => {
  test('come one after the other under one name, and beside those of others', async () => {
    const takeTurn = createTurns();
    const told: string[] = [];
    const work = (name: string, fails = false) =>
      takeTurn(name, async () => {
        told.push(`${name} begins`);
        await Promise.resolve();
        told.push(`${name} ends`);
        if (fails) throw new Error('failed');
        return name;
      });
    const results = await Promise.allSettled([work('a', true), work('a'), work('b')]);
    expect(results.map(({ status }) => status)).toEqual(['rejected', 'fulfilled', 'fulfilled']);
    expect(told.filter((it) => it.startsWith('a'))).toEqual(['a begins', 'a ends', 'a begins', 'a ends']);
    expect(told.indexOf('b begins')).toBeLessThan(told.lastIndexOf('a begins'));
  });
});
