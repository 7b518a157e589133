/** What port.ts promises about the places of tokens in status lists. Part of contract.ts. */
import { expect, test } from '@jest/globals';
import { randomUUID } from 'node:crypto';

import type { NamedStatuses, Storage, TokenStatus } from '../../src/storage/port.ts';
import { newRevocation, newTokenStatus } from './races.ts';

const NOW = 1_800_000_000;
const LATER = NOW + 60;

export function tokenStatusContract(store: () => Storage, open: () => Promise<Storage>): void {
  const insert = async (fields: Partial<TokenStatus>): Promise<TokenStatus> => {
    const status = newTokenStatus(fields);
    expect(await store().tokenStatuses.insert(status)).toBe(true);
    return status;
  };
  /** The indexes that are named, in their order. */
  const indexesOf = (found: readonly NamedStatuses[]): readonly number[] =>
    found.flatMap(({ indexes }) => indexes).toSorted((one, other) => one - other);

  test('gives a place once, and leaves the token there that has it', async () => {
    const { tokenStatuses } = store();
    const first = await insert({});
    const jti = randomUUID();
    expect(await tokenStatuses.insert(newTokenStatus({ list: first.list, jti, expiresAt: 2 * NOW }))).toBe(
      false,
    );
    const named = [newRevocation(jti, { kind: 'token' }), newRevocation(first.jti, { kind: 'token' })];
    expect(await tokenStatuses.findNamed(named, NOW)).toEqual([
      { list: first.list, indexes: [first.index], expiresAt: LATER },
    ]);
    expect(await tokenStatuses.findEnd(first.list, NOW)).toBe(LATER);
    await insert({ list: first.list, index: 1 });
    await insert({ index: 0 });
  });

  test('finds what revocations name: one token, or what a person or a node had before', async () => {
    const { tokenStatuses } = store();
    const [list, subject, clientId] = [randomUUID(), randomUUID(), randomUUID()];
    const statuses = [
      await insert({ list, index: 0, subject, issuedAt: NOW - 1 }),
      await insert({ list, index: 1, subject, issuedAt: NOW }),
      await insert({ list, index: 2, clientId, issuedAt: NOW - 1 }),
      await insert({ list, index: 3, clientId, issuedAt: NOW }),
      await insert({ list, index: 65_535, issuedAt: 2 * NOW }),
    ];
    const named = async (...revocations: Parameters<typeof newRevocation>[]) => {
      const found = await tokenStatuses.findNamed(
        revocations.map((it) => newRevocation(...it)),
        NOW,
      );
      return indexesOf(found);
    };
    const of = (index: number): string => statuses[index]?.jti ?? '';
    expect(await named()).toEqual([]);
    expect(await named([of(4), { kind: 'token' }])).toEqual([65_535]);
    expect(await named([subject, { issuedBefore: NOW }])).toEqual([0]);
    expect(await named([subject, { issuedBefore: NOW + 1 }])).toEqual([0, 1]);
    expect(await named([clientId, { kind: 'node' }])).toEqual([2]);
    expect(await named([clientId, { kind: 'node' }], [subject], [of(1), { kind: 'token' }])).toEqual([
      0, 1, 2,
    ]);
    // The name of one kind is none of another.
    expect(
      await named([clientId], [subject, { kind: 'node' }], [of(4)], [subject, { kind: 'token' }]),
    ).toEqual([]);
    expect(await named([subject, { kind: 'customer' }], [of(4), { kind: 'customer-token' }])).toEqual([]);
    expect(await named(['$ne \'"'], [`${subject}\u0000`])).toEqual([]);
  });

  test('finds them for five hundred revocations at once, and all that a node has', async () => {
    const { tokenStatuses } = store();
    const [list, clientId] = [randomUUID(), randomUUID()];
    const all = Array.from({ length: 300 }, (_, index) =>
      newTokenStatus({ list, index, clientId, subject: `person-${index}-${list}`, issuedAt: NOW - 9 }),
    );
    await Promise.all(all.map((status) => tokenStatuses.insert(status)));
    const people = Array.from({ length: 500 }, (_, index) => newRevocation(`person-${index}-${list}`));
    const places = all.map(({ index }) => index);
    expect(indexesOf(await tokenStatuses.findNamed(people, NOW))).toEqual(places);
    const [found] = await tokenStatuses.findNamed([newRevocation(clientId, { kind: 'node' })], NOW);
    expect(indexesOf(found === undefined ? [] : [found])).toEqual(places);
  });

  test('gathers what it finds by lists, each with the end of the last token', async () => {
    const { tokenStatuses } = store();
    const [one, other] = [`1${randomUUID()}`, `2${randomUUID()}`];
    const subject = randomUUID();
    await insert({ list: one, index: 3, subject });
    await insert({ list: one, index: 9, subject, expiresAt: LATER + 5 });
    await insert({ list: other, index: 3, subject });
    const found = await tokenStatuses.findNamed([newRevocation(subject, { issuedBefore: LATER })], NOW);
    expect(found.toSorted((a, b) => (a.list < b.list ? -1 : 1))).toEqual([
      { list: one, indexes: expect.arrayContaining([3, 9]), expiresAt: LATER + 5 },
      { list: other, indexes: [3], expiresAt: LATER },
    ]);
  });

  test('tells when the last token of a list expires, and which lists have one', async () => {
    const own = await open();
    const { tokenStatuses } = own;
    expect(await tokenStatuses.lists(NOW)).toEqual([]);
    const end = (list: string, now = NOW) => tokenStatuses.findEnd(list, now);
    for (const [index, expiresAt] of [LATER, LATER + 5, NOW].entries()) {
      await tokenStatuses.insert(newTokenStatus({ list: 'b', index, expiresAt }));
    }
    await tokenStatuses.insert(newTokenStatus({ list: 'a', expiresAt: LATER }));
    await tokenStatuses.insert(newTokenStatus({ list: 'gone', expiresAt: NOW }));
    expect(await tokenStatuses.lists(NOW)).toEqual(['a', 'b']);
    expect(await tokenStatuses.lists(LATER)).toEqual(['b']);
    expect([await end('b'), await end('a'), await end('gone'), await end('none')]).toEqual([
      ...[LATER + 5, LATER, null, null],
    ]);
    expect([await end('b', LATER + 4), await end('b', LATER + 5)]).toEqual([LATER + 5, null]);
    expect(await tokenStatuses.findNamed([newRevocation('ada', { issuedBefore: 2 * NOW })], LATER)).toEqual([
      { list: 'b', indexes: [1], expiresAt: LATER + 5 },
    ]);
    await own.close();
  });
}
