/**
 * Who calls the node, and whether they may: by a VPN JWT as bearer, or by the session of a browser. A session is no more
 * than a JWT that the node keeps for the browser, and it is verified anew at each request: it ends when the JWT does.
 */
import type { Context, Next } from 'koa';

import { createVpnMiddleware, GuardError, isGuardError } from '../../src/sdk/node/node.ts';
import type { Caller, TokenValidator } from '../../src/sdk/node/node.ts';
import { Problem } from '../protected-api/problem.ts';
import type { Browsers } from './browsers.ts';
import { readFields } from './fields.ts';
import type { LocalUser, Right, Users } from './users.ts';

export interface Operator {
  readonly caller: Caller;
  readonly user: LocalUser;
}

interface OperatorOptions {
  readonly validator: TokenValidator;
  readonly users: Users;
  readonly browsers: Browsers;
}

export interface Operators {
  /** Lets in whoever has that right; what it read of the body is `ctx.state.fields`. */
  may(right: Right): (ctx: Context, next: Next) => Promise<void>;
  /** Who has the session; null for nobody. */
  atBrowser(ctx: Context): Promise<Operator | null>;
}

export function createOperators({ validator, users, browsers }: OperatorOptions): Operators {
  const byBearer = createVpnMiddleware({ validator, syncUser: users.sync }).koa();

  const atBrowser = async (ctx: Context): Promise<Operator | null> => {
    const jwt = browsers.session(ctx);
    if (jwt === null) return null;
    try {
      const caller = await validator.verify(jwt);
      return { caller, user: users.sync(caller) };
    } catch (error) {
      if (!isGuardError(error) || error.status !== 401) throw error;
      browsers.closeSession(ctx);
      return null;
    }
  };

  return {
    atBrowser,
    may: (right) => async (ctx, next) => {
      const fields = await readFields(ctx);
      const onwards = async (user: LocalUser): Promise<void> => {
        assertMay(user, right);
        Object.assign(ctx.state, { fields });
        await next();
      };
      if (ctx.headers.authorization !== undefined || ctx.headers['x-api-key'] !== undefined) {
        // The cookie of a browser counts for nothing beside it.
        await byBearer(ctx, () => onwards(userOf(ctx)));
        return;
      }
      const operator = await atBrowser(ctx);
      if (operator === null)
        throw new GuardError('ERR_GUARD_TOKEN_MISSING', 'Sign in, or send a VPN JWT as bearer.');
      browsers.assertOwnForm(ctx, fields['csrf'] ?? ctx.headers['x-csrf-token']);
      await onwards(operator.user);
    },
  };
}

/** The middleware puts it there, and lets no node pass for a person. */
const userOf = (ctx: Context): LocalUser => (ctx.state as { readonly user: LocalUser }).user;

function assertMay({ acl, username }: LocalUser, right: Right): void {
  if (!acl.includes(right)) throw new Problem(403, `${username} lacks the right ${right} at this node.`);
}
