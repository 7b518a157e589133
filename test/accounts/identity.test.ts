/** What may be typed as a username, an address, a full name and a password: rules that hold for all inputs. */
import { describe, expect, test } from '@jest/globals';
import { readFileSync } from 'node:fs';

import fc from 'fast-check';

import { foldLogin, parseEmail, parseFullName, parseUsername } from '../../src/accounts/identity.ts';
import { judgePassword } from '../../src/accounts/password-policy.ts';
import { foldName } from '../../src/names.ts';

const RESERVED = ['portcullis', 'vpn-node', 'https://id.example.com'];
const person = { reserved: RESERVED, mayBeOfficial: false };
const username = (typed: string) => {
  const parsed = parseUsername(typed, person);
  return parsed.ok ? parsed.value : parsed.fault.code;
};
const anyText = fc.string({ unit: 'binary', maxLength: 80 });

describe('a username', () => {
  test.each([
    ['alice', 'alice'],
    ['ALICE', 'alice'],
    ['Ａｌｉｃｅ', 'alice'],
    ['a.b_c-1', 'a.b_c-1'],
    ['ab', 'ab'],
    ['a'.repeat(64), 'a'.repeat(64)],
  ])('%s is %s', (typed, expected) => expect(username(typed)).toBe(expected));

  test.each([
    '',
    'a',
    'a'.repeat(65),
    'alice@example.com',
    'alice bob',
    ' alice',
    '.alice',
    'alice-',
    'аlice', // begins with a Cyrillic letter
    'jürgen',
    'ali\u200Bce',
    'alice\n',
    'ﷺ',
    'a\0b',
  ])('is refused: %j', (typed) => expect(username(typed)).toBe('username_malformed'));

  test.each([
    'portcullis',
    'PortCullis',
    'p0rtcullis',
    'portcu11is',
    'port.cullis',
    'port-cullis',
    'vpn_node',
    'vpnnode',
    'vvpn-node'.slice(1),
    'admin',
    'Adm1n',
    'adrnin',
    'r00t',
    'supp0rt',
    'no-reply',
  ])('is refused as kept, or as what looks like it: %s', (typed) => {
    expect(username(typed)).toBe('username_reserved');
  });

  test('may be an official one where an administrator gives it, and never one of this server itself', () => {
    expect(parseUsername('admin', { reserved: RESERVED, mayBeOfficial: true })).toMatchObject({ ok: true });
    expect(parseUsername('p0rtcullis', { reserved: RESERVED, mayBeOfficial: true })).toMatchObject({
      ok: false,
    });
  });

  test('is what it is found by, whatever was typed, and typing it as it is kept changes nothing', () => {
    fc.assert(
      fc.property(anyText, (typed) => {
        const parsed = parseUsername(typed, person);
        if (!parsed.ok) return;
        expect(parsed.value).toMatch(/^[a-z0-9][a-z0-9._-]{0,62}[a-z0-9]$/);
        expect(foldName(parsed.value)).toBe(parsed.value);
        expect(foldLogin(typed)).toBe(parsed.value);
        expect(parseUsername(parsed.value, person)).toEqual(parsed);
      }),
      { numRuns: 2_000 },
    );
  });

  test('is one whatever its case and width', () => {
    const letters = fc.constantFrom(...'abcdefghjkmnpqrstuvwxyz0123456789'.split(''));
    fc.assert(
      fc.property(fc.array(fc.tuple(letters, fc.nat(2)), { minLength: 2, maxLength: 64 }), (spelt) => {
        const plain = spelt.map(([letter]) => letter).join('');
        const wide = (letter: string) => String.fromCodePoint((letter.codePointAt(0) ?? 0) + 0xfee0);
        const typed = spelt
          .map(([letter, how]) => (how === 0 ? letter : how === 1 ? letter.toUpperCase() : wide(letter)))
          .join('');
        expect(username(typed)).toBe(username(plain));
        expect(foldLogin(typed)).toBe(plain);
      }),
    );
  });
});

