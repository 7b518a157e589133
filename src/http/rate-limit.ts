/**
 * Rate limits: how often somebody may ask within a window, counted in the store, so that all instances and aliases
 * share one count. The answer says how much is left (draft-ietf-httpapi-ratelimit-headers); whoever has nothing left
 * is refused before any work is done for them, and a store that cannot count is 503, never a way around.
 *
 * The counter is our own CounterStore: one atomic write, a fixed window, the injected clock. rate-limiter-flexible
 * would stand between as a class with six store methods (forced ends, several points, refunds) of which the port
 * needs one, on a clock of its own in milliseconds, and it refuses by rejecting with what is no Error.
 */
import { isIPv4, isIPv6 } from 'node:net';

import type { Context } from 'koa';

import { AppError } from '../errors.ts';
import type { CounterStore } from '../storage/port.ts';

export interface RatePolicy {
  /** Requests within a window. */
  readonly quota: number;
  readonly windowSeconds: number;
}

/**
 * `user`, `admin`: who signed in, by role. `key`: an API key. `ip`: a network, for what needs no sign-in. `authorize`: what makes
 * the server remember a request until somebody answers it, by network or, of who is signed in, by account. `customer`: what
 * a gateway lets through for one, as often as that one may.
 */
export type PolicyName = 'user' | 'admin' | 'key' | 'ip' | 'authorize' | 'customer';

export interface RateLimits {
  /**
   * Counts one request and writes the headers; throws AppError('too_many_requests') beyond the quota. `subject` is
   * an id (an account's, a key's), or `networkOf(ctx.ip)`; `quota` stands in for the policy's where a key has its own.
   */
  limit(ctx: Context, policy: PolicyName, subject: string, quota?: number): Promise<void>;
}

interface RateLimitOptions {
  readonly counters: Pick<CounterStore, 'hit'>;
  /** Null: nobody is limited. */
  readonly policies: Readonly<Record<PolicyName, RatePolicy>> | null;
  /** Told once a window of each subject. */
  readonly onExceeded: (exceeded: { requestId: string; ip: string; policy: PolicyName }) => void;
  readonly now: () => number;
}

/** Makes the limits. */
export function createRateLimits({ counters, policies, onExceeded, now }: RateLimitOptions): RateLimits {
  if (policies === null) return { limit: async () => undefined };
  return {
    limit: async (ctx, policy, subject, quota = policies[policy].quota) => {
      const { windowSeconds } = policies[policy];
      const { count, resetsAt } = await counters.hit(`rate:${policy}:${subject}`, windowSeconds, now());
      const seconds = Math.max(1, resetsAt - now());
      // Lists (RFC 9651): a request that two policies count has a member of each.
      ctx.append('RateLimit-Policy', `"${policy}";q=${quota};w=${windowSeconds}`);
      ctx.append('RateLimit', `"${policy}";r=${Math.max(0, quota - count)};t=${seconds}`);
      if (count <= quota) return;
      if (count === quota + 1) onExceeded({ requestId: String(ctx.state['requestId']), ip: ctx.ip, policy });
      throw new AppError('too_many_requests', `${TOO_MANY[policy]}: try again in ${seconds} s.`, {
        retryAfterSeconds: seconds,
      });
    },
  };
}

const TOO_MANY: Readonly<Record<PolicyName, string>> = {
  user: 'You sent more requests than an account may',
  admin: 'You sent more requests than an administrator may',
  key: 'This API key sent more requests than it may',
  ip: 'Too many requests came from your network',
  authorize: 'Too many sign-ins were begun from your network or your account',
  customer: 'This customer sent more requests than it may',
};

/**
 * Whom an address stands for: an IPv4 address itself, also one that is written as IPv6, and the /64 of an IPv6
 * address, of which one person has all.
 */
export function networkOf(ip: string): string {
  const [address = ''] = ip.split('%', 1); // without the zone of a link-local one
  if (isIPv4(address)) return address;
  if (!isIPv6(address)) return 'unknown';
  const groups = groupsOf(address);
  const [a = 0, b = 0] = groups.slice(6);
  const isMapped = groups.slice(0, 5).every((group) => group === 0) && groups[5] === 0xffff;
  if (isMapped) return [a >> 8, a & 255, b >> 8, b & 255].join('.');
  const prefix = groups.slice(0, 4).map((group) => group.toString(16));
  return `${prefix.join(':')}::/64`;
}

/** The eight groups of an IPv6 address. A URL writes it in one way only (RFC 5952, without dotted IPv4). */
function groupsOf(address: string): readonly number[] {
  const { hostname } = new URL(`http://[${address}]`);
  const [head = [], tail = []] = hostname
    .slice(1, -1)
    .split('::')
    .map((part) => (part === '' ? [] : part.split(':').map((group) => parseInt(group, 16))));
  return [...head, ...Array.from({ length: 8 - head.length - tail.length }, () => 0), ...tail];
}
