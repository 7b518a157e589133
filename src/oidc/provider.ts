/**
 * The protocol engine: oidc-provider configured for Portcullis, and what stands around it. This folder alone
 * imports it. Its keys are fixed at construction, so a changed key ring makes a new engine.
 */
import type { JSONWebKeySet, JWK } from 'jose';
import { Provider } from 'oidc-provider';

import { pinClientAddress } from '../http/client-address.ts';
import type { TrustedProxies } from '../http/client-address.ts';
import { pinOrigin } from '../http/security.ts';
import { toPublicJwk } from '../keys/material.ts';
import { createFindBearerToken } from './bearer-tokens.ts';
import type { FindBearerToken } from './bearer-tokens.ts';
import { createBrowserSessions, withEngineCookies } from './browser.ts';
import type { BrowserSessions } from './browser.ts';
import { compareSecretsByDigest } from './clients.ts';
import { toConfiguration } from './configuration.ts';
import type { ConfigurationOptions } from './configuration.ts';
import { restrictDiscovery } from './discovery.ts';
import { createDocumentCache } from './documents.ts';
import { createEndedMarks } from './ended-marks.ts';
import { withOwnContext } from './engine-context.ts';
import type { EngineMiddleware } from './engine-middleware.ts';
import { createEventBridge } from './event-bridge.ts';
import type { EngineEvents } from './event-bridge.ts';
import { createFirstParty } from './first-party.ts';
import type { FirstParty } from './first-party.ts';
import { createGrants } from './grants.ts';
import type { Grants } from './grants.ts';
import { withHandOn } from './hand-on.ts';
import { createInteractions } from './interactions.ts';
import type { Interactions } from './interactions.ts';
import { grantSeconds } from './lifetimes.ts';
import { createFindActiveAccount } from './people.ts';
import { createKeyIntrospection } from './key-introspection.ts';
import type { KeyIntrospectionOptions } from './key-introspection.ts';
import type { LogoutNotice, LogoutNotices } from './logout-notices.ts';
import { issueLogoutToken, queueLogouts } from './logout-tokens.ts';
import type { LogoutRequest } from './logout-tokens.ts';
import { createRefreshWindow } from './refresh-window.ts';
import { createSessions } from './sessions.ts';
import type { Sessions } from './sessions.ts';
import { translatedBack } from './store-errors.ts';
import { createFindLiveJwt, createStructuredTokens } from './structured-tokens.ts';
import type { FindLiveJwt } from './structured-tokens.ts';
import { createFindSubject } from './subject-tokens.ts';
import type { FindSubject } from './subject-tokens.ts';
import { registerTokenExchange } from './token-exchange.ts';
import type { ExchangeToken } from './token-exchange.ts';
import { createIsPersonLive } from './vpn-tokens.ts';

export interface EngineOptions extends ConfigurationOptions, Pick<KeyIntrospectionOptions, 'findApiKey'> {
  /** So long a used refresh token gets its answer again; 0: never. */
  readonly refreshRetryWindowSeconds: number;
  /** RFC 8693, for VPN nodes. */
  readonly exchangeToken: ExchangeToken;
  /** Clients are told of sessions that end. */
  readonly notices: LogoutNotices;
  readonly events: EngineEvents;
  /** Development only: refusals say in the answer what is otherwise in the log alone. */
  readonly showDetail: boolean;
  readonly trustedProxies: TrustedProxies;
}

/** A live access token that a client got for itself. */
export interface ClientToken {
  readonly clientId: string;
  readonly scopes: readonly string[];
}

export interface Engine extends BrowserSessions {
  /** Answers the canonical protocol paths. */
  readonly handle: EngineMiddleware;
  /** Finds a live client_credentials access token; null for any other value. */
  findClientToken(value: string): Promise<ClientToken | null>;
  /** What a living access token of any kind stands for; null for any other value. */
  readonly findBearerToken: FindBearerToken;
  /** Whom a token stands for that a VPN node presents, and that was issued to it. */
  readonly findSubject: FindSubject;
  readonly interactions: Interactions;
  readonly sessions: Pick<Sessions, 'list' | 'end' | 'endAll'>;
  /** What tells a client of a logout; null where the client is gone or is told of none any more. */
  issueLogoutToken(notice: LogoutNotice): Promise<LogoutRequest | null>;
  /** The tokens of the JSON API. */
  readonly firstParty: FirstParty;
  /** The applications that a person allowed something. */
  readonly applications: Pick<Grants, 'list' | 'revoke'>;
}

