/**
 * What answers once the store is open and the keys are loaded: the protocol engine and the signer of the present
 * key ring, and the jobs that follow key changes and delete what expired. A part of the composition root.
 */
import { repeat } from './background.ts';
import { createClientOrigins } from './clients/origins.ts';
import type { IsClientOrigin } from './clients/origins.ts';
import type { Config, Secrets } from './config.ts';
import type { Events } from './events.ts';
import type { RenderPage } from './http/views.ts';
import type { KeyRing, Keystore } from './keys/keystore.ts';
import type { Sealer } from './keys/sealer.ts';
import { createAccessTokenSigner } from './keys/signer.ts';
import type { Sign } from './keys/signer.ts';
import type { Mailer } from './mail/mailer.ts';
import type { EnginePages } from './oidc/pages.ts';
import { createEngine } from './oidc/provider.ts';
import type { Engine } from './oidc/provider.ts';
import { foldName, reservedNames } from './names.ts';
import { createPeople } from './people.ts';
import type { ServePages } from './people.ts';
import type { Storage } from './storage/port.ts';

// Contracts: a rotation is seen by each instance within seconds.
const KEY_REFRESH_MS = 5_000;
const SWEEP_IDLE_MS = 30_000;
const SWEEP_BUSY_MS = 100;
const FAILURE_PAUSE_MS = 1_000;

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
  readonly isClientOrigin: IsClientOrigin;
  readonly pages: ServePages;
  /** Replaces the engine and the signer in one assignment; requests in flight finish on the old ones. */
  useRing(ring: KeyRing): void;
}

export interface ServiceOptions {
  readonly config: Config;
  readonly secrets: Pick<Secrets, 'jwtSecretKey'>;
  readonly storage: Storage;
  readonly sealer: Sealer;
  readonly mailer: Mailer;
  readonly events: Events;
  readonly renderPage: RenderPage;
  readonly now: () => number;
  readonly ring: KeyRing;
}

/** Builds the engine and the signer of the present key ring. */
export function createService(options: ServiceOptions): Service {
  const { config, secrets, storage, sealer, events, renderPage, now, ring } = options;
  const build = (forRing: KeyRing): Generation => ({
    ring: forRing,
    sign: createAccessTokenSigner(forRing.jwks, 'RS256'),
    engine: createEngine({
      issuer: config.issuer,
      jwks: forRing.jwks,
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
      cookieSecret: secrets.jwtSecretKey,
      pages: createEnginePages(renderPage),
      events,
      showDetail: config.debug,
      now,
    }),
  });
  let current = build(ring);
  return {
    storage,
    current: () => current,
    isClientOrigin: createClientOrigins(storage.clients),
    pages: createPeople({ ...options, engine: () => current.engine }),
    useRing: (next) => {
      current = build(next);
    },
  };
}

/** The engine's pages, drawn by our templates. */
const createEnginePages = (renderPage: RenderPage): EnginePages => ({
  error: (ctx, { error, description }) =>
    renderPage(ctx, 'error', {
      status: ctx.status,
      error,
      description,
      requestId: ctx.state['requestId'],
    }),
  logout: (ctx, { form, client, redirectUri }) =>
    renderPage(
      ctx,
      'pages/logout',
      { form, clientName: client?.name },
      { formAction: redirectUri === null ? [] : [redirectUri] },
    ),
  loggedOut: (ctx) => renderPage(ctx, 'pages/signed-out', {}),
  deviceCode: (ctx, { form, userCode, fault }) => {
    if (fault === 'declined') renderPage(ctx, 'pages/device-done', { aborted: true });
    else {
      const errors = fault === null ? {} : { user_code: 'problem.userCode' };
      renderPage(ctx, 'pages/device-code', { form, values: { user_code: userCode }, errors });
    }
  },
  deviceConfirm: (ctx, { form, userCode, client }) =>
    renderPage(ctx, 'pages/device-confirm', { form, userCode, clientName: client.name }),
  deviceDone: (ctx, { client }) => renderPage(ctx, 'pages/device-done', { clientName: client?.name }),
});

export interface JobOptions {
  readonly service: Service;
  readonly keystore: Keystore;
  readonly events: Events;
  readonly now: () => number;
  readonly signal: AbortSignal;
}

/** Follows key changes of other instances, and deletes what expired. */
export function startJobs({ service, keystore, events, now, signal }: JobOptions): void {
  const onFailure = (error: unknown): number => {
    events.storeLost({ cause: causeOf(error) });
    return FAILURE_PAUSE_MS;
  };
  const refreshKeys = async (): Promise<number> => {
    const ring = await keystore.load();
    if (ring.fingerprint !== service.current().ring.fingerprint) {
      service.useRing(ring);
      events.keysChanged({ kids: ring.jwks.map(({ kid }) => kid ?? '') });
    }
    return KEY_REFRESH_MS;
  };
  const sweep = async (): Promise<number> =>
    (await service.storage.deleteExpired(now())) > 0 ? SWEEP_BUSY_MS : SWEEP_IDLE_MS;

  void repeat(refreshKeys, onFailure, signal);
  void repeat(sweep, onFailure, signal);
}

/** The reason behind an error, in one line. */
export const causeOf = (error: unknown): string => {
  if (!Error.isError(error)) return 'unknown';
  return Error.isError(error.cause) ? error.cause.message : error.message;
};
