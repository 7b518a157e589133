/**
 * Which VPN JWTs, or which tokens of customers, ended before their time, as the server tells it: its feed, followed and
 * kept in memory. A validator or a guard asks it about each token. Where the server cannot be reached, the node's or the
 * gateway's own policy decides.
 */
import { setTimeout as pause } from 'node:timers/promises';

import type { JSONWebKeySet, JWTVerifyGetKey } from 'jose';

import { assertSecure } from '../guard/address.ts';
import { fetchJson } from '../guard/fetch-json.ts';
import type { Fetch } from '../guard/fetch-json.ts';
import { createKeySet, fixedKeySet } from '../guard/key-set.ts';
import type { RevocationFeed } from '../guard/revocations.ts';
import { follow } from './follow.ts';
import { createKnown } from './known.ts';
import { assertPolicy, mayAnswer } from './outage.ts';
import type { Contact, OutagePolicy } from './outage.ts';
import { createPageVerifier } from './page.ts';
import type { FeedPage } from './page.ts';
import { createFeedRequests } from './requests.ts';

/** What each feed has of its own. */
const FEEDS = {
  vpn: { audience: 'vpn-node', path: '/vpn/revocations', type: 'vpn-revocations+jwt' },
  customers: { audience: 'petstore', path: '/gateway/revocations', type: 'customer-revocations+jwt' },
} as const;
const DEFAULT_POLICY: OutagePolicy = { allowMinutes: 15 };

/** What a follower is made of. */
export interface RevocationFollowerOptions {
  /** The server's issuer, exactly as its tokens name it. */
  readonly issuer: string;
  /** Whose tokens it tells of: VPN JWTs, if left out. */
  readonly of?: keyof typeof FEEDS | undefined;
  /** The audience of these tokens; `vpn-node` of VPN JWTs and `petstore` of customers' tokens, if left out. */
  readonly audience?: string | undefined;
  /**
   * Gives an access token of the node, of the scope `read` (`getOAuth2Token` of the node's client), or of the gateway's
   * client.
   */
  readonly getToken: () => Promise<string>;
  /**
   * What is said of tokens while the feed cannot be reached: `'refuse'` lets none in, `{ allowMinutes }` goes on by what
   * was known for so long. 15 minutes, if left out.
   */
  readonly whenUnreachable?: OutagePolicy | undefined;
  /** The address of the feed; `/vpn/revocations` or `/gateway/revocations` of the issuer, if left out. */
  readonly url?: URL | undefined;
  /** The address of the key set (`/jwks` of the issuer, if left out), or the keys themselves. */
  readonly jwks?: URL | JSONWebKeySet | undefined;
  /** Hears why the feed was not to be had, each time, for the log. */
  readonly onTrouble?: ((error: unknown) => void) | undefined;
  /** Unix seconds; the system's clock, if left out. */
  readonly now?: (() => number) | undefined;
  readonly fetch?: Fetch | undefined;
  /** From 0 to 1. */
  readonly random?: (() => number) | undefined;
  /** Waits; rejects once the signal aborts. */
  readonly sleep?: ((ms: number, signal: AbortSignal) => Promise<void>) | undefined;
}

export interface FollowedRevocations extends RevocationFeed {
  /** Resolves when all is known that was revoked so far; rejects with the reason of the signal. */
  ready(signal?: AbortSignal): Promise<void>;
  /** When all of the feed was known last (Unix seconds; null: never), and how many it names. */
  state(): { readonly heardAt: number | null; readonly entries: number };
  /** Ends it: from then on it answers as in an outage. */
  close(): Promise<void>;
}

/** Follows the feed from now on, until it is closed. Throws a TypeError for options that cannot work. */
export function followRevocations(options: RevocationFollowerOptions): FollowedRevocations {
  const { issuer, of = 'vpn', getToken } = options;
  const { path, type, ...own } = FEEDS[of];
  const { audience = own.audience, url = new URL(path, issuer) } = options;
  const { whenUnreachable = DEFAULT_POLICY, onTrouble, now = systemTime, fetch = globalThis.fetch } = options;
  assertSecure(url);
  assertPolicy(whenUnreachable);
  const known = createKnown({ issuer, audience, now });
  const closing = new AbortController();
  const heard = createSignal();
  const begunAt = now();
  let contact: Contact = { heardAt: null, begunAt, hasFailed: false };

  const onPage = ({ more, entries }: FeedPage): void => {
    known.add(entries);
    if (more) return;
    contact = { heardAt: now(), begunAt, hasFailed: false };
    heard.resolve();
  };
  const following = follow(
    {
      requests: createFeedRequests({ url, fetch, getToken }),
      verify: createPageVerifier({ issuer, audience, type, findKey: toKeySet(options, now, fetch), now }),
      onPage,
      onTrouble: (error) => {
        contact = { ...contact, hasFailed: true };
        onTrouble?.(error);
      },
      random: options.random ?? Math.random,
      sleep: options.sleep ?? sleep,
    },
    closing.signal,
  );

  return {
    isRevoked: (claims) => {
      if (mayAnswer(contact, whenUnreachable, now())) return known.isRevoked(claims);
      throw new Error(
        contact.heardAt === null
          ? 'the revocation feed was not read yet'
          : `the revocation feed was last heard of ${now() - contact.heardAt} s ago`,
      );
    },
    ready: (signal) => orAborted(heard.promise, signal),
    state: () => ({ heardAt: contact.heardAt, entries: known.size() }),
    close: async () => {
      closing.abort();
      await following;
    },
  };
}

function toKeySet(
  { issuer, jwks = new URL('/jwks', issuer) }: RevocationFollowerOptions,
  now: () => number,
  fetch: Fetch,
): JWTVerifyGetKey {
  if ('keys' in jwks) return fixedKeySet(jwks);
  assertSecure(jwks);
  return createKeySet({ load: () => fetchJson(fetch, jwks), now });
}

/** `Promise.withResolvers` came with Node 22, and this runs on Node 20, too. */
function createSignal(): { readonly promise: Promise<void>; resolve(): void } {
  let done = (): void => undefined;
  const promise = new Promise<void>((resolve) => {
    done = resolve;
  });
  return { promise, resolve: () => done() };
}

async function orAborted(promise: Promise<void>, signal: AbortSignal | undefined): Promise<void> {
  if (signal === undefined) return promise;
  signal.throwIfAborted();
  const aborted = createSignal();
  signal.addEventListener('abort', aborted.resolve, { once: true });
  await Promise.race([promise, aborted.promise]);
  signal.removeEventListener('abort', aborted.resolve);
  signal.throwIfAborted();
}

/** Keeps no process alive. */
async function sleep(ms: number, signal: AbortSignal): Promise<void> {
  await pause(ms, undefined, { signal, ref: false });
}

const systemTime = (): number => Math.floor(Date.now() / 1000);
