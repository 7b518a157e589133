/** A server whose customers have a gateway that follows the feed, for the tests of that feed. */
import { expect } from '@jest/globals';
import { decodeJwt } from 'jose';
import { randomUUID } from 'node:crypto';

import { createApiClient } from '../support/api.ts';
import type { ApiAnswer, ApiClient } from '../support/api.ts';
import { apply, basic, createClient, form, getToken, json } from '../support/clients.ts';
import type { Credentials } from '../support/clients.ts';
import type { SignInServer } from '../support/sign-in.ts';
import { feedOf } from '../vpn/feed.ts';
import type { Feed, FeedClaims } from '../vpn/feed.ts';

const BASE = '/api/v1/customers';

/** A server, its administrator, and its gateway. */
export interface World {
  readonly server: SignInServer;
  readonly gateway: Credentials;
  readonly feed: Feed;
  call(method: string, path: string, body?: object): Promise<ApiAnswer>;
  make(fields?: object): Promise<string>;
  issue(username: string, body?: object): Promise<string>;
  /** What of the feed is new after some work, without the times. */
  newAfter(work: () => Promise<unknown>): Promise<readonly object[]>;
  isLive(token: string): Promise<unknown>;
}

export async function createWorld(server: SignInServer): Promise<World> {
  const api: ApiClient = await createApiClient(server);
  const made = await apply(server.administration, { clients: [{ client_id: 'petstore', scope: 'read' }] });
  const gateway = { id: 'petstore', secret: made.get('petstore') ?? '' };
  const admin = await getToken(server, await createClient(server, 'admin'), { scope: 'admin' });
  const feed = await feedOf(server, gateway, 'customers');
  const call: World['call'] = (method, path, body) =>
    api.call(method, BASE + path, { token: admin, ...(body && { body }) });
  return {
    server,
    gateway,
    feed,
    call,
    make: async (fields = {}) => {
      const username = `R-${randomUUID().slice(0, 8)}`;
      expect((await call('POST', '', { username, customer_type: 'free', ...fields })).status).toBe(201);
      return username;
    },
    issue: async (username, body = {}) => {
      const answer = await call('POST', `/${username}/tokens`, body);
      if (answer.status !== 201) throw new Error(`${answer.status} ${JSON.stringify(answer.body)}`);
      return String(answer.body?.['access_token']);
    },
    newAfter: async (work) => {
      const begin = await feed.end();
      await work();
      return feed.since(begin);
    },
    isLive: async (token) =>
      (await json(await server.request('/introspect', form({ token }, basic(gateway)))))['active'],
  };
}

/** Whether what was read of the feed names a token, by the words of the documentation. */
export function isNamed(revoked: FeedClaims['revoked'], token: string): boolean {
  const { sub, jti = '' } = decodeJwt(token);
  const series = Number.parseInt(jti.split('~')[0] ?? '', 36);
  return revoked.some((it) => it['jti'] === jti || (it['customer'] === sub && series < Number(it['before'])));
}
