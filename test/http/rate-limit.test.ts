/** Rate limits over HTTP, on both stores: what is counted, for whom, what the answers say, and what is left alone. */
import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';

import { storeUnavailable } from '../../src/errors.ts';
import { networkOf } from '../../src/http/rate-limit.ts';
import { openStorage } from '../../src/storage/open.ts';
import type { CounterStore, Storage } from '../../src/storage/port.ts';
import { basic, createClient, form } from '../support/clients.ts';
import { describeOnBothStores, startTestServer, useTestServer } from '../support/server.ts';
import type { StoreKind, TestServer } from '../support/server.ts';
import { createVisitor } from '../support/visitor.ts';

const OPEN_FORMS = [
  '/account/sign-in',
  '/account/sign-in/',
  '/account/register',
  '/account/forgot',
  '/account/reset',
  '/account/verify',
  '/interaction/an-id/sign-in',
  '/interaction/an-id/register',
  '/device',
  '/device/',
];

let networks = 0;
/** An address that no other test comes from. */
const newIp = (): string => `198.51.${(networks += 1) >> 8}.${networks & 255}`;

/** Sends a form from an address, as the trusted proxy tells it. */
const postFrom = (server: TestServer, ip: string, path = '/account/sign-in', headers = {}, origin?: string) =>
  fetch((origin ?? server.origin) + path, {
    method: 'POST',
    redirect: 'manual',
    headers: { accept: 'text/html', 'x-forwarded-for': ip, ...headers },
    body: new URLSearchParams({ csrf: 'x', login: 'nobody', password: 'x' }),
  });

describe('whom an address stands for', () => {
  test.each([
    ['192.0.2.7', '192.0.2.7'],
    ['::ffff:192.0.2.7', '192.0.2.7'],
    ['::ffff:c000:207', '192.0.2.7'],
    ['0:0:0:0:0:ffff:c000:0207', '192.0.2.7'],
    ['2001:db8:1:2:3:4:5:6', '2001:db8:1:2::/64'],
    ['2001:DB8:1:2::', '2001:db8:1:2::/64'],
    ['2001:db8::1', '2001:db8:0:0::/64'],
    ['::1', '0:0:0:0::/64'],
    ['::192.0.2.7', '0:0:0:0::/64'],
    ['fe80::1%eth0', 'fe80:0:0:0::/64'],
    ['', 'unknown'],
    ['1.2.3', 'unknown'],
    ['[::1]', 'unknown'],
  ])('%s is %s', (ip, network) => {
    expect(networkOf(ip)).toBe(network);
  });

  test('all addresses of a /64 are one, and those of another are not', () => {
    const group = fc.integer({ min: 0, max: 0xffff });
    const half = fc.array(group, { minLength: 4, maxLength: 4 });
    const write = (groups: readonly number[]): string => groups.map((it) => it.toString(16)).join(':');
    fc.assert(
      fc.property(half, half, half, half, (prefix, other, one, two) => {
        const isMapped = (last: readonly number[]): boolean =>
          prefix.every((it) => it === 0) && last[0] === 0 && last[1] === 0xffff;
        fc.pre(!isMapped(one) && !isMapped(two));
        const network = networkOf(write([...prefix, ...one]));
        expect(networkOf(write([...prefix, ...two]))).toBe(network);
        fc.pre(write(prefix) !== write(other) && !other.every((it) => it === 0));
        expect(networkOf(write([...other, ...one]))).not.toBe(network);
      }),
    );
  });
});

