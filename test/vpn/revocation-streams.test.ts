/** The feed as streams: what one instance revokes comes out of another one's, soon, in order, and until it stops. */
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { randomUUID } from 'node:crypto';

import { createVpnNode } from '../support/clients.ts';
import type { Credentials } from '../support/clients.ts';
import { describeOnBothStores } from '../support/server.ts';
import { startSignInServer } from '../support/sign-in.ts';
import type { SignInServer } from '../support/sign-in.ts';
import { feedOf } from './feed.ts';
import type { Feed, FeedStream } from './feed.ts';

const TRIALS = Number(process.env['FEED_TRIALS'] ?? 50);
const MAX_LAG_MS = 2_000;
// What a busy machine makes of the longest.
const BUSY_LAG_MS = 10_000;
const TIMEOUT_MS = 30_000 + TRIALS * 200;
// Two beats, on a machine that is busy.
const BEAT_TIMEOUT_MS = 40_000;

describeOnBothStores('a stream of the revocation feed', (store) => {
  let server: SignInServer;
  let other: string;
  let node: Credentials;
  let feed: Feed;
  const revoke = (subject: string): Promise<number> => {
    const now = Math.floor(Date.now() / 1000);
    const revocation = { kind: 'person', subject, issuedBefore: now, expiresAt: now + 60 } as const;
    return server.storage.revocations.append(revocation, now);
  };

  beforeAll(async () => {
    server = await startSignInServer(store);
    other = await server.startAnother();
    node = await createVpnNode(server);
    feed = await feedOf(server, node);
  });

  afterAll(async () => {
    await server.stop();
  });

  test('begins with the page behind the cursor, at once', async () => {
    const begin = await feed.end();
    const first = await revoke(randomUUID());
    const opened = await feed.stream(begin);
    expect(opened.answer.headers.get('content-type')).toMatch(/^text\/event-stream/);
    expect(opened.answer.headers.get('x-accel-buffering')).toBe('no');
    expect(await opened.next()).toMatchObject({ id: String(first), page: { from: begin, to: first } });
    const empty = await feed.stream(first);
    expect(await empty.next()).toMatchObject({
      id: String(first),
      page: { from: first, to: first, revoked: [] },
    });
  });

  test('begins again where it broke off, by Last-Event-ID', async () => {
    const begin = await feed.end();
    const cursor = await revoke(randomUUID());
    const again = await feed.stream(0, server.origin, { 'last-event-id': String(begin) });
    expect(await again.next()).toMatchObject({ page: { from: begin, to: cursor } });
  });

  test('is where it was after more than a page', async () => {
    const begin = await feed.end();
    const subjects = Array.from({ length: 1_200 }, () => randomUUID());
    await Promise.all(subjects.map(revoke));
    const opened = await feed.stream(begin);
    const seen: unknown[] = [];
    for (let at = begin; seen.length < subjects.length;) {
      const next = await opened.next();
      expect(next?.page.from).toBe(at);
      at = next?.page.to ?? 0;
      seen.push(...(next?.page.revoked ?? []).map(({ sub }) => sub));
    }
    expect(new Set(seen)).toEqual(new Set(subjects));
  });

  test('ends when its node is deleted, and says so', async () => {
    const gone = await createVpnNode(server);
    const own = await feedOf(server, gone);
    const opened = await own.stream(await own.end(), other);
    await opened.next();
    await server.administration.deleteClient(gone.id, true);
    expect((await opened.next())?.page.revoked).toMatchObject([{ client_id: gone.id }]);
    expect(await opened.next()).toBeNull();
  });

  test('is one of four that a node has: a fifth ends the oldest', async () => {
    const own = await feedOf(server, await createVpnNode(server));
    const end = await own.end();
    const all: FeedStream[] = [];
    for (let count = 0; count < 5; count += 1) all.push(await own.stream(end));
    const [oldest, second] = all;
    await oldest?.next();
    expect(await oldest?.next()).toBeNull();
    await second?.next();
    const cursor = await revoke(randomUUID());
    expect((await second?.next())?.page.to).toBe(cursor);
  });

  test(
    'says at each beat that nothing happened, signed',
    async () => {
      const end = await feed.end();
      const opened = await feed.stream(end, other);
      const first = await opened.next();
      const beat = await opened.next();
      expect(beat?.page).toMatchObject({ from: end, to: end, more: false, revoked: [] });
      expect((beat?.page.iat ?? 0) - (first?.page.iat ?? 0)).toBeGreaterThanOrEqual(4);
    },
    BEAT_TIMEOUT_MS,
  );

  test(
    `tells of a person who is disabled at another instance: ${TRIALS} times`,
    async () => {
      const admin = server.administration.users;
      const accounts = [];
      for (let trial = 0; trial < TRIALS; trial += 1) accounts.push(await server.createAccount());
      const opened = await feed.stream(await feed.end(), other);
      await opened.next();
      const lags: number[] = [];
      for (const { username } of accounts) {
        const begun = performance.now();
        await admin.lock(username);
        for (let names: unknown[] = []; !names.includes(username);) {
          const next = await opened.next();
          names = (next?.page.revoked ?? []).map(({ sub }) => sub);
        }
        lags.push(performance.now() - begun);
      }
      const sorted = lags.toSorted((one, another) => one - another);
      const at = (part: number): number => Math.round(sorted[Math.ceil(part * sorted.length) - 1] ?? 0);
      if (process.env['FEED_TRIALS'] !== undefined)
        process.stderr.write(
          `${store}: lag of ${TRIALS} trials, ms: p50 ${at(0.5)}, p99 ${at(0.99)}, max ${at(1)}\n`,
        );
      expect(at(0.5)).toBeLessThan(MAX_LAG_MS);
      expect(at(1)).toBeLessThan(BUSY_LAG_MS);
    },
    TIMEOUT_MS,
  );

  test('ends when its instance stops, which does not wait for it', async () => {
    const own = await startSignInServer(store);
    const ownFeed = await feedOf(own, await createVpnNode(own));
    const opened = await ownFeed.stream(0);
    await opened.next();
    const begun = performance.now();
    const stopped = own.stop();
    expect(await opened.next()).toBeNull();
    expect(performance.now() - begun).toBeLessThan(3_000);
    await stopped;
  });
});
