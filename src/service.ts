/**
 * What answers once the store is open and the keys are loaded: the protocol engine and the signer of the present
 * key ring, and the jobs that follow key changes and delete what expired. A part of the composition root.
 */
import { repeat } from './background.ts';
import type { Config } from './config.ts';
import type { Events } from './events.ts';
import type { RenderPage } from './http/views.ts';
import type { KeyRing, Keystore } from './keys/keystore.ts';
import type { Sealer } from './keys/sealer.ts';
import { createAccessTokenSigner } from './keys/signer.ts';
import type { Sign } from './keys/signer.ts';
import { createEngine } from './oidc/provider.ts';
import type { Engine } from './oidc/provider.ts';
import { foldName, reservedNames } from './names.ts';
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
  /** Replaces the engine and the signer in one assignment; requests in flight finish on the old ones. */
  useRing(ring: KeyRing): void;
}

export interface ServiceOptions {
  readonly config: Config;
  readonly storage: Storage;
  readonly sealer: Sealer;
  readonly events: Events;
  readonly renderPage: RenderPage;
  readonly now: () => number;
  readonly ring: KeyRing;
}

/** Builds the engine and the signer of the present key ring. */
export function createService({
  config,
  storage,
  sealer,
  events,
  renderPage,
  now,
  ring,
}: ServiceOptions): Service {
  const build = (forRing: KeyRing): Generation => ({
    ring: forRing,
    sign: createAccessTokenSigner(forRing.jwks, 'RS256'),
    engine: createEngine({
      issuer: config.issuer,
      jwks: forRing.jwks,
      artifacts: storage.artifacts,
      clients: storage.clients,
      resourceServers: storage.resourceServers,
      openSecret: sealer.open,
      isReservedAudience: (audience) => reservedNames(config).includes(foldName(audience)),
      accessTokenLifetimeSeconds: config.tokens.accessTokenLifetimeSeconds,
      renderError: (ctx, out) => {
        const { error, error_description: description } = out;
        renderPage(ctx, 'error', {
          status: ctx.status,
          error,
          description,
          requestId: ctx.state['requestId'],
        });
      },
      events,
      showDetail: config.debug,
      now,
    }),
  });
  let current = build(ring);
  return {
    storage,
    current: () => current,
    useRing: (next) => {
      current = build(next);
    },
  };
}

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
