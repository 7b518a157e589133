/**
 * A feed as it goes out: pages, each signed as a whole. A page says where it begins and ends, and when it was read, so
 * that whoever stands between can neither invent an entry nor leave one out: the next page would not begin where this
 * one ended, and without pages the feed has ended.
 */
import type { FeedEntry } from '../sdk/feed/page.ts';
import type { RevocationKind, RevocationStore, StoredRevocation } from '../storage/port.ts';

/** At most so many entries are in a page. */
export const PAGE = 500;
const MAX_KEPT = 100;

/** What is signed. */
export interface PageClaims {
  readonly iss: string;
  readonly aud: string;
  /** All that was written until then is in this page, or in one before it, or `more` is true. */
  readonly iat: number;
  /** It has what is behind this cursor, … */
  readonly from: number;
  /** … up to this one. */
  readonly to: number;
  readonly more: boolean;
  readonly revoked: readonly FeedEntry[];
}

export interface Page extends Pick<PageClaims, 'from' | 'to' | 'more'> {
  readonly entries: readonly StoredRevocation[];
  /** When it was read. */
  readonly at: number;
}

export interface RevocationPages {
  /** Throws `store_unavailable`. */
  read(after: number): Promise<Page>;
  sign(page: Page): Promise<string>;
}

interface RevocationPagesOptions {
  readonly store: Pick<RevocationStore, 'list'>;
  /** What this feed tells of. Its cursor goes on over the others, which are nobody's affair here. */
  readonly kinds: readonly RevocationKind[];
  /** Signs by RS256, under a type of its own. */
  readonly sign: (claims: PageClaims) => Promise<string>;
  readonly issuer: string;
  readonly audience: string;
  readonly now: () => number;
}

export function createRevocationPages(options: RevocationPagesOptions): RevocationPages {
  const { store, kinds, sign, issuer, audience, now } = options;
  // All who stand at the same place within a second get the same page: one signature, however many they are.
  const kept = new Map<string, Promise<string>>();
  let keptAt = 0;

  return {
    read: async (after) => {
      const at = now(); // before the store is asked
      const found = await store.list(after, PAGE + 1, at);
      const seen = found.slice(0, PAGE);
      const to = seen.at(-1)?.cursor ?? after;
      const entries = seen.filter(({ kind }) => kinds.includes(kind));
      return { at, from: after, to, more: found.length > PAGE, entries };
    },
    sign: (page) => {
      if (page.at !== keptAt || kept.size >= MAX_KEPT) kept.clear();
      keptAt = page.at;
      const key = `${page.from} ${page.to} ${page.entries.length} ${String(page.more)}`;
      const signed = kept.get(key) ?? sign(toClaims(page, issuer, audience));
      kept.set(key, signed);
      return signed;
    },
  };
}

const toClaims = ({ at, from, to, more, entries }: Page, iss: string, aud: string): PageClaims => ({
  ...{ iss, aud, iat: at, from, to, more },
  revoked: entries.map(toEntry),
});

function toEntry({ kind, subject, issuedBefore: before, expiresAt: exp }: StoredRevocation): FeedEntry {
  switch (kind) {
    case 'token':
    case 'customer-token':
      return { jti: subject, exp };
    case 'person':
      return { sub: subject, before, exp };
    case 'node':
      return { client_id: subject, before, exp };
    case 'customer':
      return { customer: subject, before, exp };
  }
}
