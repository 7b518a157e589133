/**
 * Which places of the status lists are marked: those of tokens that a revocation names, the very entries that the feed
 * consists of. They are read on from the last one; each is looked up once, in all lists together.
 */
import type { NamedStatuses, RevocationStore, TokenStatusStore } from '../storage/port.ts';

const PAGE = 500;
// What names more tokens than the store finds in its time is looked up in smaller pages, until all is found.
const SMALLER = 5;
/**
 * All who ask within it get what one look found. With the second for which a reader may keep a list (`ttl`) a reader is
 * less than two seconds behind.
 */
const LOOK_MS = 500;

/** The marks of one list. */
export interface Marks {
  /** The bit of index 0 is the least of the first byte. They do not change any more. */
  readonly bits: Uint8Array;
  /** Another one after each mark, and never the same again. */
  readonly version: number;
}

export interface StatusMarks {
  /** Knows what ended until half a second ago at least. Throws `store_unavailable`. */
  look(): Promise<void>;
  of(list: string): Marks;
}

interface StatusMarksOptions {
  readonly revocations: Pick<RevocationStore, 'list'>;
  readonly statuses: Pick<TokenStatusStore, 'findNamed'>;
  /** How many places a list has. */
  readonly size: number;
  readonly now: () => number;
}

interface MarkedList extends Marks {
  /** When the last of the marked tokens expires. */
  readonly endsAt: number;
}

export function createStatusMarks({ revocations, statuses, size, now }: StatusMarksOptions): StatusMarks {
  const bytes = size / 8;
  const none: Marks = { bits: new Uint8Array(bytes), version: 0 };
  const lists = new Map<string, MarkedList>();
  let cursor = 0;
  let version = 0;
  let pageSize = PAGE;
  let looking: Promise<void> | null = null;
  let lookedAt = -Infinity;

  const readOn = async (): Promise<void> => {
    for (let isMore = true; isMore;) {
      const [at, limit] = [now(), pageSize];
      const page = await revocations.list(cursor, limit, at);
      pageSize = Math.ceil(limit / SMALLER); // in case that the next line throws
      for (const named of await statuses.findNamed(page, at)) mark(lists, named, (version += 1), bytes);
      pageSize = Math.min(PAGE, limit * 2);
      cursor = page.at(-1)?.cursor ?? cursor;
      isMore = page.length === limit;
    }
    for (const [name, { endsAt }] of lists) if (endsAt <= now()) lists.delete(name);
  };
  const lookAgain = async (): Promise<void> => {
    const begunAt = performance.now();
    try {
      await readOn();
      lookedAt = begunAt;
    } finally {
      looking = null;
    }
  };

  return {
    look: async () => {
      if (performance.now() - lookedAt >= LOOK_MS) await (looking ??= lookAgain());
    },
    of: (list) => lists.get(list) ?? none,
  };
}

function mark(
  lists: Map<string, MarkedList>,
  { list, indexes, expiresAt }: NamedStatuses,
  version: number,
  bytes: number,
): void {
  const known = lists.get(list);
  // It may be longer than ours are, where it is another version's.
  const length = indexes.reduce((longest, index) => Math.max(longest, (index >> 3) + 1), bytes);
  const bits = new Uint8Array(Math.max(length, known?.bits.length ?? 0));
  bits.set(known?.bits ?? []);
  for (const index of indexes) bits[index >> 3] = (bits[index >> 3] ?? 0) | (1 << (index & 7));
  lists.set(list, { bits, version, endsAt: Math.max(known?.endsAt ?? 0, expiresAt) });
}
