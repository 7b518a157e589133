/**
 * `GET /vpn/status/{list}`: a Status List Token (draft-ietf-oauth-status-list 8), and `GET /vpn/status`, where all lists
 * are named (9). Anybody may read them, in a browser too: who asks for a list tells nothing of the token that it is about.
 * Nobody is counted: a list is made, and all are named, twice a second at most, however many ask; and a name that this
 * server did not give is known as such without a look into the store.
 */
import Router from 'koa-router';
import type { Context } from 'koa';

import { AppError } from '../errors.ts';
import { hasAlready } from '../http/etag.ts';
import type { StatusLists } from './status-lists.ts';

const TYPE = 'application/statuslist+jwt';
const PREFLIGHT_MAX_AGE_SECONDS = '3600';

interface StatusRoutesOptions {
  readonly lists: () => StatusLists;
  /** Whether there is a place where all are named. */
  readonly isListed: boolean;
}

export function createStatusRoutes({ lists, isListed }: StatusRoutesOptions): Router {
  const router = new Router({ sensitive: true });
  router.use(/^\/vpn\/status(\/|$)/, (ctx, next) => {
    ctx.set('Access-Control-Allow-Origin', '*');
    ctx.set('Access-Control-Expose-Headers', 'ETag, Retry-After');
    return next();
  });
  router.options(isListed ? ['/vpn/status', '/vpn/status/:list'] : '/vpn/status/:list', (ctx) => {
    ctx.set('Access-Control-Allow-Methods', 'GET, HEAD');
    ctx.set('Access-Control-Allow-Headers', 'If-None-Match');
    ctx.set('Access-Control-Max-Age', PREFLIGHT_MAX_AGE_SECONDS);
    ctx.status = 204;
  });

  router.get('/vpn/status/:list', async (ctx) => {
    assertPresent(ctx);
    const list = await lists().find(String(ctx.params['list']));
    if (list === null)
      throw new AppError('not_found', 'There is no such status list, or all of its tokens expired.');
    ctx.vary('Accept');
    ctx.vary('Accept-Encoding');
    keepBriefly(ctx);
    ctx.set('ETag', `W/${list.etag}`); // it comes compressed, too
    if (hasAlready(ctx, list.etag)) {
      ctx.status = 304;
      return;
    }
    const isCompressed = ctx.acceptsEncodings('gzip', 'identity') === 'gzip';
    if (isCompressed) ctx.set('Content-Encoding', 'gzip');
    ctx.body = isCompressed ? list.gzipped : list.jwt;
    ctx.type = TYPE;
  });

  if (isListed) {
    router.get('/vpn/status', async (ctx) => {
      ctx.body = { status_lists: await lists().all() };
      keepBriefly(ctx);
    });
  }
  return router;
}

/** As long as `ttl` says. */
const keepBriefly = (ctx: Context): void => ctx.set('Cache-Control', 'public, max-age=1');

/** It is there in one form, as it is now. */
function assertPresent(ctx: Context): void {
  if (ctx.accepts(TYPE) === false) {
    throw new AppError('not_acceptable', `A status list is there as ${TYPE} alone: ask for it by Accept.`);
  }
  if ('time' in ctx.query) {
    throw new AppError('not_implemented', 'What was at a time is not told: ask without the parameter time.');
  }
}
