/** Limits of what asks the server to remember something, over HTTP: a person's own forms, and requests for a sign-in. */
import { expect, test } from '@jest/globals';

import { createApiClient, enter, PASSWORD } from '../support/api.ts';
import { basic, createClient, form } from '../support/clients.ts';
import { describeOnBothStores, useTestServer } from '../support/server.ts';
import { createVisitor } from '../support/visitor.ts';

const REDIRECT_URI = 'https://app.example.com/callback';

const authorization = (clientId: string, more: Readonly<Record<string, string>> = {}): string =>
  new URLSearchParams({
    ...{ client_id: clientId, redirect_uri: REDIRECT_URI, response_type: 'code', scope: 'openid' },
    ...{ code_challenge: 'E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM', code_challenge_method: 'S256' },
    ...more,
  }).toString();

describeOnBothStores("a person's own forms", (store) => {
  const server = useTestServer(store, { RATE_LIMIT_USER: '6' });

  /** Signed in on the pages; `send` sends one of the forms there. */
  const signIn = async () => {
    const { username } = await enter(await createApiClient(server()));
    const visitor = createVisitor(server());
    const page = await visitor.send(await visitor.open('/account'), { login: username, password: PASSWORD });
    const csrf = /name="csrf" value="([^"]+)"/.exec(page.html)?.[1] ?? '';
    const cookie = [...visitor.cookies()].map((pair) => pair.join('=')).join('; ');
    return (path: string, fields: Readonly<Record<string, string>> = {}) =>
      server().request(path, {
        method: 'POST',
        redirect: 'manual',
        headers: { cookie, accept: 'text/html', 'accept-language': 'de', 'sec-fetch-site': 'same-origin' },
        body: new URLSearchParams({ csrf, ...fields }),
      });
  };

  test('are counted by account, all together, and the pages are not', async () => {
    const [send, other] = [await signIn(), await signIn()];
    const password = { currentPassword: PASSWORD, newPassword: PASSWORD };
    const sent = await Promise.all(
      Array.from({ length: 30 }, (_, n) =>
        n % 2 === 0
          ? send('/account/applications/remove', { id: `x${n}` })
          : send('/account/password', password),
      ),
    );
    expect(sent.filter(({ status }) => status !== 429)).toHaveLength(6);
    for (const path of ['/account/email', '/account/delete', '/account/delete/', '/account/profile']) {
      const refused = await send(path);
      expect([path, refused.status]).toEqual([path, 429]);
      expect(refused.headers.get('Retry-After')).toMatch(/^\d+$/);
      const html = await refused.text();
      expect(html).toContain('<html lang="de"');
      // It is the account's limit, whatever the network.
      expect(html).toContain('In kurzer Zeit kamen mehr Anfragen, als erlaubt sind.');
    }
    expect((await other('/account/applications/remove', { id: 'x' })).status).toBe(303);
    expect((await send('/account/nothing-there')).status).toBe(404);
  });
});

describeOnBothStores('requests for a sign-in', (store) => {
  const server = useTestServer(store, { RATE_LIMIT_AUTHORIZE: '3', TRUST_PROXY: '1' });
  const newClient = () => createClient(server(), 'openid', { redirect_uris: [REDIRECT_URI] });
  const ask = (query: string, ip: string, path = '/authorize', headers = {}) =>
    server().request(`${path}?${query}`, {
      redirect: 'manual',
      headers: { accept: 'text/html', 'x-forwarded-for': ip, ...headers },
    });

  test('are counted by network, whatever cookie comes with them, and tokens are not', async () => {
    const { id } = await newClient();
    const query = authorization(id);
    const forged = { cookie: '_session=invented; _session.sig=invented' };
    for (let sent = 0; sent < 3; sent += 1) {
      const answer = await ask(query, '198.51.100.1', '/authorize', sent === 1 ? forged : {});
      expect(answer.status).toBe(303);
      expect(answer.headers.get('RateLimit')).toMatch(new RegExp(`^"authorize";r=${2 - sent};t=`));
    }
    const headers = { 'x-forwarded-for': '198.51.100.1' };
    for (const path of ['/authorize', '/o/authorize', '/authorize/'])
      expect((await ask(query, '198.51.100.1', path, forged)).status).toBe(429);
    const device = await server().request('/device/auth', {
      ...{ method: 'POST', headers },
      body: new URLSearchParams({ client_id: id }),
    });
    expect(device.status).toBe(429);
    expect((await ask(query, '198.51.100.2')).status).toBe(303);
    const program = await createClient(server(), 'read');
    const wanted = form({ grant_type: 'client_credentials', scope: 'read' }, basic(program));
    for (let sent = 0; sent < 5; sent += 1) {
      const token = await server().request('/token', {
        ...wanted,
        headers: { ...(wanted.headers as Record<string, string>), ...headers },
      });
      expect(token.status).toBe(200);
    }
  });

  test('of a person who is signed in are counted by account', async () => {
    const { id } = await newClient();
    const { username } = await enter(await createApiClient(server()));
    const visitor = createVisitor(server());
    await visitor.send(await visitor.open('/account'), { login: username, password: PASSWORD });
    const cookie = [...visitor.cookies()].map((pair) => pair.join('=')).join('; ');
    const statuses: number[] = [];
    for (let sent = 0; sent < 4; sent += 1)
      statuses.push((await ask(authorization(id), `198.51.101.${sent}`, '/authorize', { cookie })).status);
    expect(statuses).toEqual([303, 303, 303, 429]);
  });

  test('have parameters of a bounded length, as a query and as a form', async () => {
    const { id } = await newClient();
    const bounds = [
      ...(['state', 'nonce', 'login_hint', 'ui_locales'] as const).map((name) => [name, 2_048] as const),
      ['claims', 4_096] as const,
    ];
    for (const [index, [name, max]] of bounds.entries()) {
      const refused = await ask(authorization(id, { [name]: 'x'.repeat(max + 1) }), `198.51.102.${index}`);
      expect([name, refused.status]).toEqual([name, 400]);
      const html = await refused.text();
      expect(html).toContain('invalid_request');
      expect(html).toContain(`The parameter ${name} has at most ${max} characters.`);
    }
    const fitting = authorization(id, { state: 'x'.repeat(2_048), nonce: 'x'.repeat(2_048) });
    expect((await ask(fitting, '198.51.103.1')).status).toBe(303);
    const posted = await server().request('/authorize', {
      ...{ method: 'POST', redirect: 'manual' },
      body: new URLSearchParams(authorization(id, { state: 'x'.repeat(11_000) })),
    });
    const { pathname, search } = new URL(posted.headers.get('location') ?? '', server().issuer);
    expect((await ask(search.slice(1), '198.51.103.2', pathname)).status).toBe(400);
  });
});
