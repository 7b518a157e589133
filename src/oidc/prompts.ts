/**
 * When a person is asked for something: the engine's policy (OpenID Connect Core 3.1.2.3 and 3.1.2.4), with
 * account selection, first-party clients that need no consent, and accounts that are gone.
 */
import { errors, interactionPolicy } from 'oidc-provider';
import type { KoaContextWithOIDC } from 'oidc-provider';

import { isFirstParty } from './clients.ts';
import { ACR_VALUES } from './people.ts';

const { Check, Prompt, base } = interactionPolicy;

type CheckOf = InstanceType<typeof Check>['check'];

/** Builds the policy; prompts come in the order in which a person meets them. */
export function createPolicy(): interactionPolicy.DefaultPolicy {
  const policy = base();
  const login = policy.get('login');
  const consent = policy.get('consent');
  if (login === undefined || consent === undefined)
    throw new Error('the engine asks for no login or consent');

  login.checks.add(
    new Check('account_unavailable', 'the account cannot be used', 'login_required', isAccountGone),
  );
  for (const reason of ['essential_acr', 'essential_acrs']) replaceCheck(login, reason, refuseUnknownAcr);
  replaceCheck(
    consent,
    'consent_prompt',
    (original) => async (ctx) => !needsNoConsent(ctx) && (await original(ctx)),
  );
  replaceCheck(
    consent,
    'native_client_prompt',
    (original) => async (ctx) => !needsNoConsent(ctx) && (await original(ctx)),
  );

  const selectAccount = new Prompt({ name: 'select_account', requestable: true });
  // Where nobody is signed in there is nothing to choose from: signing in is the choice.
  replaceCheck(
    selectAccount,
    'select_account_prompt',
    (original) => async (ctx) => ctx.oidc.session?.accountId !== undefined && (await original(ctx)),
  );
  policy.add(selectAccount, 0);
  return policy;
}

function replaceCheck(
  prompt: interactionPolicy.Prompt,
  reason: string,
  replacement: (original: CheckOf) => CheckOf,
): void {
  const found = prompt.checks.get(reason);
  if (found === undefined) throw new Error(`the engine has no check ${reason}`);
  found.check = replacement(found.check);
}

/** Disabled or deleted while its session lives on. */
const isAccountGone = ({ oidc }: KoaContextWithOIDC): boolean =>
  oidc.session?.accountId !== undefined && oidc.account === undefined;

/**
 * An administrator vouches for a first-party client. Not for a redirect on the person's own machine: any program
 * there can listen on a loopback port or claim a scheme (RFC 8252 8.6). A device has none: its code was confirmed.
 */
function needsNoConsent({ oidc: { client, params } }: KoaContextWithOIDC): boolean {
  if (client === undefined || !isFirstParty(client)) return false;
  const uri = params?.['redirect_uri'];
  return client.applicationType !== 'native' || typeof uri !== 'string' || uri.startsWith('https:');
}

/** OpenID Connect Core 5.5.1.1: what cannot be reached by signing in again is refused, not asked for again and again. */
const refuseUnknownAcr =
  (original: CheckOf): CheckOf =>
  async (ctx) => {
    const asked = ctx.oidc.claims.id_token?.['acr'];
    const several: readonly unknown[] = Array.isArray(asked?.values) ? asked.values : [];
    const values = [asked?.value, ...several];
    const isPossible = values.some((value) => typeof value === 'string' && ACR_VALUES.includes(value));
    if (!(await original(ctx))) return false;
    if (isPossible) return true;
    throw new errors.CustomOIDCProviderError(
      'unmet_authentication_requirements',
      'none of the requested acr values can be had here',
    );
  };
