/** `portcullis/customers`: what is a customer, what its token says, which keys sign, and every refusal. */
import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { decodeJwt, decodeProtectedHeader, SignJWT } from 'jose';
import { generateKeyPairSync } from 'node:crypto';
import type { KeyObject } from 'node:crypto';

import {
  Customer,
  CustomerError,
  CustomerType,
  DEFAULT_TIERS,
  isCustomerError,
  TokenGenerator,
} from '../../src/sdk/customers/customers.ts';
import { damagedPem } from '../keys/strange.ts';
import type { CustomerFields, TokenGeneratorOptions } from '../../src/sdk/customers/customers.ts';

const NOW = 1_800_000_000;
const pemOf = (key: KeyObject): string => key.export({ format: 'pem', type: 'pkcs8' }).toString();
const newKey = () => generateKeyPairSync('ec', { namedCurve: 'prime256v1' });
const { privateKey: KEY, publicKey: PUBLIC } = newKey();
const PEM = pemOf(KEY);

const create = (options: Partial<TokenGeneratorOptions> = {}): TokenGenerator =>
  new TokenGenerator({ privateKey: PEM, now: () => NOW, ...options });
const ACME = { username: 'acme', customerType: CustomerType.PREMIUM };
const tokenOf = async (fields: CustomerFields, options?: Partial<TokenGeneratorOptions>): Promise<string> => {
  const generator = create(options);
  generator.addCustomer(fields);
  return generator.generateToken(fields.username);
};
const faultsOf = (fields: object): readonly string[] => {
  try {
    return new Customer({ ...ACME, ...fields }).username === '' ? ['username'] : [];
  } catch (error) {
    if (!isCustomerError(error, 'ERR_CUSTOMER_INVALID')) throw error;
    return error.faults.map(({ path }) => path);
  }
};

describe('a token', () => {
  test('says what the contract says of it, without what the customer has not', async () => {
    const token = await tokenOf({ ...ACME, company: 'Acme', subscriptionTier: 'gold' });
    expect(decodeProtectedHeader(token)).toEqual({ alg: 'ES256', typ: 'JWT', kid: 'petstore-ec256' });
    expect(decodeJwt(token)).toEqual({
      ...{ iss: 'https://petstore.automatic-demo.com', aud: 'petstore', sub: 'acme' },
      ...{ iat: NOW, exp: NOW + 3_600, jti: expect.stringMatching(/^[\da-f-]{36}$/) },
      ...{ username: 'acme', customer_type: 'premium' },
      customer: {
        ...{ username: 'acme', customer_type: 'premium', company: 'Acme', subscription_tier: 'gold' },
        ...{ rate_limit: 1_000, api_access_level: 'full' },
      },
    });
  });

  test('has the entitlements of its customer’s type, unless the metadata says otherwise', async () => {
    for (const [customerType, { rateLimit, apiAccessLevel }] of Object.entries(DEFAULT_TIERS)) {
      const entitled = { rate_limit: rateLimit, api_access_level: apiAccessLevel };
      expect(decodeJwt(await tokenOf({ username: 'x', customerType }))['customer']).toMatchObject(entitled);
    }
    const additionalMetadata = { rate_limit: 0, api_access_level: 'none' };
    expect(decodeJwt(await tokenOf({ ...ACME, additionalMetadata }))['customer']).toMatchObject(
      additionalMetadata,
    );
    const tiers = { trial: { rateLimit: 5, apiAccessLevel: 'look' } };
    const trial = decodeJwt(await tokenOf({ username: 'x', customerType: 'trial' }, { tiers }));
    expect(trial['customer']).toMatchObject({ rate_limit: 5 });
    await expect(tokenOf(ACME, { tiers })).rejects.toMatchObject({ code: 'ERR_CUSTOMER_INVALID' });
  });

  test('has the issuer, audience, kid and life that are asked for, and a jti of its own', async () => {
    const generator = create({ issuer: 'https://id.example', audience: 'pets', keyId: 'k2' });
    generator.addCustomer(ACME);
    const one = await generator.generateToken('acme', { expiresIn: 60 });
    const two = await generator.generateToken('acme', { expiresIn: 60 });
    expect(decodeJwt(one)).toMatchObject({ iss: 'https://id.example', aud: 'pets', exp: NOW + 60 });
    expect(decodeProtectedHeader(one).kid).toBe('k2');
    expect(decodeJwt(one).jti).not.toBe(decodeJwt(two).jti);
    for (const expiresIn of [0, -1, 1.5, Number.NaN, Infinity])
      await expect(generator.generateToken('acme', { expiresIn })).rejects.toThrow(TypeError);
  });

  test('is made for a customer that was added, as it was added last', async () => {
    const generator = create();
    await expect(generator.generateToken('acme')).rejects.toMatchObject({ code: 'ERR_CUSTOMER_UNKNOWN' });
    generator.addCustomer(ACME);
    generator.addCustomer({ ...ACME, customerType: CustomerType.FREE });
    expect(decodeJwt(await generator.generateToken('acme'))['customer_type']).toBe('free');
  });

  test('has at most 4 KiB, or what the gateway takes, and its size is told', async () => {
    const additionalMetadata = { note: 'x'.repeat(3_000) };
    const refusal = tokenOf({ ...ACME, additionalMetadata });
    await expect(refusal).rejects.toMatchObject({ code: 'ERR_CUSTOMER_TOKEN_TOO_LARGE' });
    const message = await refusal.catch((error: unknown) => (error as Error).message);
    const [, told] = /would have (\d+) bytes, and may have 4096/.exec(message) ?? [];
    const token = await tokenOf({ ...ACME, additionalMetadata }, { maxTokenBytes: Number(told) });
    expect(token.length).toBe(Number(told));
  });
});

