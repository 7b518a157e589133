/**
 * VPN JWTs as the engine's own access tokens: for a person who signs in at a VPN node that names the node's resource
 * (RFC 8707). The engine makes every check of the grant; what the token says is the VPN slice's alone, so that it is
 * the same as by the exchange.
 */
import { errors } from 'oidc-provider';
import type { Client as EngineClient, Configuration, KoaContextWithOIDC } from 'oidc-provider';

import type { Account, AccountStore, ResourceServer } from '../storage/port.ts';
import { isVpnNode } from './clients.ts';
import type { EndedMarks } from './ended-marks.ts';
import type { FindActiveAccount } from './people.ts';
import { translated } from './store-errors.ts';
import type { AccessTokenClaims } from './structured-tokens.ts';

type AccessToken = InstanceType<KoaContextWithOIDC['oidc']['provider']['AccessToken']>;
type JwtCustomizer = NonNullable<NonNullable<NonNullable<Configuration['formats']>['customizers']>['jwt']>;

/** What the VPN slice gives to the engine. */
export interface VpnTokens {
  /** Built in: it stands in no store. */
  readonly resourceServer: ResourceServer;
  /** What the JWT of a person at a node says. */
  readonly claimsOf: (clientId: string, account: Account) => PersonClaims;
  /** Reads the person, and gives all claims of the JWT that is issued to that node now. */
  readonly issue: (clientId: string, read: () => Promise<Account>) => Promise<PersonClaims>;
  /** Where the status lists are listed; null where there are none. */
  readonly statusLists: string | null;
  readonly onIssued: (event: {
    requestId: string;
    clientId: string;
    accountId: string;
    grantType: string;
    jti: string;
  }) => void;
  /** Whether the feed names it, by its person or its node. */
  readonly hasEnded: (claims: {
    readonly sub: string;
    readonly client_id: string;
    readonly iat: number;
  }) => Promise<boolean>;
  /** Tells the nodes that this one JWT ended; resolves when no crash loses that. */
  readonly end: (token: { readonly jti: string; readonly exp: number }) => Promise<void>;
}

interface PersonClaims {
  readonly jti: string;
  readonly role: string;
  readonly level: number;
}

/** Throws where the client, the grant or the scopes do not go with the resource of VPN nodes. */
export function assertVpnRequest(
  { oidc }: KoaContextWithOIDC,
  client: EngineClient,
  { scopes }: ResourceServer,
  isAuthorization: boolean,
): void {
  if (!isVpnNode(client)) throw new errors.InvalidTarget('it is the resource of VPN nodes alone');
  if (oidc.params?.['grant_type'] === 'client_credentials') {
    throw new errors.InvalidTarget(
      'a node gets its own VPN JWT at /vpn/auth, by an access token without a resource',
    );
  }
  const isNarrowed = isAuthorization || oidc.params?.['scope'] !== undefined;
  const missing = scopes.filter((scope) => !oidc.requestParamScopes.has(scope));
  if (isNarrowed && missing.length > 0) {
    throw new errors.InvalidScope('the resource of VPN nodes goes with this scope', missing.join(' '));
  }
}

/** The engine's hook just before it signs a JWT: puts the VPN slice's claims in the place of its own. */
export const createJwtCustomizer =
  ({ resourceServer, issue, onIssued }: VpnTokens, findAccount: FindActiveAccount): JwtCustomizer =>
  async (ctx, token, parts) => {
    if (token.resourceServer?.identifier() !== resourceServer.identifier) return;
    // No token of another kind is for this resource: see assertVpnRequest().
    const { clientId = '', accountId, grantId, gty } = token as AccessToken;
    // The engine has looked, but before the time at which the JWT is issued.
    const read = async (): Promise<Account> => {
      const account = await findAccount(accountId);
      const grant = await ctx.oidc.provider.Grant.find(grantId);
      if (account === null || grant === undefined) {
        throw new errors.InvalidGrant('the account was disabled, or signed out, meanwhile');
      }
      return account;
    };
    const claims = await translated(issue(clientId, read));
    parts.payload = { ...claims };
    const requestId = String(ctx.state['requestId']);
    onIssued({ requestId, clientId, accountId, grantType: gty, jti: claims.jti });
  };

interface LivePersonOptions {
  readonly vpn: VpnTokens;
  readonly accounts: Pick<AccountStore, 'findByUsername'>;
  readonly marks: Pick<EndedMarks, 'isBeforeEnd'>;
}

/**
 * Tells whether a VPN JWT of a person is as good as on its first day: the account may be used, its role is the same,
 * and it was not signed out everywhere since.
 */
export const createIsPersonLive =
  ({ vpn, accounts, marks }: LivePersonOptions) =>
  async ({ sub, client_id: clientId, iat, ...claims }: AccessTokenClaims): Promise<boolean> => {
    const account = await accounts.findByUsername(sub);
    if (account?.status !== 'active') return false;
    const { role, level } = vpn.claimsOf(clientId, account);
    if (claims['role'] !== role || claims['level'] !== level) return false;
    return !(await marks.isBeforeEnd({ accountId: account.id, at: iat }));
  };
