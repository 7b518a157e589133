/** What an application asks a person for, in words: scopes, scopes at other services, and single claims. */
import type { InteractionDetails } from '../../oidc/interactions.ts';
import { inWords } from './page.ts';
import type { InWords } from './page.ts';

/** The claims that have words, and the scope that they are a part of (OpenID Connect Core 5.4). */
const SCOPE_OF_CLAIM: Readonly<Record<string, string>> = {
  name: 'profile',
  preferred_username: 'profile',
  updated_at: 'profile',
  email: 'email',
  email_verified: 'email',
  phone_number: 'phone',
  phone_number_verified: 'phone',
  address: 'address',
};

/** What is new to the person; all of it where an application asks again for what it has. */
export function wishesOf({
  missing,
  scopes,
  vpnResource,
  client,
}: Pick<InteractionDetails, 'missing' | 'scopes' | 'vpnResource'> & {
  readonly client: Pick<InteractionDetails['client'], 'isVpnNode'>;
}): readonly InWords[] {
  const atServices = Object.entries(missing.resources).flatMap(([identifier, asked]) =>
    asked.map((scope) =>
      identifier === vpnResource ? { name: scope, text: 'scope.vpn' } : atService(identifier, scope),
    ),
  );
  const claims = missing.claims.filter((claim) => !isPartOf(claim, missing.scopes)).map(claimInWords);
  // A scope of this server that a service has by the same name is asked for there: it is one wish.
  const own = missing.scopes.filter((scope) => !atServices.some(({ name }) => name === scope));
  const wishes = [...own.map(inWords), ...atServices, ...claims];
  const told = wishes.length > 0 ? wishes : scopes.map(inWords);
  return client.isVpnNode ? [...told.filter(({ name }) => name !== VPN_WISH.name), VPN_WISH] : told;
}

/** A node may exchange whatever token it has of a person for a VPN JWT, so it always asks for this. */
const VPN_WISH: InWords = { name: 'read', text: 'scope.vpn' };

const atService = (identifier: string, scope: string): InWords => ({
  name: scope,
  text: 'scope.service',
  values: { service: URL.canParse(identifier) ? new URL(identifier).host || identifier : identifier },
});

const isPartOf = (claim: string, scopes: readonly string[]): boolean =>
  Object.hasOwn(SCOPE_OF_CLAIM, claim) && scopes.includes(SCOPE_OF_CLAIM[claim] ?? '');

const claimInWords = (claim: string): InWords => ({
  name: claim,
  text: `claim.${Object.hasOwn(SCOPE_OF_CLAIM, claim) ? claim : 'other'}`,
});
