/**
 * The protocol with people, without the pages: the real engine, stores and HTTP server, and in the place of the
 * sign-in pages one route that answers an interaction as it is told. To test with the real pages, start the
 * application instead and let `answer()` fill in their forms.
 */
import { afterAll, beforeAll } from '@jest/globals';
import { randomUUID } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import Router from 'koa-router';
import type { Middleware } from 'koa';
import { pino } from 'pino';

import { openAdministration } from '../../src/administration.ts';
import type { Administration } from '../../src/administration.ts';
import type { Config, Secrets } from '../../src/config.ts';
import { createEvents } from '../../src/events.ts';
import { createHttpApp, listen } from '../../src/http/server.ts';
import { createViews } from '../../src/http/views.ts';
import { createKeystore } from '../../src/keys/keystore.ts';
import { createSealer } from '../../src/keys/sealer.ts';
import { createMailer } from '../../src/mail/mailer.ts';
import { createMetrics } from '../../src/observability.ts';
import type { KoaContextWithOIDC } from '../../src/oidc/engine-middleware.ts';
import type { Engine } from '../../src/oidc/provider.ts';
import { createService } from '../../src/service.ts';
import { openStorage } from '../../src/storage/open.ts';
import type { Account, Storage } from '../../src/storage/port.ts';
import { dropDatabase, testConfig } from './server.ts';
import type { StoreKind } from './server.ts';
import { createUserAgent } from './user-agent.ts';
import type { UserAgent } from './user-agent.ts';

export interface SignInServer {
  readonly origin: string;
  readonly issuer: string;
  readonly administration: Administration;
  readonly storage: Storage;
  readonly engine: Engine;
  advance(seconds: number): void;
  request(path: string, init?: RequestInit): Promise<Response>;
  /** Another instance on the same store; gives its origin. */
  startInstance(wrap?: (storage: Storage) => Storage): Promise<string>;
  createAccount(fields?: Partial<Account>): Promise<Account>;
  changeAccount(account: Account, fields: Partial<Account>): Promise<void>;
  browser(): UserAgent;
  stop(): Promise<void>;
}

interface Instance {
  readonly origin: string;
  readonly storage: Storage;
  readonly engine: Engine;
  stop(): Promise<void>;
}