describeOnBothStores('forms without a sign-in', (store) => {
  const server = useTestServer(store, { RATE_LIMIT_IP: '6', TRUST_PROXY: '1' });

  test('say how much is left, and are a page with Retry-After when nothing is', async () => {
    const ip = newIp();
    for (let left = 5; left >= 0; left -= 1) {
      const { status, headers } = await postFrom(server(), ip);
      expect(status).toBe(403); // no form of ours
      expect(headers.get('RateLimit-Policy')).toBe('"ip";q=6;w=3600');
      expect(headers.get('RateLimit')).toMatch(new RegExp(`^"ip";r=${left};t=(3600|359\\d)$`));
    }
    const refused = await postFrom(server(), ip, '/account/sign-in', { 'accept-language': 'de' });
    expect(refused.status).toBe(429);
    expect(refused.headers.get('RateLimit')).toMatch(/^"ip";r=0;t=/);
    const seconds = Number(refused.headers.get('Retry-After'));
    expect(seconds).toBeGreaterThan(3_500);
    expect(seconds).toBeLessThanOrEqual(3_600);
    expect(refused.headers.get('Content-Type')).toContain('text/html');
    expect(refused.headers.get('Cache-Control')).toBe('no-store');
    const html = await refused.text();
    expect(html).toContain('<html lang="de"');
    expect(html).toMatch(/mehr Anfragen, als erlaubt sind\. .* in (60|59) Minuten erneut/);
  });

  test('share one count, under every spelling of their paths, and are an OAuth error to a program', async () => {
    for (const path of OPEN_FORMS) {
      const ip = newIp();
      for (let sent = 0; sent < 6; sent += 1) await postFrom(server(), ip, OPEN_FORMS[sent]);
      const refused = await postFrom(server(), ip, path, { accept: '*/*' });
      expect([path, refused.status]).toEqual([path, 429]);
      expect(await refused.json()).toEqual({
        error: 'temporarily_unavailable',
        error_description: expect.stringMatching(/^Too many requests came from your network: try again in/),
      });
    }
  });

  test('are counted by all instances together, and anew when the window is over', async () => {
    const ip = newIp();
    const { origin } = await server().startInstance();
    for (let sent = 0; sent < 3; sent += 1) {
      expect((await postFrom(server(), ip)).status).toBe(403);
      expect((await postFrom(server(), ip, '/account/forgot', {}, origin)).status).toBe(403);
    }
    expect((await postFrom(server(), ip)).status).toBe(429);
    expect((await postFrom(server(), ip, '/account/sign-in', {}, origin)).status).toBe(429);
    server().advance(3_600);
    expect((await postFrom(server(), ip)).status).toBe(403);
  });

  test('are six, however many come at once', async () => {
    const ip = newIp();
    const answers = await Promise.all(Array.from({ length: 60 }, () => postFrom(server(), ip)));
    expect(answers.filter(({ status }) => status === 403)).toHaveLength(6);
    expect(answers.filter(({ status }) => status === 429)).toHaveLength(54);
  });

  test('are counted by the address that the trusted proxy tells, not by one that the client writes', async () => {
    const ip = newIp();
    for (let sent = 0; sent < 6; sent += 1) await postFrom(server(), `203.0.113.${sent}, ${ip}`);
    expect((await postFrom(server(), `203.0.113.9, ${ip}`)).status).toBe(429);
    expect((await postFrom(server(), `::ffff:${ip}`)).status).toBe(429);
    expect((await postFrom(server(), `${ip}, ${newIp()}`)).status).toBe(403);
  });

  test('are counted by /64 where they come by IPv6', async () => {
    for (let sent = 0; sent < 6; sent += 1) await postFrom(server(), `2001:db8:7:7:${sent}::${sent}`);
    expect((await postFrom(server(), '2001:db8:7:7:ffff::1')).status).toBe(429);
    expect((await postFrom(server(), '2001:db8:7:8::1')).status).toBe(403);
  });

  test('are told in the log once, and the pages stay open', async () => {
    const ip = newIp();
    for (let sent = 0; sent < 10; sent += 1) await postFrom(server(), ip);
    const lines = server()
      .logs()
      .split('\n')
      .filter((line) => line.includes('"rate_limited"') && line.includes(ip));
    expect(lines).toHaveLength(1);
    expect(JSON.parse(lines[0] ?? '')).toMatchObject({ event: 'rate_limited', policy: 'ip', ip });
    const headers = { 'x-forwarded-for': ip };
    const page = await server().request('/account', { headers });
    expect(page.status).toBe(200);
    expect(page.headers.has('RateLimit')).toBe(false);
  });
});

describeOnBothStores('what is not limited', (store) => {
  test('good requests for tokens, which ask the store for no count', async () => {
    const hits: string[] = [];
    const server = await startCounting(store, hits, {});
    try {
      const client = await createClient(server, 'read');
      const token = form({ grant_type: 'client_credentials', scope: 'read' }, basic(client));
      const answer = await server.request('/token', token);
      expect([answer.status, answer.headers.has('RateLimit')]).toEqual([200, false]);
      expect(hits).toEqual([]);
      await server.request('/account/forgot', form({ email: 'x' }));
      expect(hits).toEqual([expect.stringMatching(/^rate:ip:127\.0\.0\.1$/)]);
    } finally {
      await server.stop();
    }
  });

  test('anything where RATE_LIMITS is off', async () => {
    const server = await startTestServer(store, { RATE_LIMITS: 'off', RATE_LIMIT_IP: '1' });
    try {
      const visitor = createVisitor(server);
      const page = await visitor.open('/account');
      for (let sent = 0; sent < 3; sent += 1) {
        const answer = await visitor.send(page, { login: 'nobody', password: 'x' });
        expect([answer.status, answer.headers.has('RateLimit')]).toEqual([401, false]);
      }
    } finally {
      await server.stop();
    }
  });
});

describeOnBothStores('a store that cannot count', (store) => {
  test('is 503, neither a way around the limit nor a refusal', async () => {
    const server = await startCounting(store, [], {
      hit: () => Promise.reject(storeUnavailable(new Error('away'))),
    });
    try {
      for (const path of ['/account/sign-in', '/device']) {
        const answer = await postFrom(server, newIp(), path);
        expect([answer.status, answer.headers.get('Retry-After')]).toEqual([503, '2']);
        expect(await answer.text()).toContain('The server is busy');
      }
    } finally {
      await server.stop();
    }
  });
});

/** A server whose store tells which counters it counts, or counts otherwise. */
const startCounting = (
  store: StoreKind,
  hits: string[],
  counters: Partial<CounterStore>,
): Promise<TestServer> =>
  startTestServer(
    store,
    {},
    {
      open: async (url): Promise<Storage> => {
        const storage = await openStorage(url);
        const hit: CounterStore['hit'] = (key, ...window) => {
          hits.push(key);
          return storage.counters.hit(key, ...window);
        };
        return { ...storage, counters: { ...storage.counters, hit, ...counters } };
      },
    },
  );
