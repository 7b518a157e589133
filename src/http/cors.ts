/**
 * Which other origins may read answers (Fetch standard, RFC 9700 2.6): the configured ones, exactly, and where an
 * app in a browser calls, those that a client's redirect URIs have. It is decided here for every path, in the place of
 * the engine.
 */
import type { Context } from 'koa';

import { isAppError } from '../errors.ts';

const PREFLIGHT_MAX_AGE_SECONDS = '3600';
// What authenticates a request here is in one of these, never in a cookie.
const READ_HEADERS = 'Authorization, Content-Type, X-API-Key';
const EXPOSED = 'WWW-Authenticate, Retry-After, RateLimit, RateLimit-Policy';

/** Whose scripts may read a path's answers: nobody's, those of configured origins, or of clients' origins, too. */
export type Readers = 'nobody' | 'configured' | 'clients';

export interface Cors {
  /** Answers an OPTIONS request: 204, with permission for an allowed origin. */
  answerPreflight(ctx: Context, methods: readonly string[], readers: Readers): Promise<void>;
  /** Keeps the engine, which adds no permission to one that stands there, from giving any; until mark() decides. */
  reserve(ctx: Context): void;
  /** Marks an answer as readable by an allowed origin, and by no other. */
  mark(ctx: Context, readers: Readers): Promise<void> | undefined;
}

export interface CorsOptions {
  /** Exact origins. */
  readonly allowedOrigins: readonly string[];
  /** True for an origin of a registered redirect URI. */
  readonly isClientOrigin: (origin: string) => Promise<boolean>;
}

const reserve = (ctx: Context): void => {
  ctx.res.setHeader('Access-Control-Expose-Headers', EXPOSED);
};

/** Makes the rules. */
export function createCors({ allowedOrigins, isClientOrigin }: CorsOptions): Cors {
  const configured = new Set(allowedOrigins);

  const allowedOrigin = async (ctx: Context, readers: Readers): Promise<string | null> => {
    const { origin } = ctx.req.headers;
    if (origin === undefined || readers === 'nobody') return null;
    if (configured.has(origin)) return origin;
    return readers === 'clients' && (await isKnown(origin)) ? origin : null;
  };
  /** A store that cannot answer allows nobody; the request itself tells the outage. */
  const isKnown = async (origin: string): Promise<boolean> => {
    try {
      return await isClientOrigin(origin);
    } catch (error) {
      if (isAppError(error, 'store_unavailable')) return false;
      throw error;
    }
  };

  const write = (ctx: Context, readers: Readers, origin: string | null): void => {
    if (readers === 'nobody' || (readers === 'configured' && configured.size === 0)) {
      ctx.res.removeHeader('Vary');
    } else ctx.res.setHeader('Vary', 'Origin');
    if (origin === null) {
      ctx.res.removeHeader('Access-Control-Expose-Headers');
      return;
    }
    ctx.set('Access-Control-Allow-Origin', origin);
    reserve(ctx);
  };
  // Without a promise where no script asks: every request of a server passes here.
  const mark = (ctx: Context, readers: Readers): Promise<void> | undefined => {
    if (ctx.req.headers.origin !== undefined) return markFor(ctx, readers);
    write(ctx, readers, null);
    return undefined;
  };
  const markFor = async (ctx: Context, readers: Readers): Promise<void> =>
    write(ctx, readers, await allowedOrigin(ctx, readers));

  return {
    reserve,
    mark,
    answerPreflight: async (ctx, methods, readers) => {
      ctx.status = 204;
      await mark(ctx, readers);
      if (!ctx.response.get('Access-Control-Allow-Origin')) return;
      ctx.set('Access-Control-Allow-Methods', methods.join(', '));
      ctx.set('Access-Control-Allow-Headers', READ_HEADERS);
      ctx.set('Access-Control-Max-Age', PREFLIGHT_MAX_AGE_SECONDS);
    },
  };
}
