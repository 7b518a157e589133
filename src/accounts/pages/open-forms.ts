/**
 * How often forms may be sent, counted before they are read. Those that anybody may send without a sign-in are counted
 * by the network that they come from, a person's own by the account that is signed in: each does work, and most leave
 * a record. Their pages are not counted. They stand in a router, so that they match just what the forms' own routes do.
 */
import Router from 'koa-router';

import { networkOf } from '../../http/rate-limit.ts';
import type { RateLimits } from '../../http/rate-limit.ts';
import type { BrowserSessions } from '../../oidc/browser.ts';

const OPEN_FORMS = [
  '/account/sign-in',
  '/account/forgot',
  '/account/reset',
  '/account/verify',
  '/interaction/:uid/sign-in',
] as const;
const REGISTER_FORMS = ['/account/register', '/interaction/:uid/register'] as const;
const WITHOUT_SIGN_IN: ReadonlySet<string> = new Set([...OPEN_FORMS, ...REGISTER_FORMS]);

export function createFormLimits(
  limits: RateLimits,
  browser: Pick<BrowserSessions, 'current'>,
  mayRegister: boolean,
): Router {
  const router = new Router({ sensitive: true });
  for (const path of mayRegister ? [...OPEN_FORMS, ...REGISTER_FORMS] : OPEN_FORMS) {
    router.post(path, async (ctx, next) => {
      await limits.limit(ctx, 'ip', networkOf(ctx.ip));
      await next();
    });
  }
  router.use('/account', async (ctx, next) => {
    const isOwn = ctx.method === 'POST' && !WITHOUT_SIGN_IN.has(ctx.path.replace(/\/$/, ''));
    const session = isOwn ? await browser.current(ctx.req, ctx.res) : null;
    // Not together with the JSON API: a program that uses that up must not keep its owner from ending it.
    if (session !== null) await limits.limit(ctx, 'user', `forms:${session.accountId}`);
    await next();
  });
  return router;
}