/** Builds the engine for one key ring. */
export function createEngine(options: EngineOptions): Engine {
  const { issuer, artifacts, clients, notices, events, showDetail, now } = options;
  const grants = createGrants({ artifacts, clients, grantSeconds: grantSeconds(options), now });
  const marks = createEndedMarks({ artifacts, lifetimes: options, now });
  const sessions = createSessions({ artifacts, notices, lifetimes: options, now });
  const refreshWindow = createRefreshWindow({
    artifacts,
    windowSeconds: options.refreshRetryWindowSeconds,
    now,
  });

  const provider = new Provider(issuer, toConfiguration(options, { grants, sessions, marks, refreshWindow }));
  // It makes contexts of its own: whether a cookie is for https, and who visits, is decided there as everywhere.
  pinOrigin(provider, issuer);
  pinClientAddress(provider, options.trustedProxies);
  compareSecretsByDigest(provider, now);
  queueLogouts(provider, notices);
  createEventBridge(provider, events, showDetail);
  const { counters, accounts, resourceServers, vpn } = options;
  const { audience: vpnAudience } = vpn.resourceServer;
  registerTokenExchange(provider, vpn.resourceServer, options.exchangeToken);

  const findAccount = createFindActiveAccount(accounts);
  const findClient = (clientId: string) => translatedBack(provider.Client.find(clientId));
  const jwks = publicJwks(options.jwks);
  const isPersonLive = createIsPersonLive({ vpn, accounts, marks });
  const findLiveJwt = createFindLiveJwt({
    ...{ issuer, jwks, artifacts, findClient, findAccount, now },
    vpn: { audience: vpnAudience, isPersonLive, hasEnded: vpn.hasEnded },
  });
  const handle = createHandler(provider, options, findLiveJwt, refreshWindow.middleware);
  const findBearerToken = createFindBearerToken({
    ...{ provider, findLiveJwt, resourceServers, findAccount, vpnAudience },
  });
  const findSubject = createFindSubject({
    ...{ issuer, jwks, artifacts, sessions, findBearerToken, findAccount, now },
  });
  return {
    handle,
    firstParty: createFirstParty(provider, handle, { lifetimes: options, counters, events, marks, now }),
    findClientToken: (value) => translatedBack(findClientToken(provider, value)),
    findBearerToken: (value) => translatedBack(findBearerToken(value)),
    findSubject: (...subject) => translatedBack(findSubject(...subject)),
    interactions: createInteractions(provider, grants, marks, vpn.resourceServer.identifier),
    sessions,
    issueLogoutToken: (notice) => translatedBack(issueLogoutToken(provider, notice)),
    applications: grants,
    ...createBrowserSessions(provider, sessions, marks, options),
  };
}

/** The engine with what belongs around it at each path. */
function createHandler(
  provider: Provider,
  options: EngineOptions,
  findLiveJwt: FindLiveJwt,
  refreshWindow: EngineMiddleware,
): EngineMiddleware {
  const { artifacts, pages, vpn } = options;
  const [run] = provider.middleware;
  if (run === undefined) throw new Error('the protocol engine has no middleware');
  // The engine makes the plain Koa context its own: it defines `ctx.oidc` on it.
  const untranslated = run as unknown as EngineMiddleware;
  const engine: EngineMiddleware = (ctx, next) => translatedBack(untranslated(ctx, next));
  const documents = createDocumentCache();
  const discovery = restrictDiscovery(vpn.statusLists);
  const structuredTokens = createStructuredTokens(
    findLiveJwt,
    artifacts,
    vpn,
    options.customers.findLiveToken,
  );
  const apiKeys = createKeyIntrospection(options);
  const browser = withEngineCookies(provider, withHandOn(pages, engine));

  return withOwnContext((ctx, next) => {
    switch (ctx.path) {
      case '/token':
        return refreshWindow(ctx, () => engine(ctx, next));
      case '/jwks':
        return documents(ctx, () => engine(ctx, next));
      case '/introspect':
      case '/revoke':
        return apiKeys(ctx, () => structuredTokens(ctx, () => engine(ctx, next)));
      case '/userinfo':
      case '/device/auth':
        return engine(ctx, next);
      default:
        return ctx.path.startsWith('/.well-known/')
          ? documents(ctx, () => discovery(ctx, () => engine(ctx, next)))
          : browser(ctx, next);
    }
  });
}

async function findClientToken(provider: Provider, value: string): Promise<ClientToken | null> {
  const token = await provider.ClientCredentials.find(value);
  if (token?.isValid !== true || token.clientId === undefined) return null;
  return { clientId: token.clientId, scopes: [...token.scopes] };
}

/** The public half: an allow-list, so that no private member can slip through. */
const publicJwks = (jwks: readonly JWK[]): JSONWebKeySet => ({
  keys: jwks.map((jwk) => ({ kty: jwk.kty ?? '', ...toPublicJwk(jwk) })),
});
