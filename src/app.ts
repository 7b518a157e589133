/**
 * The composition root of the server: the only file that knows every part. Read it top to bottom: what is
 * shared, the service on an open store (see `service.ts`), the HTTP server around it, and how all of it stops.
 */
import { join } from 'node:path';

import type Koa from 'koa';
import type { DestinationStream } from 'pino';

import { untilAvailable } from './background.ts';
import { createDemoNode } from './administration.ts';
import type { DemoNode } from './administration.ts';
import type { Config, Secrets } from './config.ts';
import { storeUnavailable } from './errors.ts';
import { createEvents } from './events.ts';
import type { Events } from './events.ts';
import { createHealthRoutes } from './http/health.ts';
import { listenForMetrics } from './http/metrics.ts';
import { createHttpApp, listen } from './http/server.ts';
import type { Answer, HttpAppOptions } from './http/server.ts';
import { createViews } from './http/views.ts';
import { createKeystore } from './keys/keystore.ts';
import { createSealer } from './keys/sealer.ts';
import { createMailer } from './mail/mailer.ts';
import type { Mailer } from './mail/mailer.ts';
import { createLogger, createMetrics } from './observability.ts';
import type { KoaContextWithOIDC } from './oidc/engine-middleware.ts';
import { createReadiness } from './readiness.ts';
import { causeOf, createService, startJobs } from './service.ts';
import type { Service } from './service.ts';
import { openStorage } from './storage/open.ts';
import type { Storage } from './storage/port.ts';
import { createVpnExchange } from './vpn/exchange.ts';
import { createVpnRoutes } from './vpn/routes.ts';

export interface ServerOptions {
  readonly config: Config;
  readonly secrets: Secrets;
  readonly logDestination: DestinationStream;
  /** Unix seconds. */
  readonly now?: () => number;
  /** Opens the store; tests wrap it to add latency or faults. */
  readonly open?: (databaseUrl: string) => Promise<Storage>;
}

export interface PortcullisServer {
  readonly port: number;
  /** Resolves when it serves, with the demo node where it just made one; rejects when it never will. */
  readonly ready: Promise<DemoNode | null>;
  /** Finishes what is in flight, then lets go of the store. */
  stop(): Promise<void>;
}

/** Starts the server. It listens at once and answers 503 until the store can be reached. */
export async function startServer(options: ServerOptions): Promise<PortcullisServer> {
  const { config, secrets, logDestination, now = systemTime, open = openStorage } = options;
  const logger = createLogger(config.logLevel, logDestination);
  const metrics = createMetrics();
  const events = createEvents({ logger, metrics });
  const renderPage = createViews({ brand: config.brand, now });
  const mailer = openMailer(config, secrets, events);
  const stopping = new AbortController();
  const readiness = createReadiness();

  let storage: Storage | null = null;
  let service: Service | null = null;
  const running = (): Service => {
    if (service === null) throw storeUnavailable(new Error('the server is starting'));
    return service;
  };
  const begin = async (): Promise<DemoNode | null> => {
    const onUnavailable = (error: Error): void => events.storeLost({ cause: causeOf(error) });
    storage = await untilAvailable(() => open(secrets.databaseUrl), onUnavailable, stopping.signal);
    const sealer = createSealer(secrets.secretKey);
    const keystore = createKeystore({
      store: storage.signingKeys,
      sealer,
      keysFolder: config.keysFolder,
      jwksMaxAgeSeconds: config.tokens.jwksMaxAgeSeconds,
      now,
    });
    const ring = await untilAvailable(() => keystore.prepare(), onUnavailable, stopping.signal);
    service = createService({ config, secrets, storage, sealer, mailer, events, renderPage, now, ring });
    readiness.serve(storage.ping);
    startJobs({ service, keystore, events, now, signal: stopping.signal });
    return config.environment === 'development' ? createDemoNode(storage, now) : null;
  };

  const routers = [
    createHealthRoutes(readiness.check),
    createVpnRoutes(createExchange(config, running, events, now)),
  ];
  const onAnswer = (answer: Answer): void => {
    metrics.observeRequest(answer);
    logger.debug({ event: 'answered', ...answer });
  };
  const { host, port, metricsAddress } = config;
  const metricsListener =
    metricsAddress === null ? null : await listenForMetrics(metrics.registry, metricsAddress);
  const http = composeHttp({ config, running, routers, renderPage, events, onAnswer });
  const server = await listen(http, host, port);

  return {
    port: server.port,
    ready: begin(),
    stop: async () => {
      readiness.drain();
      stopping.abort();
      await server.stop();
      await metricsListener?.stop();
      await mailer.close();
      await storage?.close();
    },
  };
}

interface HttpParts extends Pick<HttpAppOptions, 'routers' | 'renderPage' | 'onAnswer'> {
  readonly config: Config;
  readonly running: () => Service;
  readonly events: Events;
}

const composeHttp = ({ config, running, routers, renderPage, events, onAnswer }: HttpParts): Koa =>
  createHttpApp({
    issuer: config.issuer,
    isDevelopment: !config.isProduction,
    trustedHops: config.trustedProxies,
    allowedOrigins: config.corsAllowedOrigins,
    isClientOrigin: (origin) => running().isClientOrigin(origin),
    jwksMaxAgeSeconds: config.tokens.jwksMaxAgeSeconds,
    // The engine defines `ctx.oidc` itself, on the plain context.
    engine: (ctx, next) =>
      running()
        .current()
        .engine.handle(ctx as KoaContextWithOIDC, next),
    routers,
    pages: async (ctx, next) => running().pages(ctx, next),
    showDetail: config.debug,
    renderPage,
    onFailure: events.serverFailed,
    onAnswer,
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

const createExchange = (config: Config, running: () => Service, events: Events, now: () => number) =>
  createVpnExchange({
    issuer: config.issuer,
    audience: config.vpn.audience,
    lifetimeSeconds: config.vpn.tokenLifetimeSeconds,
    maxPerMinute: config.rateLimits ? config.vpn.exchangesPerMinute : null,
    clients: { find: (clientId) => running().storage.clients.find(clientId) },
    counters: { hit: (...hit) => running().storage.counters.hit(...hit) },
    findClientToken: (value) => running().current().engine.findClientToken(value),
    sign: (claims) =>
      running()
        .current()
        .sign({ ...claims }),
    events,
    now,
  });

const systemTime = (): number => Math.floor(Date.now() / 1000);
