/** A node's requests: what is asked, what is asked again and when, and how each failure is told. */
import { beforeEach, describe, expect, test } from '@jest/globals';
import fc from 'fast-check';

import { createJwtService, createOAuth2Client, createTokenValidator } from '../../src/sdk/node/node.ts';
import { isVpnClientError, readNodeSettings, VpnClientError } from '../../src/sdk/node/node.ts';
import type { JwtService, OAuth2Client } from '../../src/sdk/node/node.ts';
import { pauseBeforeNext, readRetryAfter } from '../../src/sdk/node/retry.ts';
import { ISSUER } from './issuer.ts';
import { createParent, given, NODE, OF_NODE, refusal, SECRET } from './parent.ts';
import type { Parent } from './parent.ts';

let parent: Parent;
let client: OAuth2Client;

beforeEach(async () => {
  parent = await createParent();
  client = createOAuth2Client({ ...parent.settings, ...parent.world });
});

async function failureOf(request: Promise<unknown>): Promise<VpnClientError> {
  try {
    await request;
  } catch (error) {
    if (isVpnClientError(error)) return error;
    throw error;
  }
  throw new Error('it did not fail');
}

describe('the two requests', () => {
  test('are asked for as the contract says', async () => {
    const token = await client.getOAuth2Token();
    expect(token).toBe('opaque-token');
    const jwt = await client.getJwtToken(token);
    expect(jwt).toMatch(/^[\w-]+\.[\w-]+\.[\w-]+$/);
    const [first, second] = parent.asked;
    expect(first).toMatchObject({ path: '/token', body: 'grant_type=client_credentials&scope=read' });
    const [, credentials = ''] = (first?.headers.get('authorization') ?? '').split(' ');
    // RFC 6749 2.3.1: both are form-encoded before they are joined.
    expect(Buffer.from(credentials, 'base64').toString()).toBe(`${NODE}:the+secret+of%3A+the%2Bnode`);
    expect(second).toMatchObject({ path: '/vpn/auth', body: '{}' });
    expect(second?.headers.get('authorization')).toBe('Bearer opaque-token');
  });

  test('are one call, on behalf of a person, too', async () => {
    await client.getVpnJwtToken({ subjectToken: 'x.y.z' });
    await client.getVpnJwtToken({ subjectToken: 'opaque', subjectTokenType: 'access_token' });
    const bodies = parent.asked
      .filter(({ path }) => path === '/vpn/auth')
      .map(({ body }): unknown => JSON.parse(body));
    const type = 'urn:ietf:params:oauth:token-type:';
    expect(bodies).toEqual([
      { subject_token: 'x.y.z', subject_token_type: `${type}id_token` },
      { subject_token: 'opaque', subject_token_type: `${type}access_token` },
    ]);
  });

  test('an empty subject token is sent as one, never dropped', async () => {
    await client.getJwtToken('x', { subjectToken: '' });
    expect(JSON.parse(parent.asked[0]?.body ?? '')).toMatchObject({ subject_token: '' });
  });
});

