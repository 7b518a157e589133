/**
 * One installation to break: a folder of its own, its secrets, a store with the clients of these tests, and what a
 * server process or a command of it finds in its environment.
 */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { generateKeyPair, exportJWK } from 'jose';
import type { CryptoKey } from 'jose';

import { openAdministration } from '../../../src/composition/administration.ts';
import type { Administration } from '../../../src/composition/administration.ts';
import { loadConfig } from '../../../src/config.ts';
import { generateSecrets } from '../../../src/config/secret-format.ts';

export const ISSUER = 'http://localhost';
/** An API whose tokens are JWTs. */
export const RESOURCE = { identifier: 'https://api.example', scope: 'data:read' };
export const LOAD_CLIENT = { id: 'load', secret: 'load-secret-0123456789abcdefghijklmnop' };
export const VPN_NODE = { id: 'node', secret: 'node-secret-0123456789abcdefghijklmnop' };
/** Authenticates by private_key_jwt. */
export const KEY_CLIENT = 'assertion';

export interface Installation {
  readonly folder: string;
  readonly databaseUrl: string;
  /** The whole environment of its processes, but for PORT. */
  readonly env: Readonly<Record<string, string>>;
  /** Signs the assertions of KEY_CLIENT. */
  readonly clientKey: CryptoKey;
  /** What the command line does, on the store itself. */
  administer<T>(work: (administration: Administration) => Promise<T>): Promise<T>;
  remove(): Promise<void>;
}

interface Place {
  /** Without it an SQLite file in the folder. */
  readonly databaseUrl?: string | undefined;
  /** Without it a new one. */
  readonly folder?: string;
}

/** A folder that nobody else uses. */
export const makeFolder = (): Promise<string> => mkdtemp(join(tmpdir(), 'portcullis-faults-'));

/** Makes one and registers the clients. */
export async function createInstallation(place: Place = {}): Promise<Installation> {
  const { databaseUrl, folder = await makeFolder() } = place;
  const { privateKey, publicKey } = await generateKeyPair('ES256');
  const env = environment(folder, databaseUrl ?? `sqlite:${join(folder, 'portcullis.db')}`);
  const installation: Installation = {
    folder,
    databaseUrl: env.DATABASE_URL,
    env,
    clientKey: privateKey,
    administer: (work) => administer(env, work),
    remove: () => rm(folder, { recursive: true, force: true }),
  };
  try {
    await register(installation, clients({ ...(await exportJWK(publicKey)), alg: 'ES256', kid: 'k' }));
  } catch (error) {
    await installation.remove();
    throw error;
  }
  return installation;
}

async function register(installation: Installation, document: object): Promise<void> {
  await installation.administer(async (administration) => {
    const applied = await administration.apply(JSON.stringify(document), {}, false);
    if (!applied.ok) throw new Error(JSON.stringify(applied.faults));
  });
}

const environment = (folder: string, databaseUrl: string) => ({
  ...generateSecrets('development'),
  NODE_ENV: 'test',
  ISSUER,
  HOST: '127.0.0.1',
  METRICS_ADDRESS: 'off',
  RATE_LIMITS: 'off',
  LOG_LEVEL: 'warn',
  VAR_DIR: folder,
  KEYS_DIR: join(folder, 'keys'),
  DATABASE_URL: databaseUrl,
});

const clients = (jwk: object) => ({
  resource_servers: [
    { identifier: RESOURCE.identifier, audience: RESOURCE.identifier, scopes: [RESOURCE.scope] },
  ],
  clients: [
    { client_id: LOAD_CLIENT.id, client_secret: LOAD_CLIENT.secret, scope: `read ${RESOURCE.scope}` },
    {
      client_id: KEY_CLIENT,
      token_endpoint_auth_method: 'private_key_jwt',
      jwks: { keys: [jwk] },
      scope: 'read',
    },
  ],
  vpn_nodes: [{ client_id: VPN_NODE.id, client_secret: VPN_NODE.secret }],
});

async function administer<T>(
  env: Readonly<Record<string, string>>,
  work: (administration: Administration) => Promise<T>,
): Promise<T> {
  const loaded = loadConfig({ flags: {}, env });
  if (!loaded.ok) throw new Error(JSON.stringify(loaded.faults));
  const administration = await openAdministration(loaded.config, loaded.secrets);
  try {
    return await work(administration);
  } finally {
    await administration.close();
  }
}
