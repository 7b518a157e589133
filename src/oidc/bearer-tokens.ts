/**
 * Finds what an access token of this server stands for, whatever its kind: a JWT of a resource server, a token of the
 * JSON API, or an opaque one of a client. It is for who lets requests in by it; what ended is not found.
 */
import type { Provider } from 'oidc-provider';

import { FIRST_PARTY_CLIENT } from '../names.ts';
import type { Account, ResourceServerStore } from '../storage/port.ts';
import type { FindActiveAccount } from './people.ts';
import { translated } from './store-errors.ts';
import type { AccessTokenClaims } from './structured-tokens.ts';

export interface BearerToken {
  /** The account's id; of a client that calls for itself, its client id. */
  readonly subject: string;
  readonly clientId: string;
  readonly scopes: readonly string[];
  /** Null for an opaque token: it was made for this server alone. */
  readonly audience: string | null;
  /** Null where a client calls for itself. */
  readonly account: Account | null;
}

interface BearerTokenOptions {
  readonly provider: Provider;
  readonly findLiveJwt: (token: string) => Promise<AccessTokenClaims | null>;
  readonly resourceServers: Pick<ResourceServerStore, 'findByAudience'>;
  readonly findAccount: FindActiveAccount;
  readonly vpnAudience: string;
}

export type FindBearerToken = (value: string) => Promise<BearerToken | null>;

/** Gives null for whatever is no live access token. */
export function createFindBearerToken(options: BearerTokenOptions): FindBearerToken {
  return async (value) => {
    if (value.includes('.')) return findJwt(value, options);
    return (await findOfPerson(value, options)) ?? findOfClient(value, options);
  };
}

/** A JWT of no declared resource server is a VPN JWT, or one of an API that is no more: neither is a bearer here. */
async function findJwt(
  value: string,
  { findLiveJwt, resourceServers, findAccount, vpnAudience }: BearerTokenOptions,
): Promise<BearerToken | null> {
  const claims = await findLiveJwt(value);
  if (claims === null || typeof claims.aud !== 'string' || claims.aud === vpnAudience) return null;
  if ((await translated(resourceServers.findByAudience(claims.aud))) === null) return null;
  const { sub: subject, client_id: clientId, aud: audience, scope } = claims;
  const scopes = typeof scope === 'string' ? scope.split(' ') : [];
  const account = subject === clientId ? null : await findAccount(subject);
  return { subject, clientId, scopes, audience, account };
}

/** The engine looks for the session of a token that ends with it; its grant and account are for us to see. */
async function findOfPerson(
  value: string,
  { provider, findAccount }: BearerTokenOptions,
): Promise<BearerToken | null> {
  const token = await provider.AccessToken.find(value);
  if (token?.isValid !== true) return null;
  const { accountId, clientId, grantId } = token;
  const grant = await provider.Grant.find(grantId);
  if (clientId === undefined || grant?.accountId !== accountId || grant.clientId !== clientId) return null;
  // The client of the JSON API stands in no store.
  if (clientId !== FIRST_PARTY_CLIENT && (await provider.Client.find(clientId)) === undefined) return null;
  const account = await findAccount(accountId);
  if (account === null) return null;
  return { subject: accountId, clientId, scopes: [...token.scopes], audience: null, account };
}

async function findOfClient(value: string, { provider }: BearerTokenOptions): Promise<BearerToken | null> {
  const token = await provider.ClientCredentials.find(value);
  if (token?.isValid !== true || token.clientId === undefined) return null;
  const { clientId, scopes } = token;
  if ((await provider.Client.find(clientId)) === undefined) return null;
  return { subject: clientId, clientId, scopes: [...scopes], audience: null, account: null };
}
