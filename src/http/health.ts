/** `/healthz`: the process lives. `/readyz`: it can serve; else 503 with the reason. */
import Router from 'koa-router';

export interface Readiness {
  readonly ready: boolean;
  readonly reason: string | null;
}

/** The router of both; neither touches the store itself, so a hung store cannot hang them. */
export function createHealthRoutes(readiness: () => Promise<Readiness>): Router {
  const router = new Router({ sensitive: true });

  router.get('/healthz', (ctx) => {
    ctx.set('Cache-Control', 'no-store');
    ctx.body = { status: 'ok' };
  });

  router.get('/readyz', async (ctx) => {
    const { ready, reason } = await readiness();
    ctx.set('Cache-Control', 'no-store');
    ctx.status = ready ? 200 : 503;
    ctx.body = ready ? { status: 'ready' } : { status: 'not ready', reason };
  });

  return router;
}
