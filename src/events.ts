/**
 * What happens here that somebody may ask about later: one function an event, each a log line and a counter.
 * Their arguments are all that is recorded, so no secret is among them.
 */
import type { AccountEvents } from './accounts/events.ts';
import type { ApiKeyEvents } from './apikeys/events.ts';
import type { LogoutEvents } from './oidc/logout-delivery.ts';
import type { Logger, Metrics } from './observability.ts';

interface ForRequest {
  readonly requestId: string;
}

/** Who was refused, and from where: the address that the trusted proxies tell. */
interface Refusal extends ForRequest {
  readonly ip: string;
  readonly clientId: string | undefined;
}

// A store that is away fails every request: its cause stands in the log once in this time.
const STORE_LOST_EVERY_MS = 5_000;
const MAX_CAUSES = 100;

interface EventsOptions {
  /** The store as people are told of it, without a password. */
  readonly store: string;
  readonly logger: Logger;
  readonly metrics: Metrics;
}

export type Events = ReturnType<typeof createEvents>;

/** What people do with their sessions, and with what applications may do for them. */
export interface AccessEvents {
  sessionEnded(event: { readonly accountId: string; readonly sessionId: string }): void;
  /** `exceptId`: the session that goes on; null for none. */
  sessionsEnded(event: { readonly accountId: string; readonly exceptId: string | null }): void;
  consentGranted(event: {
    readonly accountId: string;
    readonly clientId: string;
    readonly scopes: readonly string[];
  }): void;
  consentRevoked(event: { readonly accountId: string; readonly clientId: string }): void;
}

/** Hears some of the events beside the log and the counters. */
export type EventListener = Partial<Events>;

/** The same events, told to the listeners as well: those that there are when an event happens. */
export function tellAlso(events: Events, listeners: () => readonly EventListener[]): Events {
  const told = Object.entries(events).map(([name, tell]) => [
    name,
    (details: unknown): void => {
      (tell as Tell)(details);
      for (const listener of listeners()) (listener[name as keyof Events] as Tell | undefined)?.(details);
    },
  ]);
  return Object.fromEntries(told) as Events; // each under its name, with the same argument
}

/** An event, whichever it is: all have one argument. */
type Tell = (details: unknown) => void;

/** Makes the events of one process. */
export function createEvents({ store, logger, metrics }: EventsOptions) {
  const record = (level: 'info' | 'warn', event: string, details: object): void => {
    metrics.countEvent(event);
    logger[level]({ event, ...details });
  };

  return {
    tokenIssued: (details: ForRequest & { clientId: string; grantType: string; scope: string }): void =>
      record('info', 'token_issued', details),
    /** `accountId` null: for the node itself; `grantType` null: at /vpn/auth. */
    vpnTokenIssued: (
      details: ForRequest & {
        clientId: string;
        accountId: string | null;
        grantType: string | null;
        jti: string;
      },
    ): void => record('info', 'vpn_token_issued', details),
    protocolRefused: (
      details: Refusal & { endpoint: string; error: string; detail: string | undefined },
    ): void => record('info', 'protocol_refused', details),
    vpnTokenRefused: (details: Refusal & { reason: string }): void =>
      record('info', 'vpn_token_refused', details),
    ...nodeKeyEvents(record),
    /** Told once a window of each subject, or the log would grow with what was refused. */
    rateLimited: (details: ForRequest & { ip: string; policy: string }): void =>
      record('warn', 'rate_limited', details),
    ...accountEvents(record),
    ...accessEvents(record),
    ...logoutEvents(record),
    ...apiKeyEvents(record),
    mailSent: (details: { template: string; link?: string }): void => record('info', 'mail_sent', details),
    mailFailed: (details: { template: string; cause: string }): void =>
      record('warn', 'mail_failed', details),
    /** Where the audit log stands: kept elsewhere it tells whether the newest records are still there. */
    auditReached: (details: { seq: number; hash: string }): void => record('info', 'audit_reached', details),
    auditLost: (details: { count: number; cause: string }): void => record('warn', 'audit_lost', details),
    /** `signers`: algorithm → the kid that signs now. */
    keysChanged: (details: { kids: readonly string[]; signers: Readonly<Record<string, string>> }): void =>
      record('info', 'keys_changed', details),
    /** Nobody could verify what these keys sign: this instance goes on with those that it has. */
    keysRefused: (details: { signers: Readonly<Record<string, string>>; cause: string }): void =>
      record('warn', 'keys_refused', details),
    /** Its key was retired, and a kid never comes back: the file may go. */
    keyFileRetired: (details: { file: string }): void => record('warn', 'key_file_retired', details),
    /** How much of what is in the store needs SECRET_KEY_PREVIOUS. */
    previousSecretKey: (details: {
      signingKeys: number;
      resourceServers: number;
      auditKeys: number;
      advice: string;
    }): void => record('warn', 'previous_secret_key', details),
    storeLost: createStoreLost(store, record),
    serverStarted: (details: { version: string; issuer: string; port: number; storeKind: string }): void =>
      record('info', 'server_started', { ...details, store }),
    serverStopping: (details: object): void => record('info', 'server_stopping', details),
    serverStopped: (details: object): void => record('info', 'server_stopped', details),
    serverFailed: ({ requestId, error }: ForRequest & { error: unknown }): void => {
      metrics.countEvent('server_failed');
      logger.error({ event: 'server_failed', requestId, err: error });
    },
  };
}

