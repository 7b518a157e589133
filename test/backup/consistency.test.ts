/** Whether records go together: each way in which they may not, and what a store may have left over. */
import { describe, expect, test } from '@jest/globals';

import { createChain } from '../../src/audit/chain.ts';
import { createRecordCheck } from '../../src/audit/verify.ts';
import { createConsistencyCheck } from '../../src/backup/consistency.ts';
import type { Findings } from '../../src/backup/consistency.ts';
import { createSealer } from '../../src/keys/sealer.ts';
import { foldName } from '../../src/names.ts';
import { clientGrantId } from '../../src/oidc/adapter.ts';
import { artifactId } from '../../src/oidc/digest.ts';
import { referencesOf } from '../../src/oidc/references.ts';
import type { AuditRecord, StoredRecord, StoreName, StoreRecords } from '../../src/storage/port.ts';
import {
  newAccount,
  newApiKey,
  newClient,
  newCustomer,
  newMessage,
  newOneTimeToken,
} from '../storage/races.ts';

const NOW = 1_800_000_000;
const LIVE = NOW + 60;
const CHAIN_KEY_NAME = 'chain';
const CHAIN_KEY = 'the key of the chain';

const sealer = createSealer('our key');
const stranger = createSealer('their key');
const chain = createChain(CHAIN_KEY);

const check = (...records: readonly StoredRecord[]): Findings => {
  const consistency = createConsistencyCheck({
    open: sealer.open,
    chainKeyName: CHAIN_KEY_NAME,
    checkChain: (key) => createRecordCheck(createChain(key)),
    foldName,
    referencesOf,
    now: () => NOW,
  });
  for (const record of records) consistency.add([record]);
  return consistency.end();
};

/** What it says, with how often and of whom. */
const told = (findings: Findings['faults']): readonly string[] =>
  findings.map(({ what, count, examples }) => `${what} ${count} ${examples.join()}`.trim());

const of = <Name extends StoreName>(store: Name, record: StoreRecords[Name]): StoredRecord =>
  ({ store, record }) as StoredRecord; // the record is that store's

const name = (text: string, kind: 'account' | 'service') => of('names', { name: foldName(text), kind });
const artifact = (model: string, fields: Partial<StoreRecords['artifacts']> = {}) =>
  of('artifacts', { model, id: `of ${model}`, payload: {}, expiresAt: LIVE, consumedAt: null, ...fields });
const grant = (grantId: string, fields: Partial<StoreRecords['artifacts']> = {}) =>
  artifact('Grant', { id: artifactId('Grant', grantId), ...fields });

const chained = (length: number): readonly AuditRecord[] => {
  const records: AuditRecord[] = [];
  const entry = { at: NOW, actor: 'cli', action: 'a', target: null, ip: null, requestId: null, details: {} };
  while (records.length < length) records.push(chain.link(entry, records.at(-1) ?? null));
  return records;
};
const chainKey = of('sealedSecrets', {
  name: CHAIN_KEY_NAME,
  sealed: sealer.seal(CHAIN_KEY, CHAIN_KEY_NAME),
});
const key = (seal: (text: string, context: string) => string, kid = 'k', context = kid) =>
  of('signingKeys', {
    version: 1,
    keys: [{ kid, alg: 'RS256', sealedJwk: seal('{}', context), createdAt: NOW, signsFrom: NOW }],
    retired: [],
  });
const server = (audience: string, sealedSecret: string | null) =>
  of('resourceServers', {
    ...{ identifier: 'urn:x', audience, signingAlg: 'HS256', sealedSecret, scopes: [] },
    ...{ accessTokenLifetime: 60, roles: {}, defaultRole: null },
  });

test('a store in which all goes together has neither faults nor anything left over', () => {
  const [ada, billing] = [newAccount('ada'), newClient('Billing')];
  const findings = check(
    key(sealer.seal),
    chainKey,
    ...[name(ada.username, 'account'), name('Billing', 'service'), name('api', 'service')],
    ...[of('accounts', ada), of('clients', billing)],
    server('api', sealer.seal('secret', 'urn:x')),
    of('customers', newCustomer('acme', { account: ada.username })),
    of('customers', newCustomer('other', { clientId: 'Billing' })),
    of('apiKeys', newApiKey('key', { accountId: 'ada' })),
    of('oneTimeTokens', newOneTimeToken('ada', { expiresAt: LIVE })),
    of('outbox', newMessage(NOW, { clientId: 'Billing' })),
    artifact('RefreshToken', { grantId: 'g', accountId: 'ada' }), // before its grant: they come in no order
    grant('g', { grantId: clientGrantId('Billing'), accountId: 'ada' }),
    grant('own', { grantId: clientGrantId('portcullis-api'), accountId: 'ada' }),
    artifact('AccessToken', { grantId: 'own', accountId: 'ada' }),
    artifact('ClientCredentials', { grantId: clientGrantId('Billing') }),
    artifact('Session', { accountId: 'ada' }),
    artifact('Interaction'),
    of('counters', { key: 'a', count: 1, resetsAt: LIVE }),
    of('statistics', { series: 'a', hourAt: NOW, count: 1, expiresAt: LIVE }),
    ...chained(3).map((record) => of('audit', record)),
  );
  expect(findings).toEqual({ faults: [], leftOver: [] });
});

