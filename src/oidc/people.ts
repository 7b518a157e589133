/**
 * People in the engine's terms: what a token or userinfo may say of an account, and its role at a resource server.
 * A disabled account is not found, so that whatever asks for it, at whatever door, is refused.
 */
import type { Account as EngineAccount, Configuration, KoaContextWithOIDC } from 'oidc-provider';

import type { Account, AccountStore, ResourceServer } from '../storage/port.ts';
import { isVpnNode } from './clients.ts';
import { CUSTOMER_CLAIMS, CUSTOMER_SCOPE, customerClaims } from './customer-claims.ts';
import type { CustomersOfEngine } from './customer-claims.ts';
import type { EndedMarks } from './ended-marks.ts';
import { GRANT_CLAIM, grantClaimOf } from './structured-tokens.ts';
import { translated } from './store-errors.ts';

/** OpenID Connect Core 5.4: the claims that each scope asks for. How somebody signed in, every ID token tells. */
export const CLAIMS_BY_SCOPE: Readonly<Record<string, readonly string[]>> = {
  openid: ['sub', 'acr', 'amr', 'auth_time', GRANT_CLAIM, ...CUSTOMER_CLAIMS],
  profile: ['name', 'preferred_username', 'updated_at'],
  email: ['email', 'email_verified'],
  phone: ['phone_number', 'phone_number_verified'],
  address: ['address'],
  // With `openid`, too: an ID token beside an access token is filled by that scope alone. Who has not this scope has none.
  [CUSTOMER_SCOPE]: CUSTOMER_CLAIMS,
};

/** How a person signed in, by password; essential `acr` values other than these are refused at once. */
export const ACR_PASSWORD = '1';
export const ACR_VALUES: readonly string[] = [ACR_PASSWORD];

export type FindActiveAccount = (accountId: string) => Promise<Account | null>;

/** Finds an account that may be used now. */
export const createFindActiveAccount =
  (accounts: Pick<AccountStore, 'find'>): FindActiveAccount =>
  async (accountId) => {
    const account = await translated(accounts.find(accountId));
    return account?.status === 'active' ? account : null;
  };

/**
 * The engine's hook. A code or refresh token of a sign-in that was ended has no account: one that was made while the
 * account's were revoked outlived that.
 */
export const createFindAccount =
  (
    find: FindActiveAccount,
    marks: Pick<EndedMarks, 'isBeforeEnd'>,
    customers: Pick<CustomersOfEngine, 'claimsOfAccount'>,
  ): NonNullable<Configuration['findAccount']> =>
  async (ctx, accountId, token) => {
    if (token !== undefined && 'authTime' in token && token.authTime !== undefined) {
      const { authTime: at, sessionUid } = token;
      if (await translated(marks.isBeforeEnd({ accountId, at, sessionUid }))) return undefined;
    }
    const account = await find(accountId);
    if (account === null) return undefined;
    return toEngineAccount(account, {
      ofIdToken: grantClaim(ctx, token),
      ofCustomer: async () =>
        (await customerClaims(token, () => customers.claimsOfAccount(account.username))) ?? {},
    });
  };

/** An ID token for a VPN node names its grant: the node may present it, and what was allowed has to last till then. */
function grantClaim({ oidc: { client } }: KoaContextWithOIDC, token: object | undefined): object {
  if (client === undefined || !isVpnNode(client) || token === undefined) return {};
  return 'grantId' in token && typeof token.grantId === 'string'
    ? { [GRANT_CLAIM]: grantClaimOf(token.grantId) }
    : {};
}

/** A claim without a value is left out (Core 5.3.2). Nobody checks the number, so it is never verified. */
function contactClaims({ contact }: Account): Record<string, unknown> {
  const { phoneNumber = null, address = null } = contact ?? {};
  return {
    ...(phoneNumber !== null && { phone_number: phoneNumber, phone_number_verified: false }),
    ...(address !== null && { address: { formatted: address } }),
  };
}

interface MoreClaims {
  readonly ofIdToken: object;
  /** By the scope of that name. */
  readonly ofCustomer: () => Promise<object>;
}

const toEngineAccount = (account: Account, { ofIdToken, ofCustomer }: MoreClaims): EngineAccount => ({
  accountId: account.id,
  claims: async (use) => ({
    sub: account.id,
    ...(await ofCustomer()),
    ...(use === 'id_token' && ofIdToken),
    preferred_username: account.username,
    updated_at: account.updatedAt,
    email: account.email,
    email_verified: account.isEmailVerified,
    ...(account.fullName !== null && { name: account.fullName }),
    ...contactClaims(account),
  }),
});

/**
 * The role of a person at a resource server, and its level. A role that the resource server does not know (any
 * more) counts as none: the default one, where there is one, is what everybody has.
 */
export function roleAt(
  { audience, roles, defaultRole }: ResourceServer,
  account: Account,
): { readonly role: string; readonly level: number } | null {
  const held = account.roles[audience];
  const role = held !== undefined && Object.hasOwn(roles, held) ? held : defaultRole;
  const level = role === null ? undefined : roles[role];
  return role === null || level === undefined ? null : { role, level };
}