describe('what is asked again', () => {
  const OUTAGES: readonly (readonly [string, () => Response])[] = [
    ['429', () => refusal(429)],
    ['500', () => refusal(500)],
    ['503', () => refusal(503)],
    [
      'a broken network',
      () => {
        throw new TypeError('fetch failed');
      },
    ],
  ];

  test.each(OUTAGES)('%s is, with growing pauses', async (_name, outage) => {
    parent.next.push(outage, outage, outage);
    expect(await client.getOAuth2Token()).toBe('opaque-token');
    expect(parent.asked).toHaveLength(4);
    expect(parent.pauses).toEqual([125, 250, 500]);
  });

  test.each(OUTAGES)('%s is, four times at most', async (_name, outage) => {
    parent.next.push(...Array.from({ length: 9 }, () => outage));
    const error = await failureOf(client.getOAuth2Token());
    expect(error).toMatchObject({ code: 'ERR_VPN_UNAVAILABLE', isTemporary: true });
    expect(parent.asked).toHaveLength(4);
  });

  test('what the server asks for is waited for, in seconds or as a date', async () => {
    const date = new Date((parent.issuer.at + 3) * 1_000).toUTCString();
    parent.next.push(() => refusal(503, {}, { 'retry-after': '2' }));
    parent.next.push(() => refusal(429, {}, { 'retry-after': date }));
    await client.getOAuth2Token();
    expect(parent.pauses).toEqual([2_125, 3_250]);
  });

  test('not where the server asks for longer than anybody waits: it is told when to come back', async () => {
    parent.next.push(() => refusal(429, {}, { 'retry-after': '60' }));
    const error = await failureOf(client.getOAuth2Token());
    expect(error).toMatchObject({ code: 'ERR_VPN_UNAVAILABLE', status: 429, retryAfterSeconds: 60 });
    expect([parent.asked.length, parent.pauses]).toEqual([1, []]);
  });

  test('a refusal is not', async () => {
    for (const [status, error] of [
      [400, 'invalid_scope'],
      [401, 'invalid_client'],
      [403, 'x'],
    ] as const) {
      parent.next.push(() => refusal(status, { error }));
      expect(await failureOf(client.getOAuth2Token())).toMatchObject({
        code: 'ERR_VPN_NODE_REFUSED',
        status,
        oauthError: error,
        isTemporary: false,
      });
    }
    expect([parent.asked.length, parent.pauses]).toEqual([3, []]);
  });

  test('nothing is once the caller gives up, in a pause as well', async () => {
    const giveUp = new AbortController();
    const reason = new Error('the operator left');
    parent.next.push(() => {
      giveUp.abort(reason);
      return refusal(503);
    });
    await expect(client.getOAuth2Token({ signal: giveUp.signal })).rejects.toBe(reason);
    await expect(client.getJwtToken('x', { signal: giveUp.signal })).rejects.toBe(reason);
    expect(parent.asked).toHaveLength(1);
  });

  test('a request that is on its way ends with the caller’s signal', async () => {
    const giveUp = new AbortController();
    const silent = createOAuth2Client({
      ...parent.settings,
      ...parent.world,
      fetch: (_url, init) =>
        new Promise((_resolve, reject) => {
          init?.signal?.addEventListener('abort', () => reject(new Error('aborted')));
          giveUp.abort(new Error('enough'));
        }),
    });
    await expect(silent.getVpnJwtToken({ signal: giveUp.signal })).rejects.toThrow('enough');
  });

  test('the real pause ends with the caller’s signal, too', async () => {
    const giveUp = new AbortController();
    const { fetch } = parent.world;
    const patient = createOAuth2Client({ ...parent.settings, fetch });
    parent.next.push(() => {
      setImmediate(() => giveUp.abort(new Error('enough')));
      return refusal(503, {}, { 'retry-after': '10' });
    });
    await expect(patient.getOAuth2Token({ signal: giveUp.signal })).rejects.toThrow('enough');
  });
});

describe('the pauses', () => {
  test('are never shorter than the server asks, and never more than 15 s in all', () => {
    const answers = fc.array(
      fc.record({
        retryAfterSeconds: fc.option(fc.nat(30)),
        random: fc.double({ min: 0, max: 1, noNaN: true }),
      }),
      { minLength: 6, maxLength: 6 },
    );
    fc.assert(
      fc.property(answers, (given) => {
        let pausedMs = 0;
        for (const [index, { retryAfterSeconds, random }] of given.entries()) {
          const pause = pauseBeforeNext({ attempts: index + 1, pausedMs, retryAfterSeconds, random });
          if (pause === null) return true;
          if (pause < (retryAfterSeconds ?? 0) * 1_000 || pause < 125) return false;
          pausedMs += pause;
          if (pausedMs > 15_000 || index >= 3) return false;
        }
        return false;
      }),
    );
  });

  test('a Retry-After that says nothing is none', () => {
    const read = (header: string | null): number | null => readRetryAfter(header, 1_800_000_000);
    expect([null, '', 'soon', 'tomorrow or so'].map(read)).toEqual([null, null, null, null]);
    expect(['7', 'Thu, 01 Jan 2026 00:00:00 GMT'].map(read)).toEqual([7, 0]);
  });
});