/** Told once in a while of each cause; `repeated` counts what was not told meanwhile. */
function createStoreLost(store: string, record: RecordEvent) {
  const told = new Map<string, { at: number; repeated: number }>();
  return ({ cause }: { readonly cause: string }): void => {
    const last = told.get(cause);
    const at = performance.now();
    if (last !== undefined && at - last.at < STORE_LOST_EVERY_MS) {
      last.repeated += 1;
      return;
    }
    if (told.size >= MAX_CAUSES) told.clear();
    told.set(cause, { at, repeated: 0 });
    record('warn', 'store_lost', { store, cause, repeated: last?.repeated ?? 0 });
  };
}

type RecordEvent = (level: 'info' | 'warn', event: string, details: object) => void;

/** `kid`: of the key that the node has from now on. */
const nodeKeyEvents = (record: RecordEvent) => ({
  nodeEnrolled: (details: NodeKey): void => record('info', 'node_enrolled', details),
  nodeKeyAdded: (details: NodeKey): void => record('info', 'node_key_added', details),
  nodeKeyRefused: (details: Refusal & { reason: string }): void =>
    record('info', 'node_key_refused', details),
});

interface NodeKey extends ForRequest {
  readonly clientId: string;
  readonly kid: string;
}

const apiKeyEvents = (record: RecordEvent): ApiKeyEvents => ({
  apiKeyCreated: (details) => record('info', 'api_key_created', details),
  apiKeyChanged: (details) => record('info', 'api_key_changed', details),
  apiKeyRotated: (details) => record('info', 'api_key_rotated', details),
  apiKeyDeleted: (details) => record('info', 'api_key_deleted', details),
});

const logoutEvents = (record: RecordEvent): LogoutEvents => ({
  logoutDelivered: (details) => record('info', 'logout_delivered', details),
  logoutDeferred: (details) => record('warn', 'logout_deferred', details),
  logoutUndeliverable: (details) => record('warn', 'logout_undeliverable', details),
});

const accessEvents = (record: RecordEvent): AccessEvents => ({
  sessionEnded: (details) => record('info', 'session_ended', details),
  sessionsEnded: (details) => record('info', 'sessions_ended', details),
  consentGranted: (details) => record('info', 'consent_granted', details),
  consentRevoked: (details) => record('info', 'consent_revoked', details),
});

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
