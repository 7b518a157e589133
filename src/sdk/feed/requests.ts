/** Requests for the feed, by the node's access token: one that the server does not take any more is replaced, once. */
import { readText } from '../guard/fetch-json.ts';
import type { Fetch } from '../guard/fetch-json.ts';

const PAGE_MS = 5_000;

interface RequestOptions {
  readonly url: URL;
  readonly fetch: Fetch;
  /** The access token of the node or the gateway. */
  readonly getToken: () => Promise<string>;
}

export interface FeedRequests {
  /** The signed page behind the cursor. */
  page(since: number, signal: AbortSignal): Promise<string>;
  /** The bytes of a stream that begins behind the cursor. */
  stream(since: number, signal: AbortSignal): Promise<AsyncIterable<Uint8Array>>;
}

export function createFeedRequests({ url, fetch, getToken }: RequestOptions): FeedRequests {
  let token: string | null = null;

  const send = async (since: number, accept: string, signal: AbortSignal): Promise<Response> => {
    token ??= await getToken();
    const address = new URL(url);
    address.searchParams.set('since', String(since));
    const headers = { accept, authorization: `Bearer ${token}` };
    // A redirect would take the token elsewhere.
    return fetch(address, { headers, redirect: 'error', cache: 'no-store', signal });
  };
  const ask = async (since: number, accept: string, signal: AbortSignal): Promise<Response> => {
    const isKept = token !== null;
    const first = await send(since, accept, signal);
    if (first.status !== 401) return assertGood(first, accept);
    token = null;
    if (!isKept) return assertGood(first, accept);
    await first.body?.cancel(); // it expired, as they do
    return assertGood(await send(since, accept, signal), accept);
  };

  return {
    page: async (since, signal) => {
      const limit = AbortSignal.any([signal, AbortSignal.timeout(PAGE_MS)]);
      return readText(await ask(since, 'application/jwt', limit));
    },
    stream: async (since, signal) => {
      const { body } = await ask(since, 'text/event-stream', signal);
      return (body ?? []) as AsyncIterable<Uint8Array>; // the body of an answer is bytes (Fetch, 2.2.4)
    },
  };
}

async function assertGood(answer: Response, accept: string): Promise<Response> {
  const { status, headers, url } = answer;
  const type = headers.get('content-type') ?? 'nothing';
  if (status === 200 && type.startsWith(accept)) return answer;
  await answer.body?.cancel();
  throw new Error(`${url} answered ${status} ${type} where ${accept} was asked for`);
}
