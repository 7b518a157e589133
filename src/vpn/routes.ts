/** `POST /vpn/auth/`: parses, calls the exchange, answers. */
import Router from 'koa-router';
import { z } from 'zod';

import { getBearer } from '../http/bearer.ts';
import { readJsonBody } from '../http/body.ts';
import { AppError } from '../errors.ts';
import type { VpnExchangeRequest, VpnTokenAnswer } from './exchange.ts';

const Body = z.strictObject({
  subject_token: z.string().optional(),
  subject_token_type: z.string().optional(),
});

/** The router of the VPN slice. */
export function createVpnRoutes(exchange: (request: VpnExchangeRequest) => Promise<VpnTokenAnswer>): Router {
  const router = new Router({ sensitive: true });

  router.post('/vpn/auth', async (ctx) => {
    const bearer = getBearer(ctx);
    const body = await readJsonBody(ctx, Body);
    // A subject token that cannot be honoured is refused, never answered with the node's own JWT.
    if (body?.subject_token !== undefined || body?.subject_token_type !== undefined) {
      throw new AppError(
        'invalid_request',
        'subject_token: no token of a person is taken here yet; leave it out for the JWT of the node itself.',
      );
    }
    ctx.set('Cache-Control', 'no-store');
    ctx.body = await exchange({ bearer, ip: ctx.ip, requestId: String(ctx.state['requestId']) });
  });

  return router;
}
