/** One request to the issuer: short, small, and never sent on to another address. */

/** `fetch` of the platform, or one that goes through a proxy or an agent of yours. */
export type Fetch = typeof globalThis.fetch;

const TIMEOUT_MS = 3_000;
const MAX_BYTES = 256 * 1024;

/** The JSON of a 200 answer; rejects with a plain Error for anything else, within 3 s. */
export async function fetchJson(fetch: Fetch, url: URL, init: RequestInit = {}): Promise<unknown> {
  // A redirect could lead to somebody else's keys.
  const answer = await fetch(url, { ...init, redirect: 'error', signal: AbortSignal.timeout(TIMEOUT_MS) });
  if (answer.status !== 200) {
    await answer.body?.cancel();
    throw new Error(`${url.href} answered ${answer.status}`);
  }
  return JSON.parse(await readText(answer)) as unknown;
}

/** The text of an answer; rejects for a longer one than this server ever gives. */
export async function readText({ url, body }: Response): Promise<string> {
  const decoder = new TextDecoder();
  let text = '';
  let bytes = 0;
  // The body of an answer is bytes (Fetch, 2.2.4); leaving the loop ends the connection.
  for await (const part of (body ?? []) as AsyncIterable<Uint8Array>) {
    bytes += part.byteLength;
    if (bytes > MAX_BYTES) throw new Error(`${url} answered more than ${MAX_BYTES} bytes`);
    text += decoder.decode(part, { stream: true });
  }
  return text + decoder.decode();
}
