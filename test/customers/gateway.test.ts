/** `GET /api/v1/verify` about customers: who is let through, how often, and what is told of the moment. */
import { beforeAll, describe, expect, test } from '@jest/globals';
import { randomUUID } from 'node:crypto';

import { createApiClient } from '../support/api.ts';
import type { ApiAnswer, ApiClient } from '../support/api.ts';
import { apply, createClient, getToken } from '../support/clients.ts';
import { describeOnBothStores, useTestServer } from '../support/server.ts';

const BASE = '/api/v1/customers';
const API = 'https://pets.test/api';

describeOnBothStores('a gateway that asks about customers', (store) => {
  const server = useTestServer(store, { RATE_LIMIT_ADMIN: '100000' });
  let api: ApiClient;
  let admin: string;
  beforeAll(async () => {
    api = await createApiClient(server());
    admin = await getToken(server(), await createClient(server(), 'admin'), { scope: 'admin' });
    await apply(server().administration, {
      resource_servers: [{ identifier: API, audience: 'pets', scopes: ['pets:read'] }],
    });
  });
  const call = (method: string, path: string, body?: object): Promise<ApiAnswer> =>
    api.call(method, BASE + path, { token: admin, ...(body && { body }) });
  const make = async (fields: object = {}): Promise<string> => {
    const username = `G-${randomUUID().slice(0, 8)}`;
    expect((await call('POST', '', { username, customer_type: 'free', ...fields })).status).toBe(201);
    return username;
  };
  const issue = async (username: string): Promise<string> =>
    String((await call('POST', `/${username}/tokens`, {})).body?.['access_token']);
  const verify = (token: string, query = '?audience=petstore', origin = server().origin) =>
    api.call('GET', `/api/v1/verify${query}`, { token, origin });
  const told = ({ headers }: ApiAnswer): unknown =>
    [
      'x-auth-subject',
      'x-auth-audience',
      'x-customer-username',
      'x-customer-type',
      'x-customer-access-level',
    ].map((name) => headers.get(name));

  test('is told whose token it is, and what the customer may do now', async () => {
    const name = await make();
    const token = await issue(name);
    const first = await verify(token);
    expect([first.status, told(first)]).toEqual([200, [name, 'petstore', name, 'free', 'basic']]);
    expect(first.headers.get('ratelimit-policy')).toBe('"customer";q=100;w=3600');
    expect(first.headers.get('ratelimit')).toMatch(/^"customer";r=99;t=\d+$/);
    await call('PATCH', `/${name}`, { customer_type: 'premium' });
    const later = await verify(token);
    expect(told(later)).toEqual([name, 'petstore', name, 'premium', 'full']);
    expect(later.headers.get('ratelimit')).toMatch(/^"customer";r=998;/);
  });

  test.each([
    ['free', 100],
    ['standard', 500],
    ['premium', 1_000],
  ])(
    'lets a %s customer through %d times an hour, whatever the instance and the token, and then again',
    async (customer_type, limit) => {
      const name = await make({ customer_type });
      const tokens = [await issue(name), await issue(name)];
      const another = await server().startInstance();
      const origins = [server().origin, another.origin];
      const ask = (index: number): Promise<ApiAnswer> =>
        verify(tokens[index % 2] ?? '', '?audience=petstore', origins[index % 2]);
      const statuses: number[] = [];
      for (let begun = 0; begun < limit; begun += 50) {
        const batch = Array.from({ length: 50 }, (_, index) => ask(index));
        statuses.push(...(await Promise.all(batch)).map(({ status }) => status));
      }
      expect(new Set(statuses)).toEqual(new Set([200]));
      const beyond = await ask(0);
      expect(beyond.status).toBe(429);
      expect(Number(beyond.headers.get('retry-after'))).toBeGreaterThan(0);
      expect((await ask(1)).status).toBe(429);
    },
  );

  describe('is refused', () => {
    test('who is no customer, where one is asked for', async () => {
      const asked = '?audience=pets&customer=required';
      const client = await createClient(server(), 'pets:read');
      const token = await getToken(server(), client, { scope: 'pets:read', resource: API });
      expect((await verify(token, '?audience=pets')).status).toBe(200);
      const refused = await verify(token, asked);
      expect([refused.status, refused.body?.['detail']]).toEqual([
        403,
        'This is for customers: send a token of one.',
      ]);
      const ofCustomer = await issue(await make());
      expect((await verify(ofCustomer, '?audience=petstore&customer=required')).status).toBe(200);
      expect((await verify(ofCustomer, '?audience=petstore&customer=no')).status).toBe(400);
    });

    test('a token for another audience, of a customer that is gone, or that was revoked', async () => {
      const [name, gone] = [await make(), await make()];
      const [token, orphan] = [await issue(name), await issue(gone)];
      expect((await verify(token, '')).status).toBe(401);
      expect((await verify(token, '?audience=pets')).status).toBe(401);
      await call('DELETE', `/${gone}`);
      expect((await verify(orphan)).status).toBe(401);
      await call('DELETE', `/${name}/tokens`);
      expect((await verify(token)).status).toBe(401);
    });

    test('a token that would need a scope or a role, which no customer has', async () => {
      const token = await issue(await make());
      expect((await verify(token, '?audience=petstore&scope=read')).status).toBe(403);
      expect((await verify(token, '?audience=petstore&role=admin')).status).toBe(403);
    });
  });

  test('is told of the customer by the scope of that name, and counts it, in any other token', async () => {
    const client = await createClient(server(), 'customer pets:read');
    const name = await make({ client: client.id });
    const asked = { scope: 'customer pets:read', resource: API };
    const answer = await verify(await getToken(server(), client, asked), '?audience=pets');
    expect(told(answer)).toEqual([client.id, 'pets', name, 'free', 'basic']);
    expect(answer.headers.get('ratelimit')).toMatch(/^"customer";r=99;/);
    const plain = await getToken(server(), client, { ...asked, scope: 'pets:read' });
    const without = await verify(plain, '?audience=pets');
    expect([told(without), without.headers.get('ratelimit')]).toEqual([
      [client.id, 'pets', '', '', ''],
      null,
    ]);
  });

  // Last: the clock of the server goes on, and with it what the others were given ends.
  test('lets a customer through anew when its hour is over, and at once when it may more', async () => {
    const name = await make({ additional_metadata: { rate_limit: 1 } });
    const token = await issue(name);
    const status = async (): Promise<number> => (await verify(token)).status;
    expect([await status(), await status()]).toEqual([200, 429]);
    await call('PATCH', `/${name}`, { additional_metadata: { rate_limit: 3 } });
    expect([await status(), await status()]).toEqual([200, 429]);
    const none = await make({ additional_metadata: { rate_limit: 0 } });
    expect((await verify(await issue(none))).status).toBe(429);
    server().advance(3_601);
    admin = await getToken(server(), await createClient(server(), 'admin'), { scope: 'admin' });
    const renewed = await issue(name);
    expect((await verify(renewed)).status).toBe(200);
  });
});
