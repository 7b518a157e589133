/**
 * What a token may hold: the scopes that a client may ask for, the resource server that it is for, the role of a
 * person there, and whether a refresh token comes with it.
 */
import { errors } from 'oidc-provider';
import type { Client as EngineClient, Configuration, KoaContextWithOIDC } from 'oidc-provider';

import type { ResourceServerStore } from '../storage/port.ts';
import { allowedScopes, requiresPkce } from './clients.ts';
import { customerClaims } from './customer-claims.ts';
import type { CustomersOfEngine } from './customer-claims.ts';
import { roleAt } from './people.ts';
import type { FindActiveAccount } from './people.ts';
import { GRANT_CLAIM, grantClaimOf } from './structured-tokens.ts';
import { toEngineResource } from './resources.ts';
import type { OpenSecret } from './resources.ts';
import { translated } from './store-errors.ts';
import { assertVpnRequest } from './vpn-tokens.ts';
import type { VpnTokens } from './vpn-tokens.ts';

export interface TokenPolicyOptions {
  readonly resourceServers: ResourceServerStore;
  readonly openSecret: OpenSecret;
  /** Audiences that no resource server may have, such as that of VPN JWTs. */
  readonly isReservedAudience: (audience: string) => boolean;
  readonly vpn: VpnTokens;
  readonly customers: CustomersOfEngine;
}

type Features = NonNullable<Configuration['features']>;
type ResourceIndicators = NonNullable<Features['resourceIndicators']>;
type ExtraTokenClaims = NonNullable<Configuration['extraTokenClaims']>;

const AUTHORIZATION_ROUTES = new Set(['authorization', 'device_authorization']);

/** How an answer may travel (OAuth 2.0 Multiple Response Types, Form Post): never in a fragment. */
export const RESPONSE_MODES: readonly string[] = ['query', 'form_post'];

/** RFC 8707: what the engine asks of us about resource servers. */
export function resourceIndicators(options: TokenPolicyOptions): ResourceIndicators {
  return {
    enabled: true,
    defaultResource: async (ctx, client, oneOf) => {
      assertRequest(ctx, client);
      // Of several the engine refuses to choose: it is the client that names one at the token endpoint.
      return oneOf;
    },
    getResourceServerInfo: async (ctx, identifier, client) => {
      assertRequest(ctx, client);
      return findResource(ctx, identifier, client, options);
    },
    // At a node nothing else is of use: who asks for its resource need not name it again to redeem the code.
    useGrantedResource: async (_ctx, { resource }) => isVpnAlone(resource, options),
  };
}

const isVpnAlone = (resource: unknown, { vpn }: TokenPolicyOptions): boolean =>
  resource === vpn.resourceServer.identifier ||
  (Array.isArray(resource) && resource.length === 1 && resource[0] === vpn.resourceServer.identifier);

async function findResource(
  ctx: KoaContextWithOIDC,
  identifier: string,
  client: EngineClient,
  options: TokenPolicyOptions,
) {
  const { resourceServers, isReservedAudience, openSecret, vpn } = options;
  if (identifier === vpn.resourceServer.identifier) {
    assertVpnRequest(ctx, client, vpn.resourceServer, AUTHORIZATION_ROUTES.has(ctx.oidc.route));
    return toEngineResource(vpn.resourceServer, allowedScopes(client), openSecret);
  }
  const found = await translated(resourceServers.find(identifier));
  if (found === null) throw new errors.InvalidTarget('no such resource server is declared here');
  if (isReservedAudience(found.audience)) {
    throw new errors.InvalidTarget('its audience is one of this server’s own');
  }
  return toEngineResource(found, allowedScopes(client), openSecret);
}

/**
 * The engine drops a scope that it does not know without a word. A client that mistyped one, or was never given
 * it, is told so (RFC 6749 4.1.2.1) in the place of a token that can do less than it thinks.
 */
