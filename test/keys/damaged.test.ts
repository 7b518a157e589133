/** Keys that cannot sign, and keys that come again: neither ever signs, and a running server goes on. */
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { generateKeyPairSync } from 'node:crypto';
import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

import type { JWK } from 'jose';

import { sealKey } from '../../src/keys/key-set.ts';
import { createSealer } from '../../src/keys/sealer.ts';
import { openStorage } from '../../src/storage/open.ts';
import type { KeySet } from '../../src/storage/port.ts';
import { createVpnNode, getToken, json } from '../support/clients.ts';
import { describeOnBothStores, startTestServer } from '../support/server.ts';
import type { TestServer } from '../support/server.ts';
import { damagedJwk, damagedPem, NO_FILES } from './strange.ts';

const newPem = (): string =>
  generateKeyPairSync('rsa', { modulusLength: 2048 })
    .privateKey.export({ format: 'pem', type: 'pkcs8' })
    .toString();

describeOnBothStores('a key', (store) => {
  let server: TestServer;

  beforeEach(async () => {
    server = await startTestServer(store, {}, { keyReloadMs: 50 });
  });
  afterEach(() => server.stop());

  const pathOf = (name: string): string => {
    mkdirSync(server.config.keysFolder, { recursive: true });
    return join(server.config.keysFolder, `${name}.pem`);
  };
  const written = (name: string, pem: string): string => {
    writeFileSync(pathOf(name), pem, { mode: 0o600 });
    return pathOf(name);
  };
  const published = async (origin = server.origin): Promise<string[]> =>
    ((await json(await fetch(`${origin}/jwks`)))['keys'] as { kid: string }[]).map(({ kid }) => kid); // RFC 7517 5
  const signs = async (): Promise<void> => {
    const headers = { authorization: `Bearer ${await getToken(server, await createVpnNode(server))}` };
    expect((await server.request('/vpn/auth', { method: 'POST', headers })).status).toBe(200);
  };
  /** Changes the set as a server did that knew no better. */
  const change = async (edit: (set: KeySet, opened: readonly JWK[]) => KeySet['keys']): Promise<void> => {
    const storage = await openStorage(server.secrets.databaseUrl);
    try {
      const set = await storage.signingKeys.read();
      if (set === null) throw new Error('there is no set');
      const sealer = createSealer(server.secrets.secretKey);
      const opened = set.keys.map(({ sealedJwk, kid }) => JSON.parse(sealer.open(sealedJwk, kid)) as JWK); // ours
      const next = { keys: edit(set, opened), retired: set.retired };
      expect(await storage.signingKeys.write(set.version, next)).toBe(true);
    } finally {
      await storage.close();
    }
  };
  const sealed = (jwk: JWK, alg: string, kid: string, signsFrom: number) =>
    sealKey(
      { kid, alg, jwk: { ...jwk, kid, alg, use: 'sig' } },
      { createdAt: signsFrom, signsFrom },
      createSealer(server.secrets.secretKey),
    );

  test.each(['ec', 'rsa'] as const)('of type %s with another’s public part is not taken', async (type) => {
    const pem = damagedPem(type);
    const file = written('bad', pem);
    const sentence =
      /bad\.pem: this key is damaged: what it signs does not verify by its own public key\. Take/;
    await expect(server.startInstance()).rejects.toThrow(sentence);
    await expect(server.administration.keys.import(pem, 'bad.pem', 'bad')).rejects.toThrow(sentence);
    rmSync(file);
    expect(await published((await server.startInstance()).origin)).not.toContain('bad');
  });

  test.each(['ec', 'rsa'] as const)(
    'of type %s that is damaged in the store never signs: a running server goes on, a new one says what to do',
    async (type) => {
      const alg = type === 'ec' ? 'ES256' : 'RS256';
      await change(({ keys }) =>
        keys.flatMap((key) => {
          if (key.alg !== alg || key.signsFrom === null) return [key];
          const before = { ...key, signsFrom: key.signsFrom - 1 };
          return [before, sealed(damagedJwk(type), alg, 'bad', key.signsFrom)];
        }),
      );
      expect(await server.logged('"event":"keys_refused"', '\\"bad\\"')).toContain(`"${alg}":"bad"`);
      await signs();
      expect(await published()).not.toContain('bad');
      await expect(server.startInstance()).rejects.toThrow(
        /The signing key "bad" .* is damaged: .* End it by: portcullis keys retire bad --emergency/,
      );
      expect(server.logs().match(/"event":"keys_refused"/g)).toHaveLength(1);
      await server.administration.keys.retire('bad', true);
      await server.startInstance();
      await signs();
    },
  );

  test('under a second name is not taken, in the store or beside it in the folder', async () => {
    const pem = newPem();
    written('one', pem);
    const twin = written('two', pem);
    const sentence = /two\.pem is a copy of the key that is there as "one": a key has one name/;
    await expect(server.startInstance()).rejects.toThrow(sentence);
    rmSync(twin);
    await server.startInstance();
    written('two', pem);
    await expect(server.startInstance()).rejects.toThrow(sentence);
    await expect(server.administration.keys.import(pem, 'f', 'two')).rejects.toThrow(
      /there already, as "one"/,
    );
  });

  test('that was stolen comes back under no name, not even from a file that lies there', async () => {
    const [kid = ''] = await published();
    const pem = await server.administration.keys.exportPrivate(kid);
    await server.administration.keys.retire(kid, true);
    const file = written('again', pem);
    const { origin } = await server.startInstance();
    expect(await server.logged('key_file_retired')).toContain(file);
    expect(await published(origin)).not.toContain('again');
    const sentence = /This key was retired and comes back under no name/;
    await expect(server.administration.keys.import(pem, 'f', 'again')).rejects.toThrow(sentence);
    const own = newPem();
    await server.administration.keys.import(own, 'f', 'own');
    await server.administration.keys.retire('own', false);
    await expect(server.administration.keys.import(own, 'f', 'other')).rejects.toThrow(sentence);
    await expect(server.administration.keys.import(own, 'f', 'own')).rejects.toThrow(sentence);
  });

  test('that the set has under two names ends under both in an emergency', async () => {
    const [kid = ''] = await published();
    const at = Math.floor(Date.now() / 1_000) + 3_600;
    await change(({ keys }, opened) => {
      const jwk = opened.find((key) => key.kid === kid);
      return [...keys, sealed({ kty: 'RSA', ...jwk }, 'RS256', 'twin', at)];
    });
    await server.logged('keys_changed', '"twin"');
    await expect(server.administration.keys.retire(kid, false)).rejects.toThrow(/signs now/);
    // Under this name it never signed: what is told is told of the other.
    const ended = await server.administration.keys.retire('twin', true);
    expect(ended).toMatchObject({ kid: 'twin', state: 'active', successor: { is_known: false } });
    const { items } = await server.administration.keys.list();
    const kids = items.map((key) => key.kid);
    expect([kids.includes(kid), kids.includes('twin')]).toEqual([false, false]);
    expect(items.filter(({ alg }) => alg === 'RS256').map(({ state }) => state)).toEqual(['active', 'next']);
    await server.logged('keys_changed', `"RS256":"${ended.successor?.kid ?? ''}"`);
    await signs();
  });

  test.each(NO_FILES)('is not looked for in %s', async (_name, make, sentence) => {
    make(pathOf('strange'));
    await expect(server.startInstance()).rejects.toThrow(sentence);
  });

  test('is not looked for in a file without end, and its folder is no file', async () => {
    const file = written('long', 'x'.repeat(65_537));
    await expect(server.startInstance()).rejects.toThrow(
      /long\.pem is no key: it is larger than 64 KiB\. Put/,
    );
    const config = { ...server.config, keysFolder: file };
    await expect(server.startInstance({ config })).rejects.toThrow(
      /folder of keys .* cannot be read \(ENOTDIR\)/,
    );
  });

  test.each(['-x', '.', '..', '.x', '-'])('is not called "%s"', async (kid) => {
    const pem = newPem();
    await expect(server.administration.keys.import(pem, 'f', kid)).rejects.toThrow(
      `f: its name is the kid, unless --kid gives one, and "${kid}" cannot be it`,
    );
    written(kid, pem);
    await expect(server.startInstance()).rejects.toThrow(/its name is the kid/);
  });

  test('is called by a letter, a digit or an underscore, and what follows', async () => {
    for (const kid of ['a..', '_x', '0-.'])
      expect(await server.administration.keys.import(newPem(), 'f', kid)).toMatchObject({ kid });
  });
});
