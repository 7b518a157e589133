/** A stored client in the engine's terms, and the comparison of its secret. */
import { timingSafeEqual } from 'node:crypto';

import type { AdapterPayload, Client as EngineClient, Provider } from 'oidc-provider';

import { digest } from '../digest.ts';
import { SERVER_SCOPES } from '../scopes.ts';
import type { Client, ClientSecret } from '../storage/port.ts';
import { TOKEN_EXCHANGE } from './token-exchange.ts';

/** How a client may authenticate (OpenID Connect Core 9); secrets are never HMAC keys here. */
export const CLIENT_METHODS = [
  'client_secret_basic',
  'client_secret_post',
  'private_key_jwt',
  'none',
] as const;

/** What the engine keeps for us on its client object, beside RFC 7591's metadata. */
export const CLIENT_PROPERTIES = [
  ...['allowed_scopes', 'first_party', 'require_pkce', 'secrets', 'vpn_node'],
] as const;

/**
 * RFC 7591 metadata for the engine. It restricts `scope` to this server's own and takes an empty list for
 * "any", so a client without one of them gets the powerless `openid`; all are in `allowed_scopes`.
 * `client_secret` holds a digest: what authenticates is compared by `compareSecret`.
 */
export function toEngineClient(client: Client, now: number): AdapterPayload {
  if (client.keys?.some(({ expiresAt }) => expiresAt !== null) === true) return convert(client, now);
  let known = converted.get(client);
  if (known === undefined) converted.set(client, (known = withDigest(convert(client, now))));
  return known;
}

// A store that gives the same object for an unchanged record has it converted once. Not where a key comes to its end:
// then it is another one, without the record having changed.
const converted = new WeakMap<Client, AdapterPayload>();

/** The engine recognizes a client by what JSON makes of it, in every request: that is worked out once. */
function withDigest(payload: AdapterPayload): AdapterPayload {
  const known = digest(JSON.stringify(payload));
  return Object.defineProperty(payload, 'toJSON', { value: () => known });
}

function convert(client: Client, now: number): AdapterPayload {
  const { clientId, isVpnNode: isNode, metadata, scopes, secrets } = client;
  const own = scopes.filter((scope) => SERVER_SCOPES.some((known) => known === scope));
  const [newest] = secrets;
  return {
    ...metadata,
    client_id: clientId,
    scope: own.join(' ') || 'openid',
    allowed_scopes: scopes,
    ...(isNode && { vpn_node: true, grant_types: [...grantsOf(metadata), TOKEN_EXCHANGE] }),
    ...(isNode &&
      metadata['token_endpoint_auth_method'] === 'private_key_jwt' && { jwks: liveKeys(client, now) }),
    ...(newest !== undefined && { client_secret: newest.hash, secrets }),
  };
}

/** The keys that a VPN node registered by itself; none while it waits to be enrolled. */
const liveKeys = ({ keys = [] }: Client, now: number): { readonly keys: readonly object[] } => ({
  keys: keys
    .filter(({ expiresAt }) => expiresAt === null || expiresAt > now)
    .map(({ kid, jwk }) => ({ ...jwk, kid, use: 'sig' })),
});

/** As they were registered; that a VPN node may exchange is not a matter of its metadata. */
const grantsOf = ({ grant_types: grants }: Client['metadata']): readonly string[] =>
  Array.isArray(grants) ? (grants as readonly string[]) : []; // the registry writes them

/** Makes the engine compare digests: no client's secret is stored. Every living secret counts (rotation). */
export function compareSecretsByDigest(provider: Provider, now: () => number): void {
  provider.Client.prototype.compareClientSecret = function compareClientSecret(actual: string): boolean {
    const presented = Buffer.from(digest(actual));
    const secrets = this['secrets'] as readonly ClientSecret[]; // set by toEngineClient
    return secrets
      .filter(({ expiresAt }) => expiresAt === null || expiresAt > now())
      .map(({ hash }) => timingSafeEqual(Buffer.from(hash), presented))
      .includes(true);
  };
}

/** The scopes that an administrator gave the client, of this server and of all resource servers. */
export const allowedScopes = (client: EngineClient): readonly string[] =>
  client['allowed_scopes'] as readonly string[]; // set by toEngineClient

/** An administrator vouches for it: its people are not asked for their consent. */
export const isFirstParty = (client: EngineClient): boolean => client['first_party'] === true;

/** It gets VPN JWTs, for itself and for people who signed in at it. */
export const isVpnNode = (client: EngineClient): boolean => client['vpn_node'] === true;

/** PKCE is required of every client but a confidential one that an administrator excepted. */
export const requiresPkce = (client: EngineClient): boolean =>
  client['require_pkce'] !== false || isPublic(client);

/** A public client cannot keep a secret, so nothing proves that a request is its own. */
export const isPublic = (client: EngineClient): boolean => client.tokenEndpointAuthMethod === 'none';
