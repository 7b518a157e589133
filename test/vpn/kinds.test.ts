/**
 * Kinds of tokens are mutually exclusive (RFC 8725 3.12): everything that this server issues, at every place that takes
 * one of them. A table of what is taken; all else is refused with the error of that place.
 */
import { beforeAll, expect, test } from '@jest/globals';

import { getStatusListFromJWT } from '@sd-jwt/jwt-status-list';

import type { Account } from '../../src/storage/port.ts';
import { apply, basic, createClient, form, getToken, json } from '../support/clients.ts';
import type { Credentials } from '../support/clients.ts';
import { PROFILE } from '../support/api-keys.ts';
import { createApiClient } from '../support/api.ts';
import { createRelyingParty, signIn } from '../support/relying-party.ts';
import { describeOnBothStores } from '../support/server.ts';
import { PASSWORD, useSignInServer } from '../support/sign-in.ts';
import { ACCESS_TOKEN, createNode, exchangeAtToken, ID_TOKEN, resourceOf, signInAt } from './world.ts';
import type { Node } from './world.ts';

const API = 'https://api.example.com/kinds';

type Kind =
  | `the node’s ${'access token' | 'VPN JWT'}`
  | `the person’s ${'access token' | 'VPN JWT'}`
  | `another client’s ${'access' | 'ID'} token`
  | `the ${'access' | 'refresh'} token of the JSON API`
  | 'the ID token'
  | 'the refresh token'
  | 'a JWT for an API'
  | 'a status list'
  | 'nothing that was issued';

interface PlaceOf {
  readonly takes: readonly Kind[];
  /** Statuses of a refusal, with the OAuth error where the place has one. */
  readonly refuses: readonly string[];
}

/** The places that take a token: what each takes, and how it refuses all else. */
const PLACES = {
  'bearer of /vpn/auth': { takes: ['the node’s access token'], refuses: ['401 invalid_token'] },
  'bearer of /vpn/keys': { takes: [], refuses: ['401 invalid_token'] },
  'ID token of the exchange': { takes: ['the ID token'], refuses: ['400 invalid_request'] },
  'access token of the exchange': {
    takes: ['the person’s access token'],
    refuses: ['400 invalid_request'],
  },
  '/userinfo': {
    takes: ['the person’s access token', 'another client’s access token'],
    refuses: ['401 invalid_token', '403 insufficient_scope'],
  },
  'the JSON API': { takes: ['the access token of the JSON API'], refuses: ['401'] },
  // A gateway that requires no audience lets every access token of this server pass.
  '/api/v1/verify': {
    takes: [
      ...(['the node’s access token', 'the person’s access token', 'another client’s access token'] as const),
      'the access token of the JSON API',
    ],
    refuses: ['401'],
  },
  'a gateway of VPN nodes': { takes: [], refuses: ['401', '403'] },
  'refresh at /token': { takes: ['the refresh token'], refuses: ['400 invalid_grant'] },
  // What cannot be one by its characters is a wrong request.
  'refresh at the JSON API': {
    takes: ['the refresh token of the JSON API'],
    refuses: ['400', '401'],
  },
} as const satisfies Readonly<Record<string, PlaceOf>>;

type Place = keyof typeof PLACES;

