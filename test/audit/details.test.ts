/** What a record may hold, and the one text that its code is made of. */
import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';

import { canonical, createChain } from '../../src/audit/chain.ts';
import { toDetails } from '../../src/audit/details.ts';

describe('the canonical text', () => {
  test('is the same before and after a store kept the value as JSON', () => {
    fc.assert(
      fc.property(fc.jsonValue(), (value) => {
        const kept: unknown = JSON.parse(JSON.stringify(value));
        expect(canonical(kept)).toBe(canonical(value));
        expect(JSON.parse(canonical(value))).toEqual(kept);
      }),
    );
  });

  test('does not depend on the order in which members were set', () => {
    expect(canonical({ b: [1, { d: 2, c: 3 }], a: null })).toBe('{"a":null,"b":[1,{"c":3,"d":2}]}');
    expect(canonical({ a: null, b: [1, { c: 3, d: 2 }] })).toBe('{"a":null,"b":[1,{"c":3,"d":2}]}');
  });

  test('leaves out what JSON leaves out', () => {
    expect(canonical({ a: undefined, b: [undefined] })).toBe('{"b":[null]}');
  });
});

describe('the code of a record', () => {
  const record = { at: 1, actor: 'cli', action: 'a.b', target: null, ip: null, requestId: null, details: {} };

  test('is another under another SECRET_KEY, so nobody without it makes one', () => {
    const own = createChain('one').link(record, null);
    expect(createChain('one').isGenuine(own)).toBe(true);
    expect(createChain('two').isGenuine(own)).toBe(false);
  });

  test.each(['seq', 'at', 'actor', 'action', 'target', 'ip', 'requestId', 'details', 'previousHash'])(
    'covers %s',
    (member) => {
      const chain = createChain('one');
      const first = chain.link(record, null);
      expect(chain.isGenuine({ ...first, [member]: member === 'seq' || member === 'at' ? 9 : 'x' })).toBe(
        false,
      );
    },
  );
});

describe('the details of a record', () => {
  test.each([
    'password',
    'new_password',
    'password_hash',
    'passwordHash',
    'client_secret',
    'secret',
    'secrets',
    'access_token',
    'refresh_token',
    'client_assertion',
    'authorization',
    'cookie',
    'private_key',
    'd',
  ])('never hold a %s', (name) => {
    const text = JSON.stringify(
      toDetails({ before: { [name]: 'hidden' }, after: [{ [name]: { a: 'hidden' } }] }),
    );
    expect(text).not.toContain('hidden');
    expect(text).toContain('[secret]');
  });

  test('say that there is a password, and how a client authenticates', () => {
    const told = {
      has_password: true,
      token_endpoint_auth_method: 'client_secret_basic',
      client_secret: null,
    };
    expect(toDetails(told)).toEqual(told);
  });

  test('stay small, and can be compared where they were not', () => {
    const large = toDetails({ name: 'x'.repeat(100_000) });
    expect(large).toEqual({ name: { characters: 100_000, sha256: expect.any(String) } });
    const many = Object.fromEntries(Array.from({ length: 90 }, (_, n) => [`a${n}`, 'x'.repeat(900)]));
    expect(toDetails(many)).toEqual({ characters: expect.any(Number), sha256: expect.any(String) });
    fc.assert(
      fc.property(fc.dictionary(fc.string(), fc.jsonValue()), (details) => {
        expect(JSON.stringify(toDetails(details)).length).toBeLessThanOrEqual(16_384);
      }),
    );
  });

  test('take no member that would be a prototype', () => {
    const details = JSON.parse('{"__proto__": {"admin": true}, "a": 1}') as Record<string, unknown>;
    expect(toDetails(details)).toEqual({ a: 1 });
  });
});