function assertRequest({ oidc }: KoaContextWithOIDC, client: EngineClient): void {
  if (!AUTHORIZATION_ROUTES.has(oidc.route)) return;
  if (oidc.responseMode !== undefined && !RESPONSE_MODES.includes(oidc.responseMode)) {
    throw new errors.UnsupportedResponseMode();
  }
  const refused = [...oidc.requestParamScopes].filter((scope) => !allowedScopes(client).includes(scope));
  if (refused.length > 0) throw new errors.InvalidScope('requested scope is not allowed', refused.join(' '));
}

/** The hook that runs once a token's scopes are known. */
export function createExtraTokenClaims(
  { resourceServers, vpn, customers }: Pick<TokenPolicyOptions, 'resourceServers' | 'vpn' | 'customers'>,
  findAccount: FindActiveAccount,
): ExtraTokenClaims {
  return async (ctx, token) => {
    if (token.kind === 'ClientCredentials') {
      refuseUngrantedScopes(ctx, token);
      return customerClaims(token, () => customers.claimsOfClient(token.clientId ?? ''));
    }
    const { resourceServer } = token;
    if (!('accountId' in token)) return undefined;
    const { accountId } = token;
    const ofCustomer = await customerClaims(token, async () => {
      const holder = await findAccount(accountId);
      return holder && customers.claimsOfAccount(holder.username);
    });
    if (resourceServer === undefined) return ofCustomer;
    // All of its claims are the VPN slice's: see `vpn-tokens.ts`.
    if (resourceServer.identifier() === vpn.resourceServer.identifier) return undefined;
    const ofGrant = { [GRANT_CLAIM]: grantClaimOf(token.grantId) };
    const found = await translated(resourceServers.find(resourceServer.identifier()));
    const account = await findAccount(accountId);
    return { ...ofCustomer, ...ofGrant, ...(found !== null && account !== null && roleAt(found, account)) };
  };
}

function refuseUngrantedScopes(
  ctx: KoaContextWithOIDC,
  token: { readonly scopes: ReadonlySet<string> },
): void {
  const scope: unknown = ctx.oidc.body?.['scope'];
  const requested = typeof scope === 'string' ? scope.split(' ') : [];
  const { client } = ctx.oidc;
  const allowed = client === undefined ? [] : allowedScopes(client);
  const isGranted = (asked: string): boolean => token.scopes.has(asked) && allowed.includes(asked);
  const refused = requested.filter((asked) => asked !== '' && !isGranted(asked));
  if (refused.length > 0) throw new errors.InvalidScope('requested scope is not allowed', refused.join(' '));
}

/** PKCE, or the nonce that a client without it has to send (RFC 9700 2.1.1). Asked where there is no challenge. */
export function isPkceRequired({ oidc }: KoaContextWithOIDC, client: EngineClient): boolean {
  if (requiresPkce(client)) return true;
  if (oidc.params?.['nonce'] === undefined) {
    throw new errors.InvalidRequest('this client sends a nonce, or a code_challenge with S256');
  }
  return false;
}

/** A client that has the grant gets one; without offline_access it ends with the session. */
export const issuesRefreshToken: NonNullable<Configuration['issueRefreshToken']> = async (_ctx, client) =>
  client.grantTypeAllowed('refresh_token');

export type RotatesRefreshToken = Exclude<NonNullable<Configuration['rotateRefreshToken']>, boolean>;

/**
 * Always true: a refresh token is used once. The engine asks just before it uses up the one that was presented, so
 * what would fail after that point is found out here, while the client still has a good token.
 */
export const rotatesRefreshToken =
  (options: TokenPolicyOptions): RotatesRefreshToken =>
  async (ctx) => {
    const { client, refreshToken, params } = ctx.oidc;
    const granted = refreshToken?.resource;
    const resource = params?.['resource'] ?? (isVpnAlone(granted, options) ? granted : []);
    for (const asked of Array.isArray(resource) ? resource : [resource]) {
      if (typeof asked !== 'string' || refreshToken?.resourceIndicators.has(asked) !== true) {
        throw new errors.InvalidTarget();
      }
      if (client !== undefined) await findResource(ctx, asked, client, options);
    }
    if (Array.isArray(resource) && resource.length > 1) {
      throw new errors.InvalidTarget('only a single resource indicator value can be asked for');
    }
    return true;
  };
