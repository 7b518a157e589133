/**
 * The protocol's paths: each canonical one with its aliases, methods and kind of body. An alias is rewritten
 * before anything looks at the path, so it shares every check, limit and log line; a path that is not in this
 * table never reaches the engine, whose own router is laxer (case, trailing slash).
 */
import type { Context, Middleware } from 'koa';

import { AppError } from '../errors.ts';
import { assertFormBody } from './body.ts';
import type { Cors } from './cors.ts';

interface Endpoint {
  readonly methods: readonly string[];
  readonly aliases: readonly string[];
  /** Public and the same for everybody: relying parties may keep it. No other answer may be stored. */
  readonly isCacheable?: true;
}

const PROTOCOL_ENDPOINTS: Readonly<Record<string, Endpoint>> = {
  '/.well-known/openid-configuration': {
    methods: ['GET'],
    aliases: ['/o/.well-known/openid-configuration'],
    isCacheable: true,
  },
  '/.well-known/oauth-authorization-server': {
    methods: ['GET'],
    aliases: ['/o/.well-known/oauth-authorization-server'],
    isCacheable: true,
  },
  '/jwks': { methods: ['GET'], aliases: ['/o/jwks', '/o/.well-known/jwks.json'], isCacheable: true },
  '/token': { methods: ['POST'], aliases: ['/o/token'] },
  '/introspect': { methods: ['POST'], aliases: ['/o/introspect'] },
  '/revoke': { methods: ['POST'], aliases: ['/o/revoke_token'] },
};

const CANONICAL = new Map(
  Object.entries(PROTOCOL_ENDPOINTS).flatMap(([path, { aliases }]) =>
    [path, ...aliases].map((alias) => [alias, path] as const),
  ),
);

/** True for a canonical path of the protocol. */
export const isProtocolPath = (path: string): boolean => Object.hasOwn(PROTOCOL_ENDPOINTS, path);

/** Rewrites an alias, or a trailing slash, to the canonical path. Other paths stay as they are. */
export function canonicalize(ctx: Context): void {
  const path = ctx.path;
  const bare = path.length > 1 && path.endsWith('/') ? path.slice(0, -1) : path;
  const canonical = CANONICAL.get(bare);
  if (canonical !== undefined && canonical !== path) ctx.path = canonical;
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
    const endpoint = isProtocolPath(ctx.path) ? PROTOCOL_ENDPOINTS[ctx.path] : undefined;
    if (endpoint === undefined) {
      await next();
      return;
    }
    if (ctx.method === 'OPTIONS') {
      cors.answerPreflight(ctx, endpoint.methods);
      return;
    }
    try {
      assertMethod(ctx, endpoint.methods);
      if (ctx.method === 'POST') assertFormBody(ctx);
      await engine(ctx, next);
    } finally {
      cors.mark(ctx); // a refusal, too, is for allowed origins only
    }
    const isKept = endpoint.isCacheable === true && ctx.status === 200;
    ctx.res.setHeader('Cache-Control', isKept ? cacheControl : 'no-store');
  };
}

/** 405 with `Allow` (RFC 9110 15.5.6) for a method that the path does not take. */
function assertMethod(ctx: Context, methods: readonly string[]): void {
  if (methods.includes(ctx.method) || (ctx.method === 'HEAD' && methods.includes('GET'))) return;
  ctx.set('Allow', methods.join(', '));
  throw new AppError('method_not_allowed', `${ctx.path} takes ${methods.join(' or ')}, not ${ctx.method}.`);
}
