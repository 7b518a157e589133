/** Customers over HTTP: who may, what each request does and refuses, the record of each change. */
import { describe, expect, test } from '@jest/globals';
import { randomUUID } from 'node:crypto';

import { itemsOf, pathsOf, useAdminWorld } from '../admin/world.ts';
import type { AdminWorld } from '../admin/world.ts';
import { createClient } from '../support/clients.ts';
import { describeOnBothStores } from '../support/server.ts';

const BASE = '/api/v1/customers';
const newName = (): string => `c-${randomUUID().slice(0, 8)}`;

describeOnBothStores('customers over HTTP', (kind) => {
  const world = useAdminWorld(kind);
  const call: AdminWorld['call'] = (...request) => world().call(...request);
  const make = async (fields: object = {}): Promise<string> => {
    const username = newName();
    const { status } = await call('POST', BASE, { body: { username, customer_type: 'free', ...fields } });
    expect(status).toBe(201);
    return username;
  };
  const refusal = async (fields: object): Promise<unknown> => {
    const answer = await call('POST', BASE, {
      body: { username: newName(), customer_type: 'free', ...fields },
    });
    return [answer.status, ...pathsOf(answer)];
  };

  describe('who may ask', () => {
    const requests = (name: string): readonly (readonly [string, string, object?])[] => [
      ['GET', ''],
      ['POST', '', { username: newName(), customer_type: 'free' }],
      ['GET', `/${name}`],
      ['PATCH', `/${name}`, { company: 'X' }],
      ['POST', `/${name}/tokens`, {}],
      ['DELETE', `/${name}/tokens/x.y`],
      ['DELETE', `/${name}/tokens`],
      ['DELETE', `/${name}`],
    ];
    const statusesOf = async (token?: string): Promise<readonly number[]> => {
      const statuses: number[] = [];
      for (const base of [BASE, '/api/v1/admin/customers']) {
        for (const [method, path, body] of requests(await make())) {
          const asked = { ...(token && { token }), ...(body && { body }) };
          statuses.push((await world().api.call(method, base + path, asked)).status);
        }
      }
      return statuses;
    };

    test('nobody without a sign-in, and no user', async () => {
      expect(new Set(await statusesOf())).toEqual(new Set([401]));
      const { token } = await world().newPerson();
      expect(new Set(await statusesOf(token))).toEqual(new Set([403]));
      expect(new Set(await statusesOf(await world().clientToken('read')))).toEqual(new Set([401]));
    });

    test('an administrator, and a client with the scope admin, under both addresses', async () => {
      const all = [200, 201, 200, 200, 201, 404, 204, 204];
      expect(await statusesOf(world().admin.token)).toEqual([...all, ...all]);
      expect(await statusesOf(await world().clientToken('admin'))).toEqual([...all, ...all]);
    });
  });

  test('makes a customer, gives it back in any case of its name, and lists it', async () => {
    const { username } = await world().newPerson();
    const name = `Acme.${randomUUID().slice(0, 8)}`;
    const fields = {
      ...{ username: name, customer_type: 'premium', email: 'ops@acme.example', company: 'Acme Ü' },
      ...{
        subscription_tier: 'gold',
        additional_metadata: { region: 'eu', rate_limit: 7 },
        account: username,
      },
    };
    const made = await call('POST', BASE, { body: fields });
    expect([made.status, made.body]).toEqual([
      201,
      expect.objectContaining({ ...fields, client: null, rate_limit: 7, api_access_level: 'full' }),
    ]);
    expect((await call('GET', `${BASE}/${name.toUpperCase()}`)).body).toEqual(made.body);
    const listed = await call('GET', `${BASE}?q=${name.toLowerCase()}&customer_type=premium`);
    expect(itemsOf(listed)).toEqual([made.body]);
    expect(itemsOf(await call('GET', `${BASE}?q=${name}&customer_type=free`))).toEqual([]);
  });

  test('pages a list by cursors of that list alone', async () => {
    const prefix = newName();
    for (const letter of ['a', 'b', 'c']) await make({ username: `${prefix}${letter}` });
    const first = await call('GET', `${BASE}?q=${prefix}&limit=2`);
    const next = String(first.body?.['next']);
    const rest = await call('GET', `${BASE}?q=${prefix}&limit=2&after=${next}`);
    expect([...itemsOf(first), ...itemsOf(rest)].map(({ username }) => username)).toEqual(
      ['a', 'b', 'c'].map((letter) => prefix + letter),
    );
    expect(rest.body?.['next']).toBeNull();
    expect((await call('GET', `${BASE}?q=c&after=${next}`)).status).toBe(400);
    expect((await call('GET', `${BASE}?sort=company`)).status).toBe(400);
  });

  test('changes what is named, takes away what is null, and replaces metadata as a whole', async () => {
    const name = await make({ company: 'Old', additional_metadata: { a: 1 }, email: 'a@a.example' });
    const body = { customer_type: 'standard', company: null, additional_metadata: { b: [2] } };
    const changed = await call('PATCH', `${BASE}/${name}`, { body });
    expect(changed.body).toMatchObject({ ...body, email: 'a@a.example', rate_limit: 500 });
    const again = await call('PATCH', `${BASE}/${name}`, { body });
    expect(again.body).toEqual(changed.body);
    expect((await call('PATCH', `${BASE}/${name}`, { body: {} })).status).toBe(400);
    expect(
      pathsOf(await call('PATCH', `${BASE}/${name}`, { body: { company: 'x', username: 'x' } })),
    ).toEqual(['username']);
  });

  test('deletes a customer once', async () => {
    const name = await make();
    expect((await call('DELETE', `${BASE}/${name}`)).status).toBe(204);
    expect((await call('DELETE', `${BASE}/${name}`)).status).toBe(404);
    expect((await call('GET', `${BASE}/${name}`)).status).toBe(404);
  });

  test('lets one of twenty who make the same customer at once, and tells the others of the conflict', async () => {
    const username = newName();
    const answers = await Promise.all(
      Array.from({ length: 20 }, (_, index) => {
        const spelling = index % 2 === 0 ? username : username.toUpperCase();
        return call('POST', BASE, { body: { username: spelling, customer_type: 'free' } });
      }),
    );
    expect(answers.map(({ status }) => status).toSorted()).toEqual([201, ...Array<number>(19).fill(409)]);
  });

  test('refuses each field that is wrong, by its path', async () => {
    for (const username of ['', '.', '..', 'a b', 'a/b', 'ä', 'a'.repeat(65), 'a\n']) {
      expect([username, await refusal({ username })]).toEqual([username, [400, 'username']]);
    }
    expect(await refusal({ customer_type: 'gold' })).toEqual([400, 'customer_type']);
    expect(await refusal({ customer_type: 'constructor' })).toEqual([400, 'customer_type']);
    expect(await refusal({ email: 'a b@c' })).toEqual([400, 'email']);
    expect(await refusal({ company: 'a\nb' })).toEqual([400, 'company']);
    expect(await refusal({ subscription_tier: '' })).toEqual([400, 'subscription_tier']);
    expect(await refusal({ rate_limit: 5 })).toEqual([400, 'rate_limit']);
    expect(await refusal({ series: 'x' })).toEqual([400, 'series']);
    expect(await refusal({ account: 'nobody-there' })).toEqual([400, 'account']);
    expect(await refusal({ client: 'nothing-there' })).toEqual([400, 'client']);
    expect(await refusal({ account: { $ne: null } })).toEqual([400, 'account']);
  });

  test('refuses metadata that would change what the token says by itself', async () => {
    for (const name of ['username', 'customer_type', 'email', 'company', 'subscription_tier']) {
      expect(await refusal({ additional_metadata: { [name]: 'x' } })).toEqual([
        400,
        `additional_metadata.${name}`,
      ]);
    }
    for (const rate of [-1, 1.5, 1e300, '5', null, {}]) {
      expect([rate, await refusal({ additional_metadata: { rate_limit: rate } })]).toEqual([
        rate,
        [400, 'additional_metadata.rate_limit'],
      ]);
    }
    for (const level of ['', 5, null, ['full'], 'x'.repeat(65)]) {
      expect(await refusal({ additional_metadata: { api_access_level: level } })).toEqual([
        400,
        'additional_metadata.api_access_level',
      ]);
    }
    for (const metadata of [[], 'text', 5, true]) {
      expect(await refusal({ additional_metadata: metadata })).toEqual([400, 'additional_metadata']);
    }
    for (const key of ['__proto__', 'constructor', 'prototype']) {
      const text = `{"username":"x","customer_type":"free","additional_metadata":{"a":{"${key}":{"x":1}}}}`;
      expect([key, (await call('POST', BASE, { text })).status]).toEqual([key, 400]);
    }
    const deep = JSON.parse(`${'{"a":'.repeat(17)}1${'}'.repeat(17)}`) as object;
    expect(await refusal({ additional_metadata: deep })).toEqual([400, 'additional_metadata']);
  });

  test('refuses a customer whose token would be too large, with its size, when it is made and when it changes', async () => {
    const additional_metadata = { note: 'x'.repeat(3_000) };
    const body = { username: newName(), customer_type: 'free', additional_metadata };
    const made = await call('POST', BASE, { body });
    expect([made.status, pathsOf(made)]).toEqual([400, ['additional_metadata']]);
    expect(made.body?.['detail']).toMatch(/would have 4[5-9]\d\d bytes, and may have 4096/);
    const name = await make();
    expect((await call('PATCH', `${BASE}/${name}`, { body: { additional_metadata } })).status).toBe(400);
    const huge = { note: 'x'.repeat(9_000) };
    const answer = await call('PATCH', `${BASE}/${name}`, { body: { additional_metadata: huge } });
    expect(answer.body?.['detail']).toContain('at most 8192 bytes as JSON, found 9011');
  });

  test('ties a customer to an account or a client, each to one customer, and never to both', async () => {
    const { username } = await world().newPerson();
    const { id } = await createClient(world().server, 'read');
    expect(await refusal({ account: username, client: id })).toEqual([400, 'client']);
    const name = await make({ account: username.toUpperCase() });
    expect((await call('GET', `${BASE}/${name}`)).body).toMatchObject({ account: username });
    expect(await refusal({ account: username })).toEqual([409, 'account']);
    await call('PATCH', `${BASE}/${name}`, { body: { account: null, client: id } });
    expect(await refusal({ client: id })).toEqual([409, 'client']);
    await make({ account: username });
  });

  test('records each change before it is made, by whom, and a failure after it', async () => {
    const name = await make({ company: 'Old', additional_metadata: { plan: 'a' } });
    await call('PATCH', `${BASE}/${name}`, { body: { company: 'New' } });
    await call('PATCH', `${BASE}/${name}`, { body: { company: 'New' } });
    const { jti } = (await call('POST', `${BASE}/${name}/tokens`, { body: { expires_in: 60 } })).body ?? {};
    await call('DELETE', `${BASE}/${name}/tokens/${String(jti)}`);
    await call('DELETE', `${BASE}/${name}/tokens`);
    await call('DELETE', `${BASE}/${name}`);
    const records = await world().recordsOf(`customer:${name}`);
    expect(records.map(({ action, details }) => [action, details])).toEqual([
      [
        'customer.create',
        { before: null, after: expect.objectContaining({ username: name, company: 'Old' }) },
      ],
      ['customer.update', { before: { company: 'Old' }, after: { company: 'New' } }],
      ['customer.issue_token', { jti, expires_in: 60 }],
      ['customer.revoke_token', { jti }],
      ['customer.revoke_tokens', {}],
      ['customer.delete', { before: expect.objectContaining({ company: 'New' }), after: null }],
    ]);
    for (const { actor, ip } of records)
      expect([actor, ip]).toEqual([`account:${world().admin.id}`, '127.0.0.1']);
    const found = await call('GET', `/api/v1/admin/audit?target=customer:${name}&action=customer.create`);
    expect(itemsOf(found)).toHaveLength(1);
  });
});
