/**
 * What people allowed applications to do. The engine keeps a grant for each session and client; a consent is
 * remembered beside it, so that a new session of the same person need not be asked again. Both are the person's,
 * and end when the person removes the application.
 */
import type { Configuration, KoaContextWithOIDC } from 'oidc-provider';

import type { ArtifactStore, Client, ClientStore, StoredArtifact } from '../storage/port.ts';
import { allOfAccount } from './account-artifacts.ts';
import { clientGrantId } from './adapter.ts';
import { isFirstParty, isPublic } from './clients.ts';
import { artifactId } from './digest.ts';
import { revokeGrant } from './revocation.ts';
import { translated } from './store-errors.ts';

type Grant = NonNullable<KoaContextWithOIDC['oidc']['grant']>;

const MODEL = 'Consent';
// Long enough that nobody is asked twice by an application in use, and an abandoned one is asked anew.
const CONSENT_SECONDS = 365 * 86_400;

/** What the engine asks nobody for: claims of the sign-in itself. */
const FREE_CLAIMS: readonly string[] = ['sub', 'sid', 'auth_time', 'acr', 'amr', 'iss'];

export interface GrantOptions {
  readonly artifacts: ArtifactStore;
  readonly clients: ClientStore;
  readonly grantSeconds: number;
  readonly now: () => number;
}

/** An application that may act for a person. */
export interface ConnectedApplication {
  readonly clientId: string;
  readonly name: string;
  /** Of this server. */
  readonly scopes: readonly string[];
  /** Single ones, which no scope stands for. */
  readonly claims: readonly string[];
  /** Identifier of a resource server → scopes. */
  readonly resources: Readonly<Record<string, readonly string[]>>;
  readonly isVpnNode: boolean;
  /** Unix seconds. */
  readonly grantedAt: number;
}

/** What a grant and a consent hold alike, as they are stored. */
interface Allowed {
  readonly clientId: string;
  readonly openid?: { readonly scope?: string; readonly claims?: string[] };
  readonly resources?: Readonly<Record<string, string>>;
  readonly iat: number;
  /** The engine's id of a grant. */
  readonly selfId?: string;
}

export type Grants = ReturnType<typeof createGrants>;

export function createGrants({ artifacts, clients, grantSeconds, now }: GrantOptions) {
  const consentId = (accountId: string, clientId: string): string =>
    artifactId(MODEL, `${accountId} ${clientId}`);
  const listOf = async (model: string, accountId: string): Promise<readonly Allowed[]> =>
    (await allOfAccount(artifacts, model, accountId, now)).map(toAllowed);

  const findConsent = async (accountId: string, clientId: string): Promise<Allowed | null> => {
    const found = await translated(artifacts.find(MODEL, consentId(accountId, clientId), now()));
    return found === null ? null : toAllowed(found);
  };

  return {
    /** The engine's hook: the grant that a request goes on with. */
    loadExistingGrant: (async (ctx) => {
      const { client, account } = ctx.oidc;
      if (client === undefined || account === undefined) return undefined;
      const { accountId } = account;
      let grant = await findOwn(ctx, accountId);
      if (isFirstParty(client)) {
        grant ??= new ctx.oidc.provider.Grant({ accountId, clientId: client.clientId });
        if (allowRequested(ctx, grant)) await grant.save();
      } else if (grant === undefined && !isPublic(client)) {
        const consent = await findConsent(accountId, client.clientId);
        if (consent !== null) grant = await saveAllowed(ctx, accountId, consent);
      }
      if (grant?.jti === undefined) return undefined; // nothing was saved: there is nothing to go on with
      if (grant.remainingTTL < grantSeconds / 2) await extend(grant);
      return grant;
    }) satisfies NonNullable<Configuration['loadExistingGrant']>,

    /** Keeps what the person just allowed; deleting the client ends it, since it stands under the client. */
    remember: async ({ accountId = '', clientId = '', openid, resources }: Grant): Promise<void> => {
      await artifacts.upsert({
        model: MODEL,
        id: consentId(accountId, clientId),
        payload: { clientId, openid, resources, iat: now() },
        expiresAt: now() + CONSENT_SECONDS,
        grantId: clientGrantId(clientId),
        accountId,
      });
    },

    /** The applications that a person allowed something, in the order of their ids. */
    list: async (accountId: string): Promise<readonly ConnectedApplication[]> => {
      const allowed = [...(await listOf(MODEL, accountId)), ...(await listOf('Grant', accountId))];
      const ids = [...new Set(allowed.map(({ clientId }) => clientId))].sort();
      const found = await Promise.all(
        ids.map(async (clientId) => {
          const client = await clients.find(clientId);
          const own = allowed.filter(
            (one) => one.clientId === clientId && one.iat >= (client?.createdAt ?? 0),
          );
          return client === null || own.length === 0 ? [] : [toApplication(client, own)];
        }),
      );
      return found.flat();
    },

    /**
     * Ends all that the application has of the person: its tokens, its grants, the consent. Idempotent; false where
     * there was nothing.
     */
    revoke: async (accountId: string, clientId: string): Promise<boolean> => {
      const consent = await findConsent(accountId, clientId);
      await artifacts.destroy(MODEL, consentId(accountId, clientId));
      const own = (await listOf('Grant', accountId)).filter((grant) => grant.clientId === clientId);
      for (const { selfId } of own) if (selfId !== undefined) await revokeGrant(artifacts, selfId);
      return consent !== null || own.length > 0;
    },
  };
}