describe('what is told', () => {
  test('a person’s token that is refused is told apart from a node that is', async () => {
    parent.next.push(() => refusal(400, { error: 'invalid_request', error_description: 'expired' }));
    const error = await failureOf(client.getJwtToken('x', { subjectToken: 'y' }));
    expect(error.code).toBe('ERR_VPN_SUBJECT_REFUSED');
    expect(error.message).toBe(
      `${ISSUER}/vpn/auth refuses: invalid_request (expired). The person signs in at this node again.`,
    );
    parent.next.push(() => refusal(403, { error: 'unauthorized_client' }));
    expect((await failureOf(client.getJwtToken('x', { subjectToken: 'y' }))).code).toBe(
      'ERR_VPN_NODE_REFUSED',
    );
    parent.next.push(() => refusal(400, { error: 'invalid_request' }));
    expect((await failureOf(client.getJwtToken('x'))).code).toBe('ERR_VPN_NODE_REFUSED');
  });

  test.each<[string, () => Response]>([
    ['a page', () => new Response('<html>')],
    ['a page for 404', () => new Response('<html>', { status: 404 })],
    ['an error of no endpoint', () => refusal(405, { error: 'invalid_request' })],
    ['a redirect', () => new Response(null, { status: 302, headers: { location: 'https://evil.example' } })],
    ['a list', () => Response.json([])],
    ['no token', () => Response.json({ token_type: 'Bearer' })],
    ['a number', () => Response.json({ access_token: 1, token_type: 'Bearer' })],
    ['a token of another kind', () => Response.json({ access_token: 'a.b.c', token_type: 'DPoP' })],
    ['an opaque token where a JWT was asked for', () => given('opaque')],
    ['an empty token', () => given('')],
  ])('%s is no answer, and is not asked for again', async (_name, answer) => {
    parent.next.push(answer);
    const error = await failureOf(client.getJwtToken('x'));
    expect([error.code, parent.asked.length]).toEqual(['ERR_VPN_ANSWER_INVALID', 1]);
  });

  test('an answer without end is cut', async () => {
    const endless = (): Response =>
      new Response(new ReadableStream({ pull: (it) => it.enqueue(new Uint8Array(65_536)) }));
    parent.next.push(endless, endless, endless, endless);
    expect((await failureOf(client.getOAuth2Token())).code).toBe('ERR_VPN_UNAVAILABLE');
  });

  test('holds no secret, and is one line, whatever the server says', async () => {
    const description = `first\nsecond ${'x'.repeat(5_000)}`;
    parent.next.push(() => refusal(401, { error: 'invalid_client', error_description: description }));
    const error = await failureOf(client.getOAuth2Token());
    expect(error.message).toContain('invalid_client (first second xxx');
    expect(error.message).not.toMatch(/\n/);
    expect(error.message.length).toBeLessThan(600);
    expect(JSON.stringify(error) + error.message + String(error.stack)).not.toContain(SECRET);
  });

  test('is a VpnClientError', () => {
    const error = new VpnClientError('ERR_VPN_UNAVAILABLE', 'x');
    expect([isVpnClientError(error), isVpnClientError(error, 'ERR_VPN_NODE_REFUSED')]).toEqual([true, false]);
    for (const other of [new Error('x'), { name: 'VpnClientError', code: 'x' }, null]) {
      expect(isVpnClientError(other)).toBe(false);
    }
  });
});

