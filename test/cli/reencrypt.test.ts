/** A new SECRET_KEY for a store in use: servers with both keys, `keys reencrypt`, then servers with the new one alone. */
import { expect, test } from '@jest/globals';
import { decodeProtectedHeader, jwtVerify } from 'jose';
import { randomBytes } from 'node:crypto';
import { DatabaseSync } from 'node:sqlite';

import { CHAIN_KEY } from '../../src/audit/chain-key.ts';
import { reencrypt } from '../../src/composition/sealed.ts';
import type { SealedStores } from '../../src/composition/sealed.ts';
import type { Secrets } from '../../src/config.ts';
import { storeUnavailable } from '../../src/errors.ts';
import { createSealer } from '../../src/keys/sealer.ts';
import { openStorage } from '../../src/storage/open.ts';
import type { ResourceServer, Storage } from '../../src/storage/port.ts';
import { apply, basic, createClient, createVpnNode, form, getToken, json } from '../support/clients.ts';
import type { Credentials } from '../support/clients.ts';
import { describeOnBothStores, startTestServer } from '../support/server.ts';
import type { StoreKind, TestServer } from '../support/server.ts';
import { newResourceServer } from '../storage/races.ts';
import { documentOf, environmentOf, portcullis } from './run.ts';
import type { Ran } from './run.ts';

const RESOURCE = 'https://old.example/api';
const unrecorded = async <T>(_change: unknown, work: () => Promise<T>): Promise<T> => work();

const makeSecret = (): string => randomBytes(32).toString('base64url');

/** A server with one resource server that shares a secret, and a client for it. */
interface World {
  readonly server: TestServer;
  readonly shared: string;
  readonly client: Credentials;
  readonly newKey: string;
  /** The same store, opened beside the server. */
  readonly storage: Storage;
  /** The settings of a process with these keys. */
  secrets(secretKey: string, previousSecretKey?: string | null): Secrets;
  /** Runs the command with these keys. */
  run(argv: readonly string[], secretKey: string, previous?: string): Promise<Ran>;
}

async function inWorld(store: StoreKind, work: (world: World) => Promise<void>): Promise<void> {
  const server = await startTestServer(store);
  const storage = await openStorage(server.secrets.databaseUrl);
  try {
    const shared = makeSecret();
    await apply(server.administration, {
      resource_servers: [
        { identifier: RESOURCE, audience: 'old', signing_alg: 'HS256', secret: shared, scopes: ['api'] },
        { identifier: 'https://new.example/api', audience: 'new', scopes: ['api'] },
      ],
    });
    const client = await createClient(server, 'api');
    await work({
      ...{ server, shared, client, storage, newKey: makeSecret() },
      secrets: (secretKey, previousSecretKey = null) => ({
        ...server.secrets,
        secretKey,
        previousSecretKey,
      }),
      run: (argv, secretKey, previous = '') => {
        const env = { ...environmentOf(server), SECRET_KEY: secretKey, SECRET_KEY_PREVIOUS: previous };
        return portcullis(argv, { cwd: server.folder, env });
      },
    });
  } finally {
    await storage.close();
    await server.stop();
  }
}

const REENCRYPT = ['keys', 'reencrypt'];

