/** `POST /vpn/auth/`: parses, calls the exchange, answers. */
import Router from 'koa-router';
import { z } from 'zod';

import { getBearer } from '../http/bearer.ts';
import { readJsonBody } from '../http/body.ts';
import { AppError } from '../errors.ts';
import type { BearerExchange, SubjectToken, VpnTokenAnswer } from './exchange.ts';

const MAX_TOKEN_CHARACTERS = 16 * 1024;
const Token = z.string().min(1).max(MAX_TOKEN_CHARACTERS);

/** Strict: a field that nobody reads here, such as a role, is refused rather than overlooked. */
const Body = z.strictObject({ subject_token: Token.optional(), subject_token_type: Token.optional() });

/** The router of the VPN slice. */
export function createVpnRoutes(exchange: (request: BearerExchange) => Promise<VpnTokenAnswer>): Router {
  const router = new Router({ sensitive: true });

  router.post('/vpn/auth', async (ctx) => {
    const bearer = getBearer(ctx);
    // Overlooked, it would be answered with the node's own JWT; and what stands in an address stands in logs.
    if ('subject_token' in ctx.query)
      throw new AppError('invalid_request', 'Send subject_token in the body.');
    const subject = subjectOf(await readJsonBody(ctx, Body));
    ctx.set('Cache-Control', 'no-store');
    ctx.body = await exchange({ bearer, subject, ip: ctx.ip, requestId: String(ctx.state['requestId']) });
  });

  return router;
}

/** On whose behalf the node asks; null: on its own. Half of it is a mistake, never a request for the node itself. */
function subjectOf(body: z.infer<typeof Body> = {}): SubjectToken | null {
  const { subject_token: token, subject_token_type: type } = body;
  if (token === undefined && type === undefined) return null;
  if (token !== undefined && type !== undefined) return { token, type };
  throw new AppError('invalid_request', 'subject_token and subject_token_type go together (RFC 8693 2.1).');
}
