/** What the protocol's paths count before the engine answers. A part of the composition root. */
import { networkOf } from '../http/rate-limit.ts';
import type { RateLimits } from '../http/rate-limit.ts';
import { assertBounded } from '../http/request-size.ts';
import type { EngineMiddleware, KoaContextWithOIDC } from '../oidc/engine-middleware.ts';
import type { Engine } from '../oidc/provider.ts';

/**
 * Clients are not counted at /token: nobody guesses their secrets, a wrong one costs less than a count, and one client
 * that is set up wrongly would shut out all that share its address.
 */
export const createProtocolLimits =
  (limits: RateLimits, engine: () => Pick<Engine, 'handle' | 'current'>): EngineMiddleware =>
  (ctx, next) => {
    const counted = count(ctx);
    // Without a promise of its own where nothing is counted: every token passes here.
    return counted === undefined
      ? engine().handle(ctx, next)
      : counted.then(() => engine().handle(ctx, next));

    function count({ path, method }: KoaContextWithOIDC): Promise<void> | undefined {
      // A code of eight characters is typed there: without a limit somebody would try them all.
      if (path === '/device' && method === 'POST') return limits.limit(ctx, 'ip', networkOf(ctx.ip));
      if (path === '/device/auth') return limits.limit(ctx, 'authorize', networkOf(ctx.ip));
      return path === '/authorize' ? countAuthorization() : undefined;
    }

    /** By account where somebody is signed in, so that nobody is refused for what others in the same office do. */
    async function countAuthorization(): Promise<void> {
      assertBounded(new URLSearchParams(ctx.querystring));
      const session = await engine().current(ctx.req, ctx.res);
      const subject = session === null ? networkOf(ctx.ip) : `account:${session.accountId}`;
      await limits.limit(ctx, 'authorize', subject);
    }
  };
