/**
 * Following the feed: by a stream, by pages where no stream comes through, and again and again where neither does. Each
 * page has to begin where the one before it ended; one that does not is a page that somebody kept back.
 */
import { isError } from '../guard/errors.ts';
import { readEvents } from './event-stream.ts';
import type { FeedPage, VerifyPage } from './page.ts';
import type { FeedRequests } from './requests.ts';

// A proxy that gathers what it passes on shows by this: the server sends the first page at once.
const FIRST_PAGE_MS = 3_000;
// The server sends one every five seconds.
const NEXT_PAGE_MS = 12_000;
const POLL_MS = 1_000;
// Where streams do not come through, they rarely do a moment later.
const PAGES_FOR_MS = 300_000;
const MAX_SPREAD_MS = 1_000;
const BASE_MS = 500;
const MAX_BACKOFF_MS = 10_000;
// Where the server does not take the credential, until somebody gives another one.
const MAX_REFUSED_BACKOFF_MS = 60_000;

export interface FollowOptions {
  readonly requests: FeedRequests;
  readonly verify: VerifyPage;
  /** Takes what a page says; throws where that is not to be believed. */
  readonly onPage: (page: FeedPage) => void;
  readonly onTrouble: (error: unknown) => void;
  /** From 0 to 1. */
  readonly random: () => number;
  /** Waits; rejects once the signal aborts. */
  readonly sleep: (ms: number, signal: AbortSignal) => Promise<void>;
}

/** Follows until the signal aborts. */
export async function follow(options: FollowOptions, signal: AbortSignal): Promise<void> {
  const { onTrouble, random, sleep } = options;
  const reader = createReader(options);
  let failures = 0;
  const attempt = async (way: () => Promise<void>): Promise<Outcome> => {
    try {
      await way();
      return 'good';
    } catch (error) {
      if (!signal.aborted) onTrouble(error);
      return isRefusal(error) ? 'refused' : 'failed';
    }
  };

  const isOver = (): boolean => signal.aborted; // at any moment, which a compiler does not know
  while (!isOver()) {
    let outcome = await attempt(() => reader.byStream(signal));
    // Whom the server refuses gets no page either.
    if (outcome === 'failed' && !isOver()) outcome = await attempt(() => reader.byPages(signal));
    if (isOver()) return;
    failures = outcome === 'good' ? 0 : failures + 1;
    // At random, so that the nodes which an outage made equal do not come back as one.
    const pauseMs = outcome === 'good' ? MAX_SPREAD_MS * random() : backoffMs(failures, outcome, random());
    await sleep(pauseMs, signal).catch(() => undefined);
  }
}

type Outcome = 'good' | 'failed' | 'refused';

/** True where the node's client was told that its credential is not good: asking again changes nothing. */
const isRefusal = (error: unknown): boolean =>
  isError(error) && 'code' in error && error.code === 'ERR_VPN_NODE_REFUSED';

/** The first ones are short also after a refusal, which may be one of the moment. */
const backoffMs = (failures: number, outcome: 'failed' | 'refused', random: number): number => {
  const most = outcome === 'refused' ? MAX_REFUSED_BACKOFF_MS : MAX_BACKOFF_MS;
  return Math.min(most, BASE_MS * 2 ** (failures - 1)) * (0.5 + random / 2);
};

function createReader({ requests, verify, onPage, onTrouble, random, sleep }: FollowOptions) {
  let cursor = 0;
  const take = async (signed: string): Promise<FeedPage> => {
    const page = await verify(signed);
    if (page.from !== cursor)
      throw new Error('a page of the feed does not begin where the one before it ended');
    onPage(page);
    cursor = page.to;
    return page;
  };

  return {
    /** Resolves when a stream ends that brought something; rejects where one brings nothing. */
    byStream: async (signal: AbortSignal): Promise<void> => {
      const silence = createSilence(signal);
      let count = 0;
      try {
        silence.within(FIRST_PAGE_MS);
        for await (const data of readEvents(await requests.stream(cursor, silence.signal))) {
          await take(data);
          count += 1;
          silence.within(NEXT_PAGE_MS);
        }
      } catch (error) {
        if (count === 0) throw error;
        // Another one goes on where this one broke off.
        if (!signal.aborted) onTrouble(error);
      } finally {
        silence.end();
      }
      if (count === 0) throw new Error('the stream ended before it began');
    },

    byPages: async (signal: AbortSignal): Promise<void> => {
      const endsAt = performance.now() + PAGES_FOR_MS;
      while (performance.now() < endsAt && !signal.aborted) {
        const { more } = await take(await requests.page(cursor, signal));
        if (!more) await sleep(POLL_MS * (0.9 + random() / 5), signal).catch(() => undefined);
      }
    },
  };
}

/** Ends a request from which nothing comes. */
function createSilence(outer: AbortSignal) {
  const controller = new AbortController();
  let timer: NodeJS.Timeout | undefined;
  return {
    signal: AbortSignal.any([outer, controller.signal]),
    within: (ms: number): void => {
      clearTimeout(timer);
      timer = setTimeout(() => controller.abort(new Error(`the stream said nothing for ${ms} ms`)), ms);
      timer.unref();
    },
    end: (): void => {
      clearTimeout(timer);
      controller.abort(); // leaves the connection
    },
  };
}
