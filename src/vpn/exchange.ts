/**
 * The exchange: a VPN node's own access token for the VPN JWT (RFC 9068) that other nodes check by our JWKS.
 * Nothing that the node sends decides a claim; all come from what is stored of it and from the settings.
 */
import { randomUUID } from 'node:crypto';

import { AppError } from '../errors.ts';
import type { ClientStore, CounterStore } from '../storage/port.ts';

const SCOPE = 'read';
const NODE_ROLE = 'node';
/** RFC 8693 3: what was issued is an access token in the form of a JWT. */
const ISSUED_TOKEN_TYPE = 'urn:ietf:params:oauth:token-type:access_token';
const RATE_WINDOW_SECONDS = 60;

/** Claims of a VPN JWT for the node itself. */
export interface VpnClaims {
  readonly iss: string;
  readonly aud: string;
  readonly sub: string;
  readonly client_id: string;
  readonly jti: string;
  readonly iat: number;
  readonly exp: number;
  readonly scope: string;
  readonly username: string;
  readonly role: string;
  readonly level: number;
}

export interface VpnTokenAnswer {
  readonly access_token: string;
  readonly token_type: 'Bearer';
  readonly expires_in: number;
  readonly scope: string;
  readonly issued_token_type: string;
}

export interface VpnExchangeOptions {
  readonly issuer: string;
  readonly audience: string;
  readonly lifetimeSeconds: number;
  /** Exchanges a minute that one node may do; null: as many as it likes. */
  readonly maxPerMinute: number | null;
  readonly clients: Pick<ClientStore, 'find'>;
  readonly counters: Pick<CounterStore, 'hit'>;
  readonly findClientToken: (
    value: string,
  ) => Promise<{ clientId: string; scopes: readonly string[] } | null>;
  /** Signs an RFC 9068 JWT by RS256. */
  readonly sign: (claims: VpnClaims) => Promise<string>;
  readonly events: {
    vpnTokenIssued(event: { requestId: string; clientId: string; jti: string }): void;
    vpnTokenRefused(event: {
      requestId: string;
      ip: string;
      clientId: string | undefined;
      reason: string;
    }): void;
  };
  readonly now: () => number;
}

export interface VpnExchangeRequest {
  readonly requestId: string;
  readonly ip: string;
  readonly bearer: string;
}

/** Makes the exchange. It throws `invalid_token`, `insufficient_scope`, `unauthorized_client`, `too_many_requests`. */
export function createVpnExchange(options: VpnExchangeOptions) {
  const { events, sign, lifetimeSeconds } = options;

  return async ({ requestId, ip, bearer }: VpnExchangeRequest): Promise<VpnTokenAnswer> => {
    let clientId: string | undefined;
    try {
      const token = await getToken(bearer, options);
      clientId = token.clientId;
      await assertNode(clientId, options);
      assertScope(token.scopes);
      await assertRate(clientId, options);
    } catch (error) {
      if (error instanceof AppError && error.status < 500) {
        events.vpnTokenRefused({ requestId, ip, clientId, reason: error.code });
      }
      throw error;
    }
    const claims = nodeClaims(clientId, options);
    const access_token = await sign(claims);
    events.vpnTokenIssued({ requestId, clientId, jti: claims.jti });
    return {
      access_token,
      token_type: 'Bearer',
      expires_in: lifetimeSeconds,
      scope: SCOPE,
      issued_token_type: ISSUED_TOKEN_TYPE,
    };
  };
}

async function getToken(bearer: string, { findClientToken }: VpnExchangeOptions) {
  const token = await findClientToken(bearer);
  if (token !== null) return token;
  throw new AppError(
    'invalid_token',
    'The access token is unknown, expired or revoked: get a new one by client_credentials and try again.',
  );
}

async function assertNode(clientId: string, { clients }: VpnExchangeOptions): Promise<void> {
  const client = await clients.find(clientId);
  if (client === null) throw new AppError('invalid_token', 'The client of this access token was deleted.');
  if (client.isVpnNode) return;
  throw new AppError(
    'unauthorized_client',
    'This client is no VPN node: an administrator registers one by portcullis vpn-nodes create.',
  );
}

function assertScope(scopes: readonly string[]): void {
  if (scopes.includes(SCOPE)) return;
  throw new AppError('insufficient_scope', `Ask for the access token with scope=${SCOPE}.`);
}

async function assertRate(
  clientId: string,
  { counters, maxPerMinute, now }: VpnExchangeOptions,
): Promise<void> {
  if (maxPerMinute === null) return;
  const { count, resetsAt } = await counters.hit(`vpn:${clientId}`, RATE_WINDOW_SECONDS, now());
  if (count <= maxPerMinute) return;
  throw new AppError(
    'too_many_requests',
    `This node exchanged ${maxPerMinute} tokens within a minute: keep the JWT until shortly before it expires.`,
    { retryAfterSeconds: Math.max(1, resetsAt - now()) },
  );
}

function nodeClaims(
  clientId: string,
  { issuer, audience, lifetimeSeconds, now }: VpnExchangeOptions,
): VpnClaims {
  const iat = now();
  return {
    iss: issuer,
    aud: audience,
    sub: clientId,
    client_id: clientId,
    jti: randomUUID(),
    iat,
    exp: iat + lifetimeSeconds,
    scope: SCOPE,
    username: clientId,
    role: NODE_ROLE,
    level: 0,
  };
}
