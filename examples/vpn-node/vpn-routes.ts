/** `/auth/vpn/*`: the node's own VPN JWT. Whoever gets it here acts as the node, so each change needs a right. */
import type { Context } from 'koa';
import Router from 'koa-router';
import { z } from 'zod';

import type { JwtService, NodeSettings } from '../../src/sdk/node/node.ts';
import { Problem } from '../protected-api/problem.ts';
import { wantsPage } from './failures.ts';
import type { Fields } from './fields.ts';
import type { Operators } from './operators.ts';

interface VpnRouteOptions {
  readonly settings: NodeSettings;
  readonly service: JwtService;
  readonly operators: Operators;
  readonly now: () => number;
}

const TokenRequest = z.strictObject({
  force_refresh: z
    .union([z.boolean(), z.enum(['true', 'false']).transform((text) => text === 'true')])
    .default(false),
  csrf: z.string().optional(),
});

export function createVpnRoutes(options: VpnRouteOptions): Router {
  const { service, operators } = options;
  // Each path is matched with its slash at the end as well, as the clients have it.
  const router = new Router({ sensitive: true });
  const answerToken = async (ctx: Context, forceRefresh: boolean): Promise<void> => {
    const token = await service.getJwtToken({ forceRefresh });
    answer(ctx, { access_token: token, token_type: 'Bearer', ...(await statusOf(options)) });
  };
  const clear = (ctx: Context): void => {
    service.clearCache();
    answer(ctx, { cleared: true });
  };
  const status = async (ctx: Context): Promise<void> => {
    ctx.body = await statusOf(options);
  };

  router.post('/auth/vpn/auth', operators.may('token:get'), (ctx) => answerToken(ctx, false));
  router.get('/auth/vpn/status', status);
  router.post('/auth/vpn/refresh', operators.may('token:refresh'), (ctx) => answerToken(ctx, true));
  router.post('/auth/vpn/clear-cache', operators.may('token:clear'), clear);
  // One place for all of it, as programs have it.
  router.post('/auth/vpn/token', operators.may('token:refresh'), (ctx) => answerToken(ctx, readForce(ctx)));
  router.get('/auth/vpn/token', status);
  router.delete('/auth/vpn/token', operators.may('token:clear'), clear);
  return router;
}

function readForce(ctx: Context): boolean {
  const { fields } = ctx.state as { readonly fields: Fields }; // Operators put them there
  const request = TokenRequest.safeParse(fields);
  if (request.success) return request.data.force_refresh;
  throw new Problem(400, 'force_refresh: true or false, and nothing else');
}

/** A browser goes back to the page from which it asked; the token itself is for programs. */
function answer(ctx: Context, body: object): void {
  ctx.set('Cache-Control', 'no-store');
  if (wantsPage(ctx)) {
    ctx.redirect('/');
    ctx.status = 303;
  } else ctx.body = body;
}

/** Whether the node holds a JWT that is good, till when, and for whom. */
async function statusOf({ settings, service, now }: VpnRouteOptions): Promise<object> {
  const { clientId: client_id, issuer, audience } = settings;
  const held = service.held();
  const about = { client_id, issuer, audience };
  if (held === null) return { valid: false, subject: null, expires_at: null, expires_in: 0, ...about };
  return {
    valid: await service.isTokenValid(held.token),
    subject: held.subject,
    expires_at: new Date(held.expiresAt * 1_000).toISOString(),
    expires_in: held.expiresAt - now(),
    ...about,
  };
}
