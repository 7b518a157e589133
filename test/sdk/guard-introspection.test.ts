/** The guard on what it cannot verify by itself: opaque tokens and API keys, by introspection (RFC 7662). */
import { beforeEach, describe, expect, test } from '@jest/globals';

import { createGuard, isGuardError } from '../../src/sdk/guard/guard.ts';
import type { Auth, Guard, IntrospectionSettings } from '../../src/sdk/guard/guard.ts';
import { AUDIENCE, createIssuer, ISSUER } from './issuer.ts';
import type { TestIssuer } from './issuer.ts';

const API_KEY = `pcl_${'k'.repeat(49)}`;
const INVALID = '401 ERR_GUARD_TOKEN_INVALID';
const AWAY = '503 ERR_GUARD_INTROSPECTION_UNAVAILABLE';

let issuer: TestIssuer;
let guard: Guard;

const live = (): object => ({
  active: true,
  token_type: 'Bearer',
  iss: ISSUER,
  sub: 'person-1',
  client_id: 'app-1',
  scope: 'orders:read',
  role: 'user',
  exp: issuer.at + 600,
});

const use = (settings: Partial<IntrospectionSettings> = {}): void => {
  const introspection = { clientId: 'shop', clientSecret: 'a secret:with+signs', ...settings };
  guard = createGuard({ ...issuer.options, introspection });
};

beforeEach(async () => {
  issuer = await createIssuer();
  issuer.introspection = live;
  use();
});

async function outcome(verified: Promise<Auth>): Promise<string> {
  try {
    await verified;
    return 'taken';
  } catch (error) {
    if (!isGuardError(error)) throw error;
    return `${error.status} ${error.code}`;
  }
}

const verify = async (token = 'opaque'): Promise<string> => outcome(guard.verify(token));

describe('the question', () => {
  test('is asked as the resource server, with the token in the body', async () => {
    expect(await guard.verify('opaque')).toEqual({
      subject: 'person-1',
      clientId: 'app-1',
      scopes: ['orders:read'],
      role: 'user',
      claims: expect.objectContaining({ token_type: 'Bearer', iss: ISSUER }),
    });
    const { url, init } = issuer.latest;
    expect(url).toBe(`${ISSUER}/introspect`);
    const body = new URLSearchParams({ token: 'opaque' });
    expect(init).toMatchObject({ method: 'POST', redirect: 'error', body });
    const [, credentials = ''] = (new Headers(init.headers).get('authorization') ?? '').split(' ');
    expect(Buffer.from(credentials, 'base64').toString()).toBe('shop:a+secret%3Awith%2Bsigns');
  });

  test('about an API key names no client', async () => {
    const { client_id: _, ...answer } = live() as Record<string, unknown>;
    issuer.introspection = () => ({ ...answer, token_type: 'api_key' });
    expect(await guard.verify(API_KEY)).toMatchObject({ subject: 'person-1', clientId: null, role: 'user' });
  });

  test.each<[string, object, string]>([
    ['inactive', { active: false }, INVALID],
    ['a refresh token', { token_type: undefined }, INVALID],
    ['bound to a key', { token_type: 'DPoP', cnf: { jkt: 'x' } }, INVALID],
    ['bound to a key and called a bearer’s', { cnf: {} }, INVALID],
    ['of another issuer', { iss: 'https://id.example.org' }, INVALID],
    ['for another audience', { aud: 'bank' }, INVALID],
    ['for this audience', { aud: [AUDIENCE, 'bank'] }, 'taken'],
    ['over', { exp: 1_800_000_000 }, '401 ERR_GUARD_TOKEN_EXPIRED'],
    ['without end', { exp: undefined }, 'taken'],
    ['a client’s own', { sub: undefined }, 'taken'],
    ['nobody’s', { sub: undefined, client_id: undefined }, INVALID],
    ['of an empty name', { sub: '' }, INVALID],
  ])('whose answer is: %s', async (_name, changes, expected) => {
    issuer.introspection = () => ({ ...live(), ...changes });
    expect(await verify()).toBe(expected);
  });
});