describeOnBothStores('a token of each kind', (store) => {
  const server = useSignInServer(store, { VPN_STATUS_LIST: 'on' });
  let node: Node;
  let account: Account;
  let tokens: ReadonlyMap<Kind, string>;

  beforeAll(async () => {
    node = await createNode(server());
    account = await server().createAccount({ roles: { 'vpn-node': 'admin' } });
    tokens = await issueAll(node);
  });

  const bearer = (token: string, more: object = {}): RequestInit => ({
    headers: { authorization: `Bearer ${token}`, ...more },
  });
  const exchange = async (token: string, type: string) => {
    const { status, body } = await exchangeAtToken(server(), node, {
      ...{ subject_token: token, subject_token_type: type },
    });
    return told(status, body);
  };
  const told = (status: number, { error }: { readonly error?: unknown }): string =>
    typeof error === 'string' ? `${status} ${error}` : String(status);
  const asked = async (path: string, init: RequestInit): Promise<string> => {
    const answer = await server().request(path, init);
    const text = await answer.text();
    return told(answer.status, text === '' ? {} : (JSON.parse(text) as object)); // all of them answer with JSON
  };
  const posted = (body: object): RequestInit => ({
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify(body),
  });

  const at: Readonly<Record<Place, (token: string) => Promise<string>>> = {
    'bearer of /vpn/auth': (token) => asked('/vpn/auth', { method: 'POST', ...bearer(token) }),
    'bearer of /vpn/keys': (token) =>
      asked('/vpn/keys', {
        ...posted({ proof: 'x' }),
        ...bearer(token, { 'content-type': 'application/json' }),
      }),
    'ID token of the exchange': (token) => exchange(token, ID_TOKEN),
    'access token of the exchange': (token) => exchange(token, ACCESS_TOKEN),
    '/userinfo': (token) => asked('/userinfo', bearer(token)),
    'the JSON API': (token) => asked(PROFILE, bearer(token)),
    '/api/v1/verify': (token) => asked('/api/v1/verify', bearer(token)),
    'a gateway of VPN nodes': (token) => asked('/api/v1/verify?audience=vpn-node', bearer(token)),
    'refresh at /token': (token) =>
      asked('/token', form({ grant_type: 'refresh_token', refresh_token: token }, basic(node))),
    'refresh at the JSON API': (token) => asked('/api/v1/auth/refresh', posted({ refresh_token: token })),
  };

  /** Everything that is issued to the node, to other clients, and to the person. */
  async function issueAll(to: Node): Promise<ReadonlyMap<Kind, string>> {
    await apply(server().administration, {
      resource_servers: [{ identifier: API, audience: 'kinds-api', scopes: ['things'] }],
    });
    const { tokens: own } = await signInAt(server(), to, account);
    const { tokens: vpn } = await signInAt(server(), to, account, {
      ...{ scope: 'openid read', resource: resourceOf(server()) },
    });
    const party = await createRelyingParty(server(), { scope: 'openid things' });
    const { tokens: ofParty } = await signIn(server(), party, account, {
      parameters: { scope: 'openid things', resource: API },
    });
    const client = await createClient(server(), 'things');
    const api = await createApiClient(server());
    const login = { username: account.username, password: PASSWORD };
    const { body: signedIn = {} } = await api.call('post', '/api/v1/auth/login', { body: login });
    const jwt = await vpnJwtOf(to);
    return new Map<Kind, string>([
      ['the node’s access token', await getToken(server(), to)],
      ['the node’s VPN JWT', jwt],
      ['a status list', await statusListOf(jwt)],
      ['the person’s access token', own.access_token],
      ['the ID token', own.id_token ?? ''],
      ['the refresh token', own.refresh_token ?? ''],
      ['the person’s VPN JWT', vpn.access_token],
      ['another client’s ID token', ofParty.id_token ?? ''],
      ['another client’s access token', ofParty.access_token],
      ['a JWT for an API', await getToken(server(), client, { scope: 'things', resource: API })],
      ['the access token of the JSON API', String(signedIn['access_token'])],
      ['the refresh token of the JSON API', String(signedIn['refresh_token'])],
      ['nothing that was issued', 'x'.repeat(43)],
    ]);
  }

  async function statusListOf(jwt: string): Promise<string> {
    const { pathname } = new URL(getStatusListFromJWT(jwt).uri);
    return (await server().request(pathname)).text();
  }

  async function vpnJwtOf(to: Credentials): Promise<string> {
    const token = await getToken(server(), to);
    const answer = await server().request('/vpn/auth', { method: 'POST', ...bearer(token) });
    return String((await json(answer))['access_token']);
  }

  test.each(Object.keys(PLACES) as readonly Place[])(
    'is refused at %s, but for the one that it takes',
    async (place) => {
      const { takes, refuses }: PlaceOf = PLACES[place];
      const isTaken = (kind: Kind): boolean => takes.includes(kind);
      // The good ones last: a refresh uses its token up.
      const kinds = [...tokens.keys()].sort((one, other) => Number(isTaken(one)) - Number(isTaken(other)));
      const taken: Kind[] = [];
      for (const kind of kinds) {
        const answer = await at[place](tokens.get(kind) ?? '');
        if (/^20[0-9]$/.test(answer)) taken.push(kind);
        else expect(refuses).toContain(answer);
      }
      expect(taken.sort()).toEqual([...takes].sort());
    },
  );

  test('a VPN JWT is no bearer either where an API was declared under the audience that is the VPN’s now', async () => {
    await apply(server().administration, {
      resource_servers: [{ identifier: 'urn:once', audience: 'once-an-api', scopes: ['things'] }],
    });
    const { config } = server();
    const vpn = { ...config.vpn, audience: 'once-an-api' };
    const { origin } = await server().startInstance({ config: { ...config, vpn } });
    const ask = (path: string, token: string, method: string): Promise<Response> =>
      fetch(origin + path, { method, ...bearer(token) });
    const token = await getToken(server(), node);
    const { access_token } = await json(await ask('/vpn/auth', token, 'POST'));
    const answer = await ask('/api/v1/verify?audience=once-an-api', String(access_token), 'GET');
    expect(answer.status).toBe(401);
  });
});
