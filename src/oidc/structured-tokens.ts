/**
 * Introspection (RFC 7662) and revocation (RFC 7009) of JWT access tokens. The engine authenticates the client,
 * then refuses structured tokens; that refusal is taken here and answered. A revoked JWT is remembered by its
 * jti until it would have expired; what a person allowed is as good as the grant that it was issued under.
 */
import { createLocalJWKSet, decodeProtectedHeader, errors as joseErrors, jwtVerify } from 'jose';
import type { JSONWebKeySet, JWTPayload } from 'jose';
import type { Client as EngineClient, KoaContextWithOIDC } from 'oidc-provider';

import type { ArtifactStore } from '../storage/port.ts';
import { isVpnNode } from './clients.ts';
import { artifactId } from './digest.ts';
import type { CustomersOfEngine } from './customer-claims.ts';
import type { EngineMiddleware } from './engine-middleware.ts';
import type { FindActiveAccount } from './people.ts';
import { translatedBack } from './store-errors.ts';
import type { VpnTokens } from './vpn-tokens.ts';

const MODEL = 'RevokedJwt';
/** Names the grant of a person's JWT, which nobody else can tell anything by. */
export const GRANT_CLAIM = 'grant_id';
export const grantClaimOf = (grantId: string): string => artifactId('Grant', grantId);

const MAX_TOKEN_CHARACTERS = 16 * 1024;

interface LiveJwtOptions {
  readonly issuer: string;
  readonly jwks: JSONWebKeySet;
  readonly artifacts: ArtifactStore;
  readonly findClient: (clientId: string) => Promise<EngineClient | undefined>;
  readonly findAccount: FindActiveAccount;
  readonly vpn: {
    readonly audience: string;
    /** Whether the JWT of a person at a node still holds. */
    readonly isPersonLive: (claims: AccessTokenClaims) => Promise<boolean>;
    readonly hasEnded: VpnTokens['hasEnded'];
  };
  readonly now: () => number;
}

/** Claims that every access token of ours has (RFC 9068 2.2). */
export interface AccessTokenClaims extends JWTPayload {
  readonly jti: string;
  readonly exp: number;
  readonly iat: number;
  readonly client_id: string;
  readonly sub: string;
}

export type FindLiveJwt = (
  token: string,
  isWanted?: (claims: AccessTokenClaims) => boolean,
) => Promise<AccessTokenClaims | null>;

/** Finds the claims of a JWT of ours that is good now, and whose client and person are still there. */
export function createFindLiveJwt(options: LiveJwtOptions): FindLiveJwt {
  const verify = createVerifier(options);
  const { artifacts, findClient, vpn, now } = options;
  const isHeld = async (claims: AccessTokenClaims): Promise<boolean> =>
    claims.aud === vpn.audience ? vpn.isPersonLive(claims) : isGranted(claims, options);

  return async (token, isWanted = () => true) => {
    const claims = await verify(token);
    if (claims === null || !isWanted(claims)) return null;
    if ((await findClient(claims.client_id)) === undefined) return null;
    // A client is its own subject (RFC 9068 2.2); every other one is a person.
    const isOfPerson = claims.sub !== claims.client_id;
    if (isOfPerson && !(await isHeld(claims))) return null;
    if (claims.aud === vpn.audience && (await vpn.hasEnded(claims))) return null;
    return (await artifacts.find(MODEL, artifactId(MODEL, claims.jti), now())) === null ? claims : null;
  };
}

/** The person may be signed in, and what was allowed to the client was not ended: whatever ends that ends the grant. */
async function isGranted(claims: AccessTokenClaims, options: LiveJwtOptions): Promise<boolean> {
  const { artifacts, findAccount, now } = options;
  const { sub, client_id: clientId, [GRANT_CLAIM]: grantId } = claims;
  if (typeof grantId !== 'string') return false;
  if ((await translatedBack(findAccount(sub))) === null) return false;
  const grant = await artifacts.find('Grant', grantId, now());
  return grant?.payload['accountId'] === sub && grant.payload['clientId'] === clientId;
}

