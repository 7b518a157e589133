/** Who may read a feed: whoever its slice lets in, and not too often. */
import type { Readable } from 'node:stream';

import { AppError } from '../errors.ts';
import type { CounterStore } from '../storage/port.ts';
import type { Page, RevocationPages } from './pages.ts';
import type { RevocationStreams } from './streams.ts';

const WINDOW_SECONDS = 60;

export interface FeedRequest {
  readonly bearer: string;
  /** The cursor up to which the reader has read; 0 for none. */
  readonly since: number;
}

/** Gives the client whose access token it is. Throws `invalid_token`, `insufficient_scope` and `unauthorized_client`. */
export type Admit = (bearer: string) => Promise<string>;

/** Both throw what `admit` throws, and `too_many_requests`. */
export interface RevocationReading {
  page(request: FeedRequest): Promise<{ readonly page: Page; readonly sign: () => Promise<string> }>;
  /** Throws `overloaded`, too. */
  stream(request: FeedRequest): Promise<Readable>;
}

interface RevocationReadingOptions {
  readonly pages: RevocationPages;
  readonly streams: Pick<RevocationStreams, 'open'>;
  readonly admit: Admit;
  /** Names the feed among the counters. */
  readonly name: string;
  /** Requests of one client; null: as many as it likes. */
  readonly maxPerMinute: number | null;
  readonly counters: Pick<CounterStore, 'hit'>;
  readonly now: () => number;
}

export function createRevocationReading(options: RevocationReadingOptions): RevocationReading {
  const { pages, streams, admit } = options;
  const enter = async (bearer: string): Promise<string> => {
    const clientId = await admit(bearer);
    await assertPace(clientId, options);
    return clientId;
  };
  return {
    page: async ({ bearer, since }) => {
      await enter(bearer);
      const page = await pages.read(since);
      return { page, sign: () => pages.sign(page) };
    },
    stream: async ({ bearer, since }) => {
      const clientId = await enter(bearer);
      return streams.open(clientId, await pages.read(since));
    },
  };
}

async function assertPace(
  clientId: string,
  { name, counters, maxPerMinute, now }: RevocationReadingOptions,
): Promise<void> {
  if (maxPerMinute === null) return;
  const { count, resetsAt } = await counters.hit(`${name}:${clientId}`, WINDOW_SECONDS, now());
  if (count <= maxPerMinute) return;
  throw new AppError(
    'too_many_requests',
    `This client asked ${maxPerMinute} times within a minute: ask once a second, or for a stream.`,
    { retryAfterSeconds: Math.max(1, resetsAt - now()) },
  );
}