describe('an address', () => {
  test.each(['alice@example.com', 'a.b+tag@sub.example.co.uk', "o'neil@example.org", 'x@xn--mnchen-3ya.de'])(
    'is one: %s',
    (typed) => expect(parseEmail(typed)).toEqual({ ok: true, value: { email: typed, emailKey: typed } }),
  );

  test('keeps its spelling, and is found in any case', () => {
    expect(parseEmail('Alice@Example.COM')).toEqual({
      ok: true,
      value: { email: 'Alice@Example.COM', emailKey: 'alice@example.com' },
    });
  });

  test.each([
    '',
    'alice',
    '@example.com',
    'alice@',
    'alice@localhost',
    'alice@example.com,bob@example.com',
    'alice@example.com;bob@example.com',
    'alice@example.com\r\nBcc: bob@example.com',
    'alice@example.com\n',
    '"alice"@example.com',
    'Alice <alice@example.com>',
    'alice(comment)@example.com',
    'alice@@example.com',
    'alice@example..com',
    '.alice@example.com',
    'alice@-example.com',
    'alice@[127.0.0.1]',
    'alice @example.com',
    'älice@example.com',
    'alice@exämple.com',
    `${'a'.repeat(65)}@example.com`,
    `a@${'b'.repeat(60)}.${'c'.repeat(60)}.${'d'.repeat(60)}.${'e'.repeat(60)}.example.com`,
  ])('is refused: %j', (typed) => {
    expect(parseEmail(typed)).toMatchObject({ ok: false, fault: { path: 'email', code: 'email_malformed' } });
  });

  test('is plain ASCII without a line break, comma or second @, whatever was typed', () => {
    const likely = fc.tuple(anyText, fc.constantFrom('', '@'), anyText).map((parts) => parts.join(''));
    fc.assert(
      fc.property(fc.oneof(likely, fc.emailAddress()), (typed) => {
        const parsed = parseEmail(typed);
        if (!parsed.ok) return;
        expect(parsed.value.email).toMatch(/^[!-~]+$/);
        expect(parsed.value.email).not.toMatch(/[,;<>()"\s]|@.*@/);
        expect(foldLogin(typed)).toBe(parsed.value.emailKey);
      }),
    );
  });
});

describe('a full name', () => {
  test.each([
    ['Ada Lovelace', 'Ada Lovelace'],
    ['  Zoë 李 ', 'Zoë 李'],
    ['   ', null],
    [null, null],
  ])('%j is %j', (typed, value) => expect(parseFullName(typed)).toEqual({ ok: true, value }));

  test.each(['Ada\nLovelace', 'Ada\u202Eevil', 'a'.repeat(201), 'a'.repeat(10_000), 'Ada\0', '\uD800'])(
    'is refused: %j',
    (typed) => expect(parseFullName(typed)).toMatchObject({ ok: false, fault: { path: 'full_name' } }),
  );
});

describe('a password', () => {
  const context = { username: 'alice', email: 'a.lovelace@example.com', product: 'Castle Gate' };
  const judge = (password: string) => judgePassword(password, context);

  test.each([
    'Gr8!Wall',
    'correct horse battery stapler',
    'nur kleine buchstaben',
    'Über-7-Berge',
    'пароль из многих слов',
    '😀😃😄😁😆😅😂🤣☺️😊😇🙂🙃😉😌',
    'x'.repeat(3) + 'yzabcdefgh '.repeat(23).slice(0, 253),
  ])('is fine: %s', (password) => {
    expect(judge(password)).toBeNull();
  });

  test.each([
    ['Ab1!xyz', 'password_short'],
    ['', 'password_short'],
    ['Aé1!xyz'.normalize('NFD'), 'password_short'],
    ['q7'.repeat(128) + 'x', 'password_long'],
    ['Ab1!\uD800xyz', 'password_malformed'],
    ['alllowercase1!', 'password_simple'],
    ['ALLUPPERCASE1!', 'password_simple'],
    ['No-Digits-Here', 'password_simple'],
    ['NoSymbols12345', 'password_simple'],
    ['fourteen chars', 'password_simple'],
    ['P@ssw0rd', 'password_common'],
    ['Password1!', 'password_common'],
    ['Summer2026!', 'password_common'],
    ['Ｐ@ssw0rd', 'password_common'],
    ['CorrectHorseBatteryStaple', 'password_common'],
    ['qwertyuiopasdfghjkl', 'password_common'],
    ['aaaaaaaaaaaaaaaa', 'password_repetitive'],
    ['abcdef1abcdef1abcdef1', 'password_repetitive'],
    ['P@ssw0rdP@ssw0rd', 'password_repetitive'],
    ['Alice-77-xyz', 'password_personal'],
    ['my friend ALICE is here', 'password_personal'],
    ['xx A.Lovelace xx 77', 'password_personal'],
    ['a.lovelace@example.com', 'password_personal'],
    ['CastleGate!77', 'password_personal'],
    ['the castle gate is shut', 'password_personal'],
  ] as const)('%j is refused: %s', (password, fault) => {
    expect(judge(password)).toBe(fault);
  });

  test('may hold a name of three letters, and not be one', () => {
    const short = { username: 'bob', email: 'bob@example.com', product: 'Gate' };
    expect(judgePassword('Bobsleigh-77', short)).toBeNull();
  });

  test('is judged alike however it was composed, and needs no mixture from 15 characters on', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'grapheme', minLength: 4, maxLength: 280 }), (password) => {
        const fault = judge(password);
        expect(judge(password.normalize('NFD'))).toBe(fault);
        const length = Array.from(password.normalize('NFC')).length;
        expect(fault === 'password_short').toBe(length < 8);
        expect(fault === 'password_long').toBe(length > 256);
        if (length >= 15) expect(fault).not.toBe('password_simple');
      }),
    );
  });

  test('is compared with three thousand that would otherwise pass, and more', () => {
    const file = new URL('../../src/accounts/common-passwords.txt', import.meta.url);
    const lines = readFileSync(file, 'utf8').trimEnd().split('\n');
    const passing = lines.filter(
      (line) => line.length >= 15 || /(?=.*[a-z])(?=.*\d)(?=.*[^a-z0-9])/.test(line),
    );
    expect(new Set(passing).size).toBeGreaterThanOrEqual(3_000);
    expect(lines).toEqual([...new Set(lines.map((line) => line.normalize('NFKC').toLowerCase()))]);
    const refused = lines.map((line) => judge(line.replace(/[a-z]/, (letter) => letter.toUpperCase())));
    expect(new Set(refused)).toEqual(new Set(['password_common']));
  });
});
