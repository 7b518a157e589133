/** A stored client in the engine's terms, and the comparison of its secret. */
import { timingSafeEqual } from 'node:crypto';

import type { AdapterPayload, Client as EngineClient, Provider } from 'oidc-provider';

import type { Client, ClientSecret } from '../storage/port.ts';
import { digest } from './digest.ts';

/** Scopes of this server itself; those of an API are declared with its resource server. */
export const SERVER_SCOPES = [
  'openid',
  'profile',
  'email',
  'phone',
  'address',
  'offline_access',
  'read',
  'admin',
] as const;

/** How a client may authenticate (OpenID Connect Core 9); secrets are never HMAC keys here. */
export const CLIENT_METHODS = [
  'client_secret_basic',
  'client_secret_post',
  'private_key_jwt',
  'none',
] as const;

/** What the engine keeps for us on its client object, beside RFC 7591's metadata. */
export const CLIENT_PROPERTIES = ['allowed_scopes', 'first_party', 'require_pkce', 'secrets'] as const;

/**
 * RFC 7591 metadata for the engine. It restricts `scope` to this server's own and takes an empty list for
 * "any", so a client without one of them gets the powerless `openid`; all are in `allowed_scopes`.
 * `client_secret` holds a digest: what authenticates is compared by `compareSecret`.
 */
export function toEngineClient(client: Client): AdapterPayload {
  let known = converted.get(client);
  if (known === undefined) converted.set(client, (known = convert(client)));
  return known;
}

// A store that gives the same object for an unchanged record has it converted once.
const converted = new WeakMap<Client, AdapterPayload>();

function convert(client: Client): AdapterPayload {
  const { clientId, metadata, scopes, secrets } = client;
  const own = scopes.filter((scope) => SERVER_SCOPES.some((known) => known === scope));
  const [newest] = secrets;
  return {
    ...metadata,
    client_id: clientId,
    scope: own.join(' ') || 'openid',
    allowed_scopes: scopes,
    ...(newest !== undefined && { client_secret: newest.hash, secrets }),
  };
}

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

/** PKCE is required of every client but a confidential one that an administrator excepted. */
export const requiresPkce = (client: EngineClient): boolean =>
  client['require_pkce'] !== false || isPublic(client);

/** A public client cannot keep a secret, so nothing proves that a request is its own. */
export const isPublic = (client: EngineClient): boolean => client.tokenEndpointAuthMethod === 'none';
