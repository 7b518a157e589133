/** Customers under an operator's own settings: tiers, audience, the size of a token, and a schema of the metadata. */
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { decodeJwt } from 'jose';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { openStorage } from '../../src/storage/open.ts';
import { createApiClient } from '../support/api.ts';
import type { ApiAnswer, ApiClient } from '../support/api.ts';
import { createClient, getToken } from '../support/clients.ts';
import { describeOnBothStores, startTestServer } from '../support/server.ts';
import type { TestServer } from '../support/server.ts';

const BASE = '/api/v1/customers';
const SCHEMA = {
  type: 'object',
  required: ['region'],
  properties: { region: { enum: ['eu', 'us'] }, seats: { type: 'integer', minimum: 1 } },
  additionalProperties: false,
};

describeOnBothStores('customers under settings of their own', (store) => {
  let folder: string;
  let server: TestServer;
  let api: ApiClient;
  let token: string;

  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'portcullis-settings-'));
  });
  afterEach(async () => {
    await server.stop();
    rmSync(folder, { recursive: true, force: true });
  });

  const start = async (settings: string): Promise<void> => {
    const file = join(folder, 'settings.yaml');
    writeFileSync(file, settings);
    server = await startTestServer(store, { CONFIG_FILE: file, RATE_LIMITS: 'off' });
    api = await createApiClient(server);
    token = await getToken(server, await createClient(server, 'admin'), { scope: 'admin' });
  };
  const call = (method: string, path: string, body?: unknown): Promise<ApiAnswer> =>
    api.call(method, BASE + path, { token, ...(body !== undefined && { body }) });
  const make = (username: string, fields: object): Promise<ApiAnswer> =>
    call('POST', '', { username, customer_type: 'free', ...fields });

  test('have the types that are set, at the audience that is set, and no others', async () => {
    await start(
      'customers:\n  audience: pets\n  token_lifetime: 60\n  tiers: { trial: { rate_limit: 5, api_access_level: look } }',
    );
    expect((await make('a', {})).body?.['detail']).toContain('expected one of trial, found "free"');
    expect((await make('b', { customer_type: 'trial' })).body).toMatchObject({ rate_limit: 5 });
    const { body } = await call('POST', '/b/tokens', {});
    const claims = decodeJwt(String(body?.['access_token']));
    expect([claims.aud, body?.['expires_in']]).toEqual(['pets', 60]);
    expect(claims['customer']).toMatchObject({ rate_limit: 5, api_access_level: 'look' });
  });

  test('get no token while their type is none of those that are set', async () => {
    await start('{}');
    const storage = await openStorage(server.secrets.databaseUrl);
    await make('a', {});
    const customer = await storage.customers.find('a');
    if (customer === null) throw new Error('there is no customer');
    await storage.customers.replace({ ...customer, customerType: 'gone', version: 2 });
    await storage.close();
    expect((await call('GET', '/a')).body).toMatchObject({ customer_type: 'gone', rate_limit: null });
    const refused = await call('POST', '/a/tokens', {});
    expect([refused.status, refused.body?.['detail']]).toEqual([
      409,
      expect.stringContaining('"gone" is none of the customers.tiers any more'),
    ]);
    await call('PATCH', '/a', { customer_type: 'free' });
    expect((await call('POST', '/a/tokens', {})).status).toBe(201);
  });

  test('meet the schema of the operator, when they are made and when they change', async () => {
    writeFileSync(join(folder, 'schema.json'), JSON.stringify(SCHEMA));
    await start(`customers:\n  metadata_schema: ${join(folder, 'schema.json')}`);
    const faultsOf = ({ status, body }: ApiAnswer): unknown => [status, body?.['errors']];
    expect(faultsOf(await make('a', {}))).toEqual([
      400,
      [{ path: 'additional_metadata', message: "must have required property 'region'" }],
    ]);
    const additional_metadata = { region: 'mars', seats: 0, plan: 'x' };
    expect(faultsOf(await make('a', { additional_metadata }))).toEqual([
      400,
      expect.arrayContaining([
        {
          path: 'additional_metadata.region',
          message: 'must be equal to one of the allowed values: "eu", "us"',
        },
        { path: 'additional_metadata.seats', message: 'must be >= 1' },
      ]),
    ]);
    expect((await make('a', { additional_metadata: { region: 'eu' } })).status).toBe(201);
    expect((await call('PATCH', '/a', { additional_metadata: null })).status).toBe(400);
    expect((await call('PATCH', '/a', { company: 'X' })).status).toBe(200);
  });

  test('give back any metadata up to 8 KiB as it went in, where the token may be as large', async () => {
    await start('customers:\n  max_token_size: 16384');
    await make('a', {});
    const name = fc
      .string({ maxLength: 20, unit: 'binary' })
      .map((text) => `x${text.toWellFormed()}`)
      .filter((text) => text !== 'x__proto__');
    const json = fc
      .json({ maxDepth: 4, stringUnit: 'binary' })
      .filter((text) => !/__proto__|constructor|prototype/.test(text))
      .map((text) => JSON.parse(text.toWellFormed()) as unknown);
    const metadata = fc.dictionary(name, json, { maxKeys: 20, noNullPrototype: true });
    await fc.assert(
      fc.asyncProperty(metadata, async (additional_metadata) => {
        // As JSON has it: there is one zero.
        const sent = JSON.parse(JSON.stringify(additional_metadata)) as object;
        const { status, body } = await call('PATCH', '/a', { additional_metadata });
        expect([status, body?.['additional_metadata']]).toEqual([200, sent]);
        expect((await call('GET', '/a')).body?.['additional_metadata']).toEqual(sent);
        const issued = await call('POST', '/a/tokens', {});
        const { customer } = decodeJwt<{ customer: object }>(String(issued.body?.['access_token']));
        expect(customer).toEqual(expect.objectContaining(sent));
      }),
      { numRuns: 30 },
    );
    const largest = { note: 'ü'.repeat(4_090) };
    expect((await call('PATCH', '/a', { additional_metadata: largest })).status).toBe(200);
    const larger = { note: 'ü'.repeat(4_091) };
    expect((await call('PATCH', '/a', { additional_metadata: larger })).status).toBe(400);
  });
});
