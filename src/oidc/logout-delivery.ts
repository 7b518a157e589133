/**
 * Brings logout notices to their clients: takes what is due from the outbox, a few at once, sends each with a new
 * logout token, and tries again later what did not arrive. A client that is down delays nobody else's notices.
 */
import { isAppError } from '../errors.ts';
import type { Outgoing } from '../outgoing.ts';
import type { OutboxMessage, OutboxStore } from '../storage/port.ts';
import { DELIVERY_SECONDS } from './logout-notices.ts';
import type { LogoutNotice } from './logout-notices.ts';
import type { LogoutRequest } from './logout-tokens.ts';

const AT_ONCE = 10;
// Longer than all that one who took a message does with it; another one takes it after that.
const LEASE_SECONDS = 60;
const FIRST_PAUSE_SECONDS = 5;
const LONGEST_PAUSE_SECONDS = 3_600;
// What fails together is not tried together again.
const JITTER = 0.2;

export interface LogoutEvents {
  logoutDelivered(event: { clientId: string; attempts: number }): void;
  logoutDeferred(event: { clientId: string; attempts: number; cause: string }): void;
  logoutUndeliverable(event: { clientId: string; attempts: number; cause: string }): void;
}

export interface LogoutDeliveryOptions {
  readonly outbox: Pick<OutboxStore, 'take' | 'delete' | 'defer'>;
  /** Null where the client is gone or is told of logouts no more. */
  readonly issue: (notice: LogoutNotice) => Promise<LogoutRequest | null>;
  readonly outgoing: Outgoing;
  readonly events: LogoutEvents;
  readonly now: () => number;
}

/** Sends all that is due now; stops taking more when aborted. Rejects where the store cannot answer. */
export type DeliverLogouts = (signal: AbortSignal) => Promise<void>;

export function createLogoutDelivery(options: LogoutDeliveryOptions): DeliverLogouts {
  const { outbox, now } = options;
  const pauses = createPauses(now);
  const deliver = createDeliver(options, pauses);

  return async (signal) => {
    const taken: OutboxMessage[] = [];
    let taking: Promise<void> | null = null;
    const refill = async (): Promise<void> => {
      taken.push(...(await outbox.take(AT_ONCE, now() + LEASE_SECONDS, now())));
      taking = null;
    };
    const lane = async (): Promise<void> => {
      while (!signal.aborted) {
        if (taken.length === 0) await (taking ??= refill());
        const message = taken.shift();
        if (message === undefined) return;
        await deliver(message);
      }
    };
    const ended = await Promise.allSettled(Array.from({ length: AT_ONCE }, lane));
    // Another instance may have them at once, and need not wait for the lease to end.
    const giveBack = ({ id, lastError }: OutboxMessage) =>
      outbox.defer(id, { dueAt: now(), lastError, failedAt: null });
    await Promise.allSettled(taken.map(giveBack));
    const failed = ended.find((one) => one.status === 'rejected');
    if (failed !== undefined) throw failed.reason;
  };
}

type Pauses = ReturnType<typeof createPauses>;

/** Clients that did not answer, and until when the rest of their notices is not tried. */
function createPauses(now: () => number) {
  const until = new Map<string, number>();
  return {
    of: (clientId: string): number | null => {
      const end = until.get(clientId) ?? 0;
      if (end > now()) return end;
      until.delete(clientId);
      return null;
    },
    begin: (clientId: string): void => void until.set(clientId, now() + FIRST_PAUSE_SECONDS),
    end: (clientId: string): void => void until.delete(clientId),
  };
}

function createDeliver(
  options: LogoutDeliveryOptions,
  pauses: Pauses,
): (message: OutboxMessage) => Promise<void> {
  const { outbox, events, now } = options;
  const attempt = createAttempt(options);

  return async (message) => {
    const { id, clientId, attempts, createdAt } = message;
    const pausedUntil = pauses.of(clientId);
    const outcome = pausedUntil === null ? await attempt(message) : NOT_TRIED;
    if (outcome.done) {
      pauses.end(clientId);
      await outbox.delete(id);
      if (outcome.isDelivered) events.logoutDelivered({ clientId, attempts });
      return;
    }
    const cause = outcome.cause ?? message.lastError ?? 'it did not take an earlier notice';
    const isGivenUp = now() - createdAt >= DELIVERY_SECONDS;
    const dueAt = Math.max(pausedUntil ?? 0, now() + pauseSeconds(attempts, Math.random()));
    await outbox.defer(id, { dueAt, lastError: cause, failedAt: isGivenUp ? now() : null });
    if (isGivenUp) events.logoutUndeliverable({ clientId, attempts, cause });
    else if (outcome.cause !== null) {
      pauses.begin(clientId);
      events.logoutDeferred({ clientId, attempts, cause });
    }
  };
}

type Outcome =
  | { readonly done: true; readonly isDelivered: boolean }
  /** Null: it was not tried. */
  | { readonly done: false; readonly cause: string | null };

const NOT_TRIED: Outcome = { done: false, cause: null };

function createAttempt({ issue, outgoing }: LogoutDeliveryOptions) {
  const send = async ({ uri, token }: LogoutRequest): Promise<Outcome> => {
    const answer = await outgoing({
      method: 'POST',
      url: uri,
      headers: { 'Content-Type': 'application/x-www-form-urlencoded' },
      body: new URLSearchParams({ logout_token: token }).toString(),
    });
    if (!answer.ok) return { done: false, cause: answer.message };
    return answer.status === 200 || answer.status === 204
      ? { done: true, isDelivered: true }
      : { done: false, cause: `it answered ${answer.status}` };
  };

  return async (message: OutboxMessage): Promise<Outcome> => {
    let request: LogoutRequest | null;
    try {
      request = await issue(toNotice(message));
    } catch (error) {
      if (isAppError(error, 'store_unavailable')) throw error;
      // A client that was made unusable must not hold up the others.
      return { done: false, cause: 'no logout token can be made for it: look at its registration' };
    }
    return request === null ? { done: true, isDelivered: false } : send(request);
  };
}

/** `logout-notices.ts` wrote it. */
const toNotice = ({ clientId, payload }: OutboxMessage): LogoutNotice => ({
  clientId,
  sub: payload['sub'] ?? '',
  sid: payload['sid'],
});

/**
 * How long to wait after so many attempts, twice as long each time. Also after a 400: it stands for a logout that
 * failed at the client as for one that it did not understand (section 2.8), and the next token is a new one.
 */
export function pauseSeconds(attempts: number, random: number): number {
  const pause = Math.min(LONGEST_PAUSE_SECONDS, FIRST_PAUSE_SECONDS * 2 ** (attempts - 1));
  return Math.ceil(pause * (1 + JITTER * random));
}
