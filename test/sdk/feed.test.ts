/** Following the revocation feed: what is believed, by which way it comes, and what is said while it does not come. */
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';

import { readEvents } from '../../src/sdk/feed/event-stream.ts';
import { createTokenValidator, followRevocations, VpnClientError } from '../../src/sdk/node/node.ts';
import type { FollowedRevocations, RevocationFollowerOptions } from '../../src/sdk/node/node.ts';
import { asPage, createFeedParent, personClaims } from './feed-parent.ts';
import type { EventWriter, FeedParent } from './feed-parent.ts';
import { AUDIENCE as OTHER_AUDIENCE, ISSUER, makeKey, START } from './issuer.ts';

const LATER = START + 3_600;
const MINUTE = 60;

let parent: FeedParent;
const open: FollowedRevocations[] = [];

beforeEach(async () => {
  parent = await createFeedParent();
});

afterEach(async () => {
  for (const feed of open.splice(0)) await feed.close();
});

function follow(changes: Partial<RevocationFollowerOptions> = {}): FollowedRevocations {
  const feed = followRevocations({ ...parent.options, ...changes });
  open.push(feed);
  return feed;
}

/** A follower that listens to a stream, and has read its first page. */
async function listening(
  revoked: readonly object[] = [],
  changes: Partial<RevocationFollowerOptions> = {},
): Promise<{ feed: FollowedRevocations; stream: EventWriter }> {
  const feed = follow(changes);
  const stream = (await parent.asked()).open();
  stream.send(await parent.page(0, 10, revoked));
  await feed.ready();
  return { feed, stream };
}

/** A token that is good, unless it was revoked. */
const vpnToken = (): Promise<string> =>
  parent.issuer.token({ claims: { ...personClaims(), role: 'basic', level: 10, username: 'alice' } });

