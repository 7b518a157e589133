/** examples/web: how it begins a sign-in at the real server, which answers it takes, and what it remembers. */
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import fc from 'fast-check';

import { createBounded } from '../../examples/web/bounded.ts';
import { startWeb } from '../../examples/web/server.ts';
import { findFreePort } from '../cli/serve-process.ts';
import { startTestServer } from '../support/server.ts';
import type { TestServer } from '../support/server.ts';

type Web = Awaited<ReturnType<typeof startWeb>>;

const CLIENT_SECRET = 'a-secret-that-only-this-test-knows-0123456789';

describe('examples/web', () => {
  let server: TestServer;
  let web: Web;

  beforeAll(async () => {
    const port = String(await findFreePort());
    // The example finds the server by its issuer, so this one listens where its issuer says.
    server = await startTestServer('SQLite', { ISSUER: `http://localhost:${port}`, PORT: port });
    web = await startWeb({ issuer: server.issuer, port: 0, clientSecret: CLIENT_SECRET });
  });

  afterAll(async () => {
    await web.close();
    await server.stop();
  });

  const request = (path: string, init: RequestInit = {}): Promise<Response> =>
    fetch(web.origin + path, { redirect: 'manual', ...init });

  /** Begins a sign-in, and gives where it leads and the cookie that belongs to it. */
  const begin = async (): Promise<{ readonly url: URL; readonly cookie: string; readonly state: string }> => {
    const answer = await request('/sign-in');
    expect(answer.status).toBe(303);
    const url = new URL(answer.headers.get('location') ?? '');
    const [cookie = ''] = (answer.headers.get('set-cookie') ?? '').split(';');
    return { url, cookie, state: url.searchParams.get('state') ?? '' };
  };

  /** The sentence of the problem that a callback with these parameters ends in. */
  const problemOf = async (parameters: Readonly<Record<string, string>>, cookie = ''): Promise<string> => {
    const answer = await request(`/callback?${new URLSearchParams(parameters).toString()}`, {
      headers: { cookie },
    });
    expect(answer.status).toBe(400);
    expect(answer.headers.get('set-cookie')).toBeNull();
    return /role="alert">([^<]*)</.exec(await answer.text())?.[1] ?? '';
  };

  test('shows its start page, with nothing that a script or another site could be in', async () => {
    const answer = await request('/');
    expect(answer.headers.get('content-security-policy')).toBe(
      "default-src 'none'; style-src 'self'; img-src 'self'; base-uri 'none'; " +
        `form-action 'self' ${server.issuer}; frame-ancestors 'none'`,
    );
    const page = await answer.text();
    expect(page).toContain('href="/sign-in"');
    expect(page).not.toContain('<script');
  });

  test('begins a sign-in by code + PKCE with state and nonce, bound to the browser by a cookie', async () => {
    const { url, state } = await begin();
    expect(url.origin + url.pathname).toBe(`${server.issuer}/authorize`);
    expect(Object.fromEntries(url.searchParams)).toEqual({
      client_id: 'web-example',
      code_challenge: expect.stringMatching(/^[\w-]{43}$/),
      code_challenge_method: 'S256',
      nonce: expect.stringMatching(/^[\w-]{43}$/),
      prompt: 'consent',
      redirect_uri: `${web.origin}/callback`,
      response_type: 'code',
      scope: 'openid profile email offline_access',
      state,
    });
    const cookie = (await request('/sign-in')).headers.get('set-cookie');
    expect(cookie).toMatch(
      /^web_example_sign_in\.[\w-]{43}=[\w-]{43}; Path=\/; HttpOnly; SameSite=Lax; Max-Age=900$/,
    );
  });

  test('refuses an answer that this browser did not ask for', async () => {
    const { state } = await begin();
    const sentence = /^This sign-in is too old, or was begun in another browser/;
    expect(await problemOf({ code: 'x', state, iss: server.issuer })).toMatch(sentence);
    const forged = `web_example_sign_in.${state}=x`;
    expect(await problemOf({ code: 'x', state, iss: server.issuer }, forged)).toMatch(sentence);
  });

  test('refuses an answer with another state, of another issuer, or of none', async () => {
    const other = await begin();
    const asked = await begin();
    expect(await problemOf({ code: 'x', state: other.state, iss: server.issuer }, asked.cookie)).toMatch(
      /^This sign-in is too old/,
    );
    for (const wrong of [{ iss: 'https://attacker.example' }, { iss: '' }]) {
      const { state, cookie } = await begin();
      const sentence = await problemOf({ code: 'x', state, ...wrong }, cookie);
      expect(sentence).toBe('The answer was not accepted (OAUTH_INVALID_RESPONSE).');
    }
    const { state, cookie } = await begin();
    expect(await problemOf({ code: 'x', state }, cookie)).toBe(
      'The answer was not accepted (OAUTH_INVALID_RESPONSE).',
    );
  });

  test('says what the server refused, and takes one answer to each sign-in', async () => {
    const { state, cookie } = await begin();
    const refused = { error: 'access_denied', state, iss: server.issuer };
    expect(await problemOf(refused, cookie)).toBe('You did not allow it, so you are not signed in.');
    expect(await problemOf(refused, cookie)).toMatch(/^This sign-in is too old/);
  });

  test('takes no form of another site', async () => {
    const foreign = [{ 'sec-fetch-site': 'cross-site' }, { 'sec-fetch-site': 'same-site' }, {}];
    for (const headers of [...foreign, { origin: server.issuer }]) {
      for (const path of ['/renew', '/sign-out']) {
        expect((await request(path, { method: 'POST', headers })).status).toBe(403);
      }
    }
    const own = { 'sec-fetch-site': 'same-origin' };
    expect((await request('/sign-out', { method: 'POST', headers: own })).headers.get('location')).toBe('/');
    expect((await request('/renew', { method: 'POST', headers: own })).headers.get('location')).toBe('/');
  });

  test('shows as text what an answer says', async () => {
    const { state, cookie } = await begin();
    const answer = { error: '<script>alert(1)</script>', state, iss: server.issuer };
    expect(await problemOf(answer, cookie)).toBe(
      'Portcullis refused: &lt;script&gt;alert(1)&lt;/script&gt;.',
    );
  });

  test('serves nothing else', async () => {
    for (const path of ['/__proto__', '/constructor', '/web/server.ts', '/renew']) {
      expect((await request(path)).status).toBe(404);
    }
  });

  test('starts without the server, and says so when somebody wants to sign in', async () => {
    const issuer = `http://localhost:${await findFreePort()}`;
    const alone = await startWeb({ issuer, port: 0, clientSecret: CLIENT_SECRET });
    expect((await fetch(alone.origin)).status).toBe(200);
    const answer = await fetch(`${alone.origin}/sign-in`, { redirect: 'manual' });
    expect(answer.status).toBe(502);
    expect(await answer.text()).toContain('Try again in a moment.');
    await alone.close();
  });
});

