/** What a gateway asks, put together: the engine's tokens, the roles of accounts. A part of the composition root. */
import type { Route } from '../api/route.ts';
import { OWN_AUDIENCE } from '../accounts/registration.ts';
import { serverRoleOf } from '../accounts/server-role.ts';
import type { FindCustomer } from './customers.ts';
import type { RateLimits } from '../http/rate-limit.ts';
import { FIRST_PARTY_CLIENT } from '../names.ts';
import { roleAt } from '../oidc/people.ts';
import type { Engine } from '../oidc/provider.ts';
import type { Programs } from './programs.ts';
import type { Storage } from '../storage/port.ts';
import { createVerifyRoute } from '../verify/route.ts';
import { createVerify } from '../verify/verify.ts';

interface GatewayOptions extends Pick<Programs, 'findApiKey' | 'findServiceAccount'> {
  readonly limits: RateLimits;
  readonly findCustomer: FindCustomer;
  readonly storage: Pick<Storage, 'resourceServers'>;
  readonly engine: () => Engine;
}

/** The route for gateways. */
export function createGatewayRoute({
  storage: { resourceServers },
  engine,
  findApiKey,
  findServiceAccount,
  limits,
  findCustomer,
}: GatewayOptions): Route {
  return createVerifyRoute(
    createVerify({
      ownAudience: OWN_AUDIENCE,
      findToken: async (value) => {
        const token = await engine().findBearerToken(value);
        if (token === null) return findCustomer.byToken(value);
        const found = { ...token, customer: await findCustomer.of(token) };
        if (found.clientId === FIRST_PARTY_CLIENT) return { ...found, audience: OWN_AUDIENCE };
        // An opaque token that a client got for itself; a JWT is for its own audience, whoever calls.
        const isOfClient = found.account === null && found.audience === null;
        const account = isOfClient ? await findServiceAccount(found.clientId) : null;
        if (account === null) return found;
        // What was issued to a disabled account is refused, not taken for a client that acts for nobody.
        if (account.status !== 'active') return null;
        return { ...found, subject: account.id, account, audience: OWN_AUDIENCE };
      },
      findApiKey,
      roleAt: async (audience, account) => {
        if (audience === OWN_AUDIENCE) return serverRoleOf(account);
        const resourceServer = await resourceServers.findByAudience(audience);
        return resourceServer && (roleAt(resourceServer, account)?.role ?? null);
      },
    }),
    (ctx, { username, rateLimit }) => limits.limit(ctx, 'customer', username.toLowerCase(), rateLimit),
  );
}
