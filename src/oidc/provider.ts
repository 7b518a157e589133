/**
 * The protocol engine: oidc-provider configured for Portcullis. This folder alone imports it. What the engine
 * does is configured here, never written again; its keys are fixed at construction, so a changed key ring
 * makes a new engine.
 */
import type { JSONWebKeySet, JWK } from 'jose';
import { errors, Provider } from 'oidc-provider';
import type { Client as EngineClient, Configuration, KoaContextWithOIDC } from 'oidc-provider';

import type { ArtifactStore, ClientStore, ResourceServerStore } from '../storage/port.ts';
import { createAdapterFactory } from './adapter.ts';
import {
  allowedScopes,
  CLIENT_METHODS,
  CLIENT_PROPERTIES,
  compareSecretsByDigest,
  SERVER_SCOPES,
} from './clients.ts';
import { restrictDiscovery } from './discovery.ts';
import { createDocumentCache } from './documents.ts';
import type { EngineMiddleware } from './engine-middleware.ts';
import { createEventBridge } from './event-bridge.ts';
import type { EngineEvents } from './event-bridge.ts';
import { toEngineResource } from './resources.ts';
import type { OpenSecret } from './resources.ts';
import { translated, translatedBack } from './store-errors.ts';
import { createStructuredTokens } from './structured-tokens.ts';

export interface EngineOptions {
  readonly issuer: string;
  /** Private JWKs, the signer of each algorithm first. */
  readonly jwks: readonly JWK[];
  readonly artifacts: ArtifactStore;
  readonly clients: ClientStore;
  readonly resourceServers: ResourceServerStore;
  readonly openSecret: OpenSecret;
  /** Audiences that no resource server may have, such as that of VPN JWTs. */
  readonly isReservedAudience: (audience: string) => boolean;
  /** Of opaque access tokens, in seconds; a resource server has its own. */
  readonly accessTokenLifetimeSeconds: number;
  readonly renderError: NonNullable<Configuration['renderError']>;
  readonly events: EngineEvents;
  /** Development only: refusals say in the answer what is otherwise in the log alone. */
  readonly showDetail: boolean;
  readonly now: () => number;
}

/** A live access token that a client got for itself. */
export interface ClientToken {
  readonly clientId: string;
  readonly scopes: readonly string[];
}

export interface Engine {
  /** Answers the canonical protocol paths. */
  readonly handle: EngineMiddleware;
  /** Finds a live client_credentials access token; null for any other value. */
  findClientToken(value: string): Promise<ClientToken | null>;
}

// RFC 7523bis, FAPI 2: an assertion that lives longer than this is a password in disguise.
const MAX_ASSERTION_SECONDS = 5 * 60;
// FAPI 2 asks to bear with clocks that are 10 s ahead and to refuse 60 s.
const MAX_SKEW_SECONDS = 59;

/** Builds the engine for one key ring. */
export function createEngine(options: EngineOptions): Engine {
  const { issuer, jwks, artifacts, events, showDetail, now } = options;
  const provider = new Provider(issuer, configuration(options));
  compareSecretsByDigest(provider, now);
  createEventBridge(provider, events, showDetail);

  const [run] = provider.middleware;
  if (run === undefined) throw new Error('the protocol engine has no middleware');
  // The engine makes the plain Koa context its own: it defines `ctx.oidc` on it.
  const engine = run as unknown as EngineMiddleware;
  const structuredTokens = createStructuredTokens({
    issuer,
    jwks: publicJwks(jwks),
    artifacts,
    findClient: (clientId) => translatedBack(provider.Client.find(clientId)),
    now,
  });

  const documents = createDocumentCache();

  return {
    handle: (ctx, next) => {
      if (ctx.path === '/jwks') return documents(ctx, () => engine(ctx, next));
      if (ctx.path.startsWith('/.well-known/')) {
        return documents(ctx, () => restrictDiscovery(ctx, () => engine(ctx, next)));
      }
      if (ctx.path === '/introspect' || ctx.path === '/revoke') {
        return structuredTokens(ctx, () => engine(ctx, next));
      }
      return engine(ctx, next);
    },
    findClientToken: (value) => translatedBack(findClientToken(provider, value)),
  };
}

async function findClientToken(provider: Provider, value: string): Promise<ClientToken | null> {
  const token = await provider.ClientCredentials.find(value);
  if (token?.isValid !== true || token.clientId === undefined) return null;
  return { clientId: token.clientId, scopes: [...token.scopes] };
}

