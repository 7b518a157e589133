/** Who is at the other end of a request that came through proxies, by the peer and X-Forwarded-For. */
import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';

import { createClientAddressOf } from '../../src/http/client-address.ts';
import type { TrustedProxies } from '../../src/http/client-address.ts';
import { isNetwork } from '../../src/networks.ts';

const addressOf = (trusted: TrustedProxies, peer: string, forwardedFor = ''): string =>
  createClientAddressOf(trusted)(peer, forwardedFor);

describe('behind a number of proxies', () => {
  test.each([
    [0, '', '192.0.2.9'],
    [0, '6.6.6.6', '192.0.2.9'],
    [1, '', '192.0.2.9'],
    [1, '203.0.113.9', '203.0.113.9'],
    [1, '6.6.6.6, 203.0.113.9', '203.0.113.9'],
    [2, '6.6.6.6, 203.0.113.9, 198.51.100.1', '203.0.113.9'],
    [2, '198.51.100.1', '198.51.100.1'],
    [1, 'unknown', '192.0.2.9'],
    [1, '6.6.6.6,', '192.0.2.9'],
  ])('%d, "%s" is %s', (hops, forwardedFor, expected) => {
    expect(addressOf(hops, '192.0.2.9', forwardedFor)).toBe(expected);
  });
});

describe('behind proxies of known networks', () => {
  const NETWORKS = ['10.0.0.0/8', '192.0.2.7', 'loopback', '2001:db8:1::/48'];

  test.each([
    ['a peer that is no proxy is the client, whatever it writes', '203.0.113.9', '6.6.6.6', '203.0.113.9'],
    ['a proxy that says nothing is the client', '10.1.2.3', '', '10.1.2.3'],
    ['the entry of the proxy is the client', '10.1.2.3', '6.6.6.6, 203.0.113.9', '203.0.113.9'],
    ['proxies in a row are passed', '127.0.0.1', '6.6.6.6, 203.0.113.9, 192.0.2.7, 10.9.9.9', '203.0.113.9'],
    [
      'a trusted address left of the client is not looked at',
      '10.1.2.3',
      '10.0.0.1, 203.0.113.9',
      '203.0.113.9',
    ],
    ['among proxies alone it is the furthest one', '10.1.2.3', '10.0.0.1, 10.0.0.2', '10.0.0.1'],
    ['a single address is no network', '192.0.2.8', '6.6.6.6', '192.0.2.8'],
    ['an IPv6 proxy', '2001:db8:1::7', '6.6.6.6, 2001:db8:2::9', '2001:db8:2::9'],
    ['the loopback of IPv6', '::1', '203.0.113.9', '203.0.113.9'],
    [
      'IPv4 within IPv6, as a socket for both gives it',
      '::ffff:10.1.2.3',
      '::ffff:203.0.113.9',
      '203.0.113.9',
    ],
    ['IPv4 within IPv6 of a stranger', '::ffff:203.0.113.9', '6.6.6.6', '203.0.113.9'],
    ['an address with its port', '10.1.2.3', '6.6.6.6, 203.0.113.9:51234', '203.0.113.9'],
    ['an IPv6 address with its port', '10.1.2.3', '6.6.6.6, [2001:db8:2::9]:51234', '2001:db8:2::9'],
    ['an IPv6 address with its zone', 'fe80::1%eth0', '6.6.6.6', 'fe80::1'],
    ['a word in the place of an address', '10.1.2.3', '203.0.113.9, unknown', '10.1.2.3'],
    ['markup', '10.1.2.3', '<script>alert(1)</script>', '10.1.2.3'],
    ['an address that is none', '10.1.2.3', '203.0.113.999', '10.1.2.3'],
    ['an empty entry', '10.1.2.3', '203.0.113.9, ', '10.1.2.3'],
  ])('%s', (_name, peer, forwardedFor, expected) => {
    expect(addressOf(NETWORKS, peer, forwardedFor)).toBe(expected);
  });

  test('nothing that a client writes changes what its proxy says of it', () => {
    const hostile = fc.array(
      fc.oneof(fc.string(), fc.ipV4(), fc.ipV6(), fc.constantFrom('10.0.0.1', '127.0.0.1', '::1', ',', ' ')),
    );
    fc.assert(
      fc.property(hostile, fc.constantFrom<TrustedProxies>(NETWORKS, 1), (written, trusted) => {
        const forwardedFor = [...written, '203.0.113.9'].join(', ');
        expect(addressOf(trusted, '10.1.2.3', forwardedFor)).toBe('203.0.113.9');
      }),
    );
  });
});

describe('a network', () => {
  test.each([
    ...['192.0.2.1', '192.0.2.0/24', '192.0.2.1/32', '10.0.0.0/8', '::1', '2001:db8::/32', '::1/128'],
    ...['loopback', 'private'],
  ])('is %s', (text) => {
    expect(isNetwork(text)).toBe(true);
  });

  test.each([
    ...['', ' ', 'true', 'localhost', '192.0.2', '192.0.2.1/33', '192.0.2.1/', '192.0.2.1/08', '::1/129'],
    ...['0.0.0.0/0', '::/0', '192.0.2.0/255.255.255.0', 'fe80::1%eth0', '10.0.0.0/8/8', 'constructor', '*'],
  ])('is not "%s"', (text) => {
    expect(isNetwork(text)).toBe(false);
  });

  test('the private ones are those of RFC 1918 and RFC 4193, and no others', () => {
    const isTrusted = (peer: string): boolean => addressOf(['private'], peer, '203.0.113.9') !== peer;
    for (const peer of ['10.255.0.1', '172.16.0.1', '172.31.255.255', '192.168.1.1', 'fd00::1']) {
      expect([peer, isTrusted(peer)]).toEqual([peer, true]);
    }
    for (const peer of [
      '11.0.0.1',
      '172.32.0.1',
      '192.169.0.1',
      '127.0.0.1',
      '::1',
      'fe80::1',
      '100.64.0.1',
    ]) {
      expect([peer, isTrusted(peer)]).toEqual([peer, false]);
    }
  });
});
