/** RFC 7591: what an administrator may register, and each refusal with its path. */
import { describe, expect, test } from '@jest/globals';
import { randomUUID } from 'node:crypto';

import { apply, basic } from '../support/clients.ts';
import { useTestServer } from '../support/server.ts';

const REDIRECT = { redirect_uris: ['https://app.example.com/callback'] };
const CODE = { ...REDIRECT, grant_types: ['authorization_code'] };
const ALL = {
  application_type: 'web',
  backchannel_logout_session_required: true,
  backchannel_logout_uri: 'https://app.example.com/logout',
  client_name: 'An application',
  client_uri: 'https://app.example.com',
  contacts: ['someone@example.com'],
  default_max_age: 3_600,
  first_party: true,
  id_token_signed_response_alg: 'ES256',
  logo_uri: 'https://app.example.com/logo.svg',
  policy_uri: 'https://app.example.com/privacy',
  post_logout_redirect_uris: ['https://app.example.com/bye'],
  require_auth_time: true,
  require_pkce: true,
  response_types: ['code'],
  software_id: '4NRB1-0XZABZI9E6-5SM3R',
  software_version: '2.1',
  tos_uri: 'https://app.example.com/terms',
};

describe('metadata of clients', () => {
  const server = useTestServer('SQLite');

  const register = (client: object) =>
    server().administration.apply(
      JSON.stringify({
        clients: [{ client_id: `c-${randomUUID().slice(0, 8)}`, scope: 'openid', ...client }],
      }),
      {},
      false,
    );

  test.each([
    ['a web application', { ...CODE, grant_types: ['authorization_code', 'refresh_token'] }],
    ['an application in a browser', { ...CODE, token_endpoint_auth_method: 'none' }],
    ['one in development', { ...CODE, redirect_uris: ['http://localhost:5173/callback'] }],
    [
      'a native application',
      {
        ...CODE,
        application_type: 'native',
        token_endpoint_auth_method: 'none',
        redirect_uris: ['com.example.app:/callback', 'http://127.0.0.1/callback', 'http://[::1]/callback'],
      },
    ],
    ['a device', { grant_types: ['urn:ietf:params:oauth:grant-type:device_code', 'refresh_token'] }],
    ['an old client without PKCE', { ...CODE, require_pkce: false }],
    ['all that may be said of one', { ...CODE, ...ALL }],
  ])('takes %s', async (_name, client) => {
    expect(await register(client)).toMatchObject({ ok: true, items: [{ action: 'create' }] });
  });

  test.each([
    ['authorization_code without a redirect URI', { grant_types: ['authorization_code'] }, 'redirect_uris'],
    [
      'a redirect URI without authorization_code',
      { ...REDIRECT, grant_types: ['client_credentials'] },
      'redirect_uris',
    ],
    ['http to another host', { ...CODE, redirect_uris: ['http://app.example.com/'] }, 'redirect_uris[0]'],
    ['a fragment', { ...CODE, redirect_uris: ['https://app.example.com/#a'] }, 'redirect_uris[0]'],
    ['a wildcard', { ...CODE, redirect_uris: ['https://*.example.com/'] }, 'redirect_uris[0]'],
    ['a user in the URI', { ...CODE, redirect_uris: ['https://a@example.com/'] }, 'redirect_uris[0]'],
    ['a scheme of its own on the web', { ...CODE, redirect_uris: ['com.example.app:/'] }, 'redirect_uris[0]'],
    [
      'a script',
      { ...CODE, application_type: 'native', redirect_uris: ['javascript:alert(1)'] },
      'redirect_uris[0]',
    ],
    [
      'a bad address after logout',
      { ...CODE, post_logout_redirect_uris: ['http://example.com/'] },
      'post_logout_redirect_uris[0]',
    ],
    ['a public client that acts for itself', { token_endpoint_auth_method: 'none' }, 'grant_types'],
    [
      'a secret of a public client',
      { ...CODE, token_endpoint_auth_method: 'none', client_secret: 'x'.repeat(32) },
      'client_secret',
    ],
    [
      'a public client without PKCE',
      { ...CODE, token_endpoint_auth_method: 'none', require_pkce: false },
      'require_pkce',
    ],
    ['no PKCE and no openid', { ...CODE, require_pkce: false, scope: 'read' }, 'scope'],
    ['refresh_token alone', { grant_types: ['client_credentials', 'refresh_token'] }, 'grant_types'],
    ['offline_access without refresh_token', { ...CODE, scope: 'openid offline_access' }, 'scope'],
    ['a maximal age without openid', { ...CODE, scope: 'read', default_max_age: 60 }, 'default_max_age'],
    ['auth_time without openid', { ...CODE, scope: 'read', require_auth_time: true }, 'require_auth_time'],
    [
      'logout of sessions at no address',
      { ...CODE, backchannel_logout_session_required: true },
      'backchannel_logout_session_required',
    ],
    ['the implicit grant', { ...CODE, grant_types: ['implicit'] }, 'grant_types[0]'],
    ['the password grant', { ...CODE, grant_types: ['password'] }, 'grant_types[0]'],
    ['response types that the grants have not', { response_types: ['code'] }, 'response_types'],
    ['no response type where people sign in', { ...CODE, response_types: [] }, 'response_types'],
    ['a response type beside code', { ...CODE, response_types: ['code', 'token'] }, 'response_types'],
    ['an empty response type', { response_types: [''] }, 'response_types'],
    ['a long software id', { software_id: 'x'.repeat(201) }, 'software_id'],
    ['a software version of two lines', { software_version: '1\n2' }, 'software_version'],
    ['an unknown field', { ...CODE, redirect_uri: 'https://app.example.com/' }, 'clients[0]'],
  ])('refuses %s', async (_name, client, path) => {
    const outcome = await register(client);
    expect(outcome.ok).toBe(false);
    expect(outcome.ok ? [] : outcome.faults.map((fault) => fault.path)).toContainEqual(
      expect.stringContaining(path),
    );
  });

  test('a client with redirect URIs and no grant types has authorization_code, one without acts for itself', async () => {
    const [web, service] = [`c-${randomUUID().slice(0, 8)}`, `c-${randomUUID().slice(0, 8)}`];
    const clients = [
      { client_id: web, scope: 'openid', ...REDIRECT },
      { client_id: service, scope: 'read' },
    ];
    await apply(server().administration, { clients });
    expect(await server().administration.showClient(web, false)).toMatchObject({
      grant_types: ['authorization_code'],
      response_types: ['code'],
    });
    expect(await server().administration.showClient(service, false)).toMatchObject({
      grant_types: ['client_credentials'],
      response_types: [],
    });
  });

  test('a client without scope has openid where people sign in, and none where it acts for itself', async () => {
    const web = { client_id: `c-${randomUUID().slice(0, 8)}`, ...CODE };
    const service = { client_id: `c-${randomUUID().slice(0, 8)}`, response_types: [] };
    const made = await apply(server().administration, { clients: [web, service] });
    const shown = (id: string) => server().administration.showClient(id, false);
    expect(await shown(web.client_id)).toMatchObject({ scope: 'openid' });
    expect(await shown(service.client_id)).toMatchObject({ scope: '' });
    const { request } = server();
    const ask = (parameters: Readonly<Record<string, string>>) => {
      const authorization = basic({ id: service.client_id, secret: made.get(service.client_id) ?? '' });
      const body = new URLSearchParams({ grant_type: 'client_credentials', ...parameters });
      return request('/token', { method: 'POST', headers: { authorization }, body });
    };
    expect((await ask({})).status).toBe(200);
    expect(await (await ask({ scope: 'read' })).json()).toMatchObject({ error: 'invalid_scope' });
    // A change of something else leaves it so.
    const { saveClient } = server().administration;
    expect(await saveClient('update', service.client_id, false, { client_name: 'S' })).toMatchObject({
      ok: true,
    });
    expect(await shown(service.client_id)).toMatchObject({ scope: '', client_name: 'S' });
  });

  test('what is shown of a client can be applied again, and changes nothing', async () => {
    const client = { client_id: `c-${randomUUID().slice(0, 8)}`, ...CODE, ...ALL };
    await apply(server().administration, { clients: [client] });
    const { created_at, updated_at, ...shown } = await server().administration.showClient(
      client.client_id,
      false,
    );
    expect(shown).toEqual({ ...client, scope: 'openid', token_endpoint_auth_method: 'client_secret_basic' });
    expect([created_at, updated_at]).toEqual([expect.any(String), expect.any(String)]);
    expect(await register(shown)).toMatchObject({ ok: true, items: [{ action: 'none' }] });
  });
});
