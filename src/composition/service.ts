/**
 * What answers once the store is open and the keys are loaded: the protocol engine and the signer of the present
 * key ring, and what a change of it replaces. The jobs are in `jobs.ts`. A part of the composition root.
 */
import { createAdminService } from './admin-service.ts';
import { createBell } from '../background.ts';
import type { Bell } from '../background.ts';
import { createClientOrigins } from '../clients/origins.ts';
import type { IsClientOrigin } from '../clients/origins.ts';
import { signingSecretsOf } from '../config.ts';
import type { Config, JwtSecrets } from '../config.ts';
import { createCustomerService, createFindCustomer, customersOfEngine } from './customers.ts';
import { createEnginePages } from './engine-pages.ts';
import type { Events } from '../events.ts';
import { createGatewayRoute } from './gateway.ts';
import { createProtocolLimits } from './protocol-limits.ts';
import { createRateLimits } from '../http/rate-limit.ts';
import type { RateLimits } from '../http/rate-limit.ts';
import type { RenderPage } from '../http/views.ts';
import type { Ledger } from './ledger.ts';
import { createJsonApi } from './json-api.ts';
import { assertSigns } from '../keys/keystore.ts';
import type { KeyRing } from '../keys/keystore.ts';
import type { Sealer } from '../keys/sealer.ts';
import {
  createAccessTokenSigner,
  createCustomerTokenSigner,
  createRevocationSigner,
  createStatusListSigner,
} from '../keys/signer.ts';
import type { Sign } from '../keys/signer.ts';
import type { Mailer } from '../mail/mailer.ts';
import type { EngineMiddleware } from '../oidc/engine-middleware.ts';
import { createLogoutDelivery } from '../oidc/logout-delivery.ts';
import type { DeliverLogouts } from '../oidc/logout-delivery.ts';
import { createLogoutNotices } from '../oidc/logout-notices.ts';
import type { CustomersOfEngine } from '../oidc/customer-claims.ts';
import { createEngine } from '../oidc/provider.ts';
import type { Engine, EngineOptions } from '../oidc/provider.ts';
import { openNodeEnrolment } from './node-enrolment.ts';
import { createOutgoing } from '../outgoing.ts';
import { foldName, reservedNames } from '../names.ts';
import { createPeople } from './people.ts';
import type { ServePages } from './people.ts';
import { createPrograms, endingKeys } from './programs.ts';
import { createFeeds, createVpnEndings, endingTokens } from './revocations.ts';
import type { Feeds, RevocationFeed } from './revocations.ts';
import { createVpnStatus } from './status-lists.ts';
import type { VpnStatus } from './status-lists.ts';
import type { Storage } from '../storage/port.ts';
import { tellAccess } from './told-engine.ts';
import type { NodeEnrolment } from '../vpn/enrolment.ts';
import { createVpn } from './vpn.ts';
import type { Vpn } from './vpn.ts';

const HOUR_SECONDS = 3_600;

/** All that depends on one key ring; never changed, only replaced as a whole. */
interface Generation {
  readonly ring: KeyRing;
  readonly engine: Engine;
  readonly sign: Sign;
  readonly signRevocations: Feeds<Sign>;
  readonly signStatusList: Sign;
  /** Of customers. */
  readonly signCustomerToken: Sign;
  readonly customers: CustomersOfEngine;
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
  readonly vpnExchange: Vpn['exchange'];
  readonly nodeEnrolment: NodeEnrolment;
  readonly statusLists: VpnStatus['lists'];
  /** What ended early, as nodes and gateways read it. */
  readonly feeds: Feeds<RevocationFeed>;
  readonly pages: ServePages;
  readonly api: ServePages;
  /**
   * Replaces the engine and the signer in one assignment; requests in flight finish on the old ones. Throws a sentence
   * where the ring cannot sign: then everything stays as it was.
   */
  useRing(ring: KeyRing): void;
}

export interface ServiceOptions {
  readonly config: Config;
  readonly secrets: JwtSecrets;
  readonly storage: Storage;
  readonly ledger: Ledger;
  readonly sealer: Sealer;
  readonly mailer: Mailer;
  readonly events: Events;
  readonly renderPage: RenderPage;
  readonly refusalMs?: number | undefined;
  readonly statusListSize?: number | undefined;
  readonly now: () => number;
  readonly ring: KeyRing;
}

