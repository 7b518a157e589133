/** What port.ts promises of the signing keys: one set, read and replaced as a whole. The store is new. */
import { expect, test } from '@jest/globals';

import type { SealedKey, Storage } from '../../src/storage/port.ts';

const NOW = 1_800_000_000;
const LATER = NOW + 60;

export function signingKeyContract(store: () => Storage): void {
  const key = (kid: string, signsFrom: number | null = LATER): SealedKey => ({
    kid,
    alg: 'RS256',
    sealedJwk: `sealed ${kid}`,
    createdAt: NOW,
    signsFrom,
  });

  test('gives null on a new store', async () => {
    expect(await store().signingKeys.read()).toBeNull();
  });

  test('replaces the whole set of the expected version, and no other', async () => {
    const { signingKeys } = store();
    const first = { keys: [key('b'), key('a', null)], retired: [] };
    const second = { keys: [key('d')], retired: ['b', 'a', '$a.b'] };
    const other = { keys: [key('c')], retired: ['c'] };
    expect(await signingKeys.write(1, other)).toBe(false);
    expect(await signingKeys.write(0, first)).toBe(true);
    expect(await signingKeys.write(0, other)).toBe(false);
    expect(await signingKeys.read()).toEqual({ version: 1, ...first });
    expect(await signingKeys.write(1, second)).toBe(true);
    expect(await signingKeys.write(1, other)).toBe(false);
    expect(await signingKeys.read()).toEqual({ version: 2, ...second });
  });
}
