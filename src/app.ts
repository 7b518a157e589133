/**
 * The composition root of the server: the only file that knows every part. Read it top to bottom: what is
 * shared, the service on an open store (see `service.ts`), the HTTP server around it, and how all of it stops.
 */
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

import type Koa from 'koa';
import type { DestinationStream } from 'pino';

import { untilAvailable } from './background.ts';
import { createDemoNode } from './composition/administration.ts';
import type { DemoNode } from './composition/administration.ts';
import { recordKeyChanges } from './audit/keys.ts';
import { storeNameOf } from './config.ts';
import type { Config, Secrets } from './config.ts';
import { isAppError, storeUnavailable } from './errors.ts';
import { createEvents, tellAlso } from './events.ts';
import type { Events } from './events.ts';
import { createBrandRoutes } from './http/brand.ts';
import type { OnFailure } from './http/errors.ts';
import { createHealthRoutes } from './http/health.ts';
import { listenOnBoth } from './http/metrics.ts';
import { createHttpApp } from './http/server.ts';
import type { Answer, HttpAppOptions } from './http/server.ts';
import { createViews } from './http/views.ts';
import { causeOf, startJobs } from './composition/jobs.ts';
import { createLedger } from './composition/ledger.ts';
import type { Ledger } from './composition/ledger.ts';
import { keyPolicyOf } from './composition/key-policy.ts';
import type { KeySetOptions } from './keys/key-set.ts';
import { createKeystore } from './keys/keystore.ts';
import type { Keystore } from './keys/keystore.ts';
import { createSealer } from './keys/sealer.ts';
import { createMailer } from './mail/mailer.ts';
import type { Mailer } from './mail/mailer.ts';
import { createLogger, createMetrics } from './observability.ts';
import type { Logger, Metrics } from './observability.ts';
import type { KoaContextWithOIDC } from './oidc/engine-middleware.ts';
import { createReadiness } from './readiness.ts';
import { countAll, openEverything } from './composition/sealed.ts';
import type { SealedCounts } from './composition/sealed.ts';
import { createFeedRoutes } from './composition/revocations.ts';
import { createService } from './composition/service.ts';
import type { Service } from './composition/service.ts';
import { createVpnRouters } from './composition/vpn.ts';
import { openStorage } from './storage/open.ts';
import type { Storage } from './storage/port.ts';
import { readVersion } from './version.ts';

// Of the ten seconds that a stop has; what follows is short, and bounded.
const REQUESTS_AND_MAILS_MS = 8_900;
const STARTING_MS = 1_500;

export interface ServerOptions {
  readonly config: Config;
  readonly secrets: Secrets;
  readonly logDestination: DestinationStream;
  /** Unix seconds. */
  readonly now?: () => number;
  /** What a refused sign-in takes at least; tests shorten it. */
  readonly refusalMs?: number | undefined;
  /** How many places a status list has; tests shorten it. */
  readonly statusListSize?: number | undefined;
  /** How often the key set is read; tests whose clock runs faster shorten it. */
  readonly keyReloadMs?: number | undefined;
  /** See `http/deadline.ts`; a call to the store has half of it. Tests on busy machines give more. */
  readonly deadlineMs?: number | undefined;
  /** Opens the store; tests wrap it to add latency or faults. */
  readonly open?: typeof openStorage;
}

export interface PortcullisServer {
  readonly port: number;
  /** Resolves when it serves, with the demo node where it just made one; rejects when it never will. */
  readonly ready: Promise<DemoNode | null>;
  /** Finishes what is in flight, then lets go of the store; tests that sent nothing meanwhile shorten the wait for it. */
  stop(lastRequestsMs?: number): Promise<void>;
}

/** Starts the server. It listens at once and answers 503 until the store can be reached. */
export async function startServer(options: ServerOptions): Promise<PortcullisServer> {
  const { config, secrets, logDestination, refusalMs, keyReloadMs, statusListSize } = options;
  const { now = systemTime, open = openStorage, deadlineMs } = options;
  const logger = createLogger(config.logLevel, logDestination);
  const metrics = createMetrics();
  const logged = createEvents({ store: storeNameOf(config), logger, metrics });
  const events = tellAlso(logged, () => ledger?.listeners ?? []);
  const renderPage = createViews({ brand: config.brand, now });
  const mailer = openMailer(config, secrets, events);
  const stopping = new AbortController();
  const readiness = createReadiness();

  let storage: Storage | null = null;
  let ledger: Ledger | null = null;
  let service: Service | null = null;
  let jobs: Promise<void> | null = null;
  const running = (): Service => service ?? starting();
  const begin = async (): Promise<DemoNode | null> => {
    const whenThere = createWhenThere(events, readiness.waitFor, stopping.signal);
    const storeMs = deadlineMs && deadlineMs / 2;
    const opened = await whenThere(async () => (storage = await open(secrets.databaseUrl, storeMs)));
    const sealer = createSealer(secrets.secretKey, secrets.previousSecretKey);
    const { chainKey, previous } = await whenThere(() => openEverything(opened, sealer));
    ledger = createLedger({ storage: opened, chainKey, events: logged, now });
    const store = recordKeyChanges(opened.signingKeys, ledger.audit);
    const keystore = openKeystore(config, { store, sealer, events, now });
    const ring = await whenThere(keystore.prepare);
    const tools = { config, secrets, ledger, sealer, mailer, events, renderPage, refusalMs, now };
    service = createService({ ...tools, storage: opened, ring, statusListSize });
    readiness.serve(opened.ping);
    jobs = startJobs({ service, keystore, ledger, events, keyReloadMs, now, signal: stopping.signal });
    tellStarted(events, config, server.port);
    if (secrets.previousSecretKey !== null) tellPreviousKey(events, previous);
    return config.environment === 'development' ? createDemoNode(opened, ledger.audit, now) : null;
  };

  const routers = createRouters(config, readiness.check, running);
  const onAnswer = createOnAnswer(metrics, logger);
  const onFailure = createOnFailure(events, () => service !== null);
  const app = composeHttp({ config, running, routers, renderPage, onFailure, onAnswer, deadlineMs });
  const server = await listenOnBoth(app, config, metrics.registry);
  const ready = begin();

  return {
    port: server.port,
    ready,
    stop: async (lastRequestsMs) => {
      const since = performance.now();
      if (service !== null) events.serverStopping({});
      readiness.drain();
      stopping.abort();
      await server.stop(lastRequestsMs);
      await mailer.close(REQUESTS_AND_MAILS_MS - (performance.now() - since));
      await untilEnded(ready);
      await jobs; // what they began needs the store
      await ledger?.close();
      await storage?.close();
      if (service !== null) events.serverStopped({});
    },
  };
}

