/** What port.ts promises about revocations. Part of contract.ts. */
import { expect, test } from '@jest/globals';
import { randomUUID } from 'node:crypto';

import type { Storage, StoredRevocation } from '../../src/storage/port.ts';
import { newRevocation } from './races.ts';

const NOW = 1_800_000_000;
const LATER = NOW + 60;

/** All behind a cursor, by pages of a size. */
async function readFrom(
  { revocations }: Storage,
  begin: number,
  limit: number,
): Promise<readonly StoredRevocation[]> {
  const all: StoredRevocation[] = [];
  for (let after = begin; ;) {
    const page = await revocations.list(after, limit, NOW);
    expect(page.length).toBeLessThanOrEqual(limit);
    all.push(...page);
    const last = page.at(-1);
    if (last === undefined) return all;
    after = last.cursor;
  }
}

export function revocationContract(store: () => Storage, open: () => Promise<Storage>): void {
  test('gives back revocations as they were appended, behind each other, by pages of any size', async () => {
    const { revocations } = store();
    const begin = await revocations.append(newRevocation(randomUUID()), NOW);
    const given = [
      newRevocation(randomUUID(), { kind: 'token', issuedBefore: LATER }),
      newRevocation(`$ne ${randomUUID()} Ü`),
      newRevocation(randomUUID(), { kind: 'node', expiresAt: 2 * NOW }),
    ];
    const cursors: number[] = [];
    for (const revocation of given) cursors.push(await revocations.append(revocation, NOW));
    expect(cursors.toSorted((one, other) => one - other)).toEqual(cursors);
    const expected = given.map((revocation, index) => ({ ...revocation, cursor: cursors[index] }));
    for (const limit of [1, 2, 3, 100]) expect(await readFrom(store(), begin, limit)).toEqual(expected);
    expect(await revocations.list(cursors.at(-1) ?? 0, 9, NOW)).toEqual([]);
  });

  test('gives cursors that are times, and greater ones also where a clock is behind', async () => {
    const { revocations } = store();
    const first = await revocations.append(newRevocation(randomUUID()), 2 * NOW);
    expect(first).toBeGreaterThanOrEqual(2 * NOW * 1_000);
    expect(await revocations.append(newRevocation(randomUUID()), NOW)).toBe(first + 1);
    expect(await revocations.append(newRevocation(randomUUID()), 0)).toBe(first + 2);
  });

  test('gives none that has expired, and deletes it; no cursor comes twice', async () => {
    const own = await open();
    const { revocations } = own;
    const [lasting, expired] = [newRevocation('lasting'), newRevocation('expired', { expiresAt: NOW })];
    const first = await revocations.append(lasting, 0);
    await revocations.append(expired, 0);
    const last = await revocations.append({ ...expired, subject: 'last' }, 0);
    expect((await revocations.list(0, 9, NOW)).map(({ subject }) => subject)).toEqual(['lasting']);
    expect(await revocations.find('person', 'expired', NOW)).toBeNull();
    expect(await own.deleteExpired(NOW)).toBe(1); // the last one stays
    expect(await own.deleteExpired(NOW)).toBe(0);
    expect(await own.deleteExpired(2 * LATER)).toBe(1);
    expect(await revocations.list(0, 9, 0)).toEqual([{ ...expired, subject: 'last', cursor: last }]);
    expect(await revocations.append(lasting, 0)).toBe(last + 1);
    expect(await revocations.list(first, 9, NOW)).toEqual([{ ...lasting, cursor: last + 1 }]);
    await own.close();
  });

  test('keeps of one subject what names most, and whatever it does not name', async () => {
    const { revocations } = store();
    const subject = randomUUID();
    const begin = await revocations.append(newRevocation(randomUUID()), NOW);
    const append = (issuedBefore: number, fields = {}) =>
      revocations.append(newRevocation(subject, { issuedBefore, ...fields }), NOW);
    const kept = async () =>
      (await readFrom(store(), begin, 9)).map(({ kind, issuedBefore }) => `${kind} ${issuedBefore - NOW}`);
    await append(NOW);
    await append(NOW, { kind: 'node' });
    await append(NOW + 2);
    expect(await kept()).toEqual(['node 0', 'person 2']);
    await append(NOW + 1);
    expect(await kept()).toEqual(['node 0', 'person 2', 'person 1']);
    await append(NOW + 3, { expiresAt: LATER - 1 });
    expect(await kept()).toEqual(['node 0', 'person 2', 'person 1', 'person 3']);
    expect(await revocations.find('person', subject, NOW)).toMatchObject({ issuedBefore: NOW + 3 });
    expect(await revocations.find('person', subject, LATER - 1)).toMatchObject({ issuedBefore: NOW + 2 });
    await append(NOW + 3);
    expect(await kept()).toEqual(['node 0', 'person 3']);
    expect(await revocations.find('node', subject, NOW)).toMatchObject({ issuedBefore: NOW });
    expect(await revocations.find('token', subject, NOW)).toBeNull();
  });
}
