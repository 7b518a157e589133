/** The one way out: where it leads, and how much of the answer it reads. */
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import fc from 'fast-check';

import { createOutgoing, isPublicAddress } from '../src/outgoing.ts';
import { startReceiver, status } from './support/receiver.ts';
import type { Receiver } from './support/receiver.ts';

const NOT_PUBLIC = { ok: false, message: 'its address is not on the public internet' };

describe('an address', () => {
  test.each([
    ...['8.8.8.8', '1.1.1.1', '172.15.0.1', '172.32.0.1', '100.63.255.255', '100.128.0.1', '223.255.255.255'],
    ...['2606:4700:4700::1111', '2001:4860:4860::8888', '2a00:1450::1'],
  ])('%s is public', (address) => {
    expect(isPublicAddress(address)).toBe(true);
  });

  test.each([
    ...['0.0.0.0', '10.0.0.1', '100.64.0.1', '127.0.0.1', '127.255.255.254', '169.254.169.254', '172.16.0.1'],
    ...['172.31.255.255', '192.0.0.8', '192.0.2.1', '192.168.1.1', '198.18.0.1', '203.0.113.7', '224.0.0.1'],
    ...['240.0.0.1', '255.255.255.255', '::', '::1', '::ffff:8.8.8.8', '::ffff:127.0.0.1', '::7f00:1'],
    ...['64:ff9b::808:808', '64:ff9b:1::1', '100::1', '2001::1', '2001:db8::1', '2002:808:808::1', '3fff::1'],
    ...['fc00::1', 'fd12::1', 'fe80::1', 'fe80::1%lo', 'ff02::1', '5f00::1', 'localhost', '8.8.8', ''],
  ])('%s is not', (address) => {
    expect(isPublicAddress(address)).toBe(false);
  });

  test('of IPv4 within IPv6 is never public', () => {
    fc.assert(
      fc.property(fc.ipV4(), fc.constantFrom('::ffff:', '::', '64:ff9b::'), (address, prefix) => {
        expect(isPublicAddress(prefix + address)).toBe(false);
      }),
    );
  });
});

describe('in production', () => {
  const outgoing = createOutgoing({ isDevelopment: false });

  test.each([
    ...['https://localhost/', 'https://127.0.0.1/', 'https://[::1]/', 'https://[::ffff:127.0.0.1]/'],
    ...['https://0x7f.1/', 'https://2130706433/', 'https://169.254.169.254/latest', 'https://10.1.2.3:8443/'],
  ])('refuses %s by the address behind the name', async (url) => {
    expect(await outgoing({ method: 'GET', url })).toEqual(NOT_PUBLIC);
  });

  test.each(['http://example.com/', 'ftp://example.com/', 'file:///etc/passwd'])(
    'refuses %s',
    async (url) => {
      expect(await outgoing({ method: 'GET', url })).toEqual({
        ok: false,
        message: 'its address is not https',
      });
    },
  );

  test('refuses what is no URL', async () => {
    expect(await outgoing({ method: 'GET', url: 'nonsense' })).toMatchObject({ ok: false });
  });
});

describe('in development', () => {
  const outgoing = createOutgoing({ isDevelopment: true });
  let receiver: Receiver | null = null;
  beforeAll(async () => {
    receiver = await startReceiver();
  });
  afterAll(async () => {
    await receiver?.stop();
  });
  const at = (): Receiver => {
    if (receiver === null) throw new Error('the receiver is not started');
    return receiver;
  };

  test('reaches this machine, by name and by address, and gives the answer', async () => {
    at().answer = status(201, { 'x-one': 'two' }, 'hello');
    for (const url of [at().url, at().url.replace('127.0.0.1', 'localhost')]) {
      const answer = await outgoing({ method: 'POST', url, body: 'a=ü' });
      expect(answer).toMatchObject({ ok: true, status: 201, headers: { 'x-one': 'two' } });
      expect(answer.ok && answer.body.toString()).toBe('hello');
    }
    expect(at().received[0]?.body.get('a')).toBe('ü');
  });

  test('but no other network', async () => {
    for (const url of ['http://10.1.2.3/', 'http://169.254.169.254/', 'http://[fe80::1]/']) {
      expect(await outgoing({ method: 'GET', url })).toEqual(NOT_PUBLIC);
    }
  });

  test('does not follow a redirect', async () => {
    at().answer = status(302, { location: 'https://example.com/' });
    expect(await outgoing({ method: 'GET', url: at().url })).toEqual({
      ok: false,
      message: 'it answered 302, and redirects are not followed',
    });
  });

  test('reads 64 KiB and no more', async () => {
    at().answer = status(200, {}, 'x'.repeat(65_536));
    expect(await outgoing({ method: 'GET', url: at().url })).toMatchObject({ ok: true });
    at().answer = (response) => {
      const more = (): void => void response.write('x'.repeat(16_384), (error) => error ?? more());
      more();
    };
    expect(await outgoing({ method: 'GET', url: at().url })).toEqual({
      ok: false,
      message: 'its answer is larger than 64 KiB',
    });
  });

  test('waits 2.5 s for all of an answer', async () => {
    at().answer = (response) => {
      response.writeHead(200);
      const drip = setInterval(() => response.write('x'), 200);
      response.on('close', () => clearInterval(drip));
    };
    const startedAt = performance.now();
    expect(await outgoing({ method: 'GET', url: at().url })).toEqual({
      ok: false,
      message: 'it did not answer within 2.5 s',
    });
    expect(performance.now() - startedAt).toBeLessThan(10_000);
  });

  test('says that nobody answers', async () => {
    const gone = await startReceiver();
    await gone.stop();
    expect(await outgoing({ method: 'GET', url: gone.url })).toEqual({
      ok: false,
      message: 'it cannot be reached (ECONNREFUSED)',
    });
  });
});
