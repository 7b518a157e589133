// TRUST_PROXY: a number of proxies, or their networks; what is refused, and what the settings file may hold.
import { describe, expect, test } from '@jest/globals';

import { PRODUCTION, STRONG, faultsOf, load } from './load.ts';

const trusted = (TRUST_PROXY: string): unknown =>
  load({ env: { ...STRONG, TRUST_PROXY } }).config.trustedProxies;

describe('TRUST_PROXY', () => {
  test('takes how many there are', () => {
    expect([trusted('0'), trusted('1'), trusted('10')]).toEqual([0, 1, 10]);
  });

  test('takes networks, separated by commas', () => {
    expect(trusted('loopback')).toEqual(['loopback']);
    expect(trusted('192.0.2.7')).toEqual(['192.0.2.7']);
    expect(trusted(' 10.0.0.0/8, private ,2001:db8::/32 ')).toEqual([
      '10.0.0.0/8',
      'private',
      '2001:db8::/32',
    ]);
  });

  test.each([
    '11',
    '-1',
    '1.5',
    'true',
    'localhost',
    '10.0.0.0/33',
    '10.0.0.0/8 loopback',
    '0.0.0.0/0',
    '::/0',
    '0.0.0.0/1,128.0.0.0/1',
    '::/1',
    ',',
  ])('refuses "%s" with a line that works', (TRUST_PROXY) => {
    expect(faultsOf({ env: { ...STRONG, TRUST_PROXY } })).toEqual([
      expect.stringMatching(
        /^TRUST_PROXY \[trust_proxy\] \(environment TRUST_PROXY\): found .*how many trusted proxies there are, from 0 to 10, or their networks.* Set TRUST_PROXY=1, for example\.$/,
      ),
    ]);
  });

  test('stands in the settings file as a number, a network or a list', () => {
    const fromFile = (yaml: string): unknown => load({ env: STRONG, yaml }).config.trustedProxies;
    expect(fromFile('trust_proxy: 2')).toBe(2);
    expect(fromFile('trust_proxy: loopback')).toEqual(['loopback']);
    expect(fromFile('trust_proxy: [loopback, 10.0.0.0/8]')).toEqual(['loopback', '10.0.0.0/8']);
    for (const yaml of [
      'trust_proxy: "1"',
      'trust_proxy: []',
      'trust_proxy: [1]',
      'trust_proxy: [0.0.0.0/0]',
    ]) {
      expect(faultsOf({ env: STRONG, yaml })).toEqual([expect.stringContaining('portcullis.yaml:1)')]);
    }
  });

  test('with networks production has nothing to warn of', () => {
    expect(load({ env: { ...PRODUCTION, TRUST_PROXY: 'private' } }).warnings).toEqual([]);
  });
});