/** Builds the engine and the signer of the present key ring. */
export function createService(given: ServiceOptions): Service {
  const { config, events, now, ring } = given;
  const bells = { nodes: createBell(), gateways: createBell() };
  const endings = createVpnEndings({ ...given, onAppended: bells.nodes.ring });
  const { storage } = endings;
  const options = { ...given, storage, onEnded: bells.gateways.ring };
  const outgoing = createOutgoing({ isDevelopment: !config.isProduction });
  const logoutBell = createBell();
  const notices = createLogoutNotices({ ...storage, onQueued: logoutBell.ring, now });
  const programs = createPrograms({ ...options, engine: () => current.engine });
  const { findApiKey } = programs;
  const status = createVpnStatus({ ...options, current: () => current });
  const vpn = createVpn({ ...options, endToken: endings.endToken, status, current: () => current });
  const exchangeToken = vpn.exchange.byClient;
  const makeEngine = (parts: EngineOptions): Engine =>
    endingKeys(endingTokens(createEngine(parts), endings), storage.apiKeys);
  const parts = { findApiKey, outgoing, notices, exchangeToken, vpn: vpn.tokens };
  const build = (forRing: KeyRing): Generation =>
    toGeneration(options, forRing, (own) => makeEngine({ ...own, ...parts }));
  let current = build(ring);
  const findCustomer = createFindCustomer(options, () => current.customers);
  const issue: Engine['issueLogoutToken'] = (notice) => current.engine.issueLogoutToken(notice);
  const limits = openRateLimits(options);
  const isClientOrigin = createClientOrigins(storage.clients);
  const shared = { ...options, limits, isClientOrigin, engine: () => current.engine };
  const told = () => tellAccess(current.engine, events);
  const people = createPeople({ ...shared, engine: told, untoldEngine: shared.engine });
  return {
    storage,
    current: () => current,
    limits,
    protocol: createProtocolLimits(limits, () => current.engine),
    isClientOrigin,
    logoutBell,
    deliverLogouts: createLogoutDelivery({ ...storage, issue, outgoing, events, now }),
    vpnExchange: vpn.exchange,
    nodeEnrolment: openNodeEnrolment(options),
    statusLists: status.lists,
    feeds: createFeeds({ ...options, bells, current: () => current }),
    pages: people.pages,
    api: createJsonApi({
      ...shared,
      programs,
      routes: [
        ...people.api,
        ...programs.routes,
        ...createCustomerService({ ...options, sign: () => current.signCustomerToken }),
        ...createAdminService({ ...shared, ...people.parts }),
        createGatewayRoute({ ...shared, ...programs, findCustomer }),
      ],
    }),
    useRing: (next) => {
      assertSigns(next);
      current = build(next);
    },
  };
}

/** What the engine is made of, beside the parts that stay when the keys change. */
type OfRing = Omit<EngineOptions, 'outgoing' | 'notices' | 'findApiKey' | 'vpn' | 'exchangeToken'>;

function toGeneration(
  options: ServiceOptions,
  ring: KeyRing,
  makeEngine: (own: OfRing) => Engine,
): Generation {
  const customers = customersOfEngine(options, ring.jwks);
  return {
    ring,
    sign: createAccessTokenSigner(ring.jwks, 'RS256'),
    signRevocations: {
      nodes: createRevocationSigner(ring.jwks, 'vpn'),
      gateways: createRevocationSigner(ring.jwks, 'customer'),
    },
    signStatusList: createStatusListSigner(ring.jwks),
    signCustomerToken: createCustomerTokenSigner(ring.jwks),
    customers,
    engine: makeEngine({ ...engineOptions(options, ring), customers }),
  };
}

const engineOptions = (
  { config, secrets, storage, sealer, events, renderPage, now }: ServiceOptions,
  ring: KeyRing,
): Omit<OfRing, 'customers'> => ({
  issuer: config.issuer,
  jwks: ring.jwks,
  signingAlgorithms: Object.keys(ring.signers),
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
  trustedProxies: config.trustedProxies,
  cookieSecrets: signingSecretsOf(secrets),
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
    customer: hourly(0), // each has its own
  };
  return createRateLimits({
    counters: storage.counters,
    policies: config.rateLimits ? policies : null,
    onExceeded: events.rateLimited,
    now,
  });
}