describe('an issuer that cannot say', () => {
  test.each<[string, () => unknown]>([
    ['by 503', () => new Response('', { status: 503 })],
    ['by refusing this back end', () => Response.json({ error: 'invalid_client' }, { status: 401 })],
    ['by an error', () => Response.json({ error: 'invalid_request' }, { status: 400 })],
    ['by a page', () => new Response('<html>')],
    ['by another document', () => ({ ok: true })],
    ['by a word in the place of a truth', () => ({ ...live(), active: 'true' })],
    ['by nothing', () => null],
  ])('%s is an outage, never a bad token', async (_name, answer) => {
    issuer.introspection = answer;
    expect(await verify()).toBe(AWAY);
  });

  test('because it is away is an outage, for API keys too', async () => {
    issuer.isAway = true;
    expect([await verify(), await verify(API_KEY)]).toEqual([AWAY, AWAY]);
  });

  test('is not asked more than 64 questions at once', async () => {
    const waiting = Promise.withResolvers<undefined>();
    issuer.held = waiting.promise;
    const asked = Array.from({ length: 64 }, (_, index) => verify(`opaque-${index}`));
    expect(await verify('one-more')).toBe(AWAY);
    const again = verify('opaque-0'); // waits for the answer that is on its way
    waiting.resolve(undefined);
    expect(new Set(await Promise.all([...asked, again]))).toEqual(new Set(['taken']));
    expect(issuer.asked).toHaveLength(64);
    expect(await verify('one-more')).toBe('taken');
  });
});

describe('an answer', () => {
  test('is kept for a second', async () => {
    expect(await verify()).toBe('taken');
    issuer.introspection = () => ({ active: false });
    expect(await verify()).toBe('taken');
    expect(issuer.asked).toHaveLength(1);
    issuer.at += 1;
    expect(await verify()).toBe(INVALID);
  });

  test('is kept for as long as the settings say, never beyond the end of the token', async () => {
    use({ cacheSeconds: 60 });
    issuer.introspection = () => ({ ...live(), exp: issuer.at + 5 });
    expect(await verify()).toBe('taken');
    issuer.isAway = true;
    issuer.at += 4;
    expect(await verify()).toBe('taken');
    issuer.at += 1;
    expect(await verify()).toBe('401 ERR_GUARD_TOKEN_EXPIRED');
  });

  test('is not kept where the settings say so, and a bad one never is', async () => {
    use({ cacheSeconds: 0 });
    await verify();
    await verify();
    expect(issuer.asked).toHaveLength(2);
    use();
    issuer.introspection = () => ({ active: false });
    expect(await verify('other')).toBe(INVALID);
    issuer.introspection = live;
    expect(await verify('other')).toBe('taken');
  });

  test('of the last thousand tokens is kept, no more', async () => {
    use({ cacheSeconds: 60 });
    for (let index = 0; index <= 1_000; index += 1) await verify(`opaque-${index}`);
    expect(issuer.asked).toHaveLength(1_001);
    await verify('opaque-1000');
    await verify('opaque-1');
    expect(issuer.asked).toHaveLength(1_001);
    await verify('opaque-0');
    expect(issuer.asked).toHaveLength(1_002);
  });

  test('that is kept does not outlast the revocation feed', async () => {
    let isRevoked = false;
    const introspection = { clientId: 'shop', clientSecret: 'x', cacheSeconds: 60 };
    guard = createGuard({ ...issuer.options, introspection, revocations: { isRevoked: () => isRevoked } });
    expect(await verify()).toBe('taken');
    isRevoked = true;
    expect(await verify()).toBe('401 ERR_GUARD_TOKEN_REVOKED');
  });
});

describe('which credentials are taken', () => {
  test('JWTs alone, where nobody can be asked', async () => {
    guard = createGuard(issuer.options);
    expect(await verify(await issuer.token())).toBe('taken');
    expect([await verify(), await verify(API_KEY)]).toEqual([INVALID, INVALID]);
    expect(issuer.asked).toEqual(['/jwks']);
  });

  test('those that the settings name', async () => {
    const introspection = { clientId: 'shop', clientSecret: 'x' };
    guard = createGuard({ ...issuer.options, introspection, accept: ['api-key'] });
    expect(await verify(API_KEY)).toBe('taken');
    expect([await verify(), await verify(await issuer.token())]).toEqual([INVALID, INVALID]);
  });

  test('a JWT is not asked about, unless the settings say so; then a revoked one is refused', async () => {
    const token = await issuer.token();
    expect(await verify(token)).toBe('taken');
    expect(issuer.asked).toEqual(['/jwks']);
    use({ checkJwts: true });
    expect(await verify(token)).toBe('taken');
    issuer.introspection = () => ({ active: false });
    issuer.at += 1;
    expect(await verify(token)).toBe(INVALID);
    issuer.isAway = true;
    expect(await verify(token)).toBe(AWAY);
    expect(await verify(`${token}x`)).toBe(INVALID); // its signature is wrong whatever the issuer says
  });
});
