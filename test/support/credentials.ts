/**
 * One of every kind of credential that a person can have, and at which door each is tried: what must be dead at once
 * when something ends. A new kind is one entry of `KINDS`.
 */
import { createHash, randomBytes, randomUUID } from 'node:crypto';

import { makeKey, statusOf } from './api-keys.ts';
import { login } from './api.ts';
import type { ApiClient, ApiPerson, SignedIn } from './api.ts';
import { apply, form, json } from './clients.ts';
import type { TestServer } from './server.ts';
import { createVisitor } from './visitor.ts';
import type { Page, Visitor } from './visitor.ts';

const REDIRECT_URI = 'https://app.example.com/callback';

/** A credential, and whether its door opens to it now. */
export interface Held {
  isGood(): Promise<boolean>;
}

interface Making {
  readonly server: TestServer;
  readonly api: ApiClient;
  readonly person: SignedIn;
}

type Make = (making: Making) => Promise<Held>;

/** Name → how somebody gets one. */
export const KINDS: Readonly<Record<string, Make>> = {
  'a browser’s session at the account page': async ({ server, person }) => {
    const visitor = await signedIn(server, person);
    return { isGood: async () => (await visitor.open('/account')).html.includes('/account/sign-out') };
  },

  'a browser’s session at an application’s request': async ({ server, person }) => {
    const visitor = await signedIn(server, person);
    const app = await createApp(server, { first_party: true });
    return { isGood: async () => codeOf(await visitor.open(app.authorizeUrl('openid'))) !== null };
  },

  'a code that is not redeemed': async ({ server, person }) => {
    const { app, code } = await authorized(server, person, 'openid');
    return { isGood: async () => (await app.redeem(code))['access_token'] !== undefined };
  },

  'an application’s access token at userinfo': async ({ server, person }) => {
    const { app, code } = await authorized(server, person, 'openid');
    const headers = { authorization: `Bearer ${String((await app.redeem(code))['access_token'])}` };
    return { isGood: async () => (await server.request('/userinfo', { headers })).status === 200 };
  },

  'an application’s refresh token': async ({ server, person }) => {
    const { app, code } = await authorized(server, person, 'openid');
    const token = String((await app.redeem(code))['refresh_token']);
    return { isGood: async () => (await app.refresh(token))['access_token'] !== undefined };
  },

  'an application’s refresh token with offline_access': async ({ server, person }) => {
    const { app, code } = await authorized(server, person, 'openid offline_access');
    const token = String((await app.redeem(code))['refresh_token']);
    return { isGood: async () => (await app.refresh(token))['access_token'] !== undefined };
  },

  'an access token of the JSON API': async ({ api, person }) => {
    const { token } = await login(api, person);
    const read = () => api.call('GET', '/api/v1/auth/profile', { token });
    return { isGood: async () => (await read()).status === 200 };
  },

  'a refresh token of the JSON API': async ({ api, person }) => {
    const { refreshToken } = await login(api, person, { remember_me: true });
    const body = { refresh_token: refreshToken };
    const refresh = () => api.call('POST', '/api/v1/auth/refresh', { body });
    return { isGood: async () => (await refresh()).status === 200 };
  },

  'an API key': async ({ api, person }) => {
    const { secret } = await makeKey(api, person);
    return { isGood: async () => (await statusOf(api, secret)) === 200 };
  },

  'an access token of the JSON API that was refreshed': async ({ api, person }) => {
    const { refreshToken } = await login(api, person);
    const body = { refresh_token: refreshToken };
    const answer = await api.call('POST', '/api/v1/auth/refresh', { body });
    const token = String(answer.body?.['access_token']);
    const list = () => api.call('GET', '/api/v1/auth/sessions', { token });
    return { isGood: async () => (await list()).status === 200 };
  },
};

/** Somebody who signed in in a browser. */
async function signedIn(server: TestServer, { username, password }: ApiPerson): Promise<Visitor> {
  const visitor = createVisitor(server);
  await visitor.send(await visitor.open('/account'), { login: username, password });
  return visitor;
}

/** Signs in for an application, which gets a code. */
async function authorized(server: TestServer, { username, password }: ApiPerson, scope: string) {
  const app = await createApp(server, {});
  const visitor = createVisitor(server);
  const asked = await visitor.open(app.authorizeUrl(scope));
  const consent = await visitor.send(asked, { login: username, password });
  const code = codeOf(await visitor.send(consent, { decision: 'allow' }));
  if (code === null) throw new Error('the application got no code');
  return { app, code };
}

const codeOf = ({ redirect }: Page): string | null => redirect?.searchParams.get('code') ?? null;

/** A public client with PKCE, as a single-page app is one. */
async function createApp(server: TestServer, fields: object) {
  const id = `app-${randomUUID().slice(0, 8)}`;
  const client = {
    client_id: id,
    redirect_uris: [REDIRECT_URI],
    grant_types: ['authorization_code', 'refresh_token'],
    token_endpoint_auth_method: 'none',
    scope: 'openid offline_access',
    ...fields,
  };
  await apply(server.administration, { clients: [client] });
  const verifier = randomBytes(32).toString('base64url');
  const ask = async (fieldsOfGrant: Readonly<Record<string, string>>) =>
    json(await server.request('/token', form({ client_id: id, ...fieldsOfGrant })));
  return {
    authorizeUrl: (scope: string): string => {
      const query = new URLSearchParams({
        ...{ client_id: id, redirect_uri: REDIRECT_URI, response_type: 'code', scope },
        code_challenge: createHash('sha256').update(verifier).digest('base64url'),
        code_challenge_method: 'S256',
        ...(scope.includes('offline_access') && { prompt: 'consent' }),
      });
      return `/authorize?${query.toString()}`;
    },
    redeem: (code: string) =>
      ask({ grant_type: 'authorization_code', redirect_uri: REDIRECT_URI, code, code_verifier: verifier }),
    refresh: (token: string) => ask({ grant_type: 'refresh_token', refresh_token: token }),
  };
}