function configuration(options: EngineOptions): Configuration {
  const { jwks, accessTokenLifetimeSeconds, renderError } = options;
  return {
    adapter: createAdapterFactory(options),
    jwks: { keys: [...jwks] }, // private JWKs by jose, in the engine's type
    routes: { authorization: '/authorize', introspection: '/introspect', revocation: '/revoke' },
    scopes: [...SERVER_SCOPES],
    responseTypes: ['code'],
    clientAuthMethods: [...CLIENT_METHODS],
    enabledJWA: {
      clientAuthSigningAlgValues: ['RS256', 'PS256', 'ES256', 'EdDSA'],
      idTokenSigningAlgValues: ['RS256', 'ES256', 'EdDSA'],
    },
    assertJwtClientAuthClaimsAndHeader: (_ctx, claims) => assertClientAssertion(claims, options),
    extraTokenClaims: refuseUngrantedScopes,
    extraClientMetadata: { properties: [...CLIENT_PROPERTIES] },
    pkce: { required: () => true },
    allowOmittingSingleRegisteredRedirectUri: false,
    // Origins are decided before the engine (http/cors.ts); it must not decide again.
    clientBasedCORS: () => true,
    rotateRefreshToken: true,
    ttl: {
      ClientCredentials: (_ctx, token) => token.resourceServer?.accessTokenTTL ?? accessTokenLifetimeSeconds,
    },
    fetch: async () => {
      throw new Error('outgoing requests are not allowed');
    },
    renderError,
    features: features(options),
  };
}

function features({
  resourceServers,
  openSecret,
  isReservedAudience,
}: EngineOptions): NonNullable<Configuration['features']> {
  return {
    clientCredentials: { enabled: true },
    devInteractions: { enabled: false },
    dPoP: { enabled: false },
    introspection: {
      enabled: true,
      // Opaque tokens have no audience: only their own client may ask (a resource server's tokens are JWTs).
      allowedPolicy: isOwnToken,
    },
    pushedAuthorizationRequests: { enabled: false },
    resourceIndicators: {
      enabled: true,
      getResourceServerInfo: async (_ctx, identifier, client) => {
        const found = await translated(resourceServers.find(identifier));
        if (found === null) throw new errors.InvalidTarget('no such resource server is declared here');
        if (isReservedAudience(found.audience)) {
          throw new errors.InvalidTarget('its audience is one of this server’s own');
        }
        return toEngineResource(found, allowedScopes(client), openSecret);
      },
    },
    revocation: { enabled: true, allowedPolicy: isOwnToken },
    rpInitiatedLogout: { enabled: false },
    userinfo: { enabled: false },
  };
}

async function isOwnToken(
  _ctx: unknown,
  client: EngineClient,
  token: { clientId?: string | undefined },
): Promise<boolean> {
  return token.clientId === client.clientId;
}

/**
 * The engine drops a scope that it does not know without a word. A client that mistyped one, or was never given
 * it, is told so (RFC 6749 5.2) in the place of a token that can do less than it thinks.
 */
function refuseUngrantedScopes(
  ctx: KoaContextWithOIDC,
  token: { readonly scopes: ReadonlySet<string> },
): undefined {
  const scope: unknown = ctx.oidc.body?.['scope'];
  const requested = typeof scope === 'string' ? scope.split(' ') : [];
  const { client } = ctx.oidc;
  const allowed = client === undefined ? [] : allowedScopes(client);
  const isGranted = (scope: string): boolean => token.scopes.has(scope) && allowed.includes(scope);
  const refused = requested.filter((scope) => scope !== '' && !isGranted(scope));
  if (refused.length > 0) throw new errors.InvalidScope('requested scope is not allowed', refused.join(' '));
}

/** RFC 7523bis 4: the audience is the issuer, alone and as a string, and the assertion is short-lived. */
function assertClientAssertion(
  claims: Readonly<Record<string, unknown>>,
  { issuer, now }: EngineOptions,
): void {
  if (claims['aud'] !== issuer) throw new errors.InvalidClientAuth('aud must be the issuer, as a string');
  if (claims['iat'] !== undefined && Number(claims['iat']) > now() + MAX_SKEW_SECONDS) {
    throw new errors.InvalidClientAuth('iat lies in the future');
  }
  if (Number(claims['exp']) > now() + MAX_ASSERTION_SECONDS) {
    throw new errors.InvalidClientAuth(`exp must be at most ${MAX_ASSERTION_SECONDS} s ahead`);
  }
}

const PUBLIC_MEMBERS = ['kty', 'kid', 'alg', 'use', 'crv', 'n', 'e', 'x', 'y'] as const;

/** The public half: an allow-list, so that no private member can slip through. */
function publicJwks(jwks: readonly JWK[]): JSONWebKeySet {
  return {
    keys: jwks.map((jwk) => ({
      kty: jwk.kty ?? '',
      ...Object.fromEntries(
        PUBLIC_MEMBERS.flatMap((name) => (jwk[name] === undefined ? [] : [[name, jwk[name]]])),
      ),
    })),
  };
}
