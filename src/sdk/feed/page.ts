/**
 * A page of the feed: signed by the server as a whole, with the cursors where it begins and ends and the time at which it
 * was read. A page of another kind, from another server, or of another time is none.
 */
import { jwtVerify } from 'jose';
import type { JWTPayload, JWTVerifyGetKey } from 'jose';

// So far the clocks of a node and its server may be apart, and so long may whoever stands between hold a page back.
const MAX_SKEW_SECONDS = 30;

/**
 * What ended: a token, what was issued to a person or by a node `before` a time, or to a customer `before` a series of its
 * tokens. `exp`: then it is over anyway.
 */
export type FeedEntry =
  | { readonly jti: string; readonly exp: number }
  | { readonly sub: string; readonly before: number; readonly exp: number }
  | { readonly client_id: string; readonly before: number; readonly exp: number }
  | { readonly customer: string; readonly before: number; readonly exp: number };

export interface FeedPage {
  readonly from: number;
  readonly to: number;
  /** There is another one behind it. */
  readonly more: boolean;
  readonly entries: readonly FeedEntry[];
}

interface PageOptions {
  readonly issuer: string;
  readonly audience: string;
  readonly type: string;
  readonly findKey: JWTVerifyGetKey;
  readonly now: () => number;
}

/** Rejects for whatever is not a page of that server, of about now. */
export type VerifyPage = (signed: string) => Promise<FeedPage>;

export function createPageVerifier({ issuer, audience, type: typ, findKey, now }: PageOptions): VerifyPage {
  return async (signed) => {
    const { payload } = await jwtVerify(signed, findKey, {
      ...{ issuer, audience, typ },
      algorithms: ['RS256'],
      requiredClaims: ['iat', 'from', 'to', 'more', 'revoked'],
      currentDate: new Date(now() * 1000),
    });
    const age = now() - (payload.iat ?? 0);
    if (Math.abs(age) > MAX_SKEW_SECONDS) {
      throw new Error(`a page of the feed is ${age} s old: it was held back, or a clock is wrong`);
    }
    return toPage(payload);
  };
}

function toPage({ from, to, more, revoked }: JWTPayload): FeedPage {
  if (!isWhole(from) || !isWhole(to) || to < from || typeof more !== 'boolean' || !Array.isArray(revoked)) {
    throw new Error('this is no page of the feed');
  }
  return { from, to, more, entries: revoked.map(toEntry) };
}

/** An entry that means something else than these is not passed over: it would let in what it is to keep out. */
function toEntry(value: unknown): FeedEntry {
  const { jti, sub, client_id: clientId, customer, before, exp } = toObject(value);
  if (isWhole(exp)) {
    if (typeof jti === 'string') return { jti, exp };
    if (typeof sub === 'string' && isWhole(before)) return { sub, before, exp };
    if (typeof clientId === 'string' && isWhole(before)) return { client_id: clientId, before, exp };
    if (typeof customer === 'string' && isWhole(before)) return { customer, before, exp };
  }
  throw new Error('the feed has an entry that this version does not understand: update the package');
}

const toObject = (value: unknown): Readonly<Record<string, unknown>> =>
  typeof value === 'object' && value !== null ? { ...value } : {};

const isWhole = (value: unknown): value is number => Number.isSafeInteger(value) && Number(value) >= 0;
