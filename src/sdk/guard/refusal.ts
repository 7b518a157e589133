/** A refusal as an HTTP answer: a Problem (RFC 9457) and, where there is one, the challenge (RFC 6750 3, RFC 9728 5.1). */
import { STATUS_CODES } from 'node:http';

import type { GuardError } from './errors.ts';

const RETRY_AFTER_SECONDS = '2';

/** What goes out in the place of the route's own answer. */
export interface Refusal {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  /** The Problem, as JSON. */
  readonly body: string;
}

/**
 * The answer to a GuardError, for an application that writes its own. `resourceMetadata` is the address of the
 * resource server's metadata document, where it publishes one.
 */
export function toRefusal(error: GuardError, resourceMetadata?: string): Refusal {
  const { status, message } = error;
  const challenge = challengeOf(error, resourceMetadata);
  return {
    status,
    headers: {
      'Content-Type': 'application/problem+json',
      'Cache-Control': 'no-store',
      ...(challenge !== null && { 'WWW-Authenticate': challenge }),
      ...(status === 503 && { 'Retry-After': RETRY_AFTER_SECONDS }),
    },
    body: JSON.stringify({ type: 'about:blank', title: STATUS_CODES[status], status, detail: message }),
  };
}

/** Every 401 has one; another refusal only where a different token would be let in. */
function challengeOf(error: GuardError, resourceMetadata: string | undefined): string | null {
  const { status, challengeError, message, scopes } = error;
  if (status !== 401 && challengeError === null) return null;
  const parameters = Object.entries({
    error: challengeError,
    error_description: challengeError === null ? null : message,
    scope: scopes.length > 0 ? scopes.join(' ') : null,
    resource_metadata: resourceMetadata ?? null,
  }).flatMap(([name, value]) => (value === null ? [] : [`${name}="${value}"`]));
  return ['Bearer', parameters.join(', ')].join(' ').trim();
}