/** Adds what the request asks for; tells whether that was anything new. */
function allowRequested({ oidc }: KoaContextWithOIDC, grant: Grant): boolean {
  const before = JSON.stringify([grant.openid, grant.resources]);
  grant.addOIDCScope(oidc.requestParamOIDCScopes);
  grant.addOIDCClaims(oidc.requestParamClaims);
  for (const [identifier, { scopes }] of Object.entries(oidc.resourceServers ?? {})) {
    const asked = [...oidc.requestParamScopes].filter((scope) => scopes.has(scope));
    if (asked.length > 0) grant.addResourceScope(identifier, asked);
  }
  return JSON.stringify([grant.openid, grant.resources]) !== before;
}

/** The grant that the person just gave, or that this session has for the client. */
async function findOwn({ oidc }: KoaContextWithOIDC, accountId: string): Promise<Grant | undefined> {
  const { client, session, result, provider } = oidc;
  const id = result?.consent?.grantId ?? session?.grantIdFor(client?.clientId ?? '');
  const grant = id === undefined ? undefined : await provider.Grant.find(id);
  return grant?.accountId === accountId ? grant : undefined;
}

/** A grant for this session, of what was allowed before. */
async function saveAllowed(
  { oidc: { provider } }: KoaContextWithOIDC,
  accountId: string,
  { clientId, openid, resources }: Allowed,
): Promise<Grant> {
  const grant = new provider.Grant({ accountId, clientId });
  if (openid?.scope !== undefined) grant.addOIDCScope(openid.scope);
  if (openid?.claims !== undefined) grant.addOIDCClaims(openid.claims);
  for (const [identifier, scope] of Object.entries(resources ?? {}))
    grant.addResourceScope(identifier, scope);
  await grant.save();
  return grant;
}

/** Saved without an end, it gets a new one. */
async function extend(grant: Grant): Promise<void> {
  delete grant.exp;
  await grant.save();
}

/** Written by the adapter or by `remember`. */
const toAllowed = ({ payload }: StoredArtifact): Allowed => payload as unknown as Allowed;

/** In the order in which it was allowed. */
function toApplication(
  { clientId, metadata, isVpnNode }: Client,
  allowed: readonly Allowed[],
): ConnectedApplication {
  const identifiers = new Set(allowed.flatMap(({ resources }) => Object.keys(resources ?? {})));
  const name = metadata['client_name'];
  return {
    clientId,
    name: typeof name === 'string' ? name : clientId,
    scopes: distinctScopes(allowed.map(({ openid }) => openid?.scope)),
    claims: [...new Set(allowed.flatMap(({ openid }) => openid?.claims ?? []))].filter(
      (claim) => !FREE_CLAIMS.includes(claim),
    ),
    resources: Object.fromEntries(
      [...identifiers].map((identifier) => [
        identifier,
        distinctScopes(allowed.map(({ resources }) => resources?.[identifier])),
      ]),
    ),
    isVpnNode,
    grantedAt: Math.min(...allowed.map(({ iat }) => iat)),
  };
}

const distinctScopes = (lists: readonly (string | undefined)[]): readonly string[] => [
  ...new Set(lists.flatMap((list) => (list ?? '').split(' ')).filter((scope) => scope !== '')),
];
