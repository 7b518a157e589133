/** The engine's configuration: what it does is said here, never written again. */
import type { JWK } from 'jose';
import { errors } from 'oidc-provider';
import type { Client as EngineClient, Configuration, ErrorOut, KoaContextWithOIDC } from 'oidc-provider';

import type { SigningSecrets } from '../http/cookies.ts';
import type { Outgoing } from '../outgoing.ts';
import { SERVER_SCOPES } from '../scopes.ts';
import type {
  AccountStore,
  ArtifactStore,
  ClientStore,
  CounterStore,
  ResourceServerStore,
} from '../storage/port.ts';
import { createAdapterFactory } from './adapter.ts';
import { engineCookies } from './browser.ts';
import { CLIENT_METHODS, CLIENT_PROPERTIES } from './clients.ts';
import type { EndedMarks } from './ended-marks.ts';
import { createEngineFetch } from './engine-fetch.ts';
import type { Grants } from './grants.ts';
import { toTtl } from './lifetimes.ts';
import type { Lifetimes } from './lifetimes.ts';
import { pageFeatures } from './pages.ts';
import type { EnginePages } from './pages.ts';
import { ACR_VALUES, CLAIMS_BY_SCOPE, createFindAccount, createFindActiveAccount } from './people.ts';
import type { FindActiveAccount } from './people.ts';
import { createPolicy } from './prompts.ts';
import type { RefreshWindow } from './refresh-window.ts';
import type { Sessions } from './sessions.ts';
import {
  createExtraTokenClaims,
  isPkceRequired,
  issuesRefreshToken,
  resourceIndicators,
  rotatesRefreshToken,
} from './token-policy.ts';
import { translated } from './store-errors.ts';
import type { RotatesRefreshToken, TokenPolicyOptions } from './token-policy.ts';
import { createJwtCustomizer } from './vpn-tokens.ts';

export interface ConfigurationOptions extends TokenPolicyOptions, Lifetimes {
  readonly issuer: string;
  /** Private JWKs, the signer of each algorithm first. */
  readonly jwks: readonly JWK[];
  /** Those that ID tokens may be signed by: a key that is only published does not sign. */
  readonly signingAlgorithms: readonly string[];
  readonly artifacts: ArtifactStore;
  readonly accounts: Pick<AccountStore, 'find' | 'findByUsername'>;
  readonly clients: ClientStore;
  readonly counters: CounterStore;
  readonly resourceServers: ResourceServerStore;
  /** Sign the engine's cookies. */
  readonly cookieSecrets: SigningSecrets;
  readonly pages: EnginePages;
  /** The way to the servers of clients. */
  readonly outgoing: Outgoing;
  readonly now: () => number;
}

/** What this folder adds to the engine. */
export interface Additions {
  readonly grants: Grants;
  readonly sessions: Sessions;
  readonly marks: EndedMarks;
  readonly refreshWindow: RefreshWindow;
}

// RFC 7523bis, FAPI 2: an assertion that lives longer than this is a password in disguise.
const MAX_ASSERTION_SECONDS = 5 * 60;
const ASSERTION_TYPE = /^(application\/)?(jwt|client-authentication\+jwt)$/i;
const ID_TOKEN_ALGORITHMS = ['RS256', 'ES256', 'EdDSA'] as const;
// FAPI 2 asks to bear with clocks that are 10 s ahead and to refuse 60 s.
const MAX_SKEW_SECONDS = 59;

/** The configuration for one key ring. */
export function toConfiguration(options: ConfigurationOptions, additions: Additions): Configuration {
  const { issuer, jwks, accounts, vpn, cookieSecrets, pages, outgoing, now } = options;
  const { grants, sessions, marks, refreshWindow } = additions;
  const findActiveAccount = createFindActiveAccount(accounts);
  const adapterOf = createAdapterFactory(options);
  return {
    adapter: (model: string) => {
      if (model === 'Session') return sessions.decorate(adapterOf(model));
      if (model === 'Interaction') return marks.decorate(adapterOf(model));
      return refreshWindow.decorate(model, adapterOf(model));
    },
    jwks: { keys: [...jwks] }, // private JWKs by jose, in the engine's type
    routes: ROUTES,
    scopes: [...SERVER_SCOPES],
    claims: { ...CLAIMS_BY_SCOPE, iss: null, sid: null },
    acrValues: [...ACR_VALUES],
    responseTypes: ['code'],
    clientAuthMethods: [...CLIENT_METHODS],
    enabledJWA: {
      clientAuthSigningAlgValues: ['RS256', 'PS256', 'ES256', 'EdDSA'],
      idTokenSigningAlgValues: ID_TOKEN_ALGORITHMS.filter((alg) => options.signingAlgorithms.includes(alg)),
    },
    assertJwtClientAuthClaimsAndHeader: (_ctx, claims, header) =>
      assertClientAssertion(claims, header, options),
    extraTokenClaims: createExtraTokenClaims(options, findActiveAccount),
    formats: { customizers: { jwt: createJwtCustomizer(vpn, findActiveAccount) } },
    extraClientMetadata: { properties: [...CLIENT_PROPERTIES] },
    pkce: { required: isPkceRequired },
    allowOmittingSingleRegisteredRedirectUri: false,
    cookies: engineCookies(issuer, cookieSecrets),
    findAccount: createFindAccount(findActiveAccount, marks, options.customers),
    loadExistingGrant: grants.loadExistingGrant,
    interactions: { policy: createPolicy(), url: (_ctx, { uid }) => `/interaction/${uid}` },
    issueRefreshToken: issuesRefreshToken,
    rotateRefreshToken: withSessionProlonged(rotatesRefreshToken(options), sessions),
    ttl: toTtl(options, now),
    fetch: createEngineFetch(outgoing),
    renderError: (ctx, out, cause) => {
      if (FOR_PROGRAMS.has(ctx.path)) ctx.body = out;
      else showError(ctx, out, cause, pages);
    },
    features: features(options, findActiveAccount),
  };
}

