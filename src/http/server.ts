/**
 * The HTTP server: the order in which a request meets the checks, the limits of the socket, and a stop that
 * finishes what is in flight. What is served comes as middleware from the composition root.
 */
import { randomUUID } from 'node:crypto';
import { createServer } from 'node:http';
import type { Server } from 'node:http';
import type { AddressInfo, Socket } from 'node:net';
import { setImmediate, setTimeout as sleep } from 'node:timers/promises';

import Koa from 'koa';
import type { Context, Middleware } from 'koa';
import type Router from 'koa-router';

import { pinClientAddress } from './client-address.ts';
import type { TrustedProxies } from './client-address.ts';
import { createCors } from './cors.ts';
import { createDeadline } from './deadline.ts';
import { canonicalize, createProtocolRoutes, isProtocolPath } from './endpoints.ts';
import { assertAnswered, assureRetryAfter, createErrorAnswer } from './errors.ts';
import type { ErrorAnswerOptions, OnFailure } from './errors.ts';
import { WholeRequest } from './request.ts';
import { assertOriginForm, createHostCheck, createSecurityHeaders, pinOrigin } from './security.ts';
import type { RenderPage } from './views.ts';
import { inWaves } from './waves.ts';

// A client that sends its headers or body slower than this is stalling (D16).
const HEADERS_TIMEOUT_MS = 10_000;
const REQUEST_TIMEOUT_MS = 25_000;
// By default Node looks every 30 s, which would treble the two limits above.
const CHECK_CONNECTIONS_MS = 1_000;
const MAX_CONNECTIONS = 10_000;
// The contract gives 10 s for all of a stop; mails, records and the log have to end within them, too.
const DRAIN_MS = 8_500;
// Requests that were sent before the stop are still on their way; each is answered and told to close.
const LAST_REQUESTS_MS = 250;
const LAST_TURNS = 3;
// Then whoever has nothing under way is hung up on, again and again, since answers come to their end; and, after a
// while, whoever never sent anything.
const HANG_UP_EVERY_MS = 50;
const SILENT_MS = 1_000;
// Longer than the idle time of the usual load balancers, so that they and not we close a quiet connection.
const KEEP_ALIVE_MS = 65_000;

const PAGES = /^\/((account|interaction)(\/|$)|$)/;
const API = /^\/(api\/|(openapi\.json|docs)\/?$)/;

export interface HttpAppOptions {
  readonly issuer: string;
  readonly isDevelopment: boolean;
  readonly trustedProxies: TrustedProxies;
  readonly allowedOrigins: readonly string[];
  /** True for an origin of a registered redirect URI. */
  readonly isClientOrigin: (origin: string) => Promise<boolean>;
  readonly jwksMaxAgeSeconds: number;
  /** See `deadline.ts`. */
  readonly deadlineMs?: number | undefined;
  readonly engine: Middleware;
  /** Tried in this order, before the protocol. */
  readonly routers: readonly Router[];
  /** The pages for people, under `/account` and `/interaction`, and the root, which leads there. */
  readonly pages: (ctx: Context, next: () => Promise<unknown>) => Promise<unknown>;
  /** The JSON API under `/api`, `/openapi.json` and `/docs`. */
  readonly api: HttpAppOptions['pages'];
  readonly showDetail: ErrorAnswerOptions['showDetail'];
  readonly renderPage: RenderPage;
  readonly onFailure: OnFailure;
  readonly onAnswer: (answer: Answer) => void;
}

/** One answered request; `route` is a pattern of ours, never what the client typed. */
export interface Answer {
  readonly requestId: string;
  readonly route: string;
  readonly method: string;
  readonly status: number;
  readonly seconds: number;
}

/** Builds the Koa application. */
export function createHttpApp(options: HttpAppOptions): Koa {
  const { issuer, trustedProxies, allowedOrigins, isClientOrigin, routers, onFailure } = options;
  const { engine, pages, api, jwksMaxAgeSeconds } = options;
  const app = new Koa();
  pinOrigin(app, issuer);
  pinClientAddress(app, trustedProxies);
  app.on('error', (error: unknown) => {
    if (!isOfConnection(error)) onFailure({ requestId: '', error });
  });

  app.use(createFrame(options));
  const cors = createCors({ allowedOrigins, isClientOrigin });
  app.use(createProtocolRoutes({ engine, cors, jwksMaxAgeSeconds }));
  app.use((ctx, next) => (PAGES.test(ctx.path) ? pages(ctx, next) : next()));
  app.use((ctx, next) => (API.test(ctx.path) ? api(ctx, next) : next()));
  for (const router of routers) {
    app.use(router.routes());
    app.use(router.allowedMethods());
  }
  return app;
}

