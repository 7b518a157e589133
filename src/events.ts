/**
 * What happens here that somebody may ask about later: one function an event, each a log line and a counter.
 * Their arguments are all that is recorded, so no secret is among them.
 */
import type { AccountEvents } from './accounts/events.ts';
import type { Logger, Metrics } from './observability.ts';

interface ForRequest {
  readonly requestId: string;
}

/** Who was refused, and from where: the address that the trusted proxies tell. */
interface Refusal extends ForRequest {
  readonly ip: string;
  readonly clientId: string | undefined;
}

interface EventsOptions {
  readonly logger: Logger;
  readonly metrics: Metrics;
}

export type Events = ReturnType<typeof createEvents>;

/** Makes the events of one process. */
export function createEvents({ logger, metrics }: EventsOptions) {
  const record = (level: 'info' | 'warn', event: string, details: object): void => {
    metrics.countEvent(event);
    logger[level]({ event, ...details });
  };

  return {
    tokenIssued: (details: ForRequest & { clientId: string; grantType: string; scope: string }): void =>
      record('info', 'token_issued', details),
    vpnTokenIssued: (details: ForRequest & { clientId: string; jti: string }): void =>
      record('info', 'vpn_token_issued', details),
    protocolRefused: (
      details: Refusal & { endpoint: string; error: string; detail: string | undefined },
    ): void => record('info', 'protocol_refused', details),
    vpnTokenRefused: (details: Refusal & { reason: string }): void =>
      record('info', 'vpn_token_refused', details),
    ...accountEvents(record),
    mailSent: (details: { template: string; link?: string }): void => record('info', 'mail_sent', details),
    mailFailed: (details: { template: string; cause: string }): void =>
      record('warn', 'mail_failed', details),
    keysChanged: (details: { kids: readonly string[] }): void => record('info', 'keys_changed', details),
    storeLost: (details: { cause: string }): void => record('warn', 'store_lost', details),
    serverFailed: ({ requestId, error }: ForRequest & { error: unknown }): void => {
      metrics.countEvent('server_failed');
      logger.error({ event: 'server_failed', requestId, err: error });
    },
  };
}

type RecordEvent = (level: 'info' | 'warn', event: string, details: object) => void;

const accountEvents = (record: RecordEvent): AccountEvents => ({
  signedIn: (details) => record('info', 'signed_in', details),
  signInRefused: (details) => record('info', 'sign_in_refused', details),
  accountLocked: (details) => record('warn', 'account_locked', details),
  accountRegistered: (details) => record('info', 'account_registered', details),
  passwordChanged: (details) => record('info', 'password_changed', details),
  emailChanged: (details) => record('info', 'email_changed', details),
  accountStatusChanged: (details) => record('warn', 'account_status_changed', details),
  accountDeleted: (details) => record('warn', 'account_deleted', details),
});
