/** Clients whose keys are at an address of theirs (RFC 7591 `jwks_uri`), authenticating by private_key_jwt (RFC 7523). */
import { afterEach, expect, test } from '@jest/globals';
import { exportJWK, generateKeyPair } from 'jose';
import type { CryptoKey } from 'jose';

import { assertion, assertionForm, createClient, json } from '../support/clients.ts';
import type { KeyClient } from '../support/clients.ts';
import { fetchAs } from '../support/fetch-as.ts';
import { startReceiver, status } from '../support/receiver.ts';
import type { Receiver } from '../support/receiver.ts';
import { describeOnBothStores, startTestServer, useTestServer } from '../support/server.ts';

describeOnBothStores('jwks_uri', (store) => {
  const server = useTestServer(store);
  const opened: Receiver[] = [];
  afterEach(async () => {
    for (const one of opened.splice(0)) await one.stop();
  });

  const keySet = async (key: CryptoKey): Promise<string> =>
    JSON.stringify({ keys: [{ ...(await exportJWK(key)), kid: 'one', alg: 'ES256', use: 'sig' }] });
  const begin = async (own = server(), fields: object = {}) => {
    const keysAt = await startReceiver();
    opened.push(keysAt);
    const client = await createClient(own, 'read', {
      token_endpoint_auth_method: 'private_key_jwt',
      jwks_uri: `${keysAt.url}jwks`,
      ...fields,
    });
    const { privateKey, publicKey } = await generateKeyPair('ES256');
    const keys: KeyClient = { id: client.id, privateKey };
    const works = status(200, { 'content-type': 'application/json' }, await keySet(publicKey));
    keysAt.answer = works;
    const ask = async (by: KeyClient = keys) => {
      const sent = await own.request('/token', assertionForm(await assertion(by, own.issuer)));
      return { status: sent.status, retryAfter: sent.headers.get('retry-after'), ...(await json(sent)) };
    };
    return { keys, keysAt, ask, works };
  };

  test('lets a client in by the keys that are there, asking once', async () => {
    const { keysAt, ask } = await begin();
    expect(await ask()).toMatchObject({ status: 200, access_token: expect.any(String) });
    expect(await ask()).toMatchObject({ status: 200 });
    expect(keysAt.received).toHaveLength(1);
  });

  test('refuses an assertion by any other key', async () => {
    const { keys, ask } = await begin();
    const stranger = { id: keys.id, ...(await generateKeyPair('ES256')) };
    expect(await ask(stranger)).toMatchObject({ status: 401, error: 'invalid_client' });
  });

  test.each([
    ['fails', status(500)],
    ['redirects', status(302, { location: 'https://example.com/' })],
    ['is a page for people', status(200, { 'content-type': 'text/html' }, '<h1>Maintenance</h1>')],
    ['is too large', status(200, {}, ' '.repeat(70_000))],
  ])('an address that %s is 503 each time, never invalid_client, and mends', async (_name, broken) => {
    const { keysAt, ask, works } = await begin();
    keysAt.answer = broken;
    for (let asked = 0; asked < 2; asked += 1) {
      expect(await ask()).toMatchObject({
        status: 503,
        retryAfter: expect.stringMatching(/^\d+$/),
        error: 'temporarily_unavailable',
        error_description: expect.stringContaining('jwks_uri'),
      });
    }
    keysAt.answer = works;
    expect(await ask()).toMatchObject({ status: 200 });
  });

  test('in production no key is fetched from this machine', async () => {
    const own = await startTestServer(store, { NODE_ENV: 'production', ISSUER: 'https://auth.example.com' });
    try {
      const { id } = await createClient(own, 'read', {
        token_endpoint_auth_method: 'private_key_jwt',
        jwks_uri: 'https://localhost/jwks',
      });
      const keys = { id, ...(await generateKeyPair('ES256')) };
      const asked = assertionForm(await assertion(keys, own.issuer));
      const sent = await fetchAs(own.issuer, `${own.origin}/token`, asked);
      expect(sent.status).toBe(503);
      expect(String((await json(sent))['error_description'])).toContain('not on the public internet');
    } finally {
      await own.stop();
    }
  });

  test.each([
    ['a plain address', { jwks_uri: 'http://app.example.com/jwks' }],
    ['a password in it', { jwks_uri: 'https://a:b@app.example.com/jwks' }],
    ['keys beside it', { jwks: { keys: [{ kty: 'OKP', crv: 'Ed25519', x: 'AAAA' }] } }],
    ['a secret beside it', { client_secret: 'x'.repeat(40) }],
    ['another way to authenticate', { token_endpoint_auth_method: 'client_secret_basic' }],
  ])('refuses %s at registration', async (_name, fields) => {
    await expect(begin(server(), fields)).rejects.toThrow();
  });
});
