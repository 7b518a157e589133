/** The jobs of one process beside its requests: they follow key changes, deliver logouts, delete what expired. */
import { repeat } from '../background.ts';
import type { Events } from '../events.ts';
import type { KeyRing, Keystore } from '../keys/keystore.ts';
import type { Ledger } from './ledger.ts';
import type { Service } from './service.ts';

// Contracts: a rotation is seen by each instance within 5 s.
const KEY_RELOAD_MS = 2_000;
const SWEEP_IDLE_MS = 30_000;
const SWEEP_BUSY_MS = 100;
// What this instance queues goes out at once; this is for retries, and for what the command line queued.
const LOGOUT_POLL_MS = 2_000;
const FAILURE_PAUSE_MS = 1_000;

export interface JobOptions {
  readonly service: Service;
  readonly keystore: Keystore;
  readonly ledger: Pick<Ledger, 'run'>;
  readonly events: Events;
  /** How often the key set is read; tests whose clock runs faster shorten it. */
  readonly keyReloadMs?: number | undefined;
  readonly now: () => number;
  readonly signal: AbortSignal;
}

/** Starts them; resolves once all have ended, after the signal. */
export async function startJobs({
  service,
  keystore,
  ledger,
  events,
  keyReloadMs = KEY_RELOAD_MS,
  now,
  signal,
}: JobOptions): Promise<void> {
  const onFailure = (error: unknown): number => {
    events.storeLost({ cause: causeOf(error) });
    return FAILURE_PAUSE_MS;
  };
  const follow = createFollow(service, events);
  const refreshKeys = async (): Promise<number> => {
    follow(await keystore.load());
    return keyReloadMs;
  };
  const sweep = async (): Promise<number> =>
    (await service.storage.deleteExpired(now())) > 0 ? SWEEP_BUSY_MS : SWEEP_IDLE_MS;
  const deliverLogouts = async (): Promise<number> => {
    await service.deliverLogouts(signal);
    return LOGOUT_POLL_MS;
  };
  const feeds = [service.feeds.nodes, service.feeds.gateways];
  // At once: a stop waits for whatever is open.
  for (const { streams } of feeds) signal.addEventListener('abort', streams.end, { once: true });

  await Promise.all([
    ledger.run(onFailure, signal),
    repeat(refreshKeys, onFailure, signal),
    repeat(sweep, onFailure, signal),
    repeat(deliverLogouts, onFailure, signal, service.logoutBell),
    ...feeds.map(({ streams, bell }) => repeat(streams.look, onFailure, signal, bell)),
  ]);
}

/** Uses a ring that is news. One that cannot be used is told of once, and the one before it goes on. */
function createFollow(service: Pick<Service, 'current' | 'useRing'>, events: Events) {
  let refused: string | null = null;
  return (ring: KeyRing): void => {
    const { fingerprint, signers } = ring;
    if (fingerprint === service.current().ring.fingerprint || fingerprint === refused) return;
    try {
      service.useRing(ring);
      events.keysChanged({ kids: ring.jwks.map(({ kid }) => kid ?? ''), signers });
    } catch (error) {
      refused = fingerprint;
      events.keysRefused({ signers, cause: causeOf(error) });
    }
  };
}

/** The reason behind an error, in one line. */
export const causeOf = (error: unknown): string => {
  if (!Error.isError(error)) return 'unknown';
  return Error.isError(error.cause) ? error.cause.message : error.message;
};
