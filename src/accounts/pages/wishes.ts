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
}: Pick<InteractionDetails, 'missing' | 'scopes'>): readonly InWords[] {
  const atServices = Object.entries(missing.resources).flatMap(([identifier, asked]) =>
    asked.map((scope) => atService(identifier, scope)),
  );
  const claims = missing.claims.filter((claim) => !isPartOf(claim, missing.scopes)).map(claimInWords);
  const wishes = [...missing.scopes.map(inWords), ...atServices, ...claims];
  return wishes.length > 0 ? wishes : scopes.map(inWords);
}

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