describe('the feed', () => {
  test('names a token, and what was issued to a person or by a node before a time', async () => {
    const { feed } = await listening([
      { jti: 'jwt-7', exp: LATER },
      { sub: 'alice', before: START, exp: LATER },
      { client_id: 'node-paris', before: START + 5, exp: LATER },
    ]);
    expect(feed.isRevoked(personClaims())).toBe(false);
    expect(feed.isRevoked(personClaims({ jti: 'jwt-7' }))).toBe(true);
    expect(feed.isRevoked(personClaims({ iat: START - 1 }))).toBe(true);
    expect(feed.isRevoked(personClaims({ iat: undefined }))).toBe(true);
    expect(feed.isRevoked(personClaims({ sub: 'bob', client_id: 'node-paris', iat: START + 4 }))).toBe(true);
    expect(feed.isRevoked(personClaims({ sub: 'bob', client_id: 'node-paris', iat: START + 5 }))).toBe(false);
    expect(feed.state()).toEqual({ heardAt: START, entries: 3 });
  });

  test('names what was issued to a customer before a series, and whatever has none', async () => {
    const { feed } = await listening([
      { customer: 'acme', before: START, exp: LATER },
      { customer: 'acme', before: START - 9, exp: LATER },
    ]);
    const isRevoked = (jti: unknown, sub = 'acme', fields: object = {}): boolean =>
      feed.isRevoked(
        personClaims({ sub, jti, client_id: undefined, customer: { username: sub }, ...fields }),
      );
    const series = (number: number): string => `${number.toString(36)}~rAnd0m-_.x.y`;
    expect([START - 1, START, START + 1].map((it) => isRevoked(series(it)))).toEqual([true, false, false]);
    expect([series(START).slice(1), 'jwt-1', undefined].map((it) => isRevoked(it))).toEqual([
      true,
      true,
      true,
    ]);
    expect(isRevoked(series(1), 'Acme')).toBe(false);
    // Those of a client that is called as the customer is, of whatever scope, and what tells of no customer at all.
    expect(isRevoked('jwt-1', 'acme', { client_id: 'acme' })).toBe(false);
    expect(isRevoked('jwt-1', 'acme', { customer: undefined })).toBe(false);
    expect(feed.state().entries).toBe(1);
  });

  test('says nothing of the tokens of another issuer or audience', async () => {
    const { feed } = await listening([{ sub: 'alice', before: LATER, exp: LATER }]);
    expect(feed.isRevoked(personClaims({ aud: ['x', 'vpn-node'] }))).toBe(true);
    expect(feed.isRevoked(personClaims({ aud: OTHER_AUDIENCE }))).toBe(false);
    expect(feed.isRevoked(personClaims({ iss: 'https://other.example' }))).toBe(false);
  });

  test('is known once its last page is read, and whoever is named earlier and later is named by the later one', async () => {
    const feed = follow();
    const stream = (await parent.asked()).open();
    const entry = (before: number) => ({ sub: 'alice', before, exp: LATER });
    stream.send(await parent.page(0, 5, [entry(START + 1)], { claims: { more: true } }));
    stream.send(await parent.page(5, 6, [entry(START - 5)]));
    await feed.ready();
    expect(feed.isRevoked(personClaims())).toBe(true);
  });

  test('goes on, entry by entry', async () => {
    const { feed, stream } = await listening();
    stream.send(await parent.page(10, 10));
    stream.send(await parent.page(10, 11, [{ jti: 'jwt-1', exp: LATER }]));
    stream.send(await parent.page(11, 12, [{ jti: 'jwt-2', exp: LATER }]));
    stream.end();
    await parent.pause();
    expect(feed.isRevoked(personClaims())).toBe(true);
    expect(feed.isRevoked(personClaims({ jti: 'jwt-2' }))).toBe(true);
  });

  test('forgets what has expired', async () => {
    const { feed, stream } = await listening();
    const many = (name: string, exp: number) =>
      Array.from({ length: 800 }, (_, n) => ({ jti: `${name}${n}`, exp }));
    stream.send(await parent.page(10, 11, many('a', START + 60)));
    stream.end();
    (await parent.pause()).end();
    parent.issuer.at += 61;
    const next = (await parent.asked()).open();
    next.send(await parent.page(11, 12, many('b', LATER)));
    next.end();
    await parent.pause();
    expect(feed.state().entries).toBe(800);
  });

  test('refuses a token at a validator, by its name', async () => {
    const { feed, stream } = await listening();
    const { fetch, now } = parent.options;
    const validator = createTokenValidator({
      issuer: ISSUER,
      audience: 'vpn-node',
      revocations: feed,
      fetch,
      now,
    });
    const token = await vpnToken();
    expect(await validator.verify(token)).toMatchObject({ username: 'alice' });
    stream.send(await parent.page(10, 11, [{ sub: 'alice', before: START + 1, exp: LATER }]));
    stream.end();
    await parent.pause();
    await expect(validator.verify(token)).rejects.toMatchObject({
      code: 'ERR_GUARD_TOKEN_REVOKED',
      status: 401,
    });
  });
});

describe('a page is not believed', () => {
  const entry = { jti: 'jwt-1', exp: LATER };
  const changed = (claims: object) => (): Promise<string> => parent.page(10, 11, [entry], { claims });

  test.each([
    ['of another key', async () => parent.page(10, 11, [entry], { key: await makeKey('one', 'RS256') })],
    [
      'by another algorithm',
      async () => {
        const key = await makeKey('two', 'ES256');
        parent.issuer.published = [parent.issuer.key.publicJwk, key.publicJwk] as const;
        return parent.page(10, 11, [entry], { key });
      },
    ],
    ['that is an access token', () => parent.page(10, 11, [entry], { typ: 'at+jwt' })],
    ['of another issuer', changed({ iss: 'https://other.example' })],
    ['of another audience', changed({ aud: 'other' })],
    ['of yesterday', changed({ iat: START - 31 })],
    ['of tomorrow', changed({ iat: START + 31 })],
    ['without a time', changed({ iat: undefined })],
    ['after one that is missing', () => parent.page(11, 12, [entry])],
    ['before one that was read', () => parent.page(0, 12, [entry])],
    ['that ends before it begins', () => parent.page(10, 9, [entry])],
    ['without its end', changed({ to: '11' })],
    ['without a word of more', changed({ more: 'no' })],
    ['without entries', changed({ revoked: {} })],
    ['with an entry of a kind that nobody knows', changed({ revoked: [{ grant: 'x', exp: LATER }] })],
    ['with an entry without an end', changed({ revoked: [{ jti: 'jwt-1' }] })],
    ['with an entry of no time', changed({ revoked: [{ sub: 'alice', exp: LATER }] })],
    ['with a customer of no series', changed({ revoked: [{ customer: 'acme', exp: LATER }] })],
    ['with an entry that is none', changed({ revoked: [null] })],
    [
      'of another feed of the same audience',
      () => parent.page(10, 11, [entry], { typ: 'customer-revocations+jwt' }),
    ],
    ['that is no JWT', async () => 'x'],
  ])('%s', async (_, make) => {
    const { feed, stream } = await listening();
    stream.send(await make());
    expect(await parent.trouble()).not.toBe('');
    expect(feed.isRevoked(personClaims())).toBe(false);
    (await parent.pause()).end();
    const again = await parent.asked(); // by another stream, from where the last good page ended
    expect([again.isStream, again.since]).toEqual([true, 10]);
  });
});

