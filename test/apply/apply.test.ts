/** What no file can provoke by itself: a save that fails after others went through. */
import { expect, test } from '@jest/globals';

import { applySections } from '../../src/apply/apply.ts';
import type { Section } from '../../src/apply/apply.ts';
import { storeUnavailable } from '../../src/errors.ts';

const item = (id: string, save: () => Promise<{ secret: string | null }>) => ({
  id,
  plan: async () => ({ action: 'create' as const, changes: [], save }),
});

test.each([
  ['the store is away', storeUnavailable(new Error('gone')), 'cannot answer'],
  ['a fault of the program', new TypeError('it is undefined'), 'it is undefined'],
])('tells what was saved, with its secret, where a later save fails: %s', async (_name, failure, told) => {
  const sections: Section[] = [
    {
      name: 'vpn_nodes',
      items: [
        item('first', async () => ({ secret: 'shown-once' })),
        item('second', () => Promise.reject(failure)),
        item('third', async () => ({ secret: 'never made' })),
      ],
    },
  ];
  expect(await applySections(sections, false)).toEqual({
    ok: false,
    faults: [{ path: ['vpn_nodes', 1], message: expect.stringContaining(told) }],
    items: [{ section: 'vpn_nodes', id: 'first', action: 'create', changes: [], secret: 'shown-once' }],
  });
});

test('a fault of the program in the planning is not told as one of the file', async () => {
  const broken = { id: 'first', plan: () => Promise.reject(new TypeError('broken')) };
  await expect(applySections([{ name: 'clients', items: [broken] }], false)).rejects.toThrow('broken');
});
