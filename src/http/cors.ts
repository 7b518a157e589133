/**
 * Which other origins may read answers (Fetch standard, RFC 9700 2.6): the configured ones, exactly, nobody
 * else. It is decided here for every path; what the engine wrote of its own is taken out again.
 */
import type { Context } from 'koa';

const PREFLIGHT_MAX_AGE_SECONDS = '3600';
const EXPOSED = 'WWW-Authenticate, Retry-After, RateLimit, RateLimit-Policy';

export interface Cors {
  /** Answers an OPTIONS request: 204, with permission for an allowed origin. */
  answerPreflight(ctx: Context, methods: readonly string[]): void;
  /** Marks an answer as readable by an allowed origin, and by no other. */
  mark(ctx: Context): void;
}

/** Makes the rules for a list of exact origins. */
export function createCors(allowedOrigins: readonly string[]): Cors {
  const allowed = new Set(allowedOrigins);
  const allowedOrigin = (ctx: Context): string | null => {
    const { origin } = ctx.req.headers;
    return origin !== undefined && allowed.has(origin) ? origin : null;
  };

  const mark = (ctx: Context): void => {
    const origin = allowedOrigin(ctx);
    if (allowed.size === 0) ctx.res.removeHeader('Vary');
    else ctx.vary('Origin');
    if (origin === null) {
      ctx.res.removeHeader('Access-Control-Allow-Origin');
      ctx.res.removeHeader('Access-Control-Expose-Headers');
      return;
    }
    ctx.set('Access-Control-Allow-Origin', origin);
    ctx.set('Access-Control-Expose-Headers', EXPOSED);
  };

  return {
    mark,
    answerPreflight: (ctx, methods) => {
      ctx.status = 204;
      mark(ctx);
      if (allowedOrigin(ctx) === null) return;
      ctx.set('Access-Control-Allow-Methods', methods.join(', '));
      ctx.set('Access-Control-Allow-Headers', 'Authorization, Content-Type');
      ctx.set('Access-Control-Max-Age', PREFLIGHT_MAX_AGE_SECONDS);
    },
  };
}