/** Wraps the engine's introspection and revocation endpoints. */
export function createStructuredTokens(
  findLive: FindLiveJwt,
  artifacts: Pick<ArtifactStore, 'upsert'>,
  vpn: Pick<VpnTokens, 'resourceServer' | 'end'>,
  findCustomerToken: CustomersOfEngine['findLiveToken'],
): EngineMiddleware {
  const { audience: vpnAudience } = vpn.resourceServer;
  const answer: EngineMiddleware = async (ctx, next) => {
    await next();
    if (!isRefusedAsStructured(ctx) || isSymmetric(String(ctx.oidc.params?.['token']))) return;
    const claims = await findLive(String(ctx.oidc.params?.['token']), (found) =>
      concerns(found, ctx.oidc.client, vpnAudience),
    );
    ctx.status = 200;
    if (ctx.path === '/introspect') {
      const found = claims ?? (await findOfCustomer(ctx));
      ctx.body = found === null ? { active: false } : { active: true, token_type: 'Bearer', ...found };
      return;
    }
    ctx.body = '';
    if (claims === null || claims.client_id !== ctx.oidc.client?.clientId) return;
    const { jti, exp, aud } = claims;
    if (aud === vpnAudience) await vpn.end({ jti, exp }); // first: asked again, a revoked one is not found any more
    await artifacts.upsert({ model: MODEL, id: artifactId(MODEL, jti), payload: {}, expiresAt: exp });
  };

  /** The token of a customer is for the gateway of its API alone, and nobody's to revoke here. */
  async function findOfCustomer({ oidc: { params, client } }: KoaContextWithOIDC): Promise<object | null> {
    const found = await findCustomerToken(String(params?.['token']));
    return found?.aud === client?.clientId ? found : null;
  }

  return async (ctx, next) => {
    await answer(ctx, next);
    // Koa calls an empty text text/plain, which a client that expects JSON or nothing cannot read.
    if (ctx.body === '') ctx.remove('Content-Type');
  };
}

const isRefusedAsStructured = ({ body }: KoaContextWithOIDC): boolean =>
  typeof body === 'object' && body !== null && 'error' in body && body.error === 'unsupported_token_type';

/**
 * A JWT by HS256 is checked by nobody but its resource server, this server never verifies one: it is left refused
 * as `unsupported_token_type` (RFC 7009 2.2.1), which is true, where `active: false` would not be.
 */
function isSymmetric(token: string): boolean {
  try {
    return decodeProtectedHeader(token).alg?.startsWith('HS') === true;
  } catch {
    return false;
  }
}

/**
 * Its own client, or the resource server that it is for, which introspects under its audience as client id. A VPN JWT
 * is for all nodes.
 */
function concerns(
  { client_id, aud }: AccessTokenClaims,
  client: EngineClient | undefined,
  vpnAudience: string,
): boolean {
  if (client === undefined) return false;
  const { clientId } = client;
  return client_id === clientId || aud === clientId || (aud === vpnAudience && isVpnNode(client));
}

function createVerifier({ issuer, jwks, now }: LiveJwtOptions) {
  const keys = createLocalJWKSet(jwks);
  return async (token: string): Promise<AccessTokenClaims | null> => {
    if (token.length > MAX_TOKEN_CHARACTERS) return null;
    try {
      const { payload } = await jwtVerify<AccessTokenClaims>(token, keys, {
        issuer,
        typ: 'at+jwt',
        algorithms: ['RS256', 'ES256', 'EdDSA'],
        requiredClaims: ['exp', 'iat', 'jti', 'aud', 'client_id', 'sub'],
        currentDate: new Date(now() * 1000),
      });
      return payload;
    } catch (error) {
      if (error instanceof joseErrors.JOSEError) return null;
      throw error;
    }
  };
}
