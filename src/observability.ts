/**
 * What an operator sees: one JSON log line an event (pino), and Prometheus metrics. Secrets are not logged in
 * the first place; redaction is the net below. No label or line is made of free user input.
 */
import { pino } from 'pino';
import type { DestinationStream, Logger } from 'pino';
import { collectDefaultMetrics, Counter, Histogram, Registry } from 'prom-client';

export type { Logger } from 'pino';

/** Every name under which a secret could travel in an object that somebody logs. */
const SECRET_FIELDS = new Set([
  'access_token',
  'authorization',
  'client_assertion',
  'client_secret',
  'code',
  'cookie',
  'password',
  'refresh_token',
  'secret',
  'secretKey',
  'previousSecretKey',
  'jwtSecretKey',
  'previousJwtSecretKey',
  'token',
]);

/** The logger; `destination` is where its lines go (standard output). */
export const createLogger = (level: string, destination: DestinationStream): Logger =>
  pino(
    {
      level,
      base: null,
      formatters: { log: (line) => redact(line, 0) },
      serializers: { err: describeError },
    },
    destination,
  );

// Deeper than anything that is logged here; what lies below is cut, not searched.
const MAX_DEPTH = 4;

/** pino's own redaction by wildcard paths costs 7 µs a line, a tenth of a token request; this one next to nothing. */
function redact(line: Record<string, unknown>, depth: number): Record<string, unknown> {
  if (isHarmless(line)) return line;
  const redacted: Record<string, unknown> = {};
  for (const [name, value] of Object.entries(line)) {
    if (SECRET_FIELDS.has(name)) redacted[name] = '[redacted]';
    else if (typeof value !== 'object' || value === null || Error.isError(value)) redacted[name] = value;
    else if (Array.isArray(value))
      redacted[name] = value.every((item) => typeof item !== 'object') ? value : '[list]';
    else redacted[name] = depth < MAX_DEPTH ? redact({ ...value }, depth + 1) : '[deep]';
  }
  return redacted;
}

/** By allow-list: errors of libraries carry whole requests and options (`rawPacket`, `config`). */
function describeError(error: unknown): object {
  if (!Error.isError(error)) return { message: 'not an error' };
  const { name, message, stack, cause } = error;
  const code = 'code' in error && typeof error.code === 'string' ? error.code : undefined;
  return { type: name, message, code, stack, ...(cause !== undefined && { cause: describeError(cause) }) };
}

/** Most lines are flat and name no secret: they go as they are. */
function isHarmless(line: Record<string, unknown>): boolean {
  for (const name in line) {
    if (SECRET_FIELDS.has(name) || typeof line[name] === 'object') return false;
  }
  return true;
}

export interface Metrics {
  readonly registry: Registry;
  countEvent(event: string): void;
  observeRequest(request: { route: string; method: string; status: number; seconds: number }): void;
}

/** Metrics of this process in a registry of their own. */
export function createMetrics(): Metrics {
  const registry = new Registry();
  collectDefaultMetrics({ register: registry });
  const events = new Counter({
    name: 'portcullis_events_total',
    help: 'Business events by name.',
    labelNames: ['event'] as const,
    registers: [registry],
  });
  const requests = new Histogram({
    name: 'portcullis_http_request_duration_seconds',
    help: 'Answered requests by route, method and status.',
    labelNames: ['route', 'method', 'status'] as const,
    buckets: [0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5],
    registers: [registry],
  });
  const counted = new Map<string, ReturnType<typeof events.labels>>();
  // The labels are few and ours (routes, known methods, statuses), so this map is bounded.
  const known = new Map<string, ReturnType<typeof requests.labels>>();
  return {
    registry,
    countEvent: (event) => {
      let counter = counted.get(event);
      if (counter === undefined) counted.set(event, (counter = events.labels({ event })));
      counter.inc();
    },
    observeRequest: ({ route, method, status, seconds }) => {
      const key = `${route} ${method} ${status}`;
      let series = known.get(key);
      if (series === undefined) known.set(key, (series = requests.labels({ route, method, status })));
      series.observe(seconds);
    },
  };
}