describe('a follower', () => {
  test('asks by its token, and goes on from its cursor where a stream ends', async () => {
    const { stream } = await listening();
    stream.end();
    const pause = await parent.pause();
    expect(pause.ms).toBeLessThanOrEqual(1_000);
    pause.end();
    const again = await parent.asked();
    expect(again).toMatchObject({ since: 10, isStream: true, authorization: 'Bearer one' });
  });

  test('reads pages, each second, where no stream comes', async () => {
    const feed = follow();
    (await parent.asked()).answer(asPage('no stream'));
    expect(await parent.trouble()).toContain('text/event-stream was asked for');
    const first = await parent.asked();
    expect([first.isStream, first.since]).toEqual([false, 0]);
    first.answer(asPage(await parent.page(0, 4, [], { claims: { more: true } })));
    const second = await parent.asked(); // at once: there is more
    expect(second.since).toBe(4);
    second.answer(asPage(await parent.page(4, 5, [{ jti: 'jwt-1', exp: LATER }])));
    await feed.ready();
    expect(feed.isRevoked(personClaims())).toBe(true);
    const pause = await parent.pause();
    expect(pause.ms).toBeGreaterThanOrEqual(900);
    expect(pause.ms).toBeLessThanOrEqual(1_100);
    pause.end();
    expect(await parent.asked()).toMatchObject({ since: 5, isStream: false });
  });

  test('reads pages where a stream says nothing', async () => {
    follow();
    (await parent.asked()).open().raw(': nothing\n\n');
    expect(await parent.trouble()).toContain('said nothing');
    expect((await parent.asked()).isStream).toBe(false);
  });

  test.each([
    ['ends before it began', (stream: EventWriter) => stream.end()],
    ['has an event without an end', (stream: EventWriter) => stream.raw(`data: ${'x'.repeat(600_000)}`)],
  ])('reads pages where a stream %s', async (_, spoil) => {
    follow();
    spoil((await parent.asked()).open());
    await parent.trouble();
    expect((await parent.asked()).isStream).toBe(false);
  });

  test('gets another token where the server does not take the one that it has', async () => {
    const { stream } = await listening();
    stream.end();
    (await parent.pause()).end();
    (await parent.asked()).answer(new Response('', { status: 401 }));
    const again = await parent.asked();
    expect(again).toMatchObject({ isStream: true, authorization: 'Bearer two' });
  });

  test('tells of a token that is refused as it comes', async () => {
    follow();
    (await parent.asked()).answer(new Response('', { status: 401 }));
    expect(await parent.trouble()).toContain('401');
    expect(await parent.asked()).toMatchObject({ isStream: false, authorization: 'Bearer two' });
  });

  test('tells of a token that it cannot get, and waits longer each time', async () => {
    follow({ getToken: async () => Promise.reject(new Error('no token')) });
    const pauses: number[] = [];
    for (let count = 0; count < 7; count += 1) {
      expect([await parent.trouble(), await parent.trouble()]).toEqual([
        'Error: no token',
        'Error: no token',
      ]);
      const pause = await parent.pause();
      pauses.push(pause.ms);
      pause.end();
    }
    expect(pauses).toEqual([500, 1_000, 2_000, 4_000, 8_000, 10_000, 10_000]);
  });

  test('asks rarely where the server refuses the node, once each time, and is back at once', async () => {
    const refusal = new VpnClientError('ERR_VPN_NODE_REFUSED', 'no such node');
    let isRefused = true;
    const feed = follow({ getToken: async () => (isRefused ? Promise.reject(refusal) : 'good') });
    const pauses: number[] = [];
    for (let count = 0; count < 9; count += 1) {
      expect(await parent.trouble()).toBe('VpnClientError: no such node');
      const pause = await parent.pause();
      pauses.push(pause.ms);
      if (count === 8) isRefused = false;
      pause.end();
    }
    expect(pauses).toEqual([500, 1_000, 2_000, 4_000, 8_000, 16_000, 32_000, 60_000, 60_000]);
    (await parent.asked()).open().send(await parent.page(0, 1));
    await feed.ready();
  });

  test('asks as often as ever where it is the server that cannot answer', async () => {
    const away = new VpnClientError('ERR_VPN_UNAVAILABLE', 'away');
    follow({ getToken: async () => Promise.reject(away) });
    for (const ms of [500, 1_000, 2_000, 4_000, 8_000, 10_000]) {
      await parent.trouble();
      await parent.trouble();
      const pause = await parent.pause();
      expect(pause.ms).toBe(ms);
      pause.end();
    }
  });

  test('waits for a time that is not that of all others', async () => {
    follow({ random: () => 0 });
    (await parent.asked()).fail();
    (await parent.asked()).fail();
    expect((await parent.pause()).ms).toBe(250);
  });

  test('ends when it is closed, and lets go of its request', async () => {
    const feed = follow();
    const asked = await parent.asked();
    await feed.close();
    expect(asked.signal?.aborted).toBe(true);
  });

  test('can be waited for until a signal', async () => {
    const feed = follow();
    const reason = new Error('enough');
    const controller = new AbortController();
    const waiting = feed.ready(controller.signal);
    controller.abort(reason);
    await expect(waiting).rejects.toBe(reason);
    await expect(feed.ready(AbortSignal.abort(reason))).rejects.toBe(reason);
  });

  test.each([
    ['an address in the clear', { url: new URL('http://id.example.com/vpn/revocations') }],
    ['keys in the clear', { jwks: new URL('http://id.example.com/jwks') }],
    ['no minutes', { whenUnreachable: { allowMinutes: 0 } }],
    ['more minutes than a token has', { whenUnreachable: { allowMinutes: 1_441 } }],
    ['minutes that are none', { whenUnreachable: { allowMinutes: Number.NaN } }],
  ])('refuses %s', (_, changes) => {
    expect(() => followRevocations({ ...parent.options, ...changes })).toThrow(TypeError);
  });

  test('takes keys as they are', async () => {
    const { feed } = await listening([{ jti: 'jwt-1', exp: LATER }], {
      jwks: { keys: [{ kty: 'RSA', ...parent.issuer.key.publicJwk }] },
    });
    expect(feed.isRevoked(personClaims())).toBe(true);
  });
});

