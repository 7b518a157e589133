/** Rotation by several instances on one store: by the schedule, by command, all at once; always one set. */
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { createRemoteJWKSet, customFetch, jwtVerify } from 'jose';
import { generateKeyPairSync, randomBytes } from 'node:crypto';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';

import { createKeyCommands } from '../../src/keys/key-commands.ts';
import { createKeystore } from '../../src/keys/keystore.ts';
import type { Keystore } from '../../src/keys/keystore.ts';
import { standingsOf } from '../../src/keys/rotation.ts';
import type { RotationPolicy } from '../../src/keys/rotation.ts';
import { createSealer } from '../../src/keys/sealer.ts';
import { openStorage } from '../../src/storage/open.ts';
import type { SigningKeyStore, Storage } from '../../src/storage/port.ts';
import { createVpnNode, getToken, json } from '../support/clients.ts';
import { describeOnBothStores, dropDatabase, startTestServer, testConfig } from '../support/server.ts';
import type { TestServer } from '../support/server.ts';

const DAY = 86_400;
const ROUNDS = 100;
const POLICY: RotationPolicy = {
  publishSeconds: 3_600,
  keepSeconds: 10 * DAY,
  rotateEverySeconds: 90 * DAY,
  algorithms: ['RS256', 'ES256'],
};

const sealer = createSealer(randomBytes(32).toString('base64url'));

describeOnBothStores('two instances', (store) => {
  let folder: string;
  let url: string;
  let storages: readonly Storage[];
  let now: number;

  beforeEach(async () => {
    folder = mkdtempSync(join(tmpdir(), 'portcullis-keys-'));
    url = testConfig(store, folder).secrets.databaseUrl;
    storages = [await openStorage(url), await openStorage(url)];
    now = 1_800_000_000;
  });
  afterEach(async () => {
    for (const storage of storages) await storage.close();
    if (store === 'MongoDB') await dropDatabase(url);
    rmSync(folder, { recursive: true, force: true });
  });

  const optionsOf = (keys: SigningKeyStore) => ({ store: keys, sealer, policy: POLICY, now: () => now });
  const keystoreOf = (keys: SigningKeyStore): Keystore =>
    createKeystore({ ...optionsOf(keys), keysFolder: join(folder, 'keys'), onRetiredFile: () => undefined });

  test(`that rotate at once, ${ROUNDS} times, have one set each time`, async () => {
    const keystores = storages.map(({ signingKeys }) => keystoreOf(signingKeys));
    const meeting = createMeeting();
    const commands = storages.map(({ signingKeys }) =>
      createKeyCommands(optionsOf({ ...signingKeys, read: () => meeting.after(signingKeys.read()) })),
    );
    await Promise.all(keystores.map((keystore) => keystore.prepare()));
    const seen = new Set<string>();
    for (let round = 0; round < ROUNDS; round += 1) {
      now += 2 * DAY;
      meeting.expect(commands.length);
      const before = await storages[0]?.signingKeys.read();
      const [turns] = await Promise.all([
        Promise.all(commands.map((command) => command.rotate('ES256'))),
        ...keystores.map((keystore) => keystore.load()),
      ]);
      // All of them were told of the same key.
      expect(new Set(turns.flat().map(({ kid }) => kid)).size).toBe(1);
      const set = await storages[1]?.signingKeys.read();
      const standings = standingsOf(set?.keys ?? [], now, POLICY).filter(({ key }) => key.alg === 'ES256');
      expect(standings.filter(({ state }) => state === 'active')).toHaveLength(1);
      expect(standings.filter(({ state }) => state === 'next')).toHaveLength(1);
      const fresh = set?.keys.filter(({ kid }) => before?.keys.every((key) => key.kid !== kid)) ?? [];
      expect(fresh.filter(({ alg }) => alg === 'ES256')).toHaveLength(1);
      for (const { kid } of fresh) expect(seen).not.toContain(kid);
      for (const { kid } of fresh) seen.add(kid);
      const present = set?.keys.map(({ kid }) => kid) ?? [];
      const retired = set?.retired ?? [];
      expect(new Set([...present, ...retired]).size).toBe(present.length + retired.length);
    }
    const rings = await Promise.all(keystores.map((keystore) => keystore.load()));
    expect(new Set(rings.map(({ fingerprint }) => fingerprint)).size).toBe(1);
  }, 60_000);

  test('that meet a due rotation at once do it once', async () => {
    const keystores = storages.map(({ signingKeys }) => keystoreOf(signingKeys));
    const first = await keystores[0]?.prepare();
    now += 90 * DAY;
    const rings = await Promise.all([...keystores, ...keystores].map((keystore) => keystore.load()));
    expect(new Set(rings.map(({ fingerprint }) => fingerprint)).size).toBe(1);
    const [ring] = rings;
    expect(ring?.jwks).toHaveLength(6);
    for (const alg of ['RS256', 'ES256']) {
      expect(ring?.signers[alg]).not.toBe(first?.signers[alg]);
      expect(first?.jwks.map(({ kid }) => kid)).toContain(ring?.signers[alg]);
    }
  });

  test('never make keys again where the set is gone while they run', async () => {
    const keystore = keystoreOf({ ...storages[0]?.signingKeys, read: async () => null } as SigningKeyStore);
    await expect(keystore.load()).rejects.toThrow(/holds no signing keys any more: restore it/);
    expect(await storages[1]?.signingKeys.read()).toBeNull();
  });

  test('give up in words where the set never holds still', async () => {
    const beaten: SigningKeyStore = { read: async () => null, write: async () => false };
    const commands = createKeyCommands({ ...optionsOf(beaten), policy: { ...POLICY, algorithms: [] } });
    await expect(commands.create('EdDSA')).rejects.toThrow('The key set kept changing meanwhile: try again.');
  }, 60_000);
});

