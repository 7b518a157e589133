/** `portcullis customer-token`: every option, the samples, the files, and each refusal, with no server and no store. */
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { decodeJwt, decodeProtectedHeader, jwtVerify } from 'jose';
import { createPublicKey, generateKeyPairSync } from 'node:crypto';
import { chmodSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { damagedPem } from '../keys/strange.ts';
import { documentOf, portcullis } from './run.ts';
import type { Ran } from './run.ts';

interface Made {
  readonly token: string;
  readonly payload: Readonly<Record<string, unknown>>;
  readonly file: string | null;
}

describe('customer-token', () => {
  let cwd: string;
  const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'prime256v1' });
  const pem = privateKey.export({ format: 'pem', type: 'pkcs8' }).toString();

  beforeAll(() => {
    cwd = mkdtempSync(join(tmpdir(), 'portcullis-customers-'));
    writeFileSync(join(cwd, 'private-key.pem'), pem, { mode: 0o600 });
  });
  afterAll(() => rmSync(cwd, { recursive: true, force: true }));

  const run = (...options: readonly string[]): Promise<Ran> =>
    portcullis(['customer-token', ...options], { cwd });
  const made = async (...options: readonly string[]): Promise<readonly Made[]> => {
    const ran = await run(...options, '--json');
    expect([ran.code, ran.err]).toEqual([0, '']);
    return documentOf(ran)['tokens'] as readonly Made[]; // read by single members
  };
  const refused = async (...options: readonly string[]): Promise<string> => {
    const ran = await run('--username', 'acme', ...options);
    expect([ran.code, ran.out]).toEqual([2, '']);
    const json = await run('--username', 'acme', ...options, '--json');
    expect([json.code, documentOf(json)['error']]).toEqual([
      2,
      expect.objectContaining({ code: 'wrong_usage' }),
    ]);
    return ran.err;
  };

  test('makes three samples without a name, which its key verifies', async () => {
    const samples = await made();
    expect(samples.map(({ payload }) => payload['customer_type'])).toEqual(['premium', 'standard', 'free']);
    for (const { token, payload } of samples) {
      const checks = { issuer: 'https://petstore.automatic-demo.com', audience: 'petstore' };
      const verified = await jwtVerify(token, createPublicKey(pem), { ...checks, algorithms: ['ES256'] });
      expect(verified.payload).toEqual(payload);
      expect(decodeProtectedHeader(token).kid).toBe('petstore-ec256');
    }
  });

  test('prints each token and what is in it', async () => {
    const { out, code } = await run('--username', 'acme', '--customer-type', 'standard');
    expect(code).toBe(0);
    const [token = ''] = /eyJ\S+/.exec(out) ?? [];
    expect(out).toContain(JSON.stringify(decodeJwt(token), null, 2));
    expect(out).toMatch(/^acme \(standard\)\n/);
  });

  test('takes every option', async () => {
    writeFileSync(join(cwd, 'other.pem'), pem, { mode: 0o600 });
    const [one] = await made(
      ...[
        '--key-path',
        'other.pem',
        '--issuer',
        'https://id.example',
        '--audience',
        'pets',
        '--key-id',
        'k2',
      ],
      ...['--username', 'acme', '--customer-type', 'premium', '--email', 'a@acme.example'],
      ...['--company', 'Acme Ü', '--subscription-tier', 'gold', '--expiration', '60'],
      ...['--additional-metadata', '{"region":"eu","rate_limit":5}'],
    );
    expect(one?.payload).toMatchObject({
      ...{ iss: 'https://id.example', aud: 'pets', sub: 'acme', customer_type: 'premium' },
      exp: Number(one?.payload['iat']) + 60,
      customer: {
        ...{ username: 'acme', customer_type: 'premium', email: 'a@acme.example', company: 'Acme Ü' },
        ...{ subscription_tier: 'gold', rate_limit: 5, api_access_level: 'full', region: 'eu' },
      },
    });
    expect(decodeProtectedHeader(one?.token ?? '').kid).toBe('k2');
  });

  test('writes each token to a new file that nobody else reads, and makes the folder', async () => {
    const samples = await made('--output-dir', 'a/b');
    const folder = join(cwd, 'a/b');
    expect(readdirSync(folder)).toHaveLength(3);
    expect(statSync(folder).mode & 0o777).toBe(0o700);
    for (const { token, file, payload } of samples) {
      expect(readFileSync(file ?? '', 'utf8')).toBe(`${token}\n`);
      expect(statSync(file ?? '').mode & 0o777).toBe(0o600);
      expect(file).toMatch(/\/a\/b\/(premium|standard|free)_user_\1_\d{8}T\d{6}Z\.jwt$/);
      expect(file).toContain(String(payload['customer_type']));
    }
    const told = await run('--username', 'acme', '--output-dir', 'c');
    expect(told.out).toMatch(/^acme \(free\)\nSaved to .*\/c\/acme_free_\d{8}T\d{6}Z\.jwt \(mode 0600\)/);
    expect(told.out).not.toContain('eyJ');
  });

  test('overwrites nothing: where one file is there already, none is written', async () => {
    const first = await made('--username', 'acme', '--output-dir', 'd');
    const name = first[0]?.file ?? '';
    const text = readFileSync(name, 'utf8');
    const [start = ''] = name.split(/\d{8}T/);
    const at = Date.parse(
      String(name.split(start)[1]).replace(/^(\d{4})(\d\d)(\d\dT\d\d)(\d\d)(\d\dZ).*/, '$1-$2-$3:$4:$5'),
    );
    for (const second of [0, 1, 2, 3, 4, 5]) {
      const later = new Date(at + second * 1_000).toISOString().replaceAll(/[-:]|\.\d+/g, '');
      writeFileSync(`${start}${later}.jwt`, text);
    }
    const ran = await run('--username', 'acme', '--output-dir', 'd');
    expect([ran.code, ran.out]).toEqual([1, '']);
    expect(ran.err).toContain('has a token of this second already, which was left as it is: try again');
    expect(readFileSync(name, 'utf8')).toBe(text);
  });

  test('says where it cannot write, and leaves no token behind', async () => {
    const file = await run('--output-dir', 'private-key.pem');
    expect([file.code, file.out]).toEqual([1, '']);
    expect(file.err).toContain('private-key.pem is a file: give --output-dir a folder');
    const below = await run('--output-dir', 'private-key.pem/x');
    expect([below.code, below.err]).toEqual([1, expect.stringContaining('cannot be written (ENOTDIR)')]);
  });

  test('warns of a key that others may read', async () => {
    writeFileSync(join(cwd, 'open.pem'), pem);
    chmodSync(join(cwd, 'open.pem'), 0o644);
    const { code, err } = await run('--key-path', 'open.pem');
    expect([code, err]).toEqual([0, 'open.pem can be read or changed by others: chmod 600 open.pem\n']);
  });

  test('warns of a token that gateways may not take', async () => {
    const { code, err } = await run(
      '--username',
      'a',
      '--additional-metadata',
      JSON.stringify({ x: 'x'.repeat(5_000) }),
    );
    expect([code, err]).toEqual([
      0,
      expect.stringMatching(/^The token of a has [67]\d\d\d bytes: many gateways/),
    ]);
  });

  test.each([
    [
      'a key that is not there',
      ['--key-path', 'none.pem'],
      /none\.pem cannot be read \(there is no such file\).*openssl.* -out none\.pem\n/,
    ],
    ['a folder for a key', ['--key-path', '.'], /is no key: it is a folder\..*openssl.* -out NEW\.pem\n/],
    ['an empty issuer', ['--issuer', ''], /--issuer <issuer>' argument '' is invalid\. Expected a text/],
    ['an empty audience', ['--audience', ' '], /--audience <audience>' argument ' ' is invalid/],
    ['an empty name of the key', ['--key-id', ''], /--key-id <kid>' argument '' is invalid/],
    ['an empty path of the key', ['--key-path', ''], /--key-path <file>' argument '' is invalid/],
    ['an unknown type', ['--customer-type', 'gold'], /found "gold"; expected one of premium, standard, free/],
    [
      'bad JSON',
      ['--additional-metadata', '{region'],
      /found no JSON \(.*\); expected an object.*'\{"region":"eu"\}'/,
    ],
    [
      'JSON that is no object',
      ['--additional-metadata', '[1]'],
      /--additional-metadata: expected a JSON object/,
    ],
    [
      'a reserved name',
      ['--additional-metadata', '{"email":1}'],
      /--additional-metadata email: this is a field/,
    ],
    [
      'a hostile name',
      ['--additional-metadata', '{"__proto__":1}'],
      /"__proto__" is no name that metadata can have/,
    ],
    [
      'a bad address',
      ['--email', 'x'],
      /--email: expected an email address, such as ada@example\.com, found "x"/,
    ],
    [
      'a bad company',
      ['--company', 'a\nb'],
      /--company: expected 1 to 200 characters on one line, found "a\?b"/,
    ],
    ['a bad tier', ['--subscription-tier', ''], /--subscription-tier: expected/],
    ['a life that is none', ['--expiration', '0'], /Expected a whole number from 1 to/],
    [
      'a name that is a path',
      ['--username', '../x'],
      /--username: expected 1 to 64 letters.*found "\.\.\/x"/,
    ],
  ])('refuses %s with what was found and what was expected', async (_name, options, sentence) => {
    expect(await refused(...options)).toMatch(sentence);
  });

  test.each([
    ['a JWK', () => JSON.stringify(privateKey.export({ format: 'jwk' })), /found a JSON Web Key/],
    [
      'a public key',
      () => createPublicKey(pem).export({ format: 'pem', type: 'spki' }).toString(),
      /found a public key, .* Name the file of its private key, or make .* -pkeyopt ec_paramgen_curve:P-256 -out NEW\.pem$/m,
    ],
    ['a text', () => 'hello', /found no PEM/],
    [
      'a file with two keys',
      () => pem + pem,
      /found more than one private key; .* Name a file with one, or make .* -out NEW\.pem$/m,
    ],
    [
      'a key under a passphrase',
      () =>
        privateKey
          .export({ format: 'pem', type: 'pkcs8', cipher: 'aes-256-cbc', passphrase: 'x' })
          .toString(),
      /found a private key under a passphrase; .*: openssl pkey -in FILE -out NEW\.pem$/m,
    ],
    ['a damaged key', () => damagedPem('ec'), /bad\.pem: found a damaged key/],
    [
      'an RSA key',
      () =>
        generateKeyPairSync('rsa', { modulusLength: 2_048 })
          .privateKey.export({ format: 'pem', type: 'pkcs8' })
          .toString(),
      /found an RSA key/,
    ],
    ['a file that is too large', () => 'x'.repeat(70_000), /is larger than 64 KiB/],
  ])(
    'refuses %s in the key’s place, and advises nothing that would overwrite it',
    async (_name, text, sentence) => {
      writeFileSync(join(cwd, 'bad.pem'), text());
      const told = await refused('--key-path', 'bad.pem');
      expect(told).toMatch(sentence);
      expect(told).toMatch(/ -out NEW\.pem$/m);
      expect(told).not.toMatch(/-out (?!NEW\.pem)/);
    },
  );

  test('refuses what is said of a customer that is not named', async () => {
    const { code, err } = await run('--company', 'Acme');
    expect([code, err]).toEqual([
      2,
      expect.stringContaining('--company is said of a customer: add --username'),
    ]);
  });

  test('has an example in its help', async () => {
    expect((await run('--help')).out).toContain('Example:\n  portcullis customer-token --username acme');
  });
});