describe('it is a fault', () => {
  const [first, second, third] = chained(3);
  if (first === undefined || second === undefined || third === undefined) throw new Error('there are three');
  const client = of('clients', newClient('Ünit'));

  test.each<[string, readonly StoredRecord[], readonly string[]]>([
    [
      'that a signing key is another SECRET_KEY’s',
      [key(stranger.seal)],
      ['a signing key does not open with this SECRET_KEY 1 k'],
    ],
    [
      'that a signing key is another one’s',
      [key(sealer.seal, 'k', 'l')],
      ['a signing key does not open with this SECRET_KEY 1 k'],
    ],
    [
      'that the secret of a resource server does not open',
      [name('x', 'service'), server('x', stranger.seal('secret', 'urn:x'))],
      ['the secret of a resource server does not open with this SECRET_KEY 1 urn:x'],
    ],
    [
      'that a secret of the installation does not open, and what needs it',
      [of('sealedSecrets', { name: CHAIN_KEY_NAME, sealed: 'nonsense' }), of('audit', first)],
      [
        'a secret of this installation does not open with this SECRET_KEY 1 chain',
        'the audit log is not as it was written 1 its key is not there',
      ],
    ],
    [
      'that a username is not registered',
      [of('accounts', newAccount('a'))],
      ['a username is not in the register of names 1 user-a'],
    ],
    [
      'that a username is a service’s',
      [name('user-a', 'service'), of('accounts', newAccount('a'))],
      ['a username is not in the register of names 1 user-a'],
    ],
    [
      'that a client id is an account’s',
      [name('Ünit', 'account'), client],
      ['a client id is not in the register of names 1 Ünit'],
    ],
    [
      'that an audience is not registered',
      [server('aud', null)],
      ['an audience is not in the register of names 1 aud'],
    ],
    [
      'that an audit record was changed',
      [chainKey, of('audit', first), of('audit', { ...second, actor: 'forger' }), of('audit', third)],
      ['the audit log is not as it was written 1 record 2 was changed, or written without this SECRET_KEY'],
    ],
    [
      'that an audit record is missing',
      [chainKey, of('audit', first), of('audit', third)],
      ['the audit log is not as it was written 1 record 3 stands where record 2 belongs'],
    ],
  ])('%s', (_name, records, faults) => {
    const findings = check(...records);
    expect(told(findings.faults)).toEqual(faults);
    expect(findings.leftOver).toEqual([]);
  });

  test('that is told once, with how often it was found and a few examples', () => {
    const accounts = ['a', 'b', 'c', 'd'].map((id) => of('accounts', newAccount(id)));
    expect(check(...accounts).faults).toEqual([
      {
        what: 'a username is not in the register of names',
        count: 4,
        examples: ['user-a', 'user-b', 'user-c'],
      },
    ]);
  });
});

describe('it is left over, and no fault,', () => {
  test.each<[string, StoredRecord, string]>([
    [
      'what has no account',
      artifact('Session', { accountId: 'gone' }),
      'what an account that is gone had (Session) 1 gone',
    ],
    [
      'what has no grant',
      artifact('RefreshToken', { grantId: 'gone' }),
      'a grant that is gone, and had more (RefreshToken) 1',
    ],
    [
      'what has no client',
      artifact('ClientCredentials', { grantId: clientGrantId('gone') }),
      'what a client that is gone had (ClientCredentials) 1 gone',
    ],
    [
      'a customer without its account',
      of('customers', newCustomer('acme', { account: 'gone' })),
      'a customer tied to an account that is gone 1 gone',
    ],
    [
      'a customer without its client',
      of('customers', newCustomer('acme', { clientId: 'gone' })),
      'a customer tied to a client that is gone 1 gone',
    ],
    [
      'an API key without its account',
      of('apiKeys', newApiKey('k', { accountId: 'gone' })),
      'an API key of an account that is gone 1 gone',
    ],
    [
      'a mailed link without its account',
      of('oneTimeTokens', newOneTimeToken('gone', { expiresAt: LIVE })),
      'a mailed link of an account that is gone 1 gone',
    ],
    [
      'a message without its client',
      of('outbox', newMessage(NOW, { clientId: 'gone' })),
      'a message to a client that is gone 1 gone',
    ],
  ])('%s', (_name, record, leftOver) => {
    const findings = check(record);
    expect(findings.faults).toEqual([]);
    expect(told(findings.leftOver)).toEqual([leftOver]);
  });

  test('and nothing is said of what has expired', () => {
    const expired = { expiresAt: NOW };
    const findings = check(
      artifact('RefreshToken', { ...expired, grantId: 'gone', accountId: 'gone' }),
      of('oneTimeTokens', newOneTimeToken('gone', expired)),
      of('outbox', newMessage(NOW, { ...expired, clientId: 'gone' })),
    );
    expect(findings.leftOver).toEqual([]);
  });

  test('what stands under a grant that has expired', () => {
    const findings = check(grant('g', { expiresAt: NOW }), artifact('AccessToken', { grantId: 'g' }));
    expect(told(findings.leftOver)).toEqual(['a grant that is gone, and had more (AccessToken) 1']);
  });
});
