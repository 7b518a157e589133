/** Resource servers (RFC 8707): what a token for one of them looks like, and who may ask for it. */
import { errors } from 'oidc-provider';
import type { ResourceServer as EngineResourceServer } from 'oidc-provider';

import type { ResourceServer } from '../storage/port.ts';
import { CUSTOMER_SCOPE } from './customer-claims.ts';

/** Opens a sealed HS256 secret. */
export type OpenSecret = (sealed: string, identifier: string) => string;

/**
 * The engine's description of a resource server for one client: an RFC 9068 JWT with at most the scopes that
 * the client was registered for. Throws `invalid_target` for a client that has none of them.
 */
export function toEngineResource(
  server: ResourceServer,
  clientScopes: readonly string[],
  openSecret: OpenSecret,
): EngineResourceServer {
  const scopes = server.scopes.filter((scope) => clientScopes.includes(scope));
  if (scopes.length === 0 && server.scopes.length > 0) {
    throw new errors.InvalidTarget("the client is registered for none of this resource server's scopes");
  }
  return {
    // What its gateway needs to know of a customer goes with the token of any API.
    scope: [...scopes, ...clientScopes.filter((scope) => scope === CUSTOMER_SCOPE)].join(' '),
    audience: server.audience,
    accessTokenTTL: server.accessTokenLifetime,
    accessTokenFormat: 'jwt',
    jwt: { sign: signing(server, openSecret) },
  };
}

type Signing = NonNullable<NonNullable<EngineResourceServer['jwt']>['sign']>;

function signing({ identifier, signingAlg, sealedSecret }: ResourceServer, openSecret: OpenSecret): Signing {
  if (signingAlg !== 'HS256') return { alg: signingAlg as 'RS256' }; // checked when the resource server was saved
  if (sealedSecret === null) throw new Error(`resource server ${identifier} has no secret for HS256`);
  return { alg: 'HS256', key: Buffer.from(openSecret(sealedSecret, identifier)) };
}
