/**
 * What a VPN JWT says: of a node that acts for itself, and of a person on whose behalf a node acts. Every claim comes
 * from what is stored and from the settings, whichever way the token was asked for: nothing that was sent is here.
 */
import { randomUUID } from 'node:crypto';

import type { Account } from '../storage/port.ts';

/** The scope of VPN JWTs, and of what is exchanged for one. */
export const VPN_SCOPE = 'read';
const NODE_ROLE = 'node';

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
  /** Of a person only. */
  readonly email?: string;
  readonly role: string;
  readonly level: number;
  /** Who acts for the person (RFC 8693 4.1). */
  readonly act?: { readonly sub: string };
  /** Where its status stands, where the server has status lists. */
  readonly status?: StatusClaim;
}

/** Token Status List (draft-ietf-oauth-status-list) 6.2. */
export interface StatusClaim {
  readonly status_list: { readonly idx: number; readonly uri: string };
}

export type VpnAccount = Pick<Account, 'username' | 'email' | 'roles'>;

interface VpnClaimsOptions {
  readonly issuer: string;
  readonly audience: string;
  readonly lifetimeSeconds: number;
  /** Role → level. */
  readonly roles: Readonly<Record<string, number>>;
  readonly now: () => number;
}

export interface VpnClaimsMaker {
  /** The JWT of the node itself; issued now, if nothing else is said. */
  ofNode(clientId: string, at?: number): VpnClaims;
  /** The JWT of a person at that node; `account` as it is stored at this moment. */
  ofPerson(clientId: string, account: VpnAccount, at?: number): VpnClaims;
}

/** Makes the claims; each call gives a token of its own (`jti`). */
export function createVpnClaims(options: VpnClaimsOptions): VpnClaimsMaker {
  const { issuer, audience, lifetimeSeconds, now } = options;
  const claimsOf = <Subject extends object>(clientId: string, iat: number, subject: Subject) => {
    const token = { iss: issuer, aud: audience, client_id: clientId, jti: randomUUID(), scope: VPN_SCOPE };
    return { ...token, iat, exp: iat + lifetimeSeconds, ...subject };
  };
  return {
    ofNode: (clientId, at = now()) =>
      claimsOf(clientId, at, { sub: clientId, username: clientId, role: NODE_ROLE, level: 0 }),
    ofPerson: (clientId, { username, email, roles }, at = now()) =>
      claimsOf(clientId, at, {
        ...{ sub: username, username, email },
        ...roleOf(roles[audience], options.roles),
        act: { sub: clientId },
      }),
  };
}

/** A role that there is none of (any more) counts as the least one, which everybody has. */
function roleOf(
  held: string | undefined,
  roles: VpnClaimsOptions['roles'],
): Pick<VpnClaims, 'role' | 'level'> {
  const role = held !== undefined && Object.hasOwn(roles, held) ? held : leastRole(roles);
  return { role, level: roles[role] ?? 0 };
}

/** The role of the lowest level. The settings have one at least. */
function leastRole(roles: VpnClaimsOptions['roles']): string {
  const [least] = Object.entries(roles).toSorted(([, one], [, other]) => one - other);
  return least?.[0] ?? '';
}
