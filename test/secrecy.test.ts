/**
 * No secret leaves memory: a full scenario at the most talkative log level, then a search of every log line and of
 * every byte of the store for each secret that took part, as it is and encoded.
 */
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { generateKeyPairSync, randomBytes } from 'node:crypto';
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

import mongoose from 'mongoose';

import { CHAIN_KEY } from '../src/audit/chain-key.ts';
import { createSealer } from '../src/keys/sealer.ts';
import { openStorage } from '../src/storage/open.ts';
import { makeFolder } from './config/load.ts';
import {
  apply,
  assertion,
  assertionForm,
  basic,
  createClient,
  createKeyClient,
  createVpnNode,
  form,
  json,
} from './support/clients.ts';
import type { Credentials } from './support/clients.ts';
import { KEYS, makeKey, PROFILE, statusOf } from './support/api-keys.ts';
import { createApiClient, enter } from './support/api.ts';
import { describeOnBothStores, startTestServer } from './support/server.ts';
import type { StoreKind, TestServer } from './support/server.ts';

const PRIVATE_MEMBERS = ['d', 'p', 'q', 'dp', 'dq', 'qi'] as const;
// Anything shorter would be found by chance.
const MIN_CHARACTERS = 20;

/** Name → value of everything that must not be found. */
type Secrets = Map<string, string>;

/** The value itself, and as base64, base64url and hexadecimal digits would write it; of keys also their bytes. */
function spellings(value: string): readonly Buffer[] {
  const bytes = Buffer.from(value);
  const encoded = (['base64', 'base64url', 'hex'] as const).map((it) =>
    bytes.toString(it).replace(/=+$/, ''),
  );
  const decoded = /^[\w-]+$/.test(value) ? [Buffer.from(value, 'base64url')] : [];
  return [bytes, ...encoded.map((it) => Buffer.from(it)), ...decoded];
}

/** The names of the secrets that stand in the text or the bytes. */
const found = (haystack: Buffer, secrets: Secrets): readonly string[] =>
  [...secrets].flatMap(([name, value]) =>
    spellings(value).some((needle) => haystack.includes(needle)) ? [name] : [],
  );

/** Every byte that the store holds. */
async function dump(store: StoreKind, { folder, secrets }: TestServer): Promise<Buffer> {
  if (store === 'SQLite') {
    const files = readdirSync(folder).filter((file) => file.startsWith('store.db'));
    return Buffer.concat(files.map((file) => readFileSync(join(folder, file))));
  }
  const connection = await mongoose.createConnection(secrets.databaseUrl).asPromise();
  const parts: Uint8Array[] = [];
  for (const { name } of await connection.listCollections()) {
    const documents = await connection.collection(name).find({}).toArray();
    parts.push(Buffer.from(mongoose.mongo.BSON.EJSON.stringify(documents, { relaxed: false })));
    parts.push(...documents.map((document) => mongoose.mongo.BSON.serialize(document)));
  }
  await connection.destroy();
  return Buffer.concat(parts);
}

