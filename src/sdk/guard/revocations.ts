/**
 * The port to a revocation feed: what tells a back end that verifies tokens by itself that one of them ended before
 * its time. Where the news comes from is the feed's affair.
 */
import { GuardError } from './errors.ts';
import type { Claims } from './auth.ts';

/** Knows which tokens ended early. It is asked at each request, so it answers from memory. */
export interface RevocationFeed {
  /**
   * True where the token with these claims ended, by its `jti`, its `sid`, its `sub` or whatever the feed goes by.
   * What it throws becomes 503: a feed that does not know must not let in.
   */
  isRevoked(claims: Claims): boolean;
}

/** Throws for claims that the feed names. */
export function assertNotRevoked(claims: Claims, feed: RevocationFeed | undefined): void {
  if (feed === undefined || !ask(feed, claims)) return;
  throw new GuardError('ERR_GUARD_TOKEN_REVOKED', 'The token was revoked.');
}

function ask(feed: RevocationFeed, claims: Claims): boolean {
  try {
    return feed.isRevoked(claims);
  } catch (cause) {
    const message = 'Nobody can say just now whether the token was revoked; try again in a moment.';
    throw new GuardError('ERR_GUARD_REVOCATIONS_UNAVAILABLE', message, { cause });
  }
}
