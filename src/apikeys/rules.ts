/** What may be said of an API key: pure decisions, time included. */
import { AppError } from '../errors.ts';
import type { ErrorCode } from '../errors.ts';
import type { Permission } from '../permissions.ts';
import type { ApiKey } from '../storage/port.ts';

const MAX_LIFE_DAYS = 1_826;
const DAY_SECONDS = 86_400;

/** A refusal that names the field. */
export const refused = (code: ErrorCode, path: string, message: string): AppError =>
  new AppError(code, `${path}: ${message}`, { errors: [{ path, message }] });

/** Each scope once; throws `forbidden` for what the owner may not. */
export function settleScopes(
  scopes: readonly Permission[],
  permissions: readonly Permission[],
): readonly Permission[] {
  const lacking = scopes.filter((scope) => !permissions.includes(scope));
  if (lacking.length === 0) return [...new Set(scopes)];
  throw refused('forbidden', 'scopes', `the owner of the key may not do this: ${lacking.join(', ')}`);
}

/** Unix seconds; null for a key that does not expire. Throws `invalid_request` for what is past or too far away. */
export function settleExpiry(expiresAt: number | null, now: number): number | null {
  if (expiresAt === null) return null;
  if (expiresAt <= now) throw refused('invalid_request', 'expires_at', 'a time to come');
  if (expiresAt <= now + MAX_LIFE_DAYS * DAY_SECONDS) return expiresAt;
  throw refused('invalid_request', 'expires_at', `at most ${MAX_LIFE_DAYS} days from now, or null for none`);
}

export const isOver = ({ expiresAt }: Pick<ApiKey, 'expiresAt'>, now: number): boolean =>
  expiresAt !== null && expiresAt <= now;

/** Until when a rotation lets the secret before go on; null where there is none. */
export const overlapEnd = ({ secrets }: ApiKey, now: number): number | null =>
  secrets.find(({ expiresAt }) => expiresAt !== null && expiresAt > now)?.expiresAt ?? null;
