/** The set of ids that takes little memory is a set. */
import { expect, test } from '@jest/globals';
import fc from 'fast-check';

import { createIdSet } from '../../src/backup/id-set.ts';

test('has what was added, whatever it is and however much, and nothing else', () => {
  fc.assert(
    fc.property(
      fc.uniqueArray(fc.string(), { maxLength: 3_000, size: 'max' }),
      fc.array(fc.string()),
      (ids, others) => {
        const set = createIdSet();
        for (const id of ids) set.add(id);
        for (const id of ids) set.add(id);
        expect(ids.filter((id) => !set.has(id))).toEqual([]);
        const absent = others.filter((id) => !ids.includes(id));
        expect(absent.filter((id) => set.has(id))).toEqual([]);
      },
    ),
    { numRuns: 30 },
  );
});

test('tells how many of its ids another one lacks', () => {
  fc.assert(
    fc.property(
      fc.uniqueArray(fc.string(), { maxLength: 2_500, size: 'max' }),
      fc.nat(2_500),
      (ids, kept) => {
        const [all, some] = [createIdSet(), createIdSet()];
        for (const id of ids) all.add(id);
        for (const id of ids.slice(0, kept)) some.add(id);
        expect(all.countMissing(some)).toBe(Math.max(0, ids.length - kept));
        expect(some.countMissing(all)).toBe(0);
      },
    ),
    { numRuns: 30 },
  );
});
