/** What may be said of an API key: pure decisions, time included. */
import { AppError } from '../errors.ts';
import type { ErrorCode } from '../errors.ts';
import type { Permission } from '../permissions.ts';
import type { ApiKey } from '../storage/port.ts';

const MAX_LIFE_DAYS = 1_826;
const DAY_SECONDS = 86_400;

/** A refusal that names the field. */
const refused = (code: ErrorCode, path: string, message: string): AppError =>
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

/** `maxRate`: null where an administrator says it. Throws `forbidden` for more than that. */
export function settleRate(
  rateLimit: number | null,
  maxRate: number | null,
): Pick<ApiKey, 'rateLimit' | 'isOwnRate'> {
  if (maxRate === null || rateLimit === null) return { rateLimit, isOwnRate: false };
  if (rateLimit <= maxRate) return { rateLimit, isOwnRate: true };
  const message = `at most ${maxRate}, as its owner has: an administrator alone gives a key more`;
  throw refused('forbidden', 'rate_limit', message);
}

/**
 * Whether a key is counted by itself alone: an administrator gave it more than its owner has, `ownersRate`. Any other
 * one counts as its owner's too, or many keys would be a way around that limit.
 */
export const countsAlone = (
  { rateLimit, isOwnRate }: Pick<ApiKey, 'rateLimit' | 'isOwnRate'>,
  ownersRate: number,
): boolean => rateLimit !== null && rateLimit > ownersRate && isOwnRate !== true;

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