describeOnBothStores('a new SECRET_KEY', (store) => {
  test('takes over while servers run, and nobody’s token or record is lost', async () => {
    await inWorld(store, async ({ server, shared, client, newKey, secrets, run, storage }) => {
      const { secretKey: oldKey } = server.secrets;
      const sharedToken = async (origin: string): Promise<string> => {
        const body = { grant_type: 'client_credentials', scope: 'api', resource: RESOURCE };
        const answer = await fetch(`${origin}/token`, form(body, basic(client)));
        const token = String((await json(answer))['access_token']);
        await jwtVerify(token, new TextEncoder().encode(shared), { algorithms: ['HS256'] });
        return token;
      };
      const jwksOf = async (origin: string): Promise<string> => (await fetch(`${origin}/jwks`)).text();
      const before = await jwksOf(server.origin);
      const node = await createVpnNode(server);
      const opaque = await getToken(server, node);

      const both = await server.startInstance({ secrets: secrets(newKey, oldKey) });
      expect(await server.logged('previous_secret_key')).toMatch(
        /"resourceServers":1,"auditKeys":1,"advice":"Run `portcullis keys reencrypt`/,
      );
      await sharedToken(both.origin);

      const done = await run(REENCRYPT, newKey, oldKey);
      expect(done).toMatchObject({ code: 0, err: '' });
      expect(done.out).toMatch(
        /^Encrypted anew under SECRET_KEY: \d signing keys, 1 secret of a resource server, the key of the audit log\.\nNow unset/,
      );
      await sharedToken(both.origin);
      const again = documentOf(await run([...REENCRYPT, '--json'], newKey, oldKey));
      expect(again).toMatchObject({
        reencrypted: { signing_keys: 0, resource_servers: 0, audit_keys: 0 },
        next: expect.stringContaining('SECRET_KEY_PREVIOUS'),
      });
      expect((await run(REENCRYPT, newKey)).out).toContain(
        'Everything is encrypted under SECRET_KEY already.',
      );
      for (const argv of [REENCRYPT, [...REENCRYPT, '--json']]) {
        const { out } = await run(argv, newKey);
        expect(out).toContain('SECRET_KEY_PREVIOUS is not set, so there was nothing to move. For a new key ');
        expect(out).not.toContain('Now unset');
      }
      const both2 = await server.startInstance({ secrets: secrets(newKey, oldKey) });
      expect(await server.logged('previous_secret_key', 'unset SECRET_KEY_PREVIOUS', 'Nothing')).toContain(
        '"signingKeys":0,"resourceServers":0,"auditKeys":0',
      );
      await both2.server.stop();

      const after = await server.startInstance({ secrets: secrets(newKey) });
      expect(await jwksOf(after.origin)).toBe(before);
      await sharedToken(after.origin);
      const introspected = await fetch(`${after.origin}/introspect`, form({ token: opaque }, basic(node)));
      expect(await json(introspected)).toMatchObject({ active: true });
      const exchanged = await fetch(`${after.origin}/vpn/auth`, {
        method: 'POST',
        headers: { authorization: `Bearer ${opaque}` },
      });
      const { kid } = decodeProtectedHeader(String((await json(exchanged))['access_token']));
      expect(before).toContain(`"${String(kid)}"`);

      await server.stopInstances();
      expect((await run(['audit', 'verify'], newKey)).out).toMatch(/^\d+ records, none changed/);
      const records = await run(['audit', 'list', '--action', 'secrets.reencrypt', '--json'], newKey);
      expect(documentOf(records)).toMatchObject({
        items: [{ actor: 'cli', details: { resourceServers: 1, auditKeys: 1 } }],
      });
      expect(await dumpOf(storage)).not.toContain(keyIdOf(oldKey));

      const refused = await run(REENCRYPT, oldKey);
      expect([refused.code, refused.out]).toEqual([1, '']);
      expect(refused.err).toContain('does not open with this SECRET_KEY');
      await expect(server.startInstance()).rejects.toThrow('does not open with this SECRET_KEY');
    });
  });

  test('without the one before it is refused, and changes nothing', async () => {
    await inWorld(store, async ({ newKey, run, storage, server, secrets }) => {
      const before = await dumpOf(storage);
      const { code, err } = await run(REENCRYPT, newKey);
      expect([code, err]).toEqual([
        1,
        expect.stringMatching(
          /^The signing key .* does not open with this SECRET_KEY.* as SECRET_KEY_PREVIOUS/,
        ),
      ]);
      const wrong = await run(REENCRYPT, newKey, makeSecret());
      expect([wrong.code, wrong.err]).toEqual([
        1,
        expect.stringContaining('does not open with this SECRET_KEY'),
      ]);
      await expect(server.startInstance({ secrets: secrets(newKey) })).rejects.toThrow('nothing was changed');
      expect(await dumpOf(storage)).toBe(before);
    });
  });

  test('is finished by a second run where the first was interrupted, whatever it had done', async () => {
    await inWorld(store, async ({ newKey, run, storage, server }) => {
      const { secretKey: oldKey } = server.secrets;
      const sealer = createSealer(newKey, oldKey);
      const cut: SealedStores = {
        ...storage,
        resourceServers: {
          ...storage.resourceServers,
          replace: async () => {
            throw storeUnavailable(new Error('the power went'));
          },
        },
      };
      await expect(reencrypt(cut, sealer, unrecorded)).rejects.toMatchObject({ code: 'store_unavailable' });
      const half = await storage.signingKeys.read();
      expect(half?.keys.every(({ sealedJwk }) => !sealer.needsPrevious(sealedJwk))).toBe(true);
      const { out } = await run(REENCRYPT, newKey, oldKey);
      expect(out).toMatch(/: 1 secret of a resource server, the key of the audit log\.\n/);
    });
  });

  test('overwrites nothing that is changed meanwhile, and tells what was made under the old one', async () => {
    await inWorld(store, async ({ newKey, storage, server, run }) => {
      const { secretKey: oldKey } = server.secrets;
      const changed = makeSecret();
      const old = createSealer(oldKey);
      let isChanged = false;
      const stores: SealedStores = {
        ...storage,
        resourceServers: {
          ...storage.resourceServers,
          replace: async (current, next) => {
            if (!isChanged) {
              isChanged = true; // as `apply` by an instance that has the old key alone
              await storage.resourceServers.put({ ...current, sealedSecret: old.seal(changed, RESOURCE) });
            }
            return storage.resourceServers.replace(current, next);
          },
        },
        sealedSecrets: {
          ...storage.sealedSecrets,
          replace: async (...change) => {
            const late = { identifier: 'urn:late', audience: 'late', signingAlg: 'HS256' };
            const found = await storage.resourceServers.find(RESOURCE);
            if (found === null) throw new Error('it was declared above');
            const sealedSecret = old.seal(changed, late.identifier);
            await storage.resourceServers.put({ ...found, ...late, sealedSecret });
            return storage.sealedSecrets.replace(...change);
          },
        },
      };
      const sealer = createSealer(newKey, oldKey);
      const { resealed, remaining } = await reencrypt(stores, sealer, unrecorded);
      expect(resealed).toMatchObject({ resourceServers: 1, auditKeys: 1 });
      expect(remaining).toEqual({ signingKeys: 0, resourceServers: 1, auditKeys: 0 });
      const found = await storage.resourceServers.find(RESOURCE);
      expect(createSealer(newKey).open(found?.sealedSecret ?? '', RESOURCE)).toBe(changed);
      expect((await run(REENCRYPT, newKey, oldKey)).out).toMatch(/: 1 secret of a resource server\.\n/);
    });
  });

  test('gives up with a sentence where a place keeps changing', async () => {
    await inWorld(store, async ({ newKey, storage, server }) => {
      const sealer = createSealer(newKey, server.secrets.secretKey);
      const never = async (): Promise<boolean> => false;
      const places: readonly (readonly [RegExp, Partial<SealedStores>])[] = [
        [/^The set of signing keys kept changing/, { signingKeys: { ...storage.signingKeys, write: never } }],
        [
          /^The resource server https:\/\/old\.example\/api kept changing/,
          { resourceServers: { ...storage.resourceServers, replace: never } },
        ],
        [
          /^The key of the audit log kept changing/,
          { sealedSecrets: { ...storage.sealedSecrets, replace: never } },
        ],
      ];
      for (const [sentence, place] of places) {
        const attempt = reencrypt({ ...storage, ...place }, sealer, unrecorded);
        await expect(attempt).rejects.toMatchObject({
          code: 'conflict',
          message: expect.stringMatching(sentence),
        });
      }
    });
  });

  test('a secret of a resource server that opens with neither is told before anything is done, and mended by apply', async () => {
    await inWorld(store, async ({ newKey, run, storage, server, secrets }) => {
      const { secretKey: oldKey } = server.secrets;
      const found = await storage.resourceServers.find(RESOURCE);
      if (found === null) throw new Error('it was declared above');
      const sealedSecret = createSealer(makeSecret()).seal('x', RESOURCE);
      await storage.resourceServers.put({ ...found, sealedSecret });
      const before = await dumpOf(storage);
      const { code, err } = await run(REENCRYPT, newKey, oldKey);
      expect([code, err]).toEqual([
        1,
        expect.stringMatching(
          /^The secret of the resource server https:\/\/old\.example\/api .*portcullis apply`\.\n$/,
        ),
      ]);
      expect(await dumpOf(storage)).toBe(before);
      await expect(server.startInstance({ secrets: secrets(newKey, oldKey) })).rejects.toThrow(
        /^The secret of the resource server .* does not open with this SECRET_KEY/,
      );
      const given = { identifier: RESOURCE, audience: 'old', signing_alg: 'HS256', scopes: ['api'] };
      await apply(server.administration, { resource_servers: [{ ...given, secret: makeSecret() }] });
      expect((await run(REENCRYPT, newKey, oldKey)).code).toBe(0);
    });
  });

  test('tells with exit code 1 what an instance with the old key alone went on to make', async () => {
    await inWorld(store, async ({ newKey, run, storage, server }) => {
      const { secretKey: oldKey } = server.secrets;
      const late = await makeSecrets(store, server, oldKey, storage);
      const ran = await run(REENCRYPT, newKey, oldKey);
      await late.stop();
      expect([ran.code, ran.out]).toEqual([1, '']);
      expect(ran.err).toMatch(
        /^Needs SECRET_KEY_PREVIOUS still, since it was made meanwhile: \d+ secrets? of/,
      );
      expect((await run(REENCRYPT, newKey, oldKey)).code).toBe(0);
    });
  });
});

test('the help of keys reencrypt has an example, and says what comes before and after', async () => {
  const { out, code } = await portcullis([...REENCRYPT, '--help'], { cwd: '.' });
  expect(code).toBe(0);
  expect(out).toMatch(/Example:\n {2}SECRET_KEY=.* portcullis keys reencrypt\n\nBefore it: .*\nAfter it: /);
});

interface Making {
  stop(): Promise<void>;
}

/** Declares resource servers under a key while the command is at work, as an instance does that has that key alone. */
async function makeSecrets(
  store: StoreKind,
  { config }: TestServer,
  secretKey: string,
  storage: Storage,
): Promise<Making> {
  const { seal } = createSealer(secretKey);
  const make = (id: string): ResourceServer => {
    const sealedSecret = seal('a secret', newResourceServer(id).identifier);
    return newResourceServer(id, { signingAlg: 'HS256', sealedSecret });
  };
  if (store === 'SQLite' && config.database.kind === 'sqlite')
    return makeByTrigger(config.database.path, make('late'));
  let isStopped = false;
  const makeAll = async (): Promise<void> => {
    for (let n = 0; !isStopped; n += 1) await storage.resourceServers.put(make(`late-${n}`));
  };
  const made = makeAll();
  return {
    stop: async () => {
      isStopped = true;
      await made;
    },
  };
}

/** One writer at a time has the file: the other one comes exactly when the command's last write is done. */
function makeByTrigger(path: string, late: ResourceServer): Making {
  const database = new DatabaseSync(path, { timeout: 5_000 });
  const row = [late.identifier, late.audience, JSON.stringify(late)];
  const values = row.map((text) => `'${text.replaceAll("'", "''")}'`).join();
  database.exec(`CREATE TRIGGER late AFTER UPDATE ON sealed_secrets BEGIN
    INSERT INTO resource_servers VALUES (${values});
  END`);
  return {
    stop: async () => {
      database.exec('DROP TRIGGER late');
      database.close();
    },
  };
}

/** All that is sealed in the store, as text. */
async function dumpOf({ signingKeys, resourceServers, sealedSecrets }: Storage): Promise<string> {
  const [set, servers, chain] = [
    await signingKeys.read(),
    await resourceServers.list({ limit: 1_000 }),
    await sealedSecrets.find(CHAIN_KEY),
  ];
  return JSON.stringify([set, servers, chain]);
}

const keyIdOf = (secretKey: string): string => createSealer(secretKey).seal('', '').split('.')[1] ?? '';