describe('the service', () => {
  let service: JwtService;

  const make = (refreshBeforeSeconds?: number): JwtService => {
    const { settings, world } = parent;
    const validator = createTokenValidator({ ...settings, fetch: world.fetch, now: world.now });
    return createJwtService({ client, validator, refreshBeforeSeconds, now: world.now });
  };

  beforeEach(() => {
    service = make();
  });

  test('asks once, whatever the concurrency', async () => {
    const tokens = await Promise.all(Array.from({ length: 100 }, () => service.getJwtToken()));
    expect(new Set(tokens).size).toBe(1);
    expect(parent.paths()).toEqual(['/token', '/vpn/auth']);
    const forced = await Promise.all(
      Array.from({ length: 100 }, () => service.getJwtToken({ forceRefresh: true })),
    );
    expect(new Set(forced).size).toBe(1);
    expect(parent.asked).toHaveLength(4);
  });

  test('keeps the token until a minute before it ends', async () => {
    const first = await service.getJwtToken();
    parent.issuer.at += 3_539;
    expect(await service.getJwtToken()).toBe(first);
    parent.issuer.at += 1;
    expect(await service.getJwtToken()).not.toBe(first);
    expect(parent.asked).toHaveLength(4);
  });

  test('of a short life keeps four fifths', async () => {
    const short = (): Promise<Response> =>
      parent.vpnToken({ claims: { ...OF_NODE, exp: parent.issuer.at + 50 } }).then(given);
    parent.next.push(() => given('x'), short);
    const first = await service.getJwtToken();
    parent.issuer.at += 39;
    expect(await service.getJwtToken()).toBe(first);
    parent.issuer.at += 1;
    expect(await service.getJwtToken()).not.toBe(first);
  });

  test('of a node whose clock is wrong keeps it as long, and for no longer where the clock is set back', async () => {
    const issued = parent.issuer.at;
    const old = (): Promise<Response> =>
      parent.vpnToken({ claims: { ...OF_NODE, iat: issued - 9_000, exp: issued - 5_400 } }).then(given);
    parent.next.push(() => given('x'), old);
    const first = await service.getJwtToken();
    parent.issuer.at += 3_000;
    expect(await service.getJwtToken()).toBe(first);
    parent.issuer.at -= 10_000;
    expect(service.held()).toBeNull();
    expect(await service.getJwtToken()).not.toBe(first);
  });

  test('forces a new one, and says so where there is none to be had', async () => {
    const first = await service.getJwtToken();
    const second = await service.getJwtToken({ forceRefresh: true });
    expect(second).not.toBe(first);
    parent.next.push(() => refusal(401, { error: 'invalid_client' }));
    expect((await failureOf(service.getJwtToken({ forceRefresh: true }))).status).toBe(401);
    expect(await service.getJwtToken()).toBe(second);
  });

  test('goes on with the token that it has while the server is away, and asks again after a pause', async () => {
    const first = await service.getJwtToken();
    parent.issuer.at += 3_550;
    const outage = (): Response => refusal(503);
    parent.next.push(outage, outage, outage, outage);
    expect(await service.getJwtToken()).toBe(first);
    const asked = parent.asked.length;
    expect(await service.getJwtToken()).toBe(first);
    expect(parent.asked).toHaveLength(asked);
    parent.issuer.at += 5;
    expect(await service.getJwtToken()).not.toBe(first);
  });

  test('does not go on with it once it has expired, or where the node is refused', async () => {
    await service.getJwtToken();
    parent.issuer.at += 3_550;
    parent.next.push(() => refusal(401, { error: 'invalid_client' }));
    expect((await failureOf(service.getJwtToken())).code).toBe('ERR_VPN_NODE_REFUSED');
    parent.issuer.at += 50;
    const outage = (): Response => refusal(503);
    parent.next.push(outage, outage, outage, outage);
    expect((await failureOf(service.getJwtToken())).code).toBe('ERR_VPN_UNAVAILABLE');
  });

  test('keeps no failure', async () => {
    parent.next.push(() => refusal(401, { error: 'invalid_client' }));
    await failureOf(service.getJwtToken());
    expect(await service.getJwtToken()).toMatch(/^eyJ/);
  });

  test('forgets what it has, and what is on its way', async () => {
    const late = Promise.withResolvers<Response>();
    parent.next.push(() => late.promise);
    const asked = service.getJwtToken();
    service.clearCache();
    const second = await service.getJwtToken();
    late.resolve(given('x'));
    expect(await asked).not.toBe(second);
    expect(await service.getJwtToken()).toBe(second);
    expect(service.held()).toEqual({ token: second, subject: NODE, expiresAt: parent.issuer.at + 3_600 });
    service.clearCache();
    expect(service.held()).toBeNull();
  });

  test.each<[string, Readonly<Record<string, unknown>>]>([
    ['without end', { exp: undefined }],
    ['without beginning', { iat: undefined }],
    ['that ended before it began', { iat: 1_800_000_000, exp: 1_799_999_999 }],
    ['of nobody', { sub: undefined }],
  ])('takes no JWT %s', async (_name, claims) => {
    const bad = await parent.vpnToken({ claims: { ...OF_NODE, ...claims } });
    parent.next.push(
      () => given('x'),
      () => given(bad),
    );
    expect((await failureOf(service.getJwtToken())).code).toBe('ERR_VPN_ANSWER_INVALID');
    parent.next.push(
      () => given('x'),
      () => given('a.b.c'),
    );
    expect((await failureOf(service.getJwtToken())).code).toBe('ERR_VPN_ANSWER_INVALID');
  });

  test('tells whether a JWT is good, by the keys', async () => {
    const jwt = await service.getJwtToken();
    expect(await service.isTokenValid(jwt)).toBe(true);
    expect(await service.isTokenValid(`${jwt.slice(0, -4)}AAAA`)).toBe(false);
    parent.issuer.at += 3_630;
    expect(await service.isTokenValid(jwt)).toBe(false);
    parent.issuer.isAway = true;
    await expect(make().isTokenValid(jwt)).rejects.toMatchObject({ status: 503 });
  });

  test('is not made with a margin that is none', () => {
    expect(() => make(-1)).toThrow('refreshBeforeSeconds: 0 or more');
    expect(() => make(Number.NaN)).toThrow(TypeError);
  });
});

