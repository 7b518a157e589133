/**
 * What answers once the store is open and the keys are loaded: the protocol engine and the signer of the present
 * key ring, and the jobs that follow key changes and delete what expired. A part of the composition root.
 */
import { createAdminService } from './admin-service.ts';
import { createBell } from '../background.ts';
import type { Bell } from '../background.ts';
import { createClientOrigins } from '../clients/origins.ts';
import type { IsClientOrigin } from '../clients/origins.ts';
import type { Config, Secrets } from '../config.ts';
import { createEnginePages } from './engine-pages.ts';
import type { Events } from '../events.ts';
import { createGatewayRoute } from './gateway.ts';
import { createProtocolLimits } from './protocol-limits.ts';
import { createRateLimits } from '../http/rate-limit.ts';
import type { RateLimits } from '../http/rate-limit.ts';
import type { RenderPage } from '../http/views.ts';
import type { Ledger } from './ledger.ts';
import { createJsonApi } from './json-api.ts';
import type { KeyRing } from '../keys/keystore.ts';
import type { Sealer } from '../keys/sealer.ts';
import { createAccessTokenSigner } from '../keys/signer.ts';
import type { Sign } from '../keys/signer.ts';
import type { Mailer } from '../mail/mailer.ts';
import type { EngineMiddleware } from '../oidc/engine-middleware.ts';
import { createLogoutDelivery } from '../oidc/logout-delivery.ts';
import type { DeliverLogouts } from '../oidc/logout-delivery.ts';
import { createLogoutNotices } from '../oidc/logout-notices.ts';
import { createEngine } from '../oidc/provider.ts';
import type { Engine, EngineOptions } from '../oidc/provider.ts';
import { createOutgoing } from '../outgoing.ts';
import { foldName, reservedNames } from '../names.ts';
import { createPeople } from './people.ts';
import type { ServePages } from './people.ts';
import { createPrograms, endingKeys } from './programs.ts';
import type { Storage } from '../storage/port.ts';
import { tellAccess } from './told-engine.ts';

const HOUR_SECONDS = 3_600;

/** All that depends on one key ring; never changed, only replaced as a whole. */
interface Generation {
  readonly ring: KeyRing;
  readonly engine: Engine;
  readonly sign: Sign;
}

/** What answers once the store is open and the keys are loaded. */
export interface Service {
  readonly storage: Storage;
  current(): Generation;
  /** Answers the protocol's paths. */
  readonly protocol: EngineMiddleware;
  readonly limits: RateLimits;
  readonly isClientOrigin: IsClientOrigin;
  /** Rings when a client has to be told of a logout. */
  readonly logoutBell: Bell;
  readonly deliverLogouts: DeliverLogouts;
  readonly pages: ServePages;
  readonly api: ServePages;
  /** Replaces the engine and the signer in one assignment; requests in flight finish on the old ones. */
  useRing(ring: KeyRing): void;
}

export interface ServiceOptions {
  readonly config: Config;
  readonly secrets: Pick<Secrets, 'jwtSecretKey'>;
  readonly storage: Storage;
  readonly ledger: Ledger;
  readonly sealer: Sealer;
  readonly mailer: Mailer;
  readonly events: Events;
  readonly renderPage: RenderPage;
  readonly refusalMs?: number | undefined;
  readonly now: () => number;
  readonly ring: KeyRing;
}

/** Builds the engine and the signer of the present key ring. */
export function createService(options: ServiceOptions): Service {
  const { config, storage, events, now, ring } = options;
  const outgoing = createOutgoing({ isDevelopment: !config.isProduction });
  const logoutBell = createBell();
  const notices = createLogoutNotices({ ...storage, onQueued: logoutBell.ring, now });
  const programs = createPrograms({ ...options, engine: () => current.engine });
  const { findApiKey } = programs;
  const makeEngine = (parts: EngineOptions): Engine => endingKeys(createEngine(parts), storage.apiKeys);
  const build = (forRing: KeyRing): Generation => ({
    ring: forRing,
    sign: createAccessTokenSigner(forRing.jwks, 'RS256'),
    engine: makeEngine({ ...engineOptions(options, forRing), findApiKey, outgoing, notices }),
  });
  let current = build(ring);
  const issue: Engine['issueLogoutToken'] = (notice) => current.engine.issueLogoutToken(notice);
  const limits = openRateLimits(options);
  const isClientOrigin = createClientOrigins(storage.clients);
  const shared = { ...options, limits, isClientOrigin, engine: () => current.engine };
  const people = createPeople({ ...shared, engine: () => tellAccess(current.engine, events) });
  return {
    storage,
    current: () => current,
    limits,
    protocol: createProtocolLimits(limits, () => current.engine),
    isClientOrigin,
    logoutBell,
    deliverLogouts: createLogoutDelivery({ ...storage, issue, outgoing, events, now }),
    pages: people.pages,
    api: createJsonApi({
      ...shared,
      programs,
      routes: [
        ...people.api,
        ...programs.routes,
        ...createAdminService({ ...shared, ...people.parts }),
        createGatewayRoute({ ...shared, ...programs }),
      ],
    }),
    useRing: (next) => {
      current = build(next);
    },
  };
}

const engineOptions = (
  { config, secrets, storage, sealer, events, renderPage, now }: ServiceOptions,
  ring: KeyRing,
): Omit<EngineOptions, 'outgoing' | 'notices' | 'findApiKey'> => ({
  issuer: config.issuer,
  jwks: ring.jwks,
  artifacts: storage.artifacts,
  accounts: storage.accounts,
  counters: storage.counters,
  clients: storage.clients,
  resourceServers: storage.resourceServers,
  openSecret: sealer.open,
  isReservedAudience: (audience) => reservedNames(config).includes(foldName(audience)),
  accessTokenLifetimeSeconds: config.tokens.accessTokenLifetimeSeconds,
  refreshTokenIdleSeconds: config.tokens.refreshTokenIdleSeconds,
  refreshTokenAbsoluteSeconds: config.tokens.refreshTokenAbsoluteSeconds,
  refreshRetryWindowSeconds: config.tokens.refreshRetryWindowSeconds,
  sessionIdleSeconds: config.sessions.idleSeconds,
  sessionRememberedSeconds: config.sessions.rememberedSeconds,
  apiAccessTokenSeconds: config.api.accessTokenSeconds,
  apiRememberedSeconds: config.api.refreshTokenSeconds,
  trustedHops: config.trustedProxies,
  cookieSecret: secrets.jwtSecretKey,
  pages: createEnginePages(renderPage),
  events,
  showDetail: config.debug,
  now,
});

function openRateLimits({ config, storage, events, now }: ServiceOptions): RateLimits {
  const { userPerHour, adminPerHour, ipPerHour, authorizePerHour } = config.rateLimit;
  const hourly = (quota: number) => ({ quota, windowSeconds: HOUR_SECONDS });
  const policies = {
    user: hourly(userPerHour),
    admin: hourly(adminPerHour),
    key: hourly(userPerHour),
    ip: hourly(ipPerHour),
    authorize: hourly(authorizePerHour),
  };
  return createRateLimits({
    counters: storage.counters,
    policies: config.rateLimits ? policies : null,
    onExceeded: events.rateLimited,
    now,
  });
}