describe('validateToken', () => {
  test('gives what a token says, and refuses what is none of this key, issuer and audience', async () => {
    const generator = create();
    generator.addCustomer(ACME);
    const token = await generator.generateToken('acme');
    expect(await generator.validateToken(token)).toEqual(decodeJwt(token));
    const other = { code: 'ERR_CUSTOMER_TOKEN_INVALID' };
    const claims = { ...decodeJwt(token) };
    const sign = (payload: object, header: object = {}, key = KEY): Promise<string> =>
      new SignJWT({ ...payload }).setProtectedHeader({ alg: 'ES256', typ: 'JWT', ...header }).sign(key);
    const bad = [
      tokenOf(ACME, { issuer: 'https://other.example' }),
      tokenOf(ACME, { audience: 'other' }),
      tokenOf(ACME, { privateKey: pemOf(newKey().privateKey) }),
      sign({ ...claims, exp: undefined }),
      sign({ ...claims, customer: undefined }),
      sign(claims, { typ: 'at+jwt' }),
      Promise.resolve('a.b.c'),
      Promise.resolve(`${token.slice(0, -4)}AAAA`),
    ];
    for (const made of bad) await expect(generator.validateToken(await made)).rejects.toMatchObject(other);
    await expect(generator.validateToken(await sign(claims))).resolves.toBeDefined();
  });

  test('says of one that has expired that it has', async () => {
    const token = await tokenOf(ACME);
    const later = create({ now: () => NOW + 3_600 });
    await expect(later.validateToken(token)).rejects.toMatchObject({ code: 'ERR_CUSTOMER_TOKEN_EXPIRED' });
  });
});

describe('a key', () => {
  test('is a P-256 private key, in PKCS #8 or SEC 1', () => {
    expect(create()).toBeInstanceOf(TokenGenerator);
    const privateKey = KEY.export({ format: 'pem', type: 'sec1' }).toString();
    expect(create({ privateKey })).toBeInstanceOf(TokenGenerator);
  });

  const rsa = generateKeyPairSync('rsa', { modulusLength: 2_048 });
  const p384 = generateKeyPairSync('ec', { namedCurve: 'secp384r1' });
  const encrypted = { format: 'pem', type: 'pkcs8', cipher: 'aes-256-cbc', passphrase: 'x' } as const;
  test.each([
    ['nothing', ' \n', 'found nothing'],
    ['some text', 'hello', 'found no PEM'],
    ['a JWK', JSON.stringify(KEY.export({ format: 'jwk' })), 'found a JSON Web Key'],
    ['a public key', PUBLIC.export({ format: 'pem', type: 'spki' }).toString(), 'found a public key'],
    ['an RSA key', pemOf(rsa.privateKey), 'found an RSA key'],
    ['a key of another curve', pemOf(p384.privateKey), 'found an EC key on the curve secp384r1'],
    ['an Ed25519 key', pemOf(generateKeyPairSync('ed25519').privateKey), 'found a key of type ed25519'],
    ['an encrypted key', KEY.export(encrypted).toString(), 'found a private key under a passphrase'],
    ['two keys', PEM + PEM, 'found more than one private key'],
    ['a key of OpenSSH', '-----BEGIN OPENSSH PRIVATE KEY-----\nAA\n', 'found a private key of OpenSSH'],
    ['a certificate', '-----BEGIN CERTIFICATE-----\nAA\n', 'found a certificate'],
    ['a key with the point of another', damagedPem('ec'), 'found a damaged key, whose public part'],
    ['a damaged PEM', PEM.replace(/\n[^-]{9}/, '\n'), 'found a PEM that is damaged'],
  ])('is not %s, and the way to a right one is told', (_name, privateKey, found) => {
    const expected =
      /expected an EC private key on the curve P-256.*(openssl genpkey -algorithm EC .* -out NEW\.pem|openssl pkey -in FILE -out NEW\.pem)$/;
    expect(() => create({ privateKey })).toThrow(CustomerError);
    expect(() => create({ privateKey })).toThrow(found);
    expect(() => create({ privateKey })).toThrow(expected);
  });
});

