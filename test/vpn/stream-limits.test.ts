/** What bounds the streams of the feed: their number, their life, and what waits for a slow reader. */
import { expect, test } from '@jest/globals';
import { setTimeout as sleep } from 'node:timers/promises';

import type { Page } from '../../src/revocations/pages.ts';
import { createRevocationStreams } from '../../src/revocations/streams.ts';
import type { RevocationStreams } from '../../src/revocations/streams.ts';

const FIRST: Page = { at: 1, from: 0, to: 1, more: false, entries: [] };
const MANY = 1_000;

/** Streams of a feed that has something new at each look, of so many characters. */
function createStreams(characters = 1, lifeMs?: number, isClient = true): RevocationStreams {
  const entry = { kind: 'person', subject: 'alice', issuedBefore: 1, expiresAt: 2 } as const;
  const pages = {
    read: async (after: number): Promise<Page> => ({
      ...{ at: 1, from: after, to: after + 1, more: false },
      entries: [{ ...entry, cursor: after + 1 }],
    }),
    sign: async () => 'x'.repeat(characters),
  };
  return createRevocationStreams({
    pages,
    maxOfClient: 4,
    isClient: async () => isClient,
    ring: () => undefined,
    lifeMs,
  });
}

test('an instance serves a thousand streams, and another one once one of them ended', async () => {
  const streams = createStreams();
  const open = (name: string) => streams.open(name, FIRST);
  const all = await Promise.all(Array.from({ length: MANY }, (_, index) => open(`node-${index}`)));
  await expect(open('one more')).rejects.toMatchObject({ code: 'overloaded', retryAfterSeconds: 5 });
  const closed = new Promise((resolve) => all[0]?.once('close', resolve));
  all[0]?.destroy();
  await closed;
  await open('one more');
  await expect(open('yet another')).rejects.toMatchObject({ code: 'overloaded' });
});

test('an instance that stops opens none any more', async () => {
  const streams = createStreams();
  streams.end();
  await expect(streams.open('node', FIRST)).rejects.toMatchObject({ code: 'overloaded' });
});

test('a stream ends with the first page after its life', async () => {
  const streams = createStreams(1, 0);
  const stream = await streams.open('node', FIRST);
  await streams.look();
  expect((await Array.fromAsync(stream)).length).toBeGreaterThanOrEqual(1);
  expect(await streams.look()).toBeGreaterThan(1_000); // nobody listens
});

test('a stream that nobody reads ends before it holds much', async () => {
  const streams = createStreams(300_000);
  const stream = await streams.open('node', FIRST);
  for (let looks = 0; looks < 10; looks += 1) await streams.look();
  const held = (await Array.fromAsync(stream)).reduce<number>((sum, part) => sum + String(part).length, 0);
  expect(held).toBeGreaterThan(1_000_000);
  expect(held).toBeLessThan(1_600_000);
});

test('a stream ends within a beat once its client is deleted', async () => {
  const streams = createStreams(1, undefined, false);
  const stream = (await streams.open('petstore', FIRST)).resume();
  const end = performance.now() + 20_000;
  while (!stream.readableEnded && performance.now() < end) {
    await streams.look();
    await sleep(100);
  }
  expect(stream.readableEnded).toBe(true);
  expect(await streams.look()).toBeGreaterThan(1_000); // nobody listens
});
