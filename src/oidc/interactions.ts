/**
 * The engine's side of the pages that sign people in: what is asked, by whom, and the answers to it. A page finds
 * its interaction by the browser's cookie; the engine goes on at the address that each answer gives.
 */
import type { IncomingMessage, ServerResponse } from 'node:http';

import { errors } from 'oidc-provider';
import type { InteractionResults, Provider } from 'oidc-provider';

import { AppError } from '../errors.ts';
import { summarize } from './client-summary.ts';
import type { ClientSummary } from './client-summary.ts';
import type { EndedMarks } from './ended-marks.ts';
import type { Grants } from './grants.ts';
import { ACR_PASSWORD } from './people.ts';
import { translatedBack } from './store-errors.ts';

type Interaction = InstanceType<Provider['Interaction']>;

/** What a page has to show. */
export interface InteractionDetails {
  readonly uid: string;
  readonly prompt: 'login' | 'select_account' | 'consent';
  readonly client: ClientSummary;
  /** Whose session this browser has; null where nobody is signed in. */
  readonly accountId: string | null;
  /** Where the answer goes; null where it goes to a device. */
  readonly redirectUri: string | null;
  readonly isForDevice: boolean;
  readonly loginHint: string | null;
  readonly uiLocales: string | undefined;
  /** All scopes that are asked for. */
  readonly scopes: readonly string[];
  /** What the person did not allow yet; on the page for consent. */
  readonly missing: Missing;
  /** The resource among them that stands for the VPN. */
  readonly vpnResource: string;
  /** Unix seconds. */
  readonly expiresAt: number;
}

export interface Missing {
  readonly scopes: readonly string[];
  readonly claims: readonly string[];
  /** Identifier of a resource server → scopes. */
  readonly resources: Readonly<Record<string, readonly string[]>>;
}

/** A person who proved who they are. */
export interface SignedIn {
  readonly accountId: string;
  /** How (RFC 8176), such as `pwd`. */
  readonly amr: readonly string[];
  /** Whether the session outlives the browser's. */
  readonly remember: boolean;
}

export interface Interactions {
  /** Null where it is over: it expired, was answered, or began in another browser. */
  details(req: IncomingMessage, res: ServerResponse): Promise<InteractionDetails | null>;
  /** Each answer gives the address to go on at (303). They throw `not_found` where the interaction is over. */
  login(req: IncomingMessage, res: ServerResponse, person: SignedIn): Promise<string>;
  /** Goes on as the person who is signed in already. */
  selectAccount(req: IncomingMessage, res: ServerResponse): Promise<string>;
  /** The person allows what is missing. */
  consent(req: IncomingMessage, res: ServerResponse): Promise<string>;
  /** The person declines: the application gets `access_denied`. */
  abort(req: IncomingMessage, res: ServerResponse): Promise<string>;
}

export function createInteractions(
  provider: Provider,
  grants: Grants,
  marks: Pick<EndedMarks, 'signInTime'>,
  vpnResource: string,
): Interactions {
  const find = async (req: IncomingMessage, res: ServerResponse): Promise<Interaction | null> => {
    try {
      return await translatedBack(provider.interactionDetails(req, res));
    } catch (error) {
      if (error instanceof errors.SessionNotFound) return null;
      throw error;
    }
  };
  const get = async (
    req: IncomingMessage,
    res: ServerResponse,
    ...prompts: readonly string[]
  ): Promise<Interaction> => {
    const found = await find(req, res);
    if (found === null) {
      throw new AppError('not_found', 'This sign-in is over: go back to the application and start again.');
    }
    if (prompts.includes(found.prompt.name)) return found;
    throw new AppError('invalid_request', 'This sign-in is at another step: reload the page.');
  };
  const answer = (req: IncomingMessage, res: ServerResponse, result: InteractionResults): Promise<string> =>
    translatedBack(provider.interactionResult(req, res, result));

  return {
    details: async (req, res) => {
      const found = await find(req, res);
      if (found === null) return null;
      const client = await translatedBack(provider.Client.find(String(found.params['client_id'])));
      return client === undefined ? null : { ...describe(found, summarize(client)), vpnResource };
    },
    login: async (req, res, { accountId, amr, remember }) => {
      await get(req, res, 'login', 'select_account');
      const ts = await marks.signInTime(accountId);
      const login = { accountId, amr: [...amr], remember, acr: ACR_PASSWORD, ts };
      return answer(req, res, { login, select_account: {} });
    },
    selectAccount: async (req, res) => {
      await get(req, res, 'select_account');
      return answer(req, res, { select_account: {} });
    },
    consent: async (req, res) => {
      const interaction = await get(req, res, 'consent');
      const grantId = await translatedBack(saveGrant(provider, grants, interaction));
      return answer(req, res, { consent: { grantId } });
    },
    abort: async (req, res) => {
      await get(req, res, 'login', 'select_account', 'consent');
      return answer(req, res, {
        error: 'access_denied',
        error_description: 'the person declined',
      });
    },
  };
}

async function saveGrant(provider: Provider, grants: Grants, interaction: Interaction): Promise<string> {
  const { grantId, session, params } = interaction;
  const accountId = session?.accountId;
  const known = grantId === undefined ? undefined : await provider.Grant.find(grantId);
  const grant = known ?? new provider.Grant({ accountId, clientId: String(params['client_id']) });
  const { scopes, claims, resources } = missingOf(interaction);
  if (scopes.length > 0) grant.addOIDCScope([...scopes]);
  if (claims.length > 0) grant.addOIDCClaims([...claims]);
  for (const [identifier, asked] of Object.entries(resources)) grant.addResourceScope(identifier, [...asked]);
  const id = await grant.save();
  await grants.remember(grant);
  return id;
}

function describe(interaction: Interaction, client: ClientSummary): Omit<InteractionDetails, 'vpnResource'> {
  const { uid, prompt, params, session, deviceCode, exp } = interaction;
  return {
    uid,
    prompt: prompt.name as InteractionDetails['prompt'], // the names in prompts.ts
    client,
    accountId: session?.accountId ?? null,
    redirectUri: textOf(params['redirect_uri']) ?? null,
    isForDevice: deviceCode !== undefined,
    loginHint: textOf(params['login_hint']) ?? null,
    uiLocales: textOf(params['ui_locales']),
    scopes: (textOf(params['scope']) ?? '').split(' ').filter((scope) => scope !== ''),
    missing: missingOf(interaction),
    expiresAt: exp,
  };
}

/** What the engine's checks found missing. */
function missingOf({ prompt: { details } }: Interaction): Missing {
  const { missingOIDCScope, missingOIDCClaims, missingResourceScopes } = details as {
    readonly missingOIDCScope?: readonly string[];
    readonly missingOIDCClaims?: readonly string[];
    readonly missingResourceScopes?: Readonly<Record<string, readonly string[]>>;
  };
  return {
    scopes: missingOIDCScope ?? [],
    claims: missingOIDCClaims ?? [],
    resources: missingResourceScopes ?? {},
  };
}

const textOf = (value: unknown): string | undefined => (typeof value === 'string' ? value : undefined);
