/** The brand's own logo: read once at the start, and served at one address, as a picture and nothing else. */
import { readFileSync } from 'node:fs';

import Router from 'koa-router';

export const LOGO_PATH = '/brand/logo';
const MAX_AGE_SECONDS = 3_600;

/** A file that the settings checked. */
export interface Logo {
  readonly path: string;
  readonly type: string;
}

/** Serves the logo; nothing where the brand has none. */
export function createBrandRoutes(logo: Logo | null): Router {
  const router = new Router({ sensitive: true });
  if (logo === null) return router;
  const body = readFileSync(logo.path);
  router.get(LOGO_PATH, (ctx) => {
    ctx.set('Cache-Control', `public, max-age=${MAX_AGE_SECONDS}`);
    // An SVG may hold scripts, which run where somebody opens it by itself: here they find no origin and no leave.
    ctx.set('Content-Security-Policy', "default-src 'none'; style-src 'unsafe-inline'; sandbox");
    ctx.type = logo.type;
    ctx.body = body;
  });
  return router;
}