describe('the settings', () => {
  const ENV = {
    PORTBRO_CLIENT_ID: NODE,
    PORTBRO_CLIENT_SECRET: SECRET,
    PARENT_ISSUER: ISSUER,
  };

  test('are those of the environment, with the server’s own addresses where it names none', () => {
    expect(readNodeSettings(ENV)).toEqual({
      clientId: NODE,
      clientSecret: SECRET,
      tokenUrl: new URL(`${ISSUER}/token`),
      vpnAuthUrl: new URL(`${ISSUER}/vpn/auth`),
      jwks: new URL(`${ISSUER}/jwks`),
      scope: 'read',
      issuer: ISSUER,
      audience: 'vpn-node',
      environment: 'production',
      testSecret: undefined,
    });
  });

  test('carry over from an environment file of another node', () => {
    const env = {
      ...ENV,
      PORTBRO_TOKEN_URL: 'https://id.example.com/o/token/',
      PORTBRO_VPN_AUTH_URL: 'http://localhost:8011/vpn/auth/',
      PARENT_JWKS_URL: 'https://keys.example.com/o/.well-known/jwks.json',
      PORTBRO_SCOPE: 'read more',
      PARENT_AUDIENCE: 'nodes',
      NODE_ENV: 'test',
      VPN_TEST_SECRET: 's',
      OTHER: 'x',
    };
    expect(readNodeSettings(env)).toMatchObject({
      tokenUrl: new URL('https://id.example.com/o/token/'),
      vpnAuthUrl: new URL('http://localhost:8011/vpn/auth/'),
      jwks: new URL('https://keys.example.com/o/.well-known/jwks.json'),
      ...{ scope: 'read more', audience: 'nodes', environment: 'test', testSecret: 's' },
    });
    const empty = { ...ENV, PORTBRO_TOKEN_URL: '', PORTBRO_SCOPE: '', VPN_TEST_SECRET: '', NODE_ENV: '' };
    expect(readNodeSettings(empty)).toEqual(readNodeSettings(ENV));
  });

  test('that are missing or wrong are told all at once, without a secret', () => {
    const faults = (env: Readonly<Record<string, string>>): string => {
      try {
        readNodeSettings(env);
        return '';
      } catch (error) {
        return (error as Error).message; // it throws TypeErrors alone
      }
    };
    expect(faults({ PORTBRO_CLIENT_SECRET: '' }).split('\n')).toEqual([
      'PORTBRO_CLIENT_ID is not set: the node needs it.',
      'PORTBRO_CLIENT_SECRET is not set: the node needs it.',
      'PARENT_ISSUER is not set: the node needs it.',
    ]);
    const wrong = faults({
      ...ENV,
      PARENT_ISSUER: 'id.example.com',
      PARENT_JWKS_URL: 'http://id.example.com',
    });
    expect(wrong.split('\n')).toEqual([
      'PARENT_ISSUER is no address that can be trusted: use https, or http on loopback.',
      'PARENT_JWKS_URL is no address that can be trusted: use https, or http on loopback.',
    ]);
    expect(wrong).not.toContain(SECRET);
  });

  test('a client is not made with addresses in the clear, or without id and secret', () => {
    const make = (changes: object) => () => createOAuth2Client({ ...parent.settings, ...changes });
    expect(make({ tokenUrl: new URL('http://id.example.com/token') })).toThrow(TypeError);
    expect(make({ vpnAuthUrl: new URL('ftp://localhost/') })).toThrow(TypeError);
    expect(make({ clientId: '' })).toThrow(TypeError);
    expect(make({ clientSecret: '' })).toThrow(TypeError);
  });
});
