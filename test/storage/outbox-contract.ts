/**
 * What port.ts promises about the outbox. Part of contract.ts. Whoever takes gets what is due of the whole store, so
 * each test has a time of its own, at which the messages of the earlier ones have expired.
 */
import { expect, test } from '@jest/globals';
import { randomUUID } from 'node:crypto';

import type { OutboxMessage, Storage } from '../../src/storage/port.ts';
import { newMessage, nextEpoch } from './races.ts';
import { readAll } from './read-all.ts';

type Store = () => Storage;

const idsOf = (messages: readonly OutboxMessage[]): readonly string[] => messages.map(({ id }) => id);

export function outboxContract(store: Store): void {
  takeContract(store);
  settleContract(store);
  listContract(store);

  test('keeps a message that is there when one with its id is put again, and adds the others', async () => {
    const { outbox } = store();
    const now = nextEpoch();
    const [first, second] = [newMessage(now), newMessage(now)];
    await outbox.put([first]);
    await outbox.put([{ ...first, clientId: 'other', attempts: 7 }, second]);
    expect(await outbox.take(10, now + 30, now)).toEqual(
      expect.arrayContaining([
        { ...first, attempts: 1, dueAt: now + 30 },
        { ...second, attempts: 1, dueAt: now + 30 },
      ]),
    );
    await outbox.put([]);
  });

  test('puts many at once, and each of them once, whoever puts them too', async () => {
    const { outbox } = store();
    const now = nextEpoch();
    const all = Array.from({ length: 200 }, () => newMessage(now));
    await Promise.all(Array.from({ length: 5 }, () => outbox.put(all)));
    // A few at a time: what is under way when the time is up is leased to nobody.
    const taken: string[] = [];
    for (let more = ['']; more.length > 0; taken.push(...more)) {
      more = [...idsOf(await outbox.take(20, now + 30, now))];
    }
    expect(taken.toSorted()).toEqual(idsOf(all).toSorted());
  });
}

function takeContract(store: Store): void {
  test('gives a due message as it was put, counts the attempt, and gives it again when the lease is over', async () => {
    const { outbox } = store();
    const now = nextEpoch();
    const payload = { iss: 'https://id.example', $set: '"', 'a.b': 'Zoë \u2028', __proto: '' };
    const message = newMessage(now, { payload, lastError: 'connect ECONNREFUSED' });
    await outbox.put([message]);
    expect(await outbox.take(10, now + 30, now)).toEqual([{ ...message, attempts: 1, dueAt: now + 30 }]);
    expect(await outbox.take(10, now + 40, now + 29)).toEqual([]);
    expect(await outbox.take(10, now + 60, now + 30)).toEqual([{ ...message, attempts: 2, dueAt: now + 60 }]);
  });

  test('takes what is due longest first, no more than asked for, in the order of its making', async () => {
    const { outbox } = store();
    const now = nextEpoch();
    const [young, old, late] = [
      newMessage(now, { createdAt: now, dueAt: now + 1 }),
      newMessage(now, { createdAt: now - 9, dueAt: now + 2 }),
      newMessage(now, { createdAt: now - 10, dueAt: now + 3 }),
    ];
    await outbox.put([late, young, old]);
    expect(await outbox.take(10, now + 30, now)).toEqual([]);
    expect(idsOf(await outbox.take(2, now + 30, now + 5))).toEqual([old.id, young.id]);
    expect(idsOf(await outbox.take(2, now + 30, now + 5))).toEqual([late.id]);
    expect(await outbox.take(0, now + 90, now + 60)).toEqual([]);
  });

  test('never takes or lists a message from the second on at which it expires', async () => {
    const { outbox } = store();
    const now = nextEpoch();
    const message = newMessage(now, { expiresAt: now + 10 });
    await outbox.put([message]);
    expect(await outbox.take(10, now + 30, now + 10)).toEqual([]);
    expect((await outbox.list({ limit: 10 }, now + 10)).items).toEqual([]);
    expect(idsOf((await outbox.list({ limit: 10 }, now + 9)).items)).toEqual([message.id]);
    expect(idsOf(await outbox.take(10, now + 30, now + 9))).toEqual([message.id]);
  });
}

function settleContract(store: Store): void {
  test('deletes a message once, leased or not, and takes it no more', async () => {
    const { outbox } = store();
    const now = nextEpoch();
    const [leased, waiting] = [newMessage(now), newMessage(now, { dueAt: now + 5 })];
    await outbox.put([leased, waiting]);
    await outbox.take(1, now + 30, now);
    for (const { id } of [leased, waiting]) {
      expect(await outbox.delete(id)).toBe(true);
      expect(await outbox.delete(id)).toBe(false);
    }
    expect(await outbox.take(10, now + 60, now + 50)).toEqual([]);
  });

  test('takes a deferred message at its next try, with the error of the last one', async () => {
    const { outbox } = store();
    const now = nextEpoch();
    const message = newMessage(now);
    const next = { dueAt: now + 20, lastError: '503 Service Unavailable', failedAt: null };
    await outbox.put([message]);
    await outbox.take(1, now + 30, now);
    expect(await outbox.defer(message.id, next)).toBe(true);
    expect(await outbox.defer(message.id, next)).toBe(true);
    expect(await outbox.defer(randomUUID(), next)).toBe(false);
    expect(await outbox.take(1, now + 50, now + 19)).toEqual([]);
    expect(await outbox.take(1, now + 50, now + 20)).toEqual([
      { ...message, ...next, attempts: 2, dueAt: now + 50 },
    ]);
  });

  test('never takes a message that was given up, until it is deferred to another try', async () => {
    const { outbox } = store();
    const now = nextEpoch();
    const message = newMessage(now);
    await outbox.put([message]);
    await outbox.defer(message.id, { dueAt: now, lastError: '410 Gone', failedAt: now });
    expect(await outbox.take(1, now + 50, now + 20)).toEqual([]);
    expect((await outbox.list({ limit: 10 }, now)).items).toEqual([
      { ...message, lastError: '410 Gone', failedAt: now },
    ]);
    await outbox.defer(message.id, { dueAt: now, lastError: null, failedAt: null });
    expect(idsOf(await outbox.take(1, now + 50, now + 20))).toEqual([message.id]);
  });
}

function listContract(store: Store): void {
  test('lists messages in the order of their ids, page by page, all, given up or not', async () => {
    const { outbox } = store();
    const now = nextEpoch();
    const all = Array.from({ length: 7 }, (_, n) => newMessage(now, { failedAt: n < 3 ? now : null }));
    await outbox.put(all);
    const sorted = (messages: readonly OutboxMessage[]) => idsOf(messages).toSorted();
    const read = async (limit: number, filter?: { isFailed?: boolean }) =>
      idsOf(await readAll((after) => outbox.list({ after, limit }, now, filter)));
    for (const limit of [1, 2, 3, 7, 100]) {
      expect(await read(limit)).toEqual(sorted(all));
      expect(await read(limit, { isFailed: true })).toEqual(sorted(all.slice(0, 3)));
      expect(await read(limit, { isFailed: false })).toEqual(sorted(all.slice(3)));
    }
    expect((await outbox.list({ limit: 7 }, now)).next).toBeNull();
    expect((await outbox.list({ limit: 6 }, now)).next).toBe(sorted(all)[5]);
  });
}
