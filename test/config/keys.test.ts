/** The settings of signing keys: what they may be, and what they must be to each other. */
import { expect, test } from '@jest/globals';

import { STRONG, faultsOf, load } from './load.ts';

test('keys rotate by command only where the interval is 0, and a list stands in brackets or not', () => {
  const keysOf = (env: object) => load({ env: { ...STRONG, ...env } }).config.keys;
  expect(keysOf({ KEYS_ROTATION_INTERVAL: '0' }).rotateEverySeconds).toBeNull();
  expect(keysOf({ KEYS_ROTATION_INTERVAL: '1' }).rotateEverySeconds).toBe(86_400);
  for (const KEYS_ALGORITHMS of ['EdDSA,RS256,ES256,RS256', '[EdDSA, RS256, ES256]'])
    expect(keysOf({ KEYS_ALGORITHMS }).algorithms).toEqual(['EdDSA', 'RS256', 'ES256']);
  const yaml = 'keys:\n  algorithms: [RS256, ES256, EdDSA]\n  publish_ahead: 365\n';
  const { keys } = load({ env: STRONG, yaml }).config;
  expect(keys).toMatchObject({ publishAheadSeconds: 365, algorithms: ['RS256', 'ES256', 'EdDSA'] });
});

test('keys rotate every 90 days, an hour after they are published, unless something else is said', () => {
  const { keys, tokens } = load({ env: STRONG }).config;
  expect(tokens.jwksMaxAgeSeconds).toBe(300);
  expect(keys).toEqual({
    publishAheadSeconds: 3_600,
    rotateEverySeconds: 90 * 86_400,
    algorithms: ['RS256', 'ES256'],
  });
});

test.each([
  ['KEYS_DIR', ['a\u0000b'], 'the path of a folder'],
  ['JWKS_MAX_AGE', ['29', '86401'], 'a whole number of seconds from 30 to 86400'],
  ['KEYS_PUBLISH_AHEAD', ['94', '604801'], 'a whole number of seconds from 95 to 604800'],
  ['KEYS_PUBLISH_AHEAD', ['364'], 'at least JWKS_MAX_AGE, which is 300, and 65 more'],
  ['KEYS_ROTATION_INTERVAL', ['-1', '3651', '90d'], 'a whole number of days from 0 to 3650'],
  ['KEYS_ALGORITHMS', ['RS256', 'ES256,EdDSA', 'RS256,ES256,HS256', 'none'], 'RS256 and ES256, and EdDSA'],
] as const)('%s refuses %j, with a value that works', (variable, values, expected) => {
  for (const value of values) {
    const [fault = '', ...others] = faultsOf({ env: { ...STRONG, [variable]: value } });
    expect(others).toEqual([]);
    expect(fault).toContain(`${variable} [`);
    expect(fault).toContain(expected);
    const [, remedy = ''] = /Set \w+=(\[.*\]|\S+), for example/.exec(fault) ?? [];
    expect(faultsOf({ env: { ...STRONG, [variable]: remedy } })).toEqual([]);
  }
});

test('a JWKS that is kept for longer than a key is published ahead is told with what mends it', () => {
  const [fault = '', ...others] = faultsOf({ env: { ...STRONG, JWKS_MAX_AGE: '7200' } });
  expect(others).toEqual([]);
  expect(fault).toMatch(/KEYS_PUBLISH_AHEAD .*found 3600.*Set KEYS_PUBLISH_AHEAD=7265/);
  expect(faultsOf({ env: { ...STRONG, JWKS_MAX_AGE: '7200', KEYS_PUBLISH_AHEAD: '7265' } })).toEqual([]);
});
