/**
 * Answers the JSON API by its routes: who may read it from another origin, who calls, how often they may, then the
 * route. Refusals are thrown; `http/errors.ts` makes Problems of them.
 */
import type { Context, Middleware } from 'koa';
import Router from 'koa-router';

import { AppError } from '../errors.ts';
import type { Cors } from '../http/cors.ts';
import { networkOf } from '../http/rate-limit.ts';
import type { RateLimits } from '../http/rate-limit.ts';
import type { Permission } from '../permissions.ts';
import type { Authenticate, Caller } from './caller.ts';
import type { Access, Route } from './route.ts';

const PREFIX = '/api/';
/** The role whose requests have a limit of their own. */
const ADMIN = 'admin';

export interface ApiRouterOptions {
  readonly routes: readonly Route[];
  readonly authenticate: Authenticate;
  readonly limits: RateLimits;
  readonly cors: Cors;
}

/** The middleware for all paths under `/api/`; a path that no route has is 404. */
export function createApiRouter({ routes, authenticate, limits, cors }: ApiRouterOptions): Middleware {
  const router = new Router({ sensitive: true });
  for (const route of routes) {
    router[route.method](toPattern(route.path), async (ctx) => {
      await route.serve(ctx, await admit(ctx, route, authenticate, limits));
    });
  }
  const dispatch = router.routes();
  const refuseMethod = router.allowedMethods();

  return async (ctx, next) => {
    if (!ctx.path.startsWith(PREFIX)) {
      await next();
      return;
    }
    const methods = methodsAt(router, ctx.path);
    if (ctx.method === 'OPTIONS' && methods.length > 0) {
      await cors.answerPreflight(ctx, methods, 'clients');
      return;
    }
    await cors.mark(ctx, 'clients'); // before the work: a refusal, too, is for allowed origins
    ctx.set('Cache-Control', 'no-store');
    // The router adds what it needs to a plain context.
    await dispatch(ctx as Parameters<typeof dispatch>[0], async () => undefined);
    await refuseMethod(ctx as Parameters<typeof refuseMethod>[0], async () => undefined);
  };
}

/** `{id}` as the router writes it. */
const toPattern = (path: string): string => path.replaceAll(/\{(\w+)\}/g, ':$1');

const methodsAt = (router: Router, path: string): readonly string[] => [
  ...new Set(router.match(path, 'OPTIONS').path.flatMap(({ methods }) => methods)),
];

/** Counts the request, for whoever calls or, where nobody is asked who they are, for their network. */
async function admit(
  ctx: Context,
  { access, permission }: Route,
  authenticate: Authenticate,
  limits: RateLimits,
): Promise<Caller | null> {
  if (access === 'gateway') return null;
  if (access === 'public') {
    await limits.limit(ctx, 'ip', networkOf(ctx.ip));
    return null;
  }
  const caller = await authenticate(ctx);
  await limitCaller(ctx, caller, limits);
  assertIsOne(caller, access);
  assertMay(caller, permission);
  return caller;
}

async function limitCaller(ctx: Context, caller: Caller, limits: RateLimits): Promise<void> {
  if (caller.kind === 'client') return limits.limit(ctx, 'admin', `client ${caller.clientId}`);
  if (caller.kind === 'api-key' && caller.rateLimit !== null) {
    await limits.limit(ctx, 'key', caller.keyId, caller.rateLimit);
    if (caller.countsAlone) return;
  }
  await limits.limit(ctx, caller.role === ADMIN ? 'admin' : 'user', caller.account.id);
}

/** Whether the caller is of the kind, or in the role, that the route is for. */
function assertIsOne(caller: Caller, access: Exclude<Access, 'public' | 'gateway'>): void {
  if (access === 'person') {
    if (caller.kind === 'person') return;
    throw new AppError(
      'forbidden',
      'Only a person who signed in may do this: an API key or a client may not.',
    );
  }
  if (access === 'account') {
    if (caller.kind !== 'client') return;
    throw new AppError('forbidden', 'Only an account may do this: a client may not.');
  }
  const hasRole = caller.kind === 'client' || caller.role === access.role;
  if (!hasRole) throw new AppError('forbidden', `This needs the role ${access.role}.`);
}

/** What a key may is in its scopes, and never more than its owner's role allows; nothing else lets one in. */
function assertMay(caller: Caller, permission: Permission | undefined): void {
  const isKey = caller.kind === 'api-key';
  if (permission === undefined) {
    if (isKey) throw new AppError('forbidden', 'No API key may do this.');
    return;
  }
  if (caller.permissions.includes(permission)) return;
  throw isKey
    ? new AppError('insufficient_scope', `This needs an API key with the scope ${permission}.`)
    : new AppError('forbidden', `This needs the permission ${permission}, which your role has not.`);
}