describe('while the feed cannot be reached', () => {
  const known = [{ jti: 'jwt-7', exp: START + 86_400 }];
  const lose = async (stream: EventWriter): Promise<void> => {
    stream.end();
    (await parent.pause()).end();
    (await parent.asked()).fail();
    (await parent.asked()).fail();
    await parent.pause();
  };
  const answers = (feed: FollowedRevocations): string => {
    try {
      return [personClaims(), personClaims({ jti: 'jwt-7' })].map((it) => String(feed.isRevoked(it))).join();
    } catch (error) {
      return String(error);
    }
  };

  test.each(['refuse', { allowMinutes: 10 }] as const)(
    'nothing is said before it was read: %j',
    async (policy) => {
      const feed = follow({ whenUnreachable: policy });
      expect(answers(feed)).toContain('was not read yet');
      const { fetch, now } = parent.options;
      const validator = createTokenValidator({
        issuer: ISSUER,
        audience: 'vpn-node',
        revocations: feed,
        fetch,
        now,
      });
      await expect(validator.verify(await vpnToken())).rejects.toMatchObject({
        ...{ code: 'ERR_GUARD_REVOCATIONS_UNAVAILABLE', status: 503 },
      });
    },
  );

  test('what is known counts for ten minutes, and then no token is let in', async () => {
    const { feed, stream } = await listening(known, { whenUnreachable: { allowMinutes: 10 } });
    await lose(stream);
    for (const seconds of [0, 15, 16, 10 * MINUTE]) {
      parent.issuer.at = START + seconds;
      expect(answers(feed)).toBe('false,true');
    }
    parent.issuer.at = START + 10 * MINUTE + 1;
    expect(answers(feed)).toContain('was last heard of 601 s ago');
    parent.issuer.at = START - 10 * MINUTE - 1; // a clock that is set back makes nothing longer
    expect(answers(feed)).toContain('was last heard of');
  });

  test('no token is let in once three beats are missing, where the node wants that', async () => {
    const { feed, stream } = await listening(known, { whenUnreachable: 'refuse' });
    await lose(stream);
    parent.issuer.at = START + 15;
    expect(answers(feed)).toBe('false,true');
    parent.issuer.at = START + 16;
    expect(answers(feed)).toContain('was last heard of 16 s ago');
  });

  test('fifteen minutes are allowed where nothing else was said', async () => {
    const { feed } = await listening(known);
    parent.issuer.at = START + 15 * MINUTE;
    expect(answers(feed)).toBe('false,true');
    parent.issuer.at += 1;
    expect(answers(feed)).toContain('was last heard of');
  });

  test('a node that begins in an outage lets in by its policy, from its beginning on', async () => {
    const [open_, closed] = [follow(), follow({ whenUnreachable: 'refuse' })];
    for (let count = 0; count < 4; count += 1) (await parent.asked()).fail();
    await Promise.all([parent.pause(), parent.pause()]);
    expect(answers(open_)).toBe('false,false');
    expect(answers(closed)).toContain('was not read yet');
    parent.issuer.at = START + 15 * MINUTE + 1;
    expect(answers(open_)).toContain('was not read yet');
  });

  test('it is over with the next page', async () => {
    const { feed, stream } = await listening(known, { whenUnreachable: 'refuse' });
    stream.end();
    parent.issuer.at = START + MINUTE;
    expect(answers(feed)).toContain('60 s ago');
    (await parent.pause()).end();
    const again = (await parent.asked()).open();
    again.send(await parent.page(10, 10));
    again.end();
    await parent.pause();
    expect(answers(feed)).toBe('false,true');
  });
});

describe('events', () => {
  const read = (...parts: readonly string[]): Promise<string[]> =>
    Array.fromAsync(readEvents(ReadableStream.from(parts.map((part) => new TextEncoder().encode(part)))));

  test.each([
    ['whole', ['data: a\n\ndata: b\n\n'], ['a', 'b']],
    ['in pieces', ['da', 'ta: a', '\n', '\nda', 'ta:b\n', '\n'], ['a', 'b']],
    ['by CRLF, in pieces', ['data: a\r', '\n\r', '\ndata: b\r\n\r\n'], ['a', 'b']],
    ['by CR', ['data: a\r\rdata: b\r\r', ': end\n'], ['a', 'b']],
    ['of several lines', ['data: a\ndata:  b\ndata\n\n'], ['a\n b\n']],
    ['among other fields and comments', [': hello\n\nid: 1\nevent: x\ndata: a\nretry: 5\n\n'], ['a']],
    ['without the last one, which has no end', ['data: a\n\ndata: b\n'], ['a']],
  ])('are read %s', async (_, parts, expected) => {
    expect(await read(...parts)).toEqual(expected);
  });
});
