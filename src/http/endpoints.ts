/**
 * The protocol's paths: each canonical one with its aliases, methods and kind of body. An alias is rewritten
 * before anything looks at the path, so it shares every check, limit and log line; a path that is not in this
 * table never reaches the engine, whose own router is laxer (case, trailing slash).
 */
import type { Context, Middleware } from 'koa';

import { AppError } from '../errors.ts';
import { assertFormBody, readText } from './body.ts';
import type { Cors, Readers } from './cors.ts';

interface Endpoint {
  readonly methods: readonly string[];
  readonly aliases: readonly string[];
  readonly readers: Readers;
  /** Public and the same for everybody: relying parties may keep it. No other answer may be stored. */
  readonly isCacheable?: true;
  /**
   * A POST is sent on as a GET (303): what another site posts comes without our SameSite=Lax cookies, what it
   * navigates to comes with them, so that a person who is signed in is known.
   */
  readonly sendsPostOn?: true;
}

const PROTOCOL_ENDPOINTS: Readonly<Record<string, Endpoint>> = {
  '/.well-known/openid-configuration': {
    methods: ['GET'],
    aliases: ['/o/.well-known/openid-configuration'],
    readers: 'clients',
    isCacheable: true,
  },
  '/.well-known/oauth-authorization-server': {
    methods: ['GET'],
    aliases: ['/o/.well-known/oauth-authorization-server'],
    readers: 'clients',
    isCacheable: true,
  },
  '/jwks': {
    methods: ['GET'],
    aliases: ['/o/jwks', '/o/.well-known/jwks.json'],
    readers: 'clients',
    isCacheable: true,
  },
  '/authorize': {
    methods: ['GET', 'POST'],
    aliases: ['/o/authorize'],
    readers: 'nobody',
    sendsPostOn: true,
  },
  '/token': { methods: ['POST'], aliases: ['/o/token'], readers: 'clients' },
  '/userinfo': { methods: ['GET', 'POST'], aliases: ['/o/userinfo'], readers: 'clients' },
  '/introspect': { methods: ['POST'], aliases: ['/o/introspect'], readers: 'configured' },
  '/revoke': { methods: ['POST'], aliases: ['/o/revoke_token'], readers: 'clients' },
  '/logout': { methods: ['GET', 'POST'], aliases: ['/o/logout'], readers: 'nobody', sendsPostOn: true },
  '/logout/confirm': { methods: ['POST'], aliases: [], readers: 'nobody' },
  '/logout/success': { methods: ['GET'], aliases: [], readers: 'nobody' },
  '/device': { methods: ['GET', 'POST'], aliases: [], readers: 'nobody' },
  '/device/auth': { methods: ['POST'], aliases: [], readers: 'configured' },
};

/** Where the engine goes on after a person's answer; the last part is the interaction's id. */
const RESUMING: Endpoint = { methods: ['GET'], aliases: [], readers: 'nobody' };
const RESUMING_PATH = /^\/(authorize|device)\/[\w-]{21,64}$/;

const CANONICAL = new Map(
  Object.entries(PROTOCOL_ENDPOINTS).flatMap(([path, { aliases }]) =>
    [path, ...aliases].map((alias) => [alias, path] as const),
  ),
);

// The rest of a request's head has to fit into Node's 16 KiB with it.
const MAX_SENT_ON = 12 * 1024;

/** True for a canonical path of the protocol. */
export const isProtocolPath = (path: string): boolean => Object.hasOwn(PROTOCOL_ENDPOINTS, path);

/** Rewrites an alias, or a trailing slash, to the canonical path. Other paths stay as they are. */
export function canonicalize(ctx: Context): void {
  const path = ctx.path;
  const bare = path.length > 1 && path.endsWith('/') ? path.slice(0, -1) : path;
  const canonical = CANONICAL.get(bare);
  if (canonical !== undefined && canonical !== path) ctx.path = canonical;
}

/** The endpoint of a canonical path. A path with an id is told as its pattern: it is a label of the metrics. */
function findEndpoint(ctx: Context): Endpoint | undefined {
  if (isProtocolPath(ctx.path)) return PROTOCOL_ENDPOINTS[ctx.path];
  const resumed = RESUMING_PATH.exec(ctx.path)?.[1];
  if (resumed === undefined) return undefined;
  ctx['_matchedRoute'] = `/${resumed}/:uid`;
  return RESUMING;
}

interface ProtocolOptions {
  readonly engine: Middleware;
  readonly cors: Cors;
  readonly jwksMaxAgeSeconds: number;
}

/** Hands protocol requests of the right method and body kind to the engine. */
export function createProtocolRoutes({ engine, cors, jwksMaxAgeSeconds }: ProtocolOptions): Middleware {
  const cacheControl = `public, max-age=${jwksMaxAgeSeconds}`;

  return async (ctx, next) => {
    const endpoint = findEndpoint(ctx);
    if (endpoint === undefined) {
      await next();
      return;
    }
    if (ctx.method === 'OPTIONS') {
      await cors.answerPreflight(ctx, endpoint.methods, endpoint.readers);
      return;
    }
    cors.reserve(ctx);
    try {
      assertMethod(ctx, endpoint.methods);
      if (ctx.method === 'POST') assertFormBody(ctx);
      if (ctx.method === 'POST' && endpoint.sendsPostOn === true) await sendOn(ctx);
      else await engine(ctx, next);
    } finally {
      const marking = cors.mark(ctx, endpoint.readers); // a refusal, too, is for allowed origins only
      if (marking !== undefined) await marking;
    }
    const isKept = endpoint.isCacheable === true && ctx.status === 200;
    ctx.res.setHeader('Cache-Control', isKept ? cacheControl : 'no-store');
  };
}

/** 303 to the same path with the form as its query; a parameter that comes twice stays so, and is refused there. */
async function sendOn(ctx: Context): Promise<void> {
  const query = new URLSearchParams(await readText(ctx)).toString();
  if (query.length > MAX_SENT_ON) {
    throw new AppError('payload_too_large', `The parameters have at most ${MAX_SENT_ON} bytes here.`);
  }
  ctx.status = 303;
  ctx.redirect(`${ctx.path}?${query}`);
}

/** 405 with `Allow` (RFC 9110 15.5.6) for a method that the path does not take. */
function assertMethod(ctx: Context, methods: readonly string[]): void {
  if (methods.includes(ctx.method) || (ctx.method === 'HEAD' && methods.includes('GET'))) return;
  ctx.set('Allow', methods.join(', '));
  throw new AppError('method_not_allowed', `${ctx.path} takes ${methods.join(' or ')}, not ${ctx.method}.`);
}
