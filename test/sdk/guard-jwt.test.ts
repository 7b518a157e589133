/** The guard on JWTs: which it takes (RFC 9068 4, RFC 8725), how it keeps the keys, what a route may require. */
import { beforeEach, describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { SignJWT, UnsecuredJWT } from 'jose';

import { createGuard, isGuardError } from '../../src/sdk/guard/guard.ts';
import type { Auth, Guard, GuardOptions, Requirements } from '../../src/sdk/guard/guard.ts';
import { AUDIENCE, createIssuer, ISSUER, makeKey, START } from './issuer.ts';
import type { TestIssuer, TokenChanges } from './issuer.ts';

let issuer: TestIssuer;
let guard: Guard;

beforeEach(async () => {
  issuer = await createIssuer();
  guard = createGuard(issuer.options);
});

/** The code and status of the refusal, or "taken". */
async function outcome(verified: Promise<Auth>): Promise<string> {
  try {
    await verified;
    return 'taken';
  } catch (error) {
    if (!isGuardError(error)) throw error;
    return `${error.status} ${error.code}`;
  }
}

const verify = async (token: string | Promise<string>, requirements?: Requirements): Promise<string> =>
  outcome(guard.verify(await token, requirements));

const INVALID = '401 ERR_GUARD_TOKEN_INVALID';
const EXPIRED = '401 ERR_GUARD_TOKEN_EXPIRED';
const AWAY = '503 ERR_GUARD_KEYS_UNAVAILABLE';

describe('a JWT', () => {
  test('tells who calls and what they may', async () => {
    const auth = await guard.verify(await issuer.token());
    expect(auth).toEqual({
      subject: 'person-1',
      clientId: 'app-1',
      scopes: ['orders:read', 'orders:write'],
      role: 'user',
      claims: expect.objectContaining({ iss: ISSUER, aud: AUDIENCE, jti: 'token-1' }),
    });
  });

  test('without scope and role allows neither', async () => {
    const token = await issuer.token({ claims: { scope: undefined, role: undefined } });
    expect(await guard.verify(token)).toMatchObject({ scopes: [], role: null });
  });

  test.each<[string, TokenChanges, string]>([
    ['of another issuer', { claims: { iss: 'https://id.example.org' } }, INVALID],
    ['of the issuer spelled otherwise', { claims: { iss: `${ISSUER}/` } }, INVALID],
    ['for another audience', { claims: { aud: 'bank' } }, INVALID],
    ['for this audience and others', { claims: { aud: ['bank', AUDIENCE] } }, 'taken'],
    ['that is an ID token', { header: { typ: 'JWT' } }, INVALID],
    ['of no type', { header: { typ: undefined } as object }, INVALID],
    ['without a key id', { header: { kid: undefined } as object }, INVALID],
    ['with an empty key id', { header: { kid: '' } }, INVALID],
    ['that was issued a minute ahead', { claims: { iat: 1_800_000_060 } }, 'taken'],
    ['that was issued more than a minute ahead', { claims: { iat: 1_800_000_061 } }, INVALID],
    ['whose time is a text', { claims: { iat: '1800000000' } }, INVALID],
    ['that is not valid yet', { claims: { nbf: 1_800_000_031 } }, INVALID],
    ['that expired within the leeway', { claims: { exp: 1_799_999_971 } }, 'taken'],
    ['that expired before it', { claims: { exp: 1_799_999_970 } }, EXPIRED],
    ['without expiry', { claims: { exp: undefined } }, INVALID],
    ['without time of issue', { claims: { iat: undefined } }, INVALID],
    ['without subject', { claims: { sub: undefined } }, INVALID],
    ['of an empty subject', { claims: { sub: '' } }, INVALID],
    ['without client', { claims: { client_id: undefined } }, INVALID],
    ['of a client that is no text', { claims: { client_id: 1 } }, INVALID],
    ['without id', { claims: { jti: undefined } }, INVALID],
    ['without audience', { claims: { aud: undefined } }, INVALID],
    ['bound to a key', { claims: { cnf: { jkt: 'x' } } }, INVALID],
    ['with an extension that is not understood', { header: { crit: ['exp'], exp: 1 } }, INVALID],
  ])('%s', async (_name, changes, expected) => {
    let token: string;
    try {
      token = await issuer.token(changes);
    } catch {
      token = await withExtension(changes); // jose does not sign what it does not understand
    }
    expect(await verify(token)).toBe(expected);
  });

  const withExtension = ({ header }: TokenChanges): Promise<string> =>
    new SignJWT({})
      .setProtectedHeader({ alg: 'ES256', kid: 'one', typ: 'at+jwt', ...header })
      .sign(issuer.key.privateKey, { crit: { exp: true } });

  test('signed by another key of the same name is refused', async () => {
    expect(await verify(issuer.token({ key: await makeKey('one') }))).toBe(INVALID);
  });

  test('signed by a key that it brings along is refused, and nothing is fetched for it', async () => {
    const foreign = await makeKey('one');
    for (const header of [{ jwk: foreign.publicJwk }, { jku: 'https://evil.example/jwks' }]) {
      expect(await verify(issuer.token({ key: foreign, header }))).toBe(INVALID);
    }
    expect(issuer.asked).toEqual(['/jwks']);
  });

  test('by an algorithm that is not on the list is refused, though its key is published', async () => {
    const pss = await makeKey('pss', 'PS256');
    const { alg: _alg, ...silent } = pss.publicJwk;
    issuer.published = [issuer.key.publicJwk, silent, { ...pss.publicJwk, kid: 'two' }];
    expect(await verify(issuer.token({ key: pss }))).toBe(INVALID);
    expect(await verify(issuer.token({ key: { ...pss, kid: 'two' } }))).toBe(INVALID);
  });

  test('by an algorithm that the options leave out is refused', async () => {
    const narrow = createGuard({ ...issuer.options, algorithms: ['RS256'] });
    expect(await outcome(narrow.verify(await issuer.token()))).toBe(INVALID);
  });

  test('by HMAC under the public key, or by nothing, is refused', async () => {
    const claims = { iss: ISSUER, aud: AUDIENCE, sub: 'x', client_id: 'x', jti: 'x', iat: issuer.at };
    const confused = new SignJWT({ ...claims, exp: issuer.at + 600 })
      .setProtectedHeader({ alg: 'HS256', kid: 'one', typ: 'at+jwt' })
      .sign(new TextEncoder().encode(JSON.stringify(issuer.key.publicJwk)));
    expect(await verify(confused)).toBe(INVALID);
    expect(await verify(new UnsecuredJWT(claims).setExpirationTime('1h').encode())).toBe(INVALID);
  });

  test('in any other form than three parts is refused, and so is one that is too long', async () => {
    const token = await issuer.token();
    const [header = '', payload = '', signature = ''] = token.split('.');
    const json = JSON.stringify({ protected: header, payload, signature });
    const long = await issuer.token({ claims: { padding: 'x'.repeat(16 * 1024) } });
    for (const form of [
      `${header}.${payload}`,
      `${header}.${payload}.`,
      `${token}.a.b`,
      json,
      ` ${token}`,
      long,
    ]) {
      expect(await verify(form)).toBe(INVALID);
    }
  });

  test('of the longest kind is taken', async () => {
    expect(await verify(issuer.token({ claims: { padding: 'x'.repeat(11_500) } }))).toBe('taken');
  });

  test('no text makes the guard fail', async () => {
    const word = fc.string({ unit: 'binary' });
    const header = fc.json().map((text) => Buffer.from(text).toString('base64url'));
    const shaped = fc.tuple(header, header, fc.base64String()).map((parts) => parts.join('.'));
    await fc.assert(
      fc.asyncProperty(fc.oneof(word, shaped), async (token) => {
        expect(await verify(token)).toBe(INVALID);
      }),
    );
  });
});

describe('the keys', () => {
  test('are read at the first use and kept, however many ask at once', async () => {
    const tokens = await Promise.all(Array.from({ length: 20 }, () => issuer.token()));
    expect(await Promise.all(tokens.map((token) => verify(token)))).toEqual(tokens.map(() => 'taken'));
    expect(issuer.asked).toEqual(['/jwks']);
    issuer.at += 299;
    expect(await verify(issuer.token())).toBe('taken');
    expect(issuer.asked).toHaveLength(1);
  });

  test('are read anew after five minutes, so that a withdrawn one ends', async () => {
    const token = await issuer.token({ claims: { exp: issuer.at + 3_600 } });
    expect(await verify(token)).toBe('taken');
    const next = await makeKey('two');
    issuer.published = [next.publicJwk];
    issuer.at += 300;
    expect(await verify(token)).toBe(INVALID);
    expect(await verify(issuer.token({ key: next }))).toBe('taken');
    expect(issuer.asked).toHaveLength(2);
  });

  test('are read once more for one that is unknown', async () => {
    await verify(issuer.token());
    const next = await makeKey('two');
    issuer.published = [issuer.key.publicJwk, next.publicJwk];
    issuer.at += 30;
    expect(await verify(issuer.token({ key: next }))).toBe('taken');
    expect(issuer.asked).toHaveLength(2);
  });

  test('are not read for each of many unknown ones', async () => {
    await verify(issuer.token());
    issuer.at += 30;
    const forged = await Promise.all(
      Array.from({ length: 50 }, async (_, index) =>
        issuer.token({ key: { ...issuer.key, kid: `x${index}` } }),
      ),
    );
    for (const token of forged) expect(await verify(token)).toBe(INVALID);
    expect(await Promise.all(forged.map((token) => verify(token)))).toEqual(forged.map(() => INVALID));
    expect(issuer.asked).toHaveLength(2);
    issuer.at += 30;
    await Promise.all(forged.map((token) => verify(token)));
    expect(issuer.asked).toHaveLength(3);
  });

  test('are kept while the issuer is away, at the cost of one try in 30 s', async () => {
    await verify(issuer.token());
    issuer.isAway = true;
    issuer.at += 86_400;
    for (let request = 0; request < 10; request += 1) expect(await verify(issuer.token())).toBe('taken');
    expect(issuer.asked).toHaveLength(2);
    issuer.isAway = false;
    issuer.at += 30;
    expect(await verify(issuer.token())).toBe('taken');
    expect(issuer.asked).toHaveLength(3);
  });

  test('that are unknown are no reason to call a token bad while the issuer is away', async () => {
    await verify(issuer.token());
    issuer.isAway = true;
    issuer.at += 30;
    const token = issuer.token({ key: await makeKey('two') });
    expect(await verify(token)).toBe(AWAY);
    expect(await verify(token)).toBe(AWAY);
    expect(issuer.asked).toHaveLength(2);
  });

  test('that cannot be had at the start are tried again a second later', async () => {
    issuer.isAway = true;
    const told: string[] = [];
    guard = createGuard({
      ...issuer.options,
      onUnavailable: ({ code, cause }) => told.push(`${code}: ${String(cause)}`),
    });
    expect(await verify(issuer.token())).toBe(AWAY);
    expect(await verify(issuer.token())).toBe(AWAY);
    expect(issuer.asked).toHaveLength(1);
    expect(told[0]).toBe('ERR_GUARD_KEYS_UNAVAILABLE: TypeError: fetch failed');
    issuer.isAway = false;
    issuer.at += 1;
    expect(await verify(issuer.token())).toBe('taken');
  });

  test.each([
    ['an empty set', '{"keys":[]}'],
    ['no set', '[]'],
    ['no JSON', '<html>'],
    ['a set of something else', '{"keys":[1,null,"x",{"kty":"oct","k":"AA","alg":"HS256","kid":"one"}]}'],
    ['more than anybody needs', `{"keys":[],"x":"${'x'.repeat(300_000)}"}`],
  ])('are kept where the issuer shows %s', async (_name, published) => {
    await verify(issuer.token());
    issuer.published = published;
    issuer.at += 300;
    expect(await verify(issuer.token())).toBe('taken');
    expect(issuer.asked).toHaveLength(2);
  });

  test('are asked for without following a redirect, in a bounded time', async () => {
    await verify(issuer.token());
    const { url, init } = issuer.latest;
    expect([url, init.redirect]).toEqual([`${ISSUER}/jwks`, 'error']);
    expect(init.signal).toBeInstanceOf(AbortSignal);
  });

  test('can be given, or lie elsewhere', async () => {
    guard = createGuard({ ...issuer.options, jwks: { keys: [{ ...issuer.key.publicJwk, kty: 'EC' }] } });
    expect(await verify(issuer.token())).toBe('taken');
    expect(await verify(issuer.token({ key: await makeKey('two') }))).toBe(INVALID);
    expect(issuer.asked).toEqual([]);
    guard = createGuard({ ...issuer.options, jwks: new URL('https://keys.example.com/all') });
    expect(await verify(issuer.token())).toBe('taken');
    expect(issuer.latest.url).toBe('https://keys.example.com/all');
  });
});

describe('what a route requires', () => {
  const SCOPE = '403 ERR_GUARD_SCOPE_INSUFFICIENT';
  const ROLE = '403 ERR_GUARD_ROLE_INSUFFICIENT';

  test.each<[Requirements, string]>([
    [{}, 'taken'],
    [{ scopes: ['orders:read'] }, 'taken'],
    [{ scopes: ['orders:read', 'orders:write'] }, 'taken'],
    [{ scopes: ['orders:read', 'orders:delete'] }, SCOPE],
    [{ scopes: ['orders'] }, SCOPE],
    [{ roles: ['admin', 'user'] }, 'taken'],
    [{ roles: ['admin'] }, ROLE],
    [{ roles: ['users'] }, ROLE],
    [{ roles: ['admin'], scopes: ['orders:delete'] }, SCOPE],
    [{ audience: AUDIENCE }, 'taken'],
  ])('%j', async (requirements, expected) => {
    expect(await verify(issuer.token(), requirements)).toBe(expected);
  });

  test('a token without a role has none of the roles', async () => {
    expect(await verify(issuer.token({ claims: { role: undefined } }), { roles: ['user'] })).toBe(ROLE);
  });

  test('of a guard for two audiences one may be asked for', async () => {
    guard = createGuard({ ...issuer.options, audience: [AUDIENCE, 'bank'] });
    const token = issuer.token({ claims: { aud: 'bank' } });
    expect(await verify(token)).toBe('taken');
    expect(await verify(token, { audience: 'bank' })).toBe('taken');
    expect(await verify(token, { audience: AUDIENCE })).toBe(INVALID);
  });

  test.each<[Requirements]>([
    [{ roles: [] }],
    [{ scopes: [] }],
    [{ scopes: ['a b'] }],
    [{ scopes: ['a"'] }],
    [{ audience: 'bank' }],
  ])('cannot be %j', async (requirements) => {
    expect(() => guard.koa(requirements)).toThrow(TypeError);
    expect(() => guard.node(requirements)).toThrow(TypeError);
    await expect(guard.verify(await issuer.token(), requirements)).rejects.toThrow(TypeError);
  });

  test('a revocation feed ends a token early, and its failure lets nobody in', async () => {
    const ended = new Set(['token-1']);
    guard = createGuard({
      ...issuer.options,
      revocations: { isRevoked: ({ jti }) => ended.has(String(jti)) },
    });
    expect(await verify(issuer.token())).toBe('401 ERR_GUARD_TOKEN_REVOKED');
    expect(await verify(issuer.token({ claims: { jti: 'token-2' } }))).toBe('taken');
    guard = createGuard({
      ...issuer.options,
      revocations: {
        isRevoked: () => {
          throw new Error('no news for an hour');
        },
      },
    });
    expect(await verify(issuer.token())).toBe('503 ERR_GUARD_REVOCATIONS_UNAVAILABLE');
  });
});

describe('the token of a customer', () => {
  const OF_CUSTOMER = {
    ...{ sub: 'acme', username: 'acme', customer_type: 'free', customer: { rate_limit: 100 } },
    ...{ client_id: undefined, scope: undefined, role: undefined },
  };
  const tokenOf = ({ claims, ...changes }: TokenChanges = {}): Promise<string> =>
    issuer.token({ header: { typ: 'JWT' }, claims: { ...OF_CUSTOMER, ...claims }, ...changes });
  const guardOf = (options: Partial<GuardOptions> = {}): Guard =>
    createGuard({ ...issuer.options, accept: ['customer'], ...options });

  test('tells who calls, and what it may do', async () => {
    guard = guardOf();
    const { claims, ...auth } = await guard.verify(await tokenOf());
    expect(auth).toEqual({ subject: 'acme', clientId: null, scopes: [], role: null });
    expect(claims).toMatchObject({ customer_type: 'free', customer: { rate_limit: 100 } });
    expect(await verify(tokenOf(), { roles: ['admin'] })).toBe('403 ERR_GUARD_ROLE_INSUFFICIENT');
  });

  test('is taken where the guard takes it, beside access tokens or alone', async () => {
    expect(await verify(tokenOf())).toBe(INVALID);
    guard = guardOf();
    expect(await verify(issuer.token())).toBe(INVALID);
    guard = guardOf({ accept: ['jwt', 'customer'] });
    expect([await verify(tokenOf()), await verify(issuer.token())]).toEqual(['taken', 'taken']);
  });

  test.each<[string, TokenChanges, string]>([
    ['of another issuer', { claims: { iss: 'https://id.example.org' } }, INVALID],
    ['for another audience', { claims: { aud: 'bank' } }, INVALID],
    ['that expired', { claims: { exp: START - 31 } }, EXPIRED],
    ['without an end', { claims: { exp: undefined } }, INVALID],
    ['from the future', { claims: { iat: START + 61 } }, INVALID],
    ['of another type', { header: { typ: 'at+jwt' } }, INVALID],
    ['without a name of its own', { claims: { jti: undefined } }, INVALID],
    ['that says of another customer', { claims: { username: 'other' } }, INVALID],
    ['that says nothing of the customer', { claims: { customer: undefined } }, INVALID],
    ['that says no object of the customer', { claims: { customer: 'premium' } }, INVALID],
    ['that is an ID token', { claims: { sub: 'f81d4fae', nonce: 'n', jti: undefined } }, INVALID],
    ['that is bound to a key', { claims: { cnf: { jkt: 'x' } } }, INVALID],
  ])('%s', async (_name, changes, expected) => {
    guard = guardOf();
    expect(await verify(tokenOf(changes))).toBe(expected);
  });

  test('by another key, or another algorithm, is refused', async () => {
    guard = guardOf();
    expect(await verify(tokenOf({ key: await makeKey('one') }))).toBe(INVALID);
    const rsa = await makeKey('two', 'RS256');
    issuer.published = [issuer.key.publicJwk, rsa.publicJwk];
    expect(await verify(tokenOf({ key: rsa }))).toBe(INVALID);
  });

  test('is asked about where the guard asks about JWTs', async () => {
    guard = guardOf({ introspection: { clientId: 'shop', clientSecret: 'secret', checkJwts: true } });
    expect(await verify(tokenOf())).toBe(INVALID);
    issuer.introspection = () => ({ active: true, token_type: 'Bearer', ...OF_CUSTOMER });
    expect(await verify(tokenOf())).toBe('taken');
  });
});

describe('a guard', () => {
  const introspection = { clientId: 'shop', clientSecret: 'secret' };

  test.each<[string, Partial<GuardOptions>]>([
    ['without an audience', { audience: [] }],
    ['with an empty one', { audience: '' }],
    ['of an issuer in the clear', { issuer: 'http://id.example.com' }],
    ['of no issuer', { issuer: 'id' }],
    ['with keys in the clear', { jwks: new URL('http://id.example.com/jwks') }],
    ['without any key', { jwks: { keys: [] } }],
    ['that keeps answers for long', { introspection: { ...introspection, cacheSeconds: 61 } }],
    ['that keeps answers for ever', { introspection: { ...introspection, cacheSeconds: NaN } }],
    ['that takes nothing', { accept: [] }],
    ['that takes what it cannot verify', { accept: ['jwt', 'api-key'] }],
    ['that takes no algorithm', { algorithms: [] }],
    ['that takes customers by no algorithm of theirs', { accept: ['customer'], algorithms: ['RS256'] }],
    ['that takes one by a secret', { algorithms: ['RS256', 'HS256'] }],
  ])('%s does not start', (_name, options) => {
    expect(() => createGuard({ ...issuer.options, ...options })).toThrow();
  });

  test('of an issuer on loopback starts, as in development', () => {
    for (const host of ['localhost:8011', '127.0.0.1:8011', '[::1]:8011']) {
      expect(createGuard({ ...issuer.options, issuer: `http://${host}` })).toBeDefined();
    }
    expect(() => createGuard({ ...issuer.options, issuer: 'http://localhost.example.com' })).toThrow(
      TypeError,
    );
  });
});
