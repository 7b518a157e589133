/** `GET /api/v1/verify`: what nginx `auth_request`, Traefik's ForwardAuth or Envoy's ext_authz ask before a request. */
import type { Context } from 'koa';
import { z } from 'zod';

import { credentialOf } from '../api/caller.ts';
import { readQuery } from '../api/input.ts';
import type { Route } from '../api/route.ts';
import { AppError } from '../errors.ts';
import { toHeaders } from './headers.ts';
import type { EntitledCustomer, Verify } from './verify.ts';

const Words = z
  .string()
  .max(1_000)
  .transform((text) => text.split(' ').filter((word) => word !== ''))
  .refine((words) => words.length > 0, 'one word or more, separated by spaces');

const Query = z.strictObject({
  audience: z.string().min(1).max(500).optional().meta({
    description:
      'The audience that the token is for. Left out: this server itself, as after a login of its API.',
  }),
  scope: Words.optional().meta({
    description: 'The scopes that are needed, all of them, separated by spaces.',
  }),
  role: Words.optional().meta({ description: 'The roles that will do, any of them, separated by spaces.' }),
  customer: z.literal('required').optional().meta({
    description:
      'Given: the token of a customer is needed. Anybody else, such as a person’s API key, gets 403.',
  }),
});

/** Counts the request; throws `too_many_requests` where the customer may send no more. */
type LimitCustomer = (ctx: Context, customer: EntitledCustomer) => Promise<void>;

/** The route. It judges the credentials of the request that the gateway holds back, whoever the gateway is. */
export const createVerifyRoute = (verify: Verify, limit: LimitCustomer): Route => ({
  method: 'get',
  path: '/api/v1/verify',
  tag: 'Gateways',
  summary: 'Say whether a request may pass',
  about:
    'Takes the Authorization or X-API-Key header of the request that a gateway holds back. 200 tells who calls by ' +
    'X-Auth-Subject, X-Auth-Username, X-Auth-Role, X-Auth-Scopes, X-Auth-Client-Id and X-Auth-Audience, which are ' +
    'always there, empty where there is nothing to tell, and percent-encoded beyond printable ASCII; so are ' +
    'X-Customer-Username, X-Customer-Type and X-Customer-Access-Level. Each question about a customer counts against ' +
    'its `rate_limit`: beyond it 429.',
  access: 'gateway',
  query: Query,
  answers: { 200: { about: 'It may; the X-Auth headers tell who calls.' } },
  refusals: ['invalid_token', 'insufficient_scope'],
  serve: async (ctx) => {
    const query = readQuery(ctx, Query) as z.output<typeof Query>; // it was read by it
    const { audience, scope: scopes = [], role: roles = [] } = query;
    const verified = await verify(credentialOf(ctx), { audience, scopes, roles });
    if (query.customer === 'required' && verified.customer === null) {
      throw new AppError('insufficient_scope', 'This is for customers: send a token of one.');
    }
    if (verified.customer !== null) await limit(ctx, verified.customer);
    ctx.set({ ...toHeaders(verified) });
    ctx.status = 200;
    ctx.body = '';
    ctx.remove('Content-Type'); // of nothing
  },
});
