/** What a client has already (RFC 9110 13.1.2). */
import type { Context } from 'koa';

/**
 * Whether the request names that entity tag (quoted). Koa would say no to one that has `Cache-Control: no-cache`, which is
 * how `fetch` sends a request that asks this itself.
 */
export const hasAlready = (ctx: Context, etag: string): boolean =>
  ctx
    .get('If-None-Match')
    .split(',')
    .some((it) => it.trim().replace(/^W\//, '') === etag);