/** Lets the first readers of a round go on together, so that all of them decide on the same set. */
function createMeeting() {
  let missing = 0;
  let all = Promise.withResolvers<undefined>();
  return {
    expect: (count: number): void => {
      missing = count;
      all = Promise.withResolvers();
    },
    after: async <T>(reading: Promise<T>): Promise<T> => {
      const read = await reading;
      missing -= 1;
      if (missing === 0) all.resolve(undefined);
      await all.promise;
      return read;
    },
  };
}

describeOnBothStores('a server', (store) => {
  let server: TestServer;

  beforeEach(async () => {
    server = await startTestServer(store, { SESSION_REMEMBERED: String(DAY) }, { keyReloadMs: 50 });
  });
  afterEach(() => server.stop());

  const published = async (origin = server.origin): Promise<string[]> => {
    const { keys } = await json(await fetch(`${origin}/jwks`));
    return (keys as { kid: string }[]).map(({ kid }) => kid); // RFC 7517 5
  };
  const vpnJwt = async (): Promise<string> => {
    const headers = { authorization: `Bearer ${await getToken(server, await createVpnNode(server))}` };
    const answer = await server.request('/vpn/auth', { method: 'POST', headers });
    return String((await json(answer))['access_token']);
  };
  const kidOf = async (jwt: string): Promise<string | undefined> => {
    const jwks = createRemoteJWKSet(new URL(`${server.issuer}/jwks`), {
      [customFetch]: () => fetch(`${server.origin}/jwks`),
    });
    const verified = await jwtVerify(jwt, jwks, { issuer: server.issuer, currentDate: new Date(0) });
    return verified.protectedHeader.kid;
  };

  test('rotates by the schedule without a restart, and keeps a key for what it signed', async () => {
    const [first, standby] = await published();
    expect(await kidOf(await vpnJwt())).toBe(first);
    server.advance(90 * DAY);
    await server.logged('keys_changed', `"RS256":"${standby ?? ''}"`);
    expect(await kidOf(await vpnJwt())).toBe(standby);
    expect(await published()).toContain(first);
    server.advance(DAY + 121);
    await server.logged('"event":"keys_changed"', `"signers":{"RS256":"${standby ?? ''}"`);
    await server.stopInstances();
    const next = await server.startInstance();
    expect(await published(next.origin)).not.toContain(first);
    const { items } = await server.administration.audit.list({ limit: 9 }, { action: 'keys.change' });
    expect(items.map(({ actor }) => actor)).toContain('server');
    const removed = items.flatMap(({ details }) => details['removed']);
    expect(removed).toContain(first);
  });

  test('signs by EdDSA once its first key is known, where the settings ask for it', async () => {
    const algorithms = async (origin: string): Promise<unknown> =>
      (await json(await fetch(`${origin}/.well-known/openid-configuration`)))[
        'id_token_signing_alg_values_supported'
      ];
    expect(await algorithms(server.origin)).toEqual(['RS256', 'ES256']);
    const keys = { ...server.config.keys, algorithms: ['RS256', 'ES256', 'EdDSA'] };
    const second = await server.startInstance({ config: { ...server.config, keys } });
    expect(await published(second.origin)).toHaveLength(6);
    expect(await algorithms(second.origin)).toEqual(['RS256', 'ES256']);
    server.advance(3_600);
    await server.logged('keys_changed', '"EdDSA":');
    // One of the two has it by now; the other reads the set within its interval.
    const wanted = ['RS256', 'ES256', 'EdDSA'];
    for (const { origin } of [server, second]) {
      let found = await algorithms(origin);
      for (let look = 0; look < 1_000 && String(found) !== String(wanted); look += 1) {
        await pause(20);
        found = await algorithms(origin);
      }
      expect(found).toEqual(wanted);
    }
  });

  test('leaves a PEM file alone whose key was retired, and says so once', async () => {
    const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
    const { keysFolder } = server.config;
    mkdirSync(keysFolder, { recursive: true });
    const file = join(keysFolder, 'mine.pem');
    writeFileSync(file, privateKey.export({ type: 'pkcs8', format: 'pem' }), { mode: 0o600 });
    await server.startInstance();
    await server.administration.keys.retire('mine', false);
    const again = await server.startInstance();
    expect(await published(again.origin)).not.toContain('mine');
    expect(server.logs().match(/"event":"key_file_retired"/g)).toHaveLength(1);
    expect(await server.logged('key_file_retired')).toContain(file);
  });
});