/** The client went away, stalled or sent bytes that are no HTTP: nothing of ours failed. */
const isOfConnection = (error: unknown): boolean =>
  Error.isError(error) &&
  'code' in error &&
  /^(HPE_|ECONNRESET|EPIPE|ECONNABORTED|ERR_HTTP_REQUEST_TIMEOUT|ERR_STREAM_PREMATURE_CLOSE)/.test(
    String(error.code),
  );

/** What holds for every request, in this order; one frame, since each layer costs every request. */
function createFrame({
  issuer,
  isDevelopment,
  deadlineMs,
  renderPage,
  showDetail,
  onFailure,
  onAnswer,
}: HttpAppOptions): Middleware {
  const writeSecurityHeaders = createSecurityHeaders(issuer);
  const assertHost = createHostCheck(issuer, isDevelopment);
  const answerError = createErrorAnswer({ renderPage, onFailure, showDetail });
  const withinDeadline = createDeadline(deadlineMs);

  return async (ctx, next) => {
    const startedAt = performance.now();
    const requestId = randomUUID();
    ctx.state['requestId'] = requestId;
    ctx.res.setHeader('X-Request-Id', requestId);
    writeSecurityHeaders(ctx);
    try {
      assertOriginForm(ctx);
      assertHost(ctx);
      canonicalize(ctx);
      await withinDeadline(ctx.req, startedAt, next() as Promise<unknown>); // Koa types it as any
      assertAnswered(ctx);
    } catch (error) {
      answerError(ctx, error);
    }
    assureRetryAfter(ctx);
    const { method, status } = ctx;
    onAnswer({
      requestId,
      route: routeOf(ctx),
      method,
      status,
      seconds: (performance.now() - startedAt) / 1000,
    });
  };
}

function routeOf(ctx: Context): string {
  const matched: unknown = isProtocolPath(ctx.path) ? ctx.path : ctx['_matchedRoute'];
  return typeof matched === 'string' ? matched : 'none';
}

export interface ListeningServer {
  readonly port: number;
  /**
   * Waits for what was sent before (`lastRequestsMs`), stops accepting, waits for what is in flight (8.5 s at most), then
   * cuts what is left.
   */
  stop(lastRequestsMs?: number): Promise<void>;
}

/** Listens; rejects with a sentence where it cannot. */
export async function listen(app: Koa, host: string, port: number): Promise<ListeningServer> {
  const handle = app.callback();
  let isDraining = false;
  const silent = new Set<Socket>();
  const begin = inWaves((request, response) => {
    if (isDraining) response.setHeader('Connection', 'close');
    void handle(request, response); // Koa answers its own failures
  });
  const server = createServer(
    {
      IncomingMessage: WholeRequest,
      headersTimeout: HEADERS_TIMEOUT_MS,
      requestTimeout: REQUEST_TIMEOUT_MS,
      connectionsCheckingInterval: CHECK_CONNECTIONS_MS,
      requireHostHeader: true,
    },
    (request, response) => {
      silent.delete(request.socket);
      begin(request, response);
    },
  );
  server.on('connection', (socket) => {
    Reflect.get(socket, 'remoteAddress'); // asked for once it stays known, also when the client has gone
    silent.add(socket);
    socket.once('close', () => silent.delete(socket));
  });
  server.maxConnections = MAX_CONNECTIONS;
  server.keepAliveTimeout = KEEP_ALIVE_MS;
  await listening(server, host, port);
  return {
    port: (server.address() as AddressInfo).port, // a TCP server that listens has one
    stop: async (lastRequestsMs = LAST_REQUESTS_MS) => {
      isDraining = true;
      await sleep(lastRequestsMs);
      // A process that had no time meanwhile has not read them yet: it takes connections in one turn, and reads in the next.
      for (let turn = 0; turn < LAST_TURNS; turn += 1) await setImmediate();
      await stop(server, silent);
    },
  };
}

function listening(server: Server, host: string, port: number): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', (cause: NodeJS.ErrnoException) => {
      const reason = cause.code === 'EADDRINUSE' ? 'something else listens there' : cause.message;
      reject(
        new Error(`Cannot listen on ${host}:${port}: ${reason}. Set HOST and PORT to a free address.`, {
          cause,
        }),
      );
    });
    server.listen(port, host, resolve);
  });
}

/** `silent` are the connections that no request came by. */
function stop(server: Server, silent: ReadonlySet<Socket>): Promise<void> {
  return new Promise((resolve) => {
    const timers = [
      setInterval(() => server.closeIdleConnections(), HANG_UP_EVERY_MS),
      // A request that is on its way, however slowly, is answered.
      setTimeout(() => silent.forEach((it) => it.bytesRead === 0 && it.destroy()), SILENT_MS),
      setTimeout(() => server.closeAllConnections(), DRAIN_MS),
    ];
    server.close(() => {
      timers.forEach(clearTimeout);
      resolve();
    });
    server.closeIdleConnections();
  });
}
