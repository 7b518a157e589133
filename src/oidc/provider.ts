/**
 * The protocol engine: oidc-provider configured for Portcullis, and what stands around it. This folder alone
 * imports it. Its keys are fixed at construction, so a changed key ring makes a new engine.
 */
import type { JSONWebKeySet, JWK } from 'jose';
import { Provider } from 'oidc-provider';

import { pinOrigin } from '../http/security.ts';
import { createBrowserSessions, withEngineCookies } from './browser.ts';
import type { BrowserSessions } from './browser.ts';
import { compareSecretsByDigest } from './clients.ts';
import { toConfiguration } from './configuration.ts';
import type { ConfigurationOptions } from './configuration.ts';
import { restrictDiscovery } from './discovery.ts';
import { createDocumentCache } from './documents.ts';
import type { EngineMiddleware } from './engine-middleware.ts';
import { createEventBridge } from './event-bridge.ts';
import type { EngineEvents } from './event-bridge.ts';
import { createGrants } from './grants.ts';
import type { Grants } from './grants.ts';
import { createInteractions } from './interactions.ts';
import type { Interactions } from './interactions.ts';
import { grantSeconds } from './lifetimes.ts';
import { createFindActiveAccount } from './people.ts';
import { createRefreshWindow } from './refresh-window.ts';
import { createSessions } from './sessions.ts';
import type { Sessions } from './sessions.ts';
import { translatedBack } from './store-errors.ts';
import { createStructuredTokens } from './structured-tokens.ts';

export interface EngineOptions extends ConfigurationOptions {
  /** So long a used refresh token gets its answer again; 0: never. */
  readonly refreshRetryWindowSeconds: number;
  readonly events: EngineEvents;
  /** Development only: refusals say in the answer what is otherwise in the log alone. */
  readonly showDetail: boolean;
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
  readonly interactions: Interactions;
  readonly sessions: Pick<Sessions, 'list' | 'end' | 'endAll'>;
  /** The applications that a person allowed something. */
  readonly applications: Pick<Grants, 'list' | 'revoke'>;
}

/** Builds the engine for one key ring. */
export function createEngine(options: EngineOptions): Engine {
  const { issuer, artifacts, clients, events, showDetail, now } = options;
  const grants = createGrants({ artifacts, clients, grantSeconds: grantSeconds(options), now });
  const { sessionIdleSeconds, sessionRememberedSeconds, refreshRetryWindowSeconds } = options;
  const sessionSeconds = Math.max(sessionIdleSeconds, sessionRememberedSeconds);
  const sessions = createSessions({ artifacts, sessionSeconds, now });
  const refreshWindow = createRefreshWindow({ artifacts, windowSeconds: refreshRetryWindowSeconds, now });

  const provider = new Provider(issuer, toConfiguration(options, { grants, sessions, refreshWindow }));
  pinOrigin(provider, issuer); // it decides by its own context whether a cookie is for https
  compareSecretsByDigest(provider, now);
  createEventBridge(provider, events, showDetail);

  return {
    handle: createHandler(provider, options, refreshWindow.middleware),
    findClientToken: (value) => translatedBack(findClientToken(provider, value)),
    interactions: createInteractions(provider, grants, now),
    sessions,
    applications: grants,
    ...createBrowserSessions(provider, options, now),
  };
}

/** The engine with what belongs around it at each path. */
function createHandler(
  provider: Provider,
  { issuer, jwks, artifacts, accounts, now }: EngineOptions,
  refreshWindow: EngineMiddleware,
): EngineMiddleware {
  const [run] = provider.middleware;
  if (run === undefined) throw new Error('the protocol engine has no middleware');
  // The engine makes the plain Koa context its own: it defines `ctx.oidc` on it.
  const untranslated = run as unknown as EngineMiddleware;
  const engine: EngineMiddleware = (ctx, next) => translatedBack(untranslated(ctx, next));
  const documents = createDocumentCache();
  const structuredTokens = createStructuredTokens({
    issuer,
    jwks: publicJwks(jwks),
    artifacts,
    findClient: (clientId) => translatedBack(provider.Client.find(clientId)),
    findAccount: createFindActiveAccount(accounts),
    now,
  });
  const browser = withEngineCookies(provider, engine);

  return (ctx, next) => {
    switch (ctx.path) {
      case '/token':
        return refreshWindow(ctx, () => engine(ctx, next));
      case '/jwks':
        return documents(ctx, () => engine(ctx, next));
      case '/introspect':
      case '/revoke':
        return structuredTokens(ctx, () => engine(ctx, next));
      case '/userinfo':
      case '/device/auth':
        return engine(ctx, next);
      default:
        return ctx.path.startsWith('/.well-known/')
          ? documents(ctx, () => restrictDiscovery(ctx, () => engine(ctx, next)))
          : browser(ctx, next);
    }
  };
}

async function findClientToken(provider: Provider, value: string): Promise<ClientToken | null> {
  const token = await provider.ClientCredentials.find(value);
  if (token?.isValid !== true || token.clientId === undefined) return null;
  return { clientId: token.clientId, scopes: [...token.scopes] };
}

const PUBLIC_MEMBERS = ['kty', 'kid', 'alg', 'use', 'crv', 'n', 'e', 'x', 'y'] as const;

/** The public half: an allow-list, so that no private member can slip through. */
function publicJwks(jwks: readonly JWK[]): JSONWebKeySet {
  return {
    keys: jwks.map((jwk) => ({
      kty: jwk.kty ?? '',
      ...Object.fromEntries(
        PUBLIC_MEMBERS.flatMap((name) => (jwk[name] === undefined ? [] : [[name, jwk[name]]])),
      ),
    })),
  };
}
