/** What a follower of the feed knows, in memory: who and what was revoked, for as long as the tokens would have lived. */
import { audiencesOf } from '../guard/auth.ts';
import type { Claims } from '../guard/auth.ts';
import type { FeedEntry } from './page.ts';

// Some 100 MB; a feed that is larger is not what it says it is.
const MAX_ENTRIES = 1_000_000;
/** So many are added between two looks for what has expired, at least. */
const SWEEP_AFTER = 1_000;

interface KnownOptions {
  readonly issuer: string;
  readonly audience: string;
  /** Unix seconds. */
  readonly now: () => number;
}

interface Since {
  readonly before: number;
  readonly exp: number;
}

export interface Known {
  add(entries: readonly FeedEntry[]): void;
  /** True for claims of a token that is named, of the issuer and the audience whose feed this is. */
  isRevoked(claims: Claims): boolean;
  size(): number;
}

export function createKnown({ issuer, audience, now }: KnownOptions): Known {
  const tokens = new Map<string, Since>();
  const people = new Map<string, Since>();
  const nodes = new Map<string, Since>();
  const customers = new Map<string, Since>();
  const all = [tokens, people, nodes, customers];
  const size = (): number => all.reduce((sum, map) => sum + map.size, 0);
  let sweepAt = SWEEP_AFTER;

  const put = (into: Map<string, Since>, subject: string, { before, exp }: Since): void => {
    const known = into.get(subject);
    into.set(subject, {
      before: Math.max(before, known?.before ?? 0),
      exp: Math.max(exp, known?.exp ?? 0),
    });
  };
  const sweep = (): void => {
    for (const map of all) {
      for (const [subject, { exp }] of map) if (exp <= now()) map.delete(subject);
    }
    sweepAt = size() + Math.max(SWEEP_AFTER, size());
  };

  return {
    size,
    add: (entries) => {
      for (const entry of entries) {
        if ('jti' in entry) put(tokens, entry.jti, { before: Infinity, exp: entry.exp });
        else if ('sub' in entry) put(people, entry.sub, entry);
        else if ('client_id' in entry) put(nodes, entry.client_id, entry);
        else put(customers, entry.customer, entry);
      }
      if (size() >= sweepAt) sweep();
      if (size() > MAX_ENTRIES)
        throw new Error(`the feed names more than ${MAX_ENTRIES} tokens, people, nodes and customers`);
    },
    isRevoked: (claims) => {
      const { iss, jti, sub, client_id: clientId, customer, iat } = claims;
      if (iss !== issuer || !audiencesOf(claims).includes(audience)) return false;
      // Without the time of its issue it may be any age.
      const isBefore = (since: Since | undefined): boolean =>
        since !== undefined && !(typeof iat === 'number' && iat >= since.before);
      return (
        isBefore(tokens.get(String(jti))) ||
        isBefore(people.get(String(sub))) ||
        isBefore(nodes.get(String(clientId))) ||
        // A client may be called as a customer is, and has tokens for the same API: those name the client.
        (clientId === undefined &&
          customer !== undefined &&
          seriesOf(jti) < (customers.get(String(sub))?.before ?? 0))
      );
    },
  };
}

/** The id of a customer's token begins with its series: a number in base 36 before `~`. One without a number is the oldest. */
const seriesOf = (jti: unknown): number =>
  Number.parseInt(/^([0-9a-z]{1,10})~/.exec(String(jti))?.[1] ?? '0', 36);