describe('its memory', () => {
  test('holds the newest entries, at most as many as it may, for as long as they live', () => {
    const steps = fc.array(fc.record({ seconds: fc.nat(20), isRemoved: fc.boolean() }), { maxLength: 60 });
    fc.assert(
      fc.property(steps, (taken) => {
        let now = 0;
        const bounded = createBounded<number>({ maxEntries: 5, lifetimeSeconds: 30, now: () => now });
        const added: { readonly key: string; readonly at: number }[] = [];
        let kept: typeof added = [];
        for (const { seconds, isRemoved } of taken) {
          now += seconds;
          const entry = { key: bounded.add(now), at: now };
          kept = kept.filter(({ at }) => at + 30 > now).slice(-4); // room for one, also for one that goes at once
          if (isRemoved) bounded.remove(entry.key);
          else kept.push(entry);
          added.push(entry);
        }
        const living = kept.filter(({ at }) => at + 30 > now);
        const found = added.filter(({ key }) => bounded.find(key) !== null);
        return JSON.stringify(found) === JSON.stringify(living);
      }),
      { examples: [[[...Array<number>(5), 1].map((last) => ({ seconds: 0, isRemoved: last === 1 }))]] },
    );
  });

  test('changes only what is there, without making it live longer', () => {
    let now = 0;
    const bounded = createBounded<string>({ maxEntries: 5, lifetimeSeconds: 30, now: () => now });
    const key = bounded.add('one');
    now = 29;
    bounded.replace(key, 'two');
    bounded.replace('unknown', 'three');
    expect([bounded.find(key), bounded.find('unknown')]).toEqual(['two', null]);
    now = 30;
    expect(bounded.find(key)).toBeNull();
  });
});
