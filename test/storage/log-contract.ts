/** What port.ts promises about the audit log and the statistics. Part of contract.ts. */
import { expect, test } from '@jest/globals';
import { randomUUID } from 'node:crypto';

import type { AuditFilter, AuditRecord, Storage } from '../../src/storage/port.ts';
import { newAuditRecord, nextEpoch } from './races.ts';
import { readAll } from './read-all.ts';

type Store = () => Storage;

const seqsOf = (records: readonly AuditRecord[]): readonly number[] => records.map(({ seq }) => seq);

/** The first test finds a new store. */
export function auditContract(store: Store): void {
  appendContract(store);
  listContract(store);
  filterContract(store);
}

/** Appends records of the given fields behind the last one. */
async function appendAll(
  { audit }: Storage,
  fields: readonly Partial<AuditRecord>[],
): Promise<readonly AuditRecord[]> {
  const begin = ((await audit.last())?.seq ?? 0) + 1;
  const records = fields.map((given, n) => newAuditRecord(begin + n, given));
  for (const record of records) expect(await audit.append(record)).toBe(true);
  return records;
}

function appendContract(store: Store): void {
  test('has no last record on a new store, and an empty list', async () => {
    const { audit } = store();
    expect(await audit.last()).toBeNull();
    expect(await audit.list({ limit: 10 })).toEqual({ items: [], next: null });
  });

  test('gives back a record as it was appended, as the last one', async () => {
    const { audit } = store();
    const details = { before: { 'a.b': '$ne', constructor: null }, after: [1, 'Zoë', { deep: true }] };
    const [record] = await appendAll(store(), [
      { actor: 'account:a', target: 'client:b', ip: '2001:db8::1', requestId: randomUUID(), details },
    ]);
    expect(await audit.last()).toEqual(record);
    expect((await audit.list({ limit: 1 })).items).toEqual([record]);
  });

  test('refuses a number that is taken, and leaves the record as it is', async () => {
    const { audit } = store();
    const [first, second] = await appendAll(store(), [{}, {}]);
    for (const seq of seqsOf([first, second].filter((record) => record !== undefined))) {
      expect(await audit.append(newAuditRecord(seq, { actor: 'forger' }))).toBe(false);
    }
    expect((await audit.list({ limit: 2 })).items).toEqual([second, first]);
  });

  test('numbers the records of twenty callers without a gap, if each tries until he has a number', async () => {
    const { audit } = store();
    const append = async (actor: string): Promise<number> => {
      const seq = ((await audit.last())?.seq ?? 0) + 1;
      return (await audit.append(newAuditRecord(seq, { actor }))) ? seq : append(actor);
    };
    const begin = ((await audit.last())?.seq ?? 0) + 1;
    const seqs = await Promise.all(Array.from({ length: 20 }, (_, n) => append(`caller ${n}`)));
    expect(seqs.toSorted((a, b) => a - b)).toEqual(Array.from({ length: 20 }, (_, n) => begin + n));
    const { items } = await audit.list({ limit: 20 });
    expect(new Set(items.map(({ actor }) => actor)).size).toBe(20);
  });
}

function listContract(store: Store): void {
  test('lists every record once, newest or oldest first, by pages of any size', async () => {
    const { audit } = store();
    await appendAll(
      store(),
      Array.from({ length: 12 }, () => ({})),
    );
    const last = (await audit.last())?.seq ?? 0;
    const oldest = Array.from({ length: last }, (_, n) => n + 1);
    for (const limit of [1, 7, last, 1_000]) {
      const read = async (order?: 'newest' | 'oldest') =>
        seqsOf(await readAll((after) => audit.list({ after, limit }, {}, order)));
      expect(await read()).toEqual(oldest.toReversed());
      expect(await read('newest')).toEqual(oldest.toReversed());
      expect(await read('oldest')).toEqual(oldest);
    }
  });

  test('goes on with a page where it was, whatever was appended meanwhile', async () => {
    const { audit } = store();
    const [first, second, third] = seqsOf(await appendAll(store(), [{}, {}, {}]));
    const { items, next } = await audit.list({ limit: 2 });
    expect(seqsOf(items)).toEqual([third, second]);
    await appendAll(store(), [{}]);
    expect(seqsOf((await audit.list({ limit: 1, after: next ?? '' })).items)).toEqual([first]);
  });

  test('gives an empty page for a cursor that no list gave', async () => {
    for (const after of ['x', 'NaN', '1; DROP TABLE audit', '{"$gt":0}']) {
      for (const order of ['newest', 'oldest'] as const) {
        expect(await store().audit.list({ after, limit: 1 }, {}, order)).toEqual({ items: [], next: null });
      }
    }
  });
}

