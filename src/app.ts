/**
 * The composition root of the server: the only file that knows every part. Read it top to bottom: what is
 * shared, the service on an open store, the HTTP server around it, and how all of it stops.
 */
import type Koa from 'koa';
import type { DestinationStream } from 'pino';

import { repeat, untilAvailable } from './background.ts';
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
import type { RenderPage } from './http/views.ts';
import { createKeystore } from './keys/keystore.ts';
import type { KeyRing, Keystore } from './keys/keystore.ts';
import { createSealer } from './keys/sealer.ts';
import type { Sealer } from './keys/sealer.ts';
import { createAccessTokenSigner } from './keys/signer.ts';
import type { Sign } from './keys/signer.ts';
import { createLogger, createMetrics } from './observability.ts';
import { createEngine } from './oidc/provider.ts';
import type { Engine, KoaContextWithOIDC } from './oidc/provider.ts';
import { createReadiness } from './readiness.ts';
import { openStorage } from './storage/open.ts';
import type { Storage } from './storage/port.ts';
import { createVpnExchange } from './vpn/exchange.ts';
import { createVpnRoutes } from './vpn/routes.ts';

// Contracts: a rotation is seen by each instance within seconds.
const KEY_REFRESH_MS = 5_000;
const SWEEP_IDLE_MS = 30_000;
const SWEEP_BUSY_MS = 100;
const FAILURE_PAUSE_MS = 1_000;

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

/** What answers once the store is open and the keys are loaded. */
interface Service {
  readonly storage: Storage;
  engine: Engine;
  sign: Sign;
  readonly fingerprint: () => string;
  readonly useRing: (ring: KeyRing) => void;
}

/** Starts the server. It listens at once and answers 503 until the store can be reached. */
export async function startServer(options: ServerOptions): Promise<PortcullisServer> {
  const { config, secrets, logDestination, now = systemTime, open = openStorage } = options;
  const logger = createLogger(config.logLevel, logDestination);
  const metrics = createMetrics();
  const events = createEvents({ logger, metrics });
  const renderPage = createViews();
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
    service = createService({ config, storage, sealer, events, renderPage, now, ring });
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
  const server = await listen(
    composeHttp({ config, running, routers, renderPage, events, onAnswer }),
    host,
    port,
  );

  return {
    port: server.port,
    ready: begin(),
    stop: async () => {
      readiness.drain();
      stopping.abort();
      await server.stop();
      await metricsListener?.stop();
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
    jwksMaxAgeSeconds: config.tokens.jwksMaxAgeSeconds,
    // The engine defines `ctx.oidc` itself, on the plain context.
    engine: (ctx, next) => running().engine.handle(ctx as KoaContextWithOIDC, next),
    routers,
    showDetail: config.debug,
    renderPage,
    onFailure: events.serverFailed,
    onAnswer,
  });

const createExchange = (config: Config, running: () => Service, events: Events, now: () => number) =>
  createVpnExchange({
    issuer: config.issuer,
    audience: config.vpn.audience,
    lifetimeSeconds: config.vpn.tokenLifetimeSeconds,
    maxPerMinute: config.rateLimits ? config.vpn.exchangesPerMinute : null,
    clients: { find: (clientId) => running().storage.clients.find(clientId) },
    counters: { hit: (...hit) => running().storage.counters.hit(...hit) },
    findClientToken: (value) => running().engine.findClientToken(value),
    sign: (claims) => running().sign({ ...claims }),
    events,
    now,
  });

interface ServiceOptions {
  readonly config: Config;
  readonly storage: Storage;
  readonly sealer: Sealer;
  readonly events: Events;
  readonly renderPage: RenderPage;
  readonly now: () => number;
  readonly ring: KeyRing;
}

/** The engine and the signer of the present key ring; a new ring replaces both in one turn. */
function createService({ config, storage, sealer, events, renderPage, now, ring }: ServiceOptions): Service {
  const build = ({ jwks }: KeyRing): { engine: Engine; sign: Sign } => ({
    sign: createAccessTokenSigner(jwks, 'RS256'),
    engine: createEngine({
      issuer: config.issuer,
      jwks,
      artifacts: storage.artifacts,
      clients: storage.clients,
      resourceServers: storage.resourceServers,
      openSecret: sealer.open,
      accessTokenLifetimeSeconds: config.tokens.accessTokenLifetimeSeconds,
      renderError: (ctx, out) => {
        const { error, error_description: description } = out;
        renderPage(ctx, 'error', {
          status: ctx.status,
          error,
          description,
          requestId: ctx.state['requestId'],
        });
      },
      events,
      showDetail: config.debug,
      now,
    }),
  });
  let current = ring;
  const service: Service = {
    storage,
    ...build(ring),
    fingerprint: () => current.fingerprint,
    useRing: (next) => {
      current = next;
      Object.assign(service, build(next));
    },
  };
  return service;
}

interface JobOptions {
  readonly service: Service;
  readonly keystore: Keystore;
  readonly events: Events;
  readonly now: () => number;
  readonly signal: AbortSignal;
}

/** Follows key changes of other instances, and deletes what expired. */
function startJobs({ service, keystore, events, now, signal }: JobOptions): void {
  const onFailure = (error: unknown): number => {
    events.storeLost({ cause: causeOf(error) });
    return FAILURE_PAUSE_MS;
  };
  const refreshKeys = async (): Promise<number> => {
    const ring = await keystore.load();
    if (ring.fingerprint !== service.fingerprint()) {
      service.useRing(ring);
      events.keysChanged({ kids: ring.jwks.map(({ kid }) => kid ?? '') });
    }
    return KEY_REFRESH_MS;
  };
  const sweep = async (): Promise<number> =>
    (await service.storage.deleteExpired(now())) > 0 ? SWEEP_BUSY_MS : SWEEP_IDLE_MS;

  void repeat(refreshKeys, onFailure, signal);
  void repeat(sweep, onFailure, signal);
}

const systemTime = (): number => Math.floor(Date.now() / 1000);

const causeOf = (error: unknown): string => {
  if (!Error.isError(error)) return 'unknown';
  return Error.isError(error.cause) ? error.cause.message : error.message;
};