/** A folder with one signing key to import. */
function makeKeysFolder(secrets: Secrets): string {
  const { privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
  const folder = makeFolder();
  const pem = privateKey.export({ type: 'pkcs8', format: 'pem' }).toString();
  writeFileSync(join(folder, 'imported.pem'), pem, { mode: 0o600 });
  const jwk: Record<string, unknown> = { ...privateKey.export({ format: 'jwk' }) };
  for (const member of PRIVATE_MEMBERS) secrets.set(`imported key ${member}`, String(jwk[member]));
  for (const [index, line] of pem.split('\n').slice(1, -3).entries()) secrets.set(`PEM line ${index}`, line);
  return folder;
}

describeOnBothStores('secrecy', (store) => {
  const secrets: Secrets = new Map();
  let server: TestServer | null = null;
  let node: Credentials = { id: '', secret: '' };
  let logged: Buffer = Buffer.alloc(0);
  let stored: Buffer = Buffer.alloc(0);
  let shown = '';

  beforeAll(async () => {
    const env = { LOG_LEVEL: 'trace', KEYS_DIR: makeKeysFolder(secrets) };
    server = await startTestServer(store, env);
    node = await createVpnNode(server);
    secrets.set('made secret', node.secret);
    secrets.set('SECRET_KEY', server.secrets.secretKey);
    secrets.set('JWT_SECRET_KEY', server.secrets.jwtSecretKey);
    shown = await administer(server, secrets);
    await authenticate(server, node, secrets);
    await fail(server, node, secrets);
    await useTokens(server, node, secrets);
    await useApiKeys(server, secrets);
    await useJsonApi(server, secrets);
    await collectSigningKeys(server, secrets);
    logged = Buffer.from(server.logs());
    stored = await dump(store, server);
  });

  afterAll(async () => {
    await server?.stop();
  });

  test('the scenario used secrets of every kind, each long enough to be searched for', () => {
    expect(secrets.size).toBeGreaterThan(50);
    expect([...secrets.values()].filter((value) => value.length < MIN_CHARACTERS)).toEqual([]);
    expect(new Set(secrets.values()).size).toBe(secrets.size);
  });

  test('the search finds what is there', () => {
    expect(stored.includes(node.id)).toBe(true);
    expect(logged.includes(node.id)).toBe(true);
    for (const event of [
      'api_key_created',
      'token_issued',
      'vpn_token_issued',
      'vpn_token_refused',
      'protocol_refused',
      'answered',
    ])
      expect(logged.includes(event)).toBe(true);
    for (const value of secrets.values()) {
      for (const spelling of spellings(value)) {
        expect(found(Buffer.concat([stored, spelling]), new Map([['it', value]]))).toEqual(['it']);
      }
    }
  });

  test('no secret is in the log', () => {
    expect(found(logged, secrets)).toEqual([]);
  });

  test('no secret is in the store', () => {
    expect(found(stored, secrets)).toEqual([]);
  });

  test('no given secret is in what apply tells of a file that it refuses', () => {
    expect(shown).toContain('client_secret');
    expect(found(Buffer.from(shown), secrets)).toEqual([]);
  });
});

const makeSecret = (): string => randomBytes(32).toString('base64url');

/** Gives secrets by apply and rotates one; gives what apply said of a file with faults. */
async function administer(server: TestServer, secrets: Secrets): Promise<string> {
  const [given, shared, rotated] = [makeSecret(), makeSecret(), makeSecret()];
  secrets.set('given secret', given);
  secrets.set('HS256 secret', shared);
  await apply(server.administration, {
    resource_servers: [
      {
        identifier: 'urn:shared',
        audience: 'shared',
        signing_alg: 'HS256',
        secret: shared,
        scopes: ['api'],
      },
      { identifier: 'urn:keyed', audience: 'keyed', signing_alg: 'ES256', scopes: ['api'] },
    ],
    clients: [{ client_id: 'given', client_secret: given, scope: 'read' }],
    vpn_nodes: [{ client_id: 'rotating', client_secret: rotated }],
  });
  secrets.set('rotated secret', rotated);
  secrets.set('new secret', (await server.administration.rotateSecret('rotating', true, 60)) ?? '');
  const bad = `${makeSecret()} with spaces`;
  secrets.set('refused secret', bad.slice(0, 43));
  const file = `vpn_nodes: [{ client_id: x, client_secret: "${bad}" }]\nclients: [{ client_id: { env: NAME } }]`;
  return JSON.stringify(await server.administration.apply(file, { NAME: bad }, false));
}

/** Tokens by each method of authentication, those of them that are JWTs by their signatures. */
async function authenticate(server: TestServer, node: Credentials, secrets: Secrets): Promise<void> {
  const grant = { grant_type: 'client_credentials', scope: 'read' };
  const poster = await createClient(server, 'read', { token_endpoint_auth_method: 'client_secret_post' });
  secrets.set('posted secret', poster.secret);
  const keyed = await createKeyClient(server);
  const reader = await createClient(server, 'api');
  secrets.set('secret of the reader', reader.secret);
  const signed = await assertion(keyed, server.issuer);
  secrets.set('assertion', signed);
  secrets.set('signature of the assertion', signed.split('.')[2] ?? '');
  secrets.set('Basic credentials', basic(node).slice('Basic '.length));
  const requests = {
    basic: form(grant, basic(node)),
    post: form({ ...grant, client_id: poster.id, client_secret: poster.secret }),
    key: assertionForm(signed),
    HS256: form({ ...grant, scope: 'api', resource: 'urn:shared' }, basic(reader)),
    ES256: form({ ...grant, scope: 'api', resource: 'urn:keyed' }, basic(reader)),
  };
  for (const [name, request] of Object.entries(requests)) {
    const answer = await json(await server.request('/token', request));
    keep(secrets, `token by ${name}`, String(answer['access_token']));
  }
  const again = await server.request('/token', assertionForm(signed)); // replayed
  expect(again.status).toBe(401);
}

/** A token, and of a JWT the signature, without which the rest is no secret. */
function keep(secrets: Secrets, name: string, token: string): void {
  secrets.set(name, token);
  const [, , signature] = token.split('.');
  if (signature !== undefined) secrets.set(`signature of the ${name}`, signature);
}

/** Secrets in every wrong place that people put them. */
async function fail(server: TestServer, node: Credentials, secrets: Secrets): Promise<void> {
  const wrong = makeSecret();
  const forged = `${makeSecret()}.${makeSecret()}.${makeSecret()}`;
  secrets.set('wrong secret', wrong);
  secrets.set('forged token', forged);
  const grant = { grant_type: 'client_credentials', scope: 'read' };
  const bearer = (token: string): RequestInit => ({
    method: 'POST',
    headers: { authorization: `Bearer ${token}` },
  });
  const requests: readonly (readonly [string, RequestInit])[] = [
    ['/token', form(grant, basic({ ...node, secret: wrong }))],
    ['/token', form(grant, basic({ id: node.secret, secret: node.id }))],
    ['/token', form({ ...grant, client_id: node.id, client_secret: wrong })],
    ['/token', form({ ...grant, client_id: wrong })],
    ['/token', form({ ...grant, grant_type: wrong }, basic(node))],
    ['/token', form({ ...grant, scope: wrong, resource: `urn:${wrong}` }, basic(node))],
    ['/token', assertionForm(forged)],
    [`/token?client_id=${node.id}&client_secret=${node.secret}`, form(grant)],
    [`/${node.secret}`, {}],
    [`/vpn/auth/?access_token=${secrets.get('token by basic') ?? ''}`, { method: 'POST' }],
    ['/vpn/auth/', bearer(wrong)],
    ['/vpn/auth/', bearer(node.secret)],
    ['/vpn/auth/', bearer(secrets.get('token by ES256') ?? '')],
    [
      '/vpn/auth/',
      {
        method: 'POST',
        headers: {
          authorization: `Bearer ${secrets.get('token by basic') ?? ''}`,
          'content-type': 'application/json',
        },
        body: `{"subject_token": "${forged}", ${wrong}`,
      },
    ],
    ['/introspect', form({ token: forged }, basic({ ...node, secret: wrong }))],
    ['/revoke', form({ token: forged, token_type_hint: wrong }, basic(node))],
  ];
  for (const [path, request] of requests) await server.request(path, request);
}

/** Exchanges, introspects and revokes. */
async function useTokens(server: TestServer, node: Credentials, secrets: Secrets): Promise<void> {
  const token = secrets.get('token by basic') ?? '';
  const headers = { authorization: `Bearer ${token}` };
  const exchanged = await json(await server.request('/vpn/auth/', { method: 'POST', headers }));
  keep(secrets, 'VPN JWT', String(exchanged['access_token']));
  const own = ['token by basic', 'token by ES256', 'token by HS256', 'VPN JWT'];
  for (const path of ['/introspect', '/revoke', '/introspect']) {
    for (const name of own) {
      const answer = await server.request(path, form({ token: secrets.get(name) ?? '' }, basic(node)));
      expect(answer.status).toBe(name === 'token by HS256' ? 400 : 200);
    }
  }
}

/** Makes API keys at both doors, uses them, and puts them where they do not belong. */
async function useApiKeys(server: TestServer, secrets: Secrets): Promise<void> {
  const keep = (name: string, { secret }: { readonly secret: string }): string => {
    secrets.set(name, secret);
    secrets.set(`${name}, its random part`, secret.slice('pcl_'.length, -6));
    return secret;
  };
  const { apiKeys, users } = server.administration;
  await users.create({ username: 'bot', role: 'service_account' }, null);
  const made = await apiKeys.create('bot', { name: 'a key' });
  keep('API key', made);
  const api = await createApiClient(server);
  const me = await enter(api);
  const own = await makeKey(api, me);
  const key = keep('API key of a person', own);
  const rotated = keep('rotated API key', await apiKeys.rotate(made.key_id, 'bot', 60));
  for (const used of [key, rotated, made.secret]) expect(await statusOf(api, used)).toBe(200);
  const wrong = `${rotated.slice(0, -1)}${rotated.endsWith('0') ? '1' : '0'}`;
  secrets.set('mistyped API key', wrong);
  for (const headers of [
    { 'x-api-key': wrong },
    { authorization: `Bearer ${wrong}` },
    { authorization: key },
  ]) {
    expect((await server.request(PROFILE, { headers })).status).toBe(401);
  }
  await server.request(`${PROFILE}?api_key=${key}`);
  await server.request(`${KEYS}/${key}`, { headers: { 'x-api-key': key } });
  await api.call('GET', `${KEYS}/${key}`, { token: me.token });
  await api.call('DELETE', `${KEYS}/${own.id}`, { token: me.token });
  expect(await statusOf(api, key)).toBe(401);
}

/** Signs somebody in at the JSON API, refreshes twice with one token, and fails with what is secret elsewhere. */
async function useJsonApi(server: TestServer, secrets: Secrets): Promise<void> {
  const post = async (path: string, body: object, headers: object = {}): Promise<Record<string, unknown>> => {
    const sent = { 'content-type': 'application/json', ...headers };
    const init = { method: 'POST', headers: sent, body: JSON.stringify(body) };
    const answer = await server.request(`/api/v1/auth/${path}`, init);
    return answer.status === 204 ? {} : json(answer);
  };
  const password = makeSecret();
  secrets.set('password', password);
  await post('register', { username: 'grace', email: 'grace@example.com', password });
  await post('login', { username: password, password: 'grace' });
  const first = await post('login', { username: 'grace', password });
  const refreshed = await post('refresh', { refresh_token: first['refresh_token'] });
  expect(await post('refresh', { refresh_token: first['refresh_token'] })).toEqual(refreshed);
  for (const [name, tokens] of Object.entries({ first, refreshed })) {
    keep(secrets, `${name} access token of the API`, String(tokens['access_token']));
    keep(secrets, `${name} refresh token of the API`, String(tokens['refresh_token']));
  }
  await post('refresh', { refresh_token: first['access_token'], [makeSecret()]: password });
  await post('verify-email', { token: first['refresh_token'] });
  await post('logout', {}, { authorization: `Bearer ${String(refreshed['access_token'])}` });
}

/** The private members of the keys that the server made, opened as it opens them. */
async function collectSigningKeys(server: TestServer, secrets: Secrets): Promise<void> {
  const storage = await openStorage(server.secrets.databaseUrl);
  const { keys } = (await storage.signingKeys.read()) ?? { keys: [] };
  const chainKey = await storage.sealedSecrets.find(CHAIN_KEY);
  await storage.close();
  const { open } = createSealer(server.secrets.secretKey);
  secrets.set('key of the audit log', open(chainKey ?? '', CHAIN_KEY));
  expect(keys.map(({ kid }) => kid)).toContain('imported');
  for (const { kid, sealedJwk } of keys.filter((key) => key.kid !== 'imported')) {
    const jwk = JSON.parse(open(sealedJwk, kid)) as Record<string, string | undefined>; // sealed from a JWK
    for (const member of PRIVATE_MEMBERS) {
      const value = jwk[member];
      if (value !== undefined) secrets.set(`key ${kid} ${member}`, value);
    }
  }
}
