/**
 * The real application for a test: its own store on one of the two engines, its own keys and secrets, an
 * injected clock, on a free port of loopback. Everything goes when the test ends.
 */
import { afterAll, beforeAll, describe, test } from '@jest/globals';
import { randomBytes, randomUUID } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import mongoose from 'mongoose';

import { openAdministration } from '../../src/composition/administration.ts';
import type { Administration } from '../../src/composition/administration.ts';
import { startServer } from '../../src/app.ts';
import type { PortcullisServer, ServerOptions } from '../../src/app.ts';
import { loadConfig } from '../../src/config.ts';
import type { Config, Secrets } from '../../src/config.ts';

export type StoreKind = 'SQLite' | 'MongoDB';

const ISSUER = 'http://localhost:8011';

export interface TestServer {
  readonly origin: string;
  readonly issuer: string;
  readonly config: Config;
  readonly secrets: Secrets;
  readonly folder: string;
  readonly administration: Administration;
  /** All log lines so far. */
  logs(): string;
  /** Resolves with a log line that holds all of these texts, at once where there was one. */
  logged(...texts: readonly string[]): Promise<string>;
  /** Moves the server's clock. */
  advance(seconds: number): void;
  /** `fetch` at a path of the server, under the issuer's host name. */
  request(path: string, init?: RequestInit): Promise<Response>;
  /** Another instance on the same store. */
  startInstance(overrides?: Partial<ServerOptions>): Promise<Instance>;
  /** Stops what serves, so that all of it is written down; the store and its administration stay. */
  stopInstances(): Promise<void>;
  stop(): Promise<void>;
}

export interface Instance {
  readonly origin: string;
  readonly server: PortcullisServer;
}

/** Starts the application on a fresh store. `env` adds settings. */
export async function startTestServer(
  store: StoreKind,
  env: Readonly<Record<string, string>> = {},
  overrides: Partial<ServerOptions> = {},
): Promise<TestServer> {
  const folder = mkdtempSync(join(tmpdir(), 'portcullis-test-'));
  const { config, secrets } = testConfig(store, folder, env);
  const log = createLog();
  let offsetSeconds = 0;
  const base: ServerOptions = {
    config,
    secrets,
    logDestination: log,
    refusalMs: 0,
    // What the contract gives a request is for the tests of it: other tests run beside each other, on whatever machine.
    deadlineMs: 12_000,
    now: () => Math.floor(Date.now() / 1000) + offsetSeconds,
    ...overrides,
  };
  const instances: PortcullisServer[] = [];
  const startInstance = async (changes: Partial<ServerOptions> = {}): Promise<Instance> => {
    const server = await startServer({ ...base, ...changes });
    instances.push(server);
    await server.ready;
    return { server, origin: `http://127.0.0.1:${server.port}` };
  };
  const { origin } = await startInstance();
  const administration = await openAdministration(config, secrets);
  const stopInstances = async (): Promise<void> => {
    await Promise.all(instances.splice(0).map((instance) => instance.stop(0)));
  };

  return {
    origin,
    issuer: config.issuer,
    config,
    secrets,
    folder,
    administration,
    logs: log.all,
    logged: log.find,
    advance: (seconds) => {
      offsetSeconds += seconds;
    },
    request: (path, init) => fetch(origin + path, init),
    startInstance,
    stopInstances,
    stop: async () => {
      await stopInstances();
      await administration.close();
      if (store === 'MongoDB') await leaveDatabase(secrets.databaseUrl);
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

/** Log lines that are kept, and who waits for one. */
function createLog() {
  const lines: string[] = [];
  const waiting = new Set<(line: string) => void>();
  return {
    write: (line: string): void => {
      lines.push(line);
      for (const look of waiting) look(line);
    },
    all: () => lines.join(''),
    find: async (...texts: readonly string[]): Promise<string> => {
      const isMeant = (line: string): boolean => texts.every((text) => line.includes(text));
      const known = lines.find(isMeant);
      if (known !== undefined) return known;
      return new Promise((resolve) => {
        const look = (line: string): void => {
          if (!isMeant(line)) return;
          waiting.delete(look);
          resolve(line);
        };
        waiting.add(look);
      });
    },
  };
}

/** The configuration of a test server: loopback host names are taken for the issuer's in development. */
export function testConfig(
  store: StoreKind,
  folder: string,
  env: Readonly<Record<string, string>> = {},
): { config: Config; secrets: Secrets } {
  const loaded = loadConfig({
    flags: {},
    env: {
      NODE_ENV: 'test',
      ISSUER,
      HOST: '127.0.0.1',
      PORT: '0',
      METRICS_ADDRESS: 'off',
      LOG_LEVEL: 'debug',
      KEYS_DIR: join(folder, 'keys'),
      VAR_DIR: folder,
      DATABASE_URL: store === 'SQLite' ? `sqlite:${join(folder, 'store.db')}` : mongoDatabaseUrl(),
      SECRET_KEY: randomBytes(32).toString('base64url'),
      JWT_SECRET_KEY: randomBytes(32).toString('base64url'),
      ...env,
    },
    cwd: folder,
    defaultFile: join(folder, 'none.yaml'),
  });
  if (!loaded.ok) throw new Error(JSON.stringify(loaded.faults));
  return loaded;
}

const mongoUri = process.env['PORTCULLIS_TEST_MONGODB_URI'];

// Making the collections and their indexes takes as long as all the rest of a start.
const leftEmpty: string[] = [];
afterAll(() => Promise.all(leftEmpty.splice(0).map(dropDatabase)));

/** Leaves a test's database on MongoDB, empty, to the next one of this file. */
async function leaveDatabase(url: string): Promise<void> {
  await withDatabase(url, async ({ db }) => {
    const collections = (await db?.collections()) ?? [];
    await Promise.all(collections.map((collection) => collection.deleteMany({})));
  });
  leftEmpty.push(url);
}

/** A database of its own; the address of a replica set names several hosts, so it is no URL to `URL`. */
function mongoDatabaseUrl(): string {
  const left = leftEmpty.pop();
  if (left !== undefined) return left;
  const [, hosts = '', options = ''] = /^(mongodb:\/\/[^/]+)\/?[^?]*(\?.*)?$/.exec(mongoUri ?? '') ?? [];
  return `${hosts}/portcullis_test_${randomUUID().slice(0, 8)}${options}`;
}

/** Ends a test's database on MongoDB. */
export const dropDatabase = (url: string): Promise<void> =>
  withDatabase(url, (connection) => connection.dropDatabase());

async function withDatabase(
  url: string,
  work: (connection: mongoose.Connection) => Promise<void>,
): Promise<void> {
  const connection = await mongoose.createConnection(url).asPromise();
  await work(connection);
  await connection.destroy();
}

/** Describes the same facts on both stores; MongoDB's half is told as skipped where there is none. */
export function describeOnBothStores(name: string, facts: (store: StoreKind) => void): void {
  describe(`${name} (SQLite)`, () => facts('SQLite'));
  if (mongoUri === undefined) test.skip(`${name} (MongoDB is not to be had here)`, () => undefined);
  else describe(`${name} (MongoDB)`, () => facts('MongoDB'));
}

/** One server for all the facts of a block. */
export function useTestServer(
  store: StoreKind,
  env: Readonly<Record<string, string>> = {},
): () => TestServer {
  let server: TestServer | null = null;
  beforeAll(async () => {
    server = await startTestServer(store, env);
  });
  afterAll(async () => {
    await server?.stop();
  });
  return () => {
    if (server === null) throw new Error('the test server is not started');
    return server;
  };
}