describe('a customer', () => {
  test('refuses each field that is wrong, all at once', () => {
    expect(faultsOf({ username: '../x', customerType: 'Gold!', email: 'a@', company: 'a\nb' })).toEqual([
      ...['username', 'customerType', 'email', 'company'],
    ]);
    expect(faultsOf({ username: 5, email: {}, subscriptionTier: '' })).toEqual([
      ...['username', 'email', 'subscriptionTier'],
    ]);
    for (const username of ['.', '..', '', 'a'.repeat(65), 'a b', 'ä'])
      expect([username, faultsOf({ username })]).toEqual([username, ['username']]);
    for (const email of ['a@b', 'a.b+c@example.co.uk', 'ä@b.example', undefined])
      expect([email, faultsOf({ email })]).toEqual([email, []]);
  });

  test('takes only JSON as metadata, and nothing that sets a claim of its own', () => {
    const path = 'additionalMetadata';
    for (const metadata of [null, 5, 'x', [], new Date(0), new Map(), () => 1]) {
      expect(faultsOf({ additionalMetadata: metadata })).toEqual([path]);
    }
    for (const value of [undefined, Number.NaN, Infinity, 1n, Symbol('x'), () => 1, new Date(0), new Map()]) {
      expect(faultsOf({ additionalMetadata: { a: value } })).toEqual([`${path}.a`]);
      expect(faultsOf({ additionalMetadata: { a: [{}, { b: value }] } })).toEqual([`${path}.a[1].b`]);
    }
    const reserved = { username: 1, customer_type: 1, email: 1, company: 1, subscription_tier: 1 };
    expect(faultsOf({ additionalMetadata: reserved })).toEqual(
      Object.keys(reserved).map((name) => `${path}.${name}`),
    );
    expect(faultsOf({ additionalMetadata: { rate_limit: -1, api_access_level: '' } })).toEqual([
      ...[`${path}.rate_limit`, `${path}.api_access_level`],
    ]);
    expect(faultsOf({ additionalMetadata: Object.assign(Object.create(null) as object, { a: 1 }) })).toEqual(
      [],
    );
  });

  test('refuses names that would replace an object’s own methods, depth and size beyond the bounds', () => {
    for (const name of ['__proto__', 'constructor', 'prototype']) {
      const text = `{"a":[{"${name}":{"polluted":true}}]}`;
      expect(faultsOf({ additionalMetadata: JSON.parse(text) as object })).toEqual([
        'additionalMetadata.a[0]',
      ]);
    }
    const deep = (levels: number) => JSON.parse(`${'{"a":'.repeat(levels)}1${'}'.repeat(levels)}`) as object;
    expect(faultsOf({ additionalMetadata: deep(16) })).toEqual([]);
    expect(faultsOf({ additionalMetadata: deep(17) })).toEqual(['additionalMetadata']);
    expect(faultsOf({ additionalMetadata: deep(5_000) })).toEqual(['additionalMetadata']);
    expect(faultsOf({ additionalMetadata: { a: Array(1_000).fill(0) } })).toEqual(['additionalMetadata']);
    expect(faultsOf({ additionalMetadata: { a: 'ü'.repeat(4_092) } })).toEqual([]);
    expect(faultsOf({ additionalMetadata: { a: 'ü'.repeat(4_093) } })).toEqual(['additionalMetadata']);
    const circle: Record<string, unknown> = {};
    circle['self'] = circle;
    expect(faultsOf({ additionalMetadata: circle })).toEqual(['additionalMetadata']);
  });

  test('does not change when the object changes that it was made of', async () => {
    const additionalMetadata: Record<string, unknown> = { a: 1 };
    const generator = create();
    generator.addCustomer({ ...ACME, additionalMetadata });
    additionalMetadata['username'] = 'admin';
    expect(decodeJwt(await generator.generateToken('acme'))['customer']).toMatchObject({ username: 'acme' });
  });

  test('any metadata goes into a token and comes out equal, in the order of its members', async () => {
    const name = fc
      .string({ maxLength: 12, unit: 'binary' })
      .map((text) => text.toWellFormed())
      .filter(
        (text) =>
          !/^(username|customer_type|email|company|subscription_tier|rate_limit|api_access_level|__proto__|constructor|prototype)$/.test(
            text,
          ),
      );
    const value = fc.letrec<{ json: unknown }>((tie) => ({
      json: fc.oneof(
        { maxDepth: 5 },
        fc.constantFrom(null, true, false, 0, -1.5, 1e300, ''),
        fc.string({ unit: 'binary' }).map((text) => text.toWellFormed()),
        fc.array(tie('json'), { maxLength: 5 }),
        fc.dictionary(name, tie('json'), { maxKeys: 5, noNullPrototype: true }),
      ),
    })).json;
    const metadata = fc.dictionary(name, value, { maxKeys: 8, noNullPrototype: true });
    await fc.assert(
      fc.asyncProperty(metadata, async (additionalMetadata) => {
        fc.pre(JSON.stringify(additionalMetadata).length < 2_500);
        const token = await tokenOf({ ...ACME, additionalMetadata }, { maxTokenBytes: 16_384 });
        const {
          username: _u,
          customer_type: _t,
          rate_limit: _r,
          api_access_level: _a,
          ...rest
        } = decodeJwt<{
          customer: Record<string, unknown>;
        }>(token).customer;
        expect(JSON.stringify(rest)).toBe(JSON.stringify(additionalMetadata));
      }),
      { numRuns: 200 },
    );
  });
});