/** Starts the protocol on a fresh store. */
export async function startSignInServer(
  store: StoreKind,
  env: Readonly<Record<string, string>> = {},
): Promise<SignInServer> {
  const folder = mkdtempSync(join(tmpdir(), 'portcullis-test-'));
  const { config, secrets } = testConfig(store, folder, env);
  let offsetSeconds = 0;
  const now = (): number => Math.floor(Date.now() / 1000) + offsetSeconds;
  const instances: Instance[] = [];
  const start = async (wrap: (storage: Storage) => Storage = (storage) => storage): Promise<Instance> => {
    const instance = await startInstance(config, secrets, now, wrap);
    instances.push(instance);
    return instance;
  };
  const { origin, storage, engine } = await start();
  const administration = await openAdministration(config, secrets);
  const { issuer } = config;

  return {
    origin,
    issuer,
    administration,
    storage,
    engine,
    advance: (seconds) => {
      offsetSeconds += seconds;
    },
    request: (path, init) => fetch(origin + path, init),
    startInstance: async (wrap) => (await start(wrap)).origin,
    createAccount: async (fields = {}) => {
      const account = makeAccount(now(), fields);
      await storage.accounts.create(account);
      return account;
    },
    changeAccount: async ({ id }, fields) => {
      const current = await storage.accounts.find(id);
      if (current === null) throw new Error(`there is no account ${id}`);
      await storage.accounts.replace({ ...current, ...fields, version: current.version + 1 });
    },
    browser: () => createUserAgent(issuer, origin),
    stop: async () => {
      await Promise.all(instances.map((instance) => instance.stop()));
      await administration.close();
      if (store === 'MongoDB') await dropDatabase(secrets.databaseUrl);
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

async function startInstance(
  config: Config,
  secrets: Secrets,
  now: () => number,
  wrap: (storage: Storage) => Storage,
): Promise<Instance> {
  const opened = await openStorage(secrets.databaseUrl);
  const storage = wrap(opened);
  const sealer = createSealer(secrets.secretKey);
  const { keysFolder, tokens, issuer, brand } = config;
  const { jwksMaxAgeSeconds } = tokens;
  const keystore = createKeystore({ store: opened.signingKeys, sealer, keysFolder, jwksMaxAgeSeconds, now });
  const renderPage = createViews({ brand, now });
  const events = createEvents({ logger: pino({ level: 'silent' }), metrics: createMetrics() });
  const ring = await keystore.prepare();
  const mailer = createMailer({
    smtpUrl: null,
    folder: null,
    from: config.mail.from,
    issuer,
    brandName: brand.name,
    events,
    isDevelopment: false,
  });
  const service = createService({ config, secrets, storage, sealer, mailer, events, renderPage, now, ring });
  const { engine } = service.current();
  const app = createHttpApp({
    issuer,
    isDevelopment: true,
    trustedHops: config.trustedProxies,
    allowedOrigins: config.corsAllowedOrigins,
    isClientOrigin: service.isClientOrigin,
    jwksMaxAgeSeconds,
    engine: (ctx, next) => engine.handle(ctx as KoaContextWithOIDC, next),
    routers: [],
    pages: createPages(engine).routes() as Middleware, // of the plain context
    showDetail: true,
    renderPage,
    onFailure: ({ error }) => console.error(error),
    onAnswer: () => undefined,
  });
  const server = await listen(app, '127.0.0.1', 0);
  return {
    storage,
    engine,
    origin: `http://127.0.0.1:${server.port}`,
    stop: async () => {
      await server.stop();
      await opened.close();
    },
  };
}

/** The answers that a person can give, in the place of their forms. */
function createPages(engine: Engine): Router {
  const { interactions } = engine;
  const router = new Router();
  router.get('/account/session', async ({ req, res, response }) => {
    response.body = (await engine.current(req, res)) ?? {};
  });
  router.post('/account/session', async ({ req, res, query, response }) => {
    const { account, remember } = query;
    await engine.signIn(req, res, { accountId: String(account), amr: ['pwd'], remember: remember === 'yes' });
    response.status = 204;
  });
  router.get('/interaction/:uid', async ({ req, res, response }) => {
    const details = await interactions.details(req, res);
    response.status = details === null ? 404 : 200;
    response.body = details ?? {};
  });
  router.post('/interaction/:uid', async ({ req, res, query, response }) => {
    const { answer, account, remember } = query;
    const person = { accountId: String(account), amr: ['pwd'], remember: remember === 'yes' };
    const answers: Readonly<Record<string, () => Promise<string>>> = {
      login: () => interactions.login(req, res, person),
      select_account: () => interactions.selectAccount(req, res),
      consent: () => interactions.consent(req, res),
      abort: () => interactions.abort(req, res),
    };
    const location = await answers[String(answer)]?.();
    if (location === undefined) throw new Error(`there is no answer ${String(answer)}`);
    response.status = 303;
    response.redirect(location);
  });
  return router;
}

export interface Person {
  readonly account: Account;
  readonly remember?: boolean;
  /** What to do at each kind of prompt; by default to go on. */
  readonly answers?: Readonly<Record<string, string>>;
}

/** What a person met on the way, and where it led. */
export interface Journey {
  readonly prompts: readonly string[];
  /** The interactions as they were told. */
  readonly met: readonly Record<string, unknown>[];
  /** The address outside: the redirect URI. */
  readonly left: URL | null;
  readonly answer: Response;
}

/** Opens an address and answers each interaction on the way. */
export async function answer(
  browser: UserAgent,
  url: string,
  person: Person,
  init?: RequestInit,
): Promise<Journey> {
  const met: Record<string, unknown>[] = [];
  let step = await browser.open(url, init);
  while (step.left === null && step.path.startsWith('/interaction/') && step.answer.status === 200) {
    const details = (await step.answer.json()) as Record<string, unknown>; // an object, by the route above
    met.push(details);
    const prompt = String(details['prompt']);
    const query = new URLSearchParams({
      answer: person.answers?.[prompt] ?? prompt,
      account: person.account.id,
      remember: person.remember === true ? 'yes' : 'no',
    });
    step = await browser.open(`${step.path}?${query.toString()}`, { method: 'POST' });
  }
  return {
    prompts: met.map(({ prompt }) => String(prompt)),
    met,
    left: step.left,
    answer: step.answer,
  };
}

/** An account as it is stored. */
function makeAccount(now: number, fields: Partial<Account>): Account {
  const username = fields.username ?? `person-${randomUUID().slice(0, 8)}`;
  return {
    id: randomUUID(),
    username,
    email: `${username}@example.com`,
    emailKey: `${username}@example.com`,
    isEmailVerified: true,
    fullName: 'A Person',
    passwordHash: null,
    passwordHistory: [],
    passwordChangedAt: null,
    roles: {},
    status: 'active',
    createdAt: now,
    updatedAt: now,
    version: 1,
    ...fields,
  };
}

/** One server for all the facts of a block. */
export function useSignInServer(
  store: StoreKind,
  env: Readonly<Record<string, string>> = {},
): () => SignInServer {
  let server: SignInServer | null = null;
  beforeAll(async () => {
    server = await startSignInServer(store, env);
  });
  afterAll(async () => {
    await server?.stop();
  });
  return () => {
    if (server === null) throw new Error('the server is not started');
    return server;
  };
}
