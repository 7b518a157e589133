/** Encryption at rest: what opens what, and that a new SECRET_KEY takes over from the one before it. */
import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';

import { createSealer } from '../../src/keys/sealer.ts';

const OLD = 'the secret key of last year';
const NEW = 'the secret key of this year';

describe('sealing under one SECRET_KEY', () => {
  const sealer = createSealer(OLD);

  test('opens any text under its own context, and under no other', () => {
    const context = fc.string({ minLength: 1 });
    fc.assert(
      fc.property(fc.string(), context, context, (text, one, other) => {
        const sealed = sealer.seal(text, one);
        expect(sealer.open(sealed, one)).toBe(text);
        if (one !== other) expect(() => sealer.open(sealed, other)).toThrow();
      }),
    );
  });

  test('never gives the same text twice, and nothing of it in the clear', () => {
    const [one, other] = [sealer.seal('a plain text', 'row'), sealer.seal('a plain text', 'row')];
    expect(one).not.toBe(other);
    expect(Buffer.from(one.split('.')[2] ?? '', 'base64url').toString('latin1')).not.toContain('plain');
  });

  test.each([
    ['cut', (sealed: string) => sealed.slice(0, -2)],
    ['changed', (sealed: string) => sealed.replace(/.$/, (last) => (last === 'A' ? 'Q' : 'A'))],
    ['without its bytes', (sealed: string) => sealed.replace(/[^.]*$/, '')],
    ['of another format', (sealed: string) => sealed.replace('v2', 'v1')],
    ['of another key id', (sealed: string) => sealed.replace(/\.[^.]*\./, '.AAAAAA.')],
    ['without a key id', (sealed: string) => sealed.replace(/\.[^.]*\./, '.')],
    ['empty', () => ''],
  ])('does not open what is %s', (_name, change) => {
    expect(() => sealer.open(change(sealer.seal('text', 'row')), 'row')).toThrow();
  });
});

describe('sealing under a new SECRET_KEY beside the one before it', () => {
  const [before, both, after] = [createSealer(OLD), createSealer(NEW, OLD), createSealer(NEW)];

  test('opens what either sealed, and seals under the new one', () => {
    const [old, fresh] = [before.seal('old', 'row'), both.seal('fresh', 'row')];
    expect([both.open(old, 'row'), both.open(fresh, 'row')]).toEqual(['old', 'fresh']);
    expect(after.open(fresh, 'row')).toBe('fresh');
    expect(() => before.open(fresh, 'row')).toThrow('another SECRET_KEY');
    expect(() => after.open(old, 'row')).toThrow('another SECRET_KEY');
  });

  test('tells what needs the one before', () => {
    expect(both.needsPrevious(before.seal('x', 'row'))).toBe(true);
    expect(both.needsPrevious(both.seal('x', 'row'))).toBe(false);
    expect(both.needsPrevious(createSealer('a third one').seal('x', 'row'))).toBe(false);
    expect(after.needsPrevious(before.seal('x', 'row'))).toBe(false);
    expect(both.needsPrevious('nothing that was sealed')).toBe(false);
  });
});
