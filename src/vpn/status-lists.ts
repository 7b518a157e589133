/**
 * Status lists as they go out: Status List Tokens (draft-ietf-oauth-status-list 5.1), each signed once for all who ask, and
 * again when a token of it ends, or before it grows old. What is marked stands in `status-marks.ts`.
 */
import { deflateSync, gzipSync } from 'node:zlib';

import type { Sign } from '../keys/signer.ts';
import type { TokenStatusStore } from '../storage/port.ts';
import type { StatusMarks } from './status-marks.ts';

/** A reader asks again after it (`ttl`): no reader that does is two seconds behind. */
const TTL_SECONDS = 1;
// A reader that cannot ask goes on by what it has for as long as a follower of the feed does by default, …
const LIFETIME_SECONDS = 900;
// … whenever it asked last.
const RENEWAL_SECONDS = 60;
const MAX_KEPT = 1_000;
const DEFLATE_LEVEL = 9; // 4.1: the highest level is recommended

/** Null where there is no list of that name with a token in it that has not expired. */
export interface StatusLists {
  /** The Status List Token; throws `store_unavailable`. */
  find(list: string): Promise<SignedList | null>;
  /** The addresses of all lists. */
  all(): Promise<readonly string[]>;
}

export interface SignedList {
  readonly jwt: string;
  readonly gzipped: Buffer;
  /** No other one has it. */
  readonly etag: string;
}

interface StatusListsOptions {
  readonly statuses: Pick<TokenStatusStore, 'findEnd' | 'lists'>;
  readonly marks: StatusMarks;
  /** The present signer, by RS256 under a type of its own. */
  readonly signer: () => Sign;
  readonly issuer: string;
  /** Whether this server gave a list that name. */
  readonly isName: (list: string) => boolean;
  readonly uriOf: (list: string) => string;
  /** Where the lists are listed; null where that is not told. */
  readonly aggregationUri: string | null;
  readonly now: () => number;
}

/** What was signed, and what it depends on. */
interface Kept {
  readonly endsAt: number;
  readonly version: number;
  readonly sign: Sign;
  readonly signedAt: number;
  readonly signed: Promise<SignedList>;
}

const NAMED_MS = 500;
const NONE_NAMED: { readonly until: number; readonly uris: Promise<readonly string[]> } = {
  until: -Infinity,
  uris: Promise.resolve([]),
};

export function createStatusLists(options: StatusListsOptions): StatusLists {
  const { statuses, marks, signer, isName, uriOf, now } = options;
  const kept = new Map<string, Kept>();
  let named = NONE_NAMED;
  const findEnd = async (list: string): Promise<number | null> => {
    const known = kept.get(list)?.endsAt ?? 0;
    return known > now() ? known : statuses.findEnd(list, now());
  };

  return {
    find: async (list) => {
      if (!isName(list)) return null;
      const endsAt = await findEnd(list);
      if (endsAt === null) {
        kept.delete(list);
        return null;
      }
      await marks.look();
      const { bits, version } = marks.of(list);
      const sign = signer();
      const last = kept.get(list);
      // A clock that was ahead may be put back.
      const age = now() - (last?.signedAt ?? 0);
      const isFresh = age >= 0 && age < RENEWAL_SECONDS;
      if (last?.version === version && last.sign === sign && isFresh) {
        if (last.endsAt !== endsAt) kept.set(list, { ...last, endsAt });
        return last.signed;
      }
      if (kept.size >= MAX_KEPT) kept.clear();
      const signed = toSigned(list, sign, bits, options);
      kept.set(list, { endsAt, version, sign, signedAt: now(), signed });
      signed.catch(() => kept.get(list)?.signed === signed && kept.delete(list)); // whoever asked hears of it
      return signed;
    },
    all: () => {
      if (performance.now() >= named.until) {
        const uris = statuses.lists(now()).then((lists) => lists.map(uriOf));
        named = { until: performance.now() + NAMED_MS, uris };
        uris.catch(() => (named = NONE_NAMED)); // whoever asked hears of it
      }
      return named.uris;
    },
  };
}

async function toSigned(
  list: string,
  sign: Sign,
  bits: Uint8Array,
  { issuer, uriOf, aggregationUri, now }: StatusListsOptions,
): Promise<SignedList> {
  const jwt = await sign({
    ...{ iss: issuer, sub: uriOf(list), iat: now(), exp: now() + LIFETIME_SECONDS, ttl: TTL_SECONDS },
    status_list: {
      bits: 1,
      lst: deflateSync(bits, { level: DEFLATE_LEVEL }).toString('base64url'),
      ...(aggregationUri !== null && { aggregation_uri: aggregationUri }),
    },
  });
  return { jwt, gzipped: gzipSync(jwt), etag: `"${jwt.slice(-ETAG_CHARACTERS)}"` };
}

// The end of the signature.
const ETAG_CHARACTERS = 32;