function filterContract(store: Store): void {
  test('lists by actor, action and target, alone and together', async () => {
    const { audit } = store();
    const [alice, bob] = [`account:${randomUUID()}`, `account:${randomUUID()}`];
    const [lock, unlock] = [`lock.${randomUUID()}`, `unlock.${randomUUID()}`];
    const given = [
      { actor: alice, action: lock, target: bob },
      { actor: alice, action: unlock, target: bob },
      { actor: bob, action: lock, target: alice },
      { actor: alice, action: lock, target: null },
    ];
    const [a, b, c, d] = seqsOf(await appendAll(store(), given));
    const list = async (filter: AuditFilter) => seqsOf((await audit.list({ limit: 9 }, filter)).items);
    expect(await list({ actor: alice })).toEqual([d, b, a]);
    expect(await list({ action: lock })).toEqual([d, c, a]);
    expect(await list({ target: bob })).toEqual([b, a]);
    expect(await list({ actor: alice, action: lock })).toEqual([d, a]);
    expect(await list({ actor: alice, action: lock, target: bob })).toEqual([a]);
    expect(await list({ actor: bob, target: bob })).toEqual([]);
    expect(await list({ actor: '$ne' })).toEqual([]);
    const paged = await readAll((after) => audit.list({ after, limit: 1 }, { actor: alice }, 'oldest'));
    expect(seqsOf(paged)).toEqual([a, b, d]);
    expect((await audit.list({ limit: 2 }, { actor: alice })).next).toBe(String(b));
  });

  test('lists from a time on and until another, also where the clocks of those who append differ', async () => {
    const { audit } = store();
    const actor = `account:${randomUUID()}`;
    const begin = nextEpoch();
    const hours = [0, 3_600, 3_590, 7_200, 6_700, 10_800];
    const seqs = seqsOf(
      await appendAll(
        store(),
        hours.map((offset) => ({ actor, at: begin + offset })),
      ),
    );
    const numbers = async (from: number | undefined, until: number | undefined, action?: string) => {
      const filter = { from: from && begin + from, until: until && begin + until, actor: action && actor };
      const read = (order: 'newest' | 'oldest') =>
        readAll((after) => audit.list({ after, limit: 2 }, filter, order));
      const [newest, oldest] = [seqsOf(await read('newest')), seqsOf(await read('oldest'))];
      expect(newest).toEqual(oldest.toReversed());
      return oldest.map((seq) => seqs.indexOf(seq)).filter((index) => index >= 0);
    };
    for (const by of [undefined, 'actor']) {
      expect(await numbers(3_600, undefined, by)).toEqual([1, 3, 4, 5]);
      expect(await numbers(undefined, 3_600, by)).toEqual([0, 2]);
      expect(await numbers(3_590, 7_200, by)).toEqual([1, 2, 4]);
      expect(await numbers(6_701, 10_801, by)).toEqual([3, 5]);
      expect(await numbers(10_801, undefined, by)).toEqual([]);
      expect(await numbers(7_200, 7_200, by)).toEqual([]);
    }
  });
}

export function statisticsContract(store: Store): void {
  test('adds to each series of an hour, and to no other', async () => {
    const { statistics } = store();
    const hourAt = nextEpoch();
    const [a, b, c] = [
      { series: 'signed_in', hourAt, count: 2 },
      { series: 'failed', hourAt, count: 5 },
      { series: 'signed_in', hourAt: hourAt + 1, count: 1 },
    ];
    await statistics.add([a, b, c], hourAt + 60);
    await statistics.add([{ ...a, count: 3 }], hourAt + 60);
    await statistics.add([], hourAt + 60);
    expect(await statistics.read(hourAt)).toEqual([b, { ...a, count: 5 }, c]);
    expect(await statistics.read(hourAt + 1)).toEqual([c]);
    expect(await statistics.read(hourAt + 2)).toEqual([]);
  });

  test('adds up what comes twice in one call, and what many add at once', async () => {
    const { statistics } = store();
    const hourAt = nextEpoch();
    const [a, b] = [
      { series: '$inc', hourAt, count: 1 },
      { series: 'a.b', hourAt, count: 10 },
    ];
    await Promise.all(Array.from({ length: 50 }, () => statistics.add([a, b, a], hourAt + 60)));
    expect(await statistics.read(hourAt)).toEqual([
      { ...a, count: 100 },
      { ...b, count: 500 },
    ]);
  });
}
