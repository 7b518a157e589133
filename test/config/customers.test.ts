/** The settings of customers: their tiers, what a token may be, and the operator's schema of their metadata. */
import { describe, expect, test } from '@jest/globals';

import { faultsOf, load, makeFolder, STRONG, writeFile } from './load.ts';

test('customers are of three types, and their tokens live an hour, unless something else is said', () => {
  expect(load({ env: STRONG }).config.customers).toEqual({
    audience: 'petstore',
    tokenLifetimeSeconds: 3_600,
    maxTokenLifetimeSeconds: 86_400,
    maxTokenBytes: 4_096,
    revokesOnChange: false,
    metadataSchema: null,
    tiers: {
      premium: { rateLimit: 1_000, apiAccessLevel: 'full' },
      standard: { rateLimit: 500, apiAccessLevel: 'standard' },
      free: { rateLimit: 100, apiAccessLevel: 'basic' },
    },
  });
});

test('tiers are those of the settings file, in the place of the three', () => {
  const yaml = 'customers:\n  tiers:\n    trial: { rate_limit: 0, api_access_level: look only }\n';
  expect(load({ env: STRONG, yaml }).config.customers.tiers).toEqual({
    trial: { rateLimit: 0, apiAccessLevel: 'look only' },
  });
});

test.each([
  ['none', '{}'],
  ['a name that is none', '{ Gold: { rate_limit: 1, api_access_level: x } }'],
  ['a name that every object has', '{ constructor: { rate_limit: 1, api_access_level: x } }'],
  ['a rate that is none', '{ gold: { rate_limit: -1, api_access_level: x } }'],
  ['a tier without a level', '{ gold: { rate_limit: 1 } }'],
  ['a field that there is none of', '{ gold: { rate_limit: 1, api_access_level: x, burst: 2 } }'],
])('tiers refuse %s', (_name, tiers) => {
  const [fault = '', ...others] = faultsOf({ env: STRONG, yaml: `customers:\n  tiers: ${tiers}` });
  expect(others).toEqual([]);
  expect(fault).toContain('customers.tiers');
  expect(fault).toContain('a mapping of 1 to 32 type names');
});

test.each([
  ['CUSTOMERS_AUDIENCE', ['a b', 'portcullis', 'http://localhost:8011', 'vpn-node']],
  ['CUSTOMERS_TOKEN_LIFETIME', ['59', '31536001', '1h']],
  ['CUSTOMERS_MAX_TOKEN_LIFETIME', ['59', '31536001']],
  ['CUSTOMERS_MAX_TOKEN_SIZE', ['1023', '16385']],
])('%s refuses %j', (variable, values) => {
  for (const value of values) {
    const faults = faultsOf({ env: { ...STRONG, [variable]: value } });
    expect([value, faults.length]).toEqual([value, 1]);
    expect(faults[0]).toContain(`${variable} [`);
  }
});

test('a token lives no longer than may be asked for', () => {
  const [fault = '', ...others] = faultsOf({ env: { ...STRONG, CUSTOMERS_MAX_TOKEN_LIFETIME: '600' } });
  expect(others).toEqual([]);
  expect(fault).toMatch(/CUSTOMERS_MAX_TOKEN_LIFETIME .*at least CUSTOMERS_TOKEN_LIFETIME, which is 3600/);
});

describe('the schema of metadata', () => {
  const faultOf = (text: string | null): string => {
    const cwd = makeFolder();
    if (text !== null) writeFile(cwd, 'schema.json', text);
    const faults = faultsOf({ cwd, env: { ...STRONG, CUSTOMERS_METADATA_SCHEMA: 'schema.json' } });
    expect(faults).toHaveLength(1);
    expect(faults[0]).toContain('CUSTOMERS_METADATA_SCHEMA');
    expect(faults[0]).toContain('Mend the file');
    return faults[0] ?? '';
  };

  test('is read from its file', () => {
    const cwd = makeFolder();
    const file = writeFile(cwd, 'schema.json', '{"type":"object"}');
    const { config } = load({ cwd, env: { ...STRONG, CUSTOMERS_METADATA_SCHEMA: 'schema.json' } });
    expect(config.customers.metadataSchema).toEqual({ path: file, schema: { type: 'object' } });
  });

  test('is refused where it is none, or says something that there is none of', () => {
    expect(faultOf(null)).toContain('which cannot be read (ENOENT)');
    expect(faultOf('{')).toContain('found no JSON object');
    expect(faultOf('true')).toContain('found no JSON object');
    expect(faultOf('{"type":"objekt"}')).toContain('found no such schema');
    expect(faultOf('{"propertees":{}}')).toContain('unknown keyword: "propertees"');
    expect(faultOf('{"$ref":"https://example.com/other.json"}')).toContain("can't resolve reference");
    expect(faultOf(`{"$comment":"${'x'.repeat(70_000)}"}`)).toContain('larger than 64 KiB');
  });
});
