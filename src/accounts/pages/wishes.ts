/** What an application asks a person for, or was allowed, in words: scopes, scopes at other services, and single claims. */
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

/**
 * What is new to the person; all of it where an application asks again for what it has. Of an application that is
 * listed, all that it was allowed is given as `missing`.
 */
export function wishesOf({
  missing,
  scopes,
  vpnResource,
  client,
}: Pick<InteractionDetails, 'missing' | 'scopes' | 'vpnResource'> & {
  readonly client: Pick<InteractionDetails['client'], 'isVpnNode'>;
}): readonly InWords[] {
  const atServices = Object.entries(missing.resources)
    .filter(([, asked]) => asked.length > 0)
    .map(([identifier, asked]) =>
      identifier === vpnResource ? { ...VPN_WISH, names: asked } : atService(identifier, asked),
    );
  const claims = missing.claims.filter((claim) => !isPartOf(claim, missing.scopes)).map(claimInWords);
  // A scope of this server that a service has by the same name is asked for there: it is one wish.
  const own = missing.scopes.filter((scope) => !atServices.some(({ names }) => names.includes(scope)));
  const wishes = [...own.map(inWords), ...atServices, ...claims];
  const told = wishes.length > 0 ? wishes : scopes.map(inWords);
  return client.isVpnNode ? [...told.filter(({ text }) => !VPN_TEXTS.includes(text)), VPN_WISH] : told;
}

/** A node may exchange whatever token it has of a person for a VPN JWT, so it always asks for this. */
const VPN_WISH: InWords = { names: ['read'], text: 'scope.vpn' };
const VPN_TEXTS: readonly string[] = [VPN_WISH.text, 'scope.read'];

/** One wish for each service, whatever the number of its scopes. */
const atService = (identifier: string, scopes: readonly string[]): InWords => ({
  names: scopes,
  text: 'scope.service',
  values: {
    service: URL.canParse(identifier) ? new URL(identifier).host || identifier : identifier,
    count: scopes.length,
  },
});

const isPartOf = (claim: string, scopes: readonly string[]): boolean =>
  Object.hasOwn(SCOPE_OF_CLAIM, claim) && scopes.includes(SCOPE_OF_CLAIM[claim] ?? '');

const claimInWords = (claim: string): InWords => ({
  names: [claim],
  text: `claim.${Object.hasOwn(SCOPE_OF_CLAIM, claim) ? claim : 'other'}`,
});
