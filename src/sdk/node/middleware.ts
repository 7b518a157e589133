/**
 * The validator as middleware: takes the bearer, lets the node make or update its own user of that person, and puts both
 * on the request. It answers a refusal itself; every other failure it hands on.
 */
import { readCredential } from '../guard/credential.ts';
import type { Headers } from '../guard/credential.ts';
import { koaMiddleware, nodeMiddleware } from '../guard/middleware.ts';
import type { KoaMiddleware, NodeHeaders, NodeMiddleware } from '../guard/middleware.ts';
import { assertCaller, assertPossible } from './caller.ts';
import type { Caller, CallerRequirements } from './caller.ts';
import type { TokenValidator } from './token-validator.ts';

/** What the middleware puts on `ctx.state`, and on `req`. */
export interface Admitted<User> {
  readonly caller: Caller;
  /** What `syncUser` gave; null for a node that calls for itself. */
  readonly user: User | null;
}

export interface VpnMiddlewareOptions<User> {
  readonly validator: Pick<TokenValidator, 'verify'>;
  /**
   * Makes or updates the node's own user of a person, at each request: role, level and email are those of the token. A
   * GuardError that it throws is answered as one, everything else is the application's.
   */
  readonly syncUser: (person: Caller) => User | Promise<User>;
}

export interface VpnMiddleware<User> {
  /** Koa middleware. Throws a TypeError for requirements that cannot be meant. */
  koa(requirements?: CallerRequirements): KoaMiddleware;
  /** Middleware of the `(req, res, next)` form. Throws a TypeError for requirements that cannot be meant. */
  node(requirements?: CallerRequirements): NodeMiddleware<NodeHeaders & Partial<Admitted<User>>>;
}

/** Makes the middleware. */
export function createVpnMiddleware<User>({
  validator,
  syncUser,
}: VpnMiddlewareOptions<User>): VpnMiddleware<User> {
  const admitting = (requirements: CallerRequirements = {}) => {
    assertPossible(requirements);
    return async (headers: Headers): Promise<Admitted<User>> => {
      const caller = await validator.verify(readCredential(headers));
      assertCaller(caller, requirements);
      return { caller, user: caller.kind === 'node' ? null : await syncUser(caller) };
    };
  };
  return {
    koa: (requirements) => koaMiddleware(admitting(requirements), undefined),
    node: (requirements) => nodeMiddleware(admitting(requirements), undefined),
  };
}