/** Who comes before the store is there is told to come again. */
function starting(): never {
  throw storeUnavailable(new Error('the server is starting'));
}

/** A start that is given up ends with its present call to the store. */
const untilEnded = (ready: Promise<unknown>): Promise<unknown> =>
  Promise.race([ready.catch(() => null), sleep(STARTING_MS, undefined, { ref: false })]);

function tellStarted(events: Events, { issuer, database }: Config, port: number): void {
  events.serverStarted({ version: readVersion(), issuer, port, storeKind: database.kind });
}

/** It is a key more that can leak, so it goes as soon as nothing needs it. */
function tellPreviousKey(events: Events, needed: SealedCounts): void {
  const isNeeded = countAll(needed) > 0;
  const advice = isNeeded
    ? 'Run `portcullis keys reencrypt`, then unset SECRET_KEY_PREVIOUS.'
    : 'Nothing needs it any more: unset SECRET_KEY_PREVIOUS.';
  events.previousSecretKey({ ...needed, advice });
}

/** Waits for the store, and tells why: in the log, and whoever asks whether the server is ready. */
const createWhenThere =
  (events: Events, waitFor: (cause: string) => void, signal: AbortSignal) =>
  <T>(work: () => Promise<T>): Promise<T> => {
    const onUnavailable = (error: Error): void => {
      waitFor(causeOf(error));
      events.storeLost({ cause: causeOf(error) });
    };
    return untilAvailable(work, onUnavailable, signal);
  };

const createRouters = (
  config: Config,
  check: Parameters<typeof createHealthRoutes>[0],
  running: () => Service,
): HttpAppOptions['routers'] => [
  createHealthRoutes(check),
  createBrandRoutes(config.brand.logo),
  ...createVpnRouters(config, running),
  ...createFeedRoutes(() => running().feeds),
];

const createOnAnswer =
  (metrics: Metrics, logger: Logger) =>
  (answer: Answer): void => {
    metrics.observeRequest(answer);
    if (logger.isLevelEnabled('debug')) logger.debug({ event: 'answered', ...answer });
  };

/** What a request ended with. Until the service runs the start itself tells of its store. */
const createOnFailure =
  (events: Events, isRunning: () => boolean): OnFailure =>
  (failure) => {
    if (!isAppError(failure.error, 'store_unavailable')) events.serverFailed(failure);
    else if (isRunning()) events.storeLost({ cause: causeOf(failure.error) });
  };

interface KeystoreParts extends Pick<KeySetOptions, 'store' | 'sealer' | 'now'> {
  readonly events: Events;
}

const openKeystore = (config: Config, { events, ...parts }: KeystoreParts): Keystore =>
  createKeystore({
    ...parts,
    policy: keyPolicyOf(config),
    keysFolder: config.keysFolder,
    onRetiredFile: (file) => events.keyFileRetired({ file }),
  });

type Shared = 'routers' | 'renderPage' | 'onFailure' | 'onAnswer' | 'deadlineMs';
interface HttpParts extends Pick<HttpAppOptions, Shared> {
  readonly config: Config;
  readonly running: () => Service;
}

const composeHttp = ({ config, running, ...parts }: HttpParts): Koa =>
  createHttpApp({
    issuer: config.issuer,
    isDevelopment: !config.isProduction,
    trustedProxies: config.trustedProxies,
    allowedOrigins: config.corsAllowedOrigins,
    isClientOrigin: (origin) => running().isClientOrigin(origin),
    jwksMaxAgeSeconds: config.tokens.jwksMaxAgeSeconds,
    // The engine defines `ctx.oidc` itself, on the plain context.
    engine: (ctx, next) => running().protocol(ctx as KoaContextWithOIDC, next),
    pages: async (ctx, next) => running().pages(ctx, next),
    api: async (ctx, next) => running().api(ctx, next),
    showDetail: config.debug,
    ...parts,
  });

const openMailer = (config: Config, { smtpUrl }: Secrets, events: Events): Mailer =>
  createMailer({
    smtpUrl,
    folder: config.isProduction ? null : join(config.varFolder, 'mail'),
    from: config.mail.from,
    issuer: config.issuer,
    brandName: config.brand.name,
    events,
    isDevelopment: config.environment === 'development',
  });

const systemTime = (): number => Math.floor(Date.now() / 1000);
