/** One request of the tour and its answer. Nothing is followed and nothing is kept: no redirect, no cookie. */
import { Refusal } from './endings.ts';

const ANSWER_MS = 15_000;

/** What a device says of itself; the server names it in the list of sessions. */
export const DEVICES = {
  laptop: 'Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0',
  phone:
    'Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.0 Mobile/15E148 Safari/604.1',
} as const;

export interface Ask {
  readonly method: 'GET' | 'POST' | 'PATCH' | 'DELETE';
  readonly path: string;
  /** The laptop, if left out. */
  readonly device?: keyof typeof DEVICES;
  /** An access token, sent as `Authorization: Bearer`. */
  readonly token?: string;
  /** Sent as `X-API-Key`. */
  readonly apiKey?: string;
  /** Sent as JSON. */
  readonly body?: Readonly<Record<string, unknown>>;
}

export interface Answer {
  readonly status: number;
  readonly headers: Headers;
  /** Of JSON what it says, of anything else the text; undefined where there is none. */
  readonly body: unknown;
}

/** The headers that belong to the story; a device is told apart by name. */
export const headersOf = ({ token, apiKey, body }: Ask): Readonly<Record<string, string>> => ({
  ...(token !== undefined && { Authorization: `Bearer ${token}` }),
  ...(apiKey !== undefined && { 'X-API-Key': apiKey }),
  ...(body !== undefined && { 'Content-Type': 'application/json' }),
});

/** Sends it; throws a Refusal where no answer comes. */
export async function send(origin: string, ask: Ask, signal: AbortSignal): Promise<Answer> {
  try {
    const response = await fetch(origin + ask.path, {
      method: ask.method,
      headers: { ...headersOf(ask), 'User-Agent': DEVICES[ask.device ?? 'laptop'] },
      redirect: 'manual',
      signal: AbortSignal.any([signal, AbortSignal.timeout(ANSWER_MS)]),
      ...(ask.body !== undefined && { body: JSON.stringify(ask.body) }),
    });
    return { status: response.status, headers: response.headers, body: parse(await response.text()) };
  } catch (error) {
    signal.throwIfAborted();
    throw new Refusal(
      `No answer to ${ask.method} ${origin}${ask.path} within ${ANSWER_MS / 1_000} s: see whether the server still runs.`,
      { cause: error },
    );
  }
}

function parse(text: string): unknown {
  if (text === '') return undefined;
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}
