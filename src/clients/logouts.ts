/** Logouts that clients were not told of yet, as people see them. */
import { toInstant } from '../instant.ts';
import type { OutboxMessage } from '../storage/port.ts';

export interface LogoutView {
  readonly id: string;
  readonly client_id: string;
  /** Whose session ended. */
  readonly sub: string;
  readonly queued_at: string;
  readonly attempts: number;
  readonly last_error: string | null;
  /** Null where it is given up. */
  readonly next_try_at: string | null;
  /** Since when it is given up; null while it is tried. */
  readonly failed_at: string | null;
}

export const toLogoutView = (message: OutboxMessage): LogoutView => {
  const { id, clientId, payload, createdAt, attempts, lastError, dueAt, failedAt } = message;
  return {
    id,
    client_id: clientId,
    sub: payload['sub'] ?? '',
    queued_at: toInstant(createdAt),
    attempts,
    last_error: lastError,
    next_try_at: failedAt === null ? toInstant(dueAt) : null,
    failed_at: failedAt === null ? null : toInstant(failedAt),
  };
};
