/** Who may read the feed: VPN nodes, by the access token by which they exchange, and not too often. */
import type { Readable } from 'node:stream';

import { AppError } from '../errors.ts';
import { assertNode, assertScope, getNodeToken } from './admission.ts';
import type { AdmissionOptions } from './admission.ts';
import type { Page, RevocationPages } from './revocation-pages.ts';
import type { RevocationStreams } from './revocation-streams.ts';

// A node that asks each second, and begins anew now and then.
const MAX_PER_MINUTE = 180;
const WINDOW_SECONDS = 60;

export interface FeedRequest {
  readonly bearer: string;
  /** The cursor up to which the node has read; 0 for none. */
  readonly since: number;
}

/** Both throw `invalid_token`, `insufficient_scope`, `unauthorized_client` and `too_many_requests`. */
export interface RevocationReading {
  page(request: FeedRequest): Promise<{ readonly page: Page; readonly sign: () => Promise<string> }>;
  /** Throws `overloaded`, too. */
  stream(request: FeedRequest): Promise<Readable>;
}

interface RevocationReadingOptions extends Omit<AdmissionOptions, 'maxPerMinute'> {
  readonly pages: RevocationPages;
  readonly streams: Pick<RevocationStreams, 'open'>;
  readonly isLimited: boolean;
}

export function createRevocationReading(options: RevocationReadingOptions): RevocationReading {
  const { pages, streams } = options;
  return {
    page: async ({ bearer, since }) => {
      await admit(bearer, options);
      const page = await pages.read(since);
      return { page, sign: () => pages.sign(page) };
    },
    stream: async ({ bearer, since }) => {
      const clientId = await admit(bearer, options);
      return streams.open(clientId, await pages.read(since));
    },
  };
}

/** Gives the node. */
async function admit(bearer: string, options: RevocationReadingOptions): Promise<string> {
  const { clientId, scopes } = await getNodeToken(bearer, options);
  await assertNode(clientId, options);
  assertScope(scopes);
  if (options.isLimited) await assertPace(clientId, options);
  return clientId;
}

async function assertPace(clientId: string, { counters, now }: RevocationReadingOptions): Promise<void> {
  const { count, resetsAt } = await counters.hit(`revocations:${clientId}`, WINDOW_SECONDS, now());
  if (count <= MAX_PER_MINUTE) return;
  throw new AppError(
    'too_many_requests',
    `This node asked ${MAX_PER_MINUTE} times within a minute: ask once a second, or for a stream.`,
    { retryAfterSeconds: Math.max(1, resetsAt - now()) },
  );
}
