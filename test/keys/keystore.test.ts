/** Signing keys on the real stores: made once, imported, sealed, never lost, never half. */
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { decodeProtectedHeader } from 'jose';
import { generateKeyPairSync } from 'node:crypto';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

import { openStorage } from '../../src/storage/open.ts';
import { makeKey } from '../../src/keys/material.ts';
import { createSealer } from '../../src/keys/sealer.ts';
import { createVpnNode, getToken, json } from '../support/clients.ts';
import { describeOnBothStores, startTestServer } from '../support/server.ts';
import type { TestServer } from '../support/server.ts';

function writePem(folder: string, name: string, type: 'rsa' | 'ec' | 'ed25519', bits = 2048): void {
  mkdirSync(folder, { recursive: true });
  const { privateKey } =
    type === 'rsa'
      ? generateKeyPairSync('rsa', { modulusLength: bits })
      : type === 'ec'
        ? generateKeyPairSync('ec', { namedCurve: 'P-256' })
        : generateKeyPairSync('ed25519');
  writeFileSync(join(folder, `${name}.pem`), privateKey.export({ type: 'pkcs8', format: 'pem' }), {
    mode: 0o600,
  });
}

async function kids(origin: string): Promise<readonly unknown[]> {
  const { keys } = (await (await fetch(`${origin}/jwks`)).json()) as { keys: { kid: string }[] }; // RFC 7517 5
  return keys.map(({ kid }) => kid).sort();
}

/** Algorithm → the kid that signs now. */
async function signersOf({ administration }: TestServer): Promise<Record<string, string>> {
  const { items } = await administration.keys.list();
  return Object.fromEntries(
    items.filter(({ state }) => state === 'active').map(({ alg, kid }) => [alg, kid]),
  );
}

describeOnBothStores('signing keys', (store) => {
  let server: TestServer;

  beforeEach(async () => {
    server = await startTestServer(store, {}, { keyReloadMs: 50 });
  });
  afterEach(() => server.stop());

  test('ten instances that start at once on a new store end with one set', async () => {
    const fresh = await startTestServer(store);
    try {
      const storage = await openStorage(fresh.secrets.databaseUrl);
      const set = await storage.signingKeys.read();
      expect(set?.version).toBe(1);
      await storage.close();
      const more = await Promise.all(Array.from({ length: 9 }, () => fresh.startInstance()));
      const all = await Promise.all([fresh, ...more].map(({ origin }) => kids(origin)));
      for (const each of all) expect(each).toEqual(all[0]);
    } finally {
      await fresh.stop();
    }
  });

  test('are the same after a restart', async () => {
    const before = await kids(server.origin);
    const again = await server.startInstance();
    expect(await kids(again.origin)).toEqual(before);
  });

  test('refuses another SECRET_KEY and changes nothing', async () => {
    const other = { ...server.secrets, secretKey: 'another-secret-key-of-the-same-length-0000000' };
    await expect(server.startInstance({ secrets: other })).rejects.toThrow(
      /does not open with this SECRET_KEY/,
    );
    const again = await server.startInstance();
    expect(await kids(again.origin)).toEqual(await kids(server.origin));
  });

  test('an imported key is published by every instance before it signs', async () => {
    writePem(server.config.keysFolder, 'from-outside', 'rsa');
    const second = await server.startInstance();
    expect(await kids(second.origin)).toContain('from-outside');
    await server.logged('keys_changed', 'from-outside');
    expect(await kids(server.origin)).toContain('from-outside');
    const node = await createVpnNode(server);
    const signer = async (): Promise<string | undefined> => {
      const headers = { authorization: `Bearer ${await getToken(server, node)}` };
      const answer = await fetch(`${second.origin}/vpn/auth`, { method: 'POST', headers });
      return decodeProtectedHeader(String((await json(answer))['access_token'])).kid;
    };
    expect(await signer()).not.toBe('from-outside');
    const third = await (server.advance(3_600 + 1), server.startInstance());
    expect(await kids(third.origin)).toContain('from-outside');
    const headers = { authorization: `Bearer ${await getToken(server, node)}` };
    const answer = await fetch(`${third.origin}/vpn/auth`, { method: 'POST', headers });
    expect(decodeProtectedHeader(String((await json(answer))['access_token'])).kid).toBe('from-outside');
  });

  test('an imported key signs from the start of a new store', async () => {
    await server.stop();
    server = await startTestServer(store, {}, {});
    const folder = join(server.folder, 'other-keys');
    writePem(folder, 'mine', 'rsa');
    writePem(folder, 'edwards', 'ed25519');
    writePem(folder, 'curve', 'ec');
    const own = await startTestServer(store, { KEYS_DIR: folder });
    try {
      expect(await kids(own.origin)).toEqual(expect.arrayContaining(['curve', 'edwards', 'mine']));
      expect(await signersOf(own)).toEqual({ RS256: 'mine', EdDSA: 'edwards', ES256: 'curve' });
    } finally {
      await own.stop();
    }
  });

  test.each([
    [
      'that is too short',
      (folder: string) => writePem(folder, 'short', 'rsa', 1024),
      /short\.pem: found a key of type rsa \(1024 bits\)/,
    ],
    [
      'that is no key',
      (folder: string) => {
        mkdirSync(folder, { recursive: true });
        writeFileSync(join(folder, 'no.pem'), 'no', { mode: 0o600 });
      },
      /no\.pem: this is no private key in PEM form/,
    ],
    [
      'whose name is no kid',
      (folder: string) => writePem(folder, 'a b', 'ec'),
      /a b\.pem: its name is the kid/,
    ],
  ])('refuses a PEM file %s with a sentence', async (_name, write, sentence) => {
    write(server.config.keysFolder);
    await expect(server.startInstance()).rejects.toThrow(sentence);
  });

  test('refuses a second key of one name', async () => {
    writePem(server.config.keysFolder, 'one', 'ec');
    await server.startInstance();
    writePem(server.config.keysFolder, 'one', 'ec');
    await expect(server.startInstance()).rejects.toThrow(
      /one\.pem is not the key that the store knows by this name/,
    );
  });

  test('a dump of the key set holds no private member', async () => {
    const storage = await openStorage(server.secrets.databaseUrl);
    const dump = JSON.stringify(await storage.signingKeys.read());
    await storage.close();
    expect(dump).not.toMatch(/"(d|p|q|n)"/);
  });
});

test('a key that is made has a name that no command line takes for an option', async () => {
  const made = await Promise.all(Array.from({ length: 300 }, () => makeKey('EdDSA')));
  expect(made.filter(({ kid }) => kid.startsWith('-'))).toEqual([]);
  expect(new Set(made.map(({ kid }) => kid)).size).toBe(300);
});

describe('sealing', () => {
  const sealer = createSealer('a secret key');

  test('opens what it sealed, under the same context only', () => {
    const sealed = sealer.seal('text', 'row 1');
    expect(sealer.open(sealed, 'row 1')).toBe('text');
    expect(() => sealer.open(sealed, 'row 2')).toThrow();
    expect(() => createSealer('another').open(sealed, 'row 1')).toThrow();
    expect(() => sealer.open(sealed.slice(0, -2), 'row 1')).toThrow();
    expect(() => sealer.open('v2.x', 'row 1')).toThrow();
  });

  test('never gives the same text twice', () => {
    expect(sealer.seal('text', 'row')).not.toBe(sealer.seal('text', 'row'));
  });
});
