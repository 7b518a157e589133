/** A server of the revocation feed for the tests of its followers: it does what the tests say, and nobody waits. */
import { SignJWT } from 'jose';

import type { Fetch, RevocationFollowerOptions } from '../../src/sdk/node/node.ts';
import { createIssuer, ISSUER, START } from './issuer.ts';
import type { Key, TestIssuer } from './issuer.ts';

const AUDIENCE = 'vpn-node';
const TYPE = 'vpn-revocations+jwt';

export interface PageChanges {
  readonly claims?: object;
  readonly typ?: string;
  readonly key?: Key;
}

/** A request for the feed, which is to be answered. */
export interface Asked {
  readonly since: number;
  readonly isStream: boolean;
  readonly authorization: string;
  readonly signal: AbortSignal | undefined;
  answer(answer: Response): void;
  fail(): void;
  /** Answers with a stream, and gives what writes it. */
  open(): EventWriter;
}

export interface EventWriter {
  send(signed: string): void;
  raw(text: string): void;
  end(): void;
}

/** A pause of the follower, which ends when the test says so. */
export interface Pause {
  readonly ms: number;
  end(): void;
}

/** What comes one by one, and who waits for the next. */
function createQueue<T>() {
  const come: T[] = [];
  const waiting: ((next: T) => void)[] = [];
  return {
    put: (next: T): void => {
      const first = waiting.shift();
      if (first === undefined) come.push(next);
      else first(next);
    },
    next: (): Promise<T> =>
      new Promise((resolve) => {
        const first = come.shift();
        if (first === undefined) waiting.push(resolve);
        else resolve(first);
      }),
  };
}

export interface FeedParent {
  readonly issuer: TestIssuer;
  /** The next request for the feed. */
  asked(): Promise<Asked>;
  pause(): Promise<Pause>;
  /** The next trouble, as a text. */
  trouble(): Promise<string>;
  readonly tokens: string[];
  readonly options: RevocationFollowerOptions;
  /** A page that begins at a cursor. */
  page(from: number, to: number, revoked?: readonly object[], changes?: PageChanges): Promise<string>;
}

export async function createFeedParent(): Promise<FeedParent> {
  const issuer = await createIssuer('RS256');
  const requests = createQueue<Asked>();
  const pauses = createQueue<Pause>();
  const troubles = createQueue<string>();
  const tokens = ['one', 'two', 'three'];
  const fetch: Fetch = (input, init = {}) => {
    const url = new URL(input instanceof Request ? input.url : input);
    if (url.pathname === '/jwks') return Promise.resolve(Response.json({ keys: issuer.published }));
    return new Promise((resolve, reject) => {
      init.signal?.addEventListener('abort', () => reject(init.signal?.reason as Error));
      requests.put(toAsked(url, init, resolve, () => reject(new TypeError('fetch failed'))));
    });
  };
  return {
    issuer,
    tokens,
    asked: requests.next,
    pause: pauses.next,
    trouble: troubles.next,
    options: {
      issuer: ISSUER,
      getToken: async () => tokens.shift() ?? 'last',
      onTrouble: (error) => troubles.put(String(error)),
      now: () => issuer.at,
      random: () => 1,
      sleep: (ms, signal) =>
        new Promise((resolve, reject) => {
          signal.throwIfAborted();
          signal.addEventListener('abort', () => reject(signal.reason as Error));
          pauses.put({ ms, end: resolve });
        }),
      fetch,
    },
    page: (from, to, revoked = [], { claims = {}, typ = TYPE, key = issuer.key } = {}) =>
      new SignJWT({
        ...{ iss: ISSUER, aud: AUDIENCE, iat: issuer.at, from, to, more: false, revoked },
        ...claims,
      })
        .setProtectedHeader({ alg: key.alg, kid: key.kid, typ })
        .sign(key.privateKey),
  };
}

function toAsked(url: URL, init: RequestInit, answer: (it: Response) => void, fail: () => void): Asked {
  const headers = new Headers(init.headers);
  return {
    since: Number(url.searchParams.get('since')),
    isStream: headers.get('accept') === 'text/event-stream',
    authorization: headers.get('authorization') ?? '',
    signal: init.signal ?? undefined,
    answer,
    fail,
    open: () => {
      const { readable, writable } = new TransformStream<Uint8Array, Uint8Array>();
      const writer = writable.getWriter();
      const raw = (text: string): void =>
        void writer.write(new TextEncoder().encode(text)).catch(() => undefined);
      init.signal?.addEventListener(
        'abort',
        () => void writer.abort(init.signal?.reason).catch(() => undefined),
      );
      answer(new Response(readable, { headers: { 'content-type': 'text/event-stream; charset=utf-8' } }));
      return {
        raw,
        send: (signed) => raw(`id: 1\nevent: revocations\ndata: ${signed}\n\n`),
        end: () => void writer.close().catch(() => undefined),
      };
    },
  };
}

/** A page as an answer. */
export const asPage = (signed: string): Response =>
  new Response(signed, { headers: { 'content-type': 'application/jwt' } });

/** The claims of a VPN JWT of a person. */
export const personClaims = (changes: object = {}): Readonly<Record<string, unknown>> => ({
  ...{ iss: ISSUER, aud: AUDIENCE, sub: 'alice', client_id: 'node-berlin', jti: 'jwt-1', iat: START },
  ...changes,
});