/** Who uses an application is not idle: its refresh moves the end of the session that its tokens end with. */
const withSessionProlonged =
  (rotates: RotatesRefreshToken, sessions: Pick<Sessions, 'prolong'>): RotatesRefreshToken =>
  async (ctx) => {
    const isRotated = await rotates(ctx);
    const { accountId, sessionUid, expiresWithSession } = ctx.oidc.refreshToken ?? {};
    if (expiresWithSession === true && accountId !== undefined && sessionUid !== undefined) {
      await translated(sessions.prolong(accountId, sessionUid));
    }
    return isRotated;
  };

/** RFC 6749 5.2: always JSON, also for a client whose library asks for HTML first, as Java's own does. */
const FOR_PROGRAMS = new Set(['/token', '/introspect', '/revoke', '/userinfo', '/device/auth']);

function showError(
  ctx: KoaContextWithOIDC,
  { error, error_description: description }: ErrorOut,
  cause: Error,
  pages: EnginePages,
): void {
  pages.error(ctx, { error, description, isOver: cause instanceof errors.SessionNotFound });
}

/** Contracts 1: the canonical paths. */
const ROUTES = {
  authorization: '/authorize',
  code_verification: '/device',
  device_authorization: '/device/auth',
  end_session: '/logout',
  introspection: '/introspect',
  revocation: '/revoke',
  userinfo: '/userinfo',
} as const;

const features = (
  options: ConfigurationOptions,
  findActiveAccount: FindActiveAccount,
): NonNullable<Configuration['features']> => ({
  ...pageFeatures(options.pages),
  backchannelLogout: { enabled: true },
  claimsParameter: { enabled: true },
  clientCredentials: { enabled: true },
  devInteractions: { enabled: false },
  dPoP: { enabled: false },
  introspection: {
    enabled: true,
    // Opaque tokens have no audience: only their own client may ask (a resource server's tokens are JWTs).
    allowedPolicy: async (_ctx, client, token) =>
      isOwnToken(client, token) && (await isOfActiveAccount(token, findActiveAccount)),
  },
  pushedAuthorizationRequests: { enabled: false },
  resourceIndicators: resourceIndicators(options),
  revocation: { enabled: true, allowedPolicy: async (_ctx, client, token) => isOwnToken(client, token) },
  userinfo: { enabled: true },
});

const isOwnToken = (client: EngineClient, token: { clientId?: string | undefined }): boolean =>
  token.clientId === client.clientId;

/** A token of a person whose account is disabled or gone is not active. */
async function isOfActiveAccount(token: object, find: FindActiveAccount): Promise<boolean> {
  if (!('accountId' in token) || typeof token.accountId !== 'string') return true;
  return (await find(token.accountId)) !== null;
}

/**
 * RFC 7523bis 4: the audience is the issuer, alone and as a string, and the assertion is short-lived. What a client
 * signs for another purpose has a type of its own (RFC 8725 3.11), such as a VPN node's request for a new key.
 */
function assertClientAssertion(
  claims: Readonly<Record<string, unknown>>,
  { typ = 'JWT' }: Readonly<Record<string, unknown>>,
  { issuer, now }: ConfigurationOptions,
): void {
  if (!ASSERTION_TYPE.test(String(typ)))
    throw new errors.InvalidClientAuth('typ is not that of an assertion');
  if (claims['aud'] !== issuer) throw new errors.InvalidClientAuth('aud must be the issuer, as a string');
  if (claims['iat'] !== undefined && Number(claims['iat']) > now() + MAX_SKEW_SECONDS) {
    throw new errors.InvalidClientAuth('iat lies in the future');
  }
  if (Number(claims['exp']) > now() + MAX_ASSERTION_SECONDS) {
    throw new errors.InvalidClientAuth(`exp must be at most ${MAX_ASSERTION_SECONDS} s ahead`);
  }
}
