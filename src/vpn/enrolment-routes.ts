/** `POST /vpn/enrol` and `POST /vpn/keys`: count, parse, call the enrolment, answer. */
import type { Context } from 'koa';
import Router from 'koa-router';
import { z } from 'zod';

import { AppError } from '../errors.ts';
import { getBearer } from '../http/bearer.ts';
import { readJsonBody } from '../http/body.ts';
import { networkOf } from '../http/rate-limit.ts';
import type { RateLimits } from '../http/rate-limit.ts';
import type { NodeEnrolment, NodeKeysAnswer } from './enrolment.ts';

const Proof = z.string().min(1).max(8_192);
const EnrolBody = z.strictObject({ code: z.string().min(1).max(255), proof: Proof });
const RotateBody = z.strictObject({ proof: Proof });

export interface EnrolmentRouteOptions {
  /** What answers now. */
  readonly enrolment: () => NodeEnrolment;
  readonly limits: () => RateLimits;
  /** What an enrolled node needs to know of this server. */
  readonly server: Readonly<Record<string, string>>;
}

export function createEnrolmentRoutes({ enrolment, limits, server }: EnrolmentRouteOptions): Router {
  const router = new Router({ sensitive: true });
  const answer = async (ctx: Context, work: (asking: Asking) => Promise<NodeKeysAnswer>): Promise<void> => {
    // Before anything is read or verified: nobody has signed in here.
    await limits().limit(ctx, 'ip', networkOf(ctx.ip));
    const keys = await work({ ip: ctx.ip, requestId: String(ctx.state['requestId']) });
    ctx.set('Cache-Control', 'no-store');
    ctx.body = { ...keys, ...server };
  };

  router.post('/vpn/enrol', (ctx) =>
    answer(ctx, async (asking) => {
      const { code, proof } = await bodyOf(ctx, EnrolBody);
      return enrolment().enrol({ code, proof, ...asking });
    }),
  );
  router.post('/vpn/keys', (ctx) =>
    answer(ctx, async (asking) => {
      const bearer = getBearer(ctx);
      const { proof } = await bodyOf(ctx, RotateBody);
      return enrolment().rotate({ bearer, proof, ...asking });
    }),
  );
  return router;
}

interface Asking {
  readonly ip: string;
  readonly requestId: string;
}

async function bodyOf<T>(ctx: Context, schema: z.ZodType<T>): Promise<T> {
  const body = await readJsonBody(ctx, schema);
  if (body !== undefined) return body;
  throw new AppError('invalid_request', 'Send a JSON body: see POST /vpn/enrol in the documentation.');
}
