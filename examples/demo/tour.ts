/** A tour under way: what its steps may do, and what they hand on to each other. */
import { randomBytes } from 'node:crypto';

import { Refusal, Surprise } from './endings.ts';
import { send } from './exchange.ts';
import type { Answer, Ask } from './exchange.ts';
import { judge, textAt } from './expect.ts';
import type { Expected } from './expect.ts';
import type { Page } from './page.ts';
import type { DemoServer } from './server.ts';

/** What came of earlier steps; empty until then. */
export interface Notes {
  readonly username: string;
  email: string;
  password: string;
  userId: string;
  accessToken: string;
  refreshToken: string;
  keyId: string;
  apiKey: string;
}

export interface Step {
  readonly title: string;
  /** What happens, and why it matters. */
  readonly about: string;
  readonly play: (tour: Tour) => Promise<void>;
}

export interface Tour {
  readonly notes: Notes;
  readonly store: DemoServer['store'];
  /** Shows the request and the answer, and throws a Surprise where it is not the expected one. */
  call(ask: Ask, expected: Expected): Promise<Answer>;
  /** The same in a line, for what was shown before. */
  callBriefly(ask: Ask, expected: Expected): Promise<Answer>;
  note(sign: string, text: string): void;
  /** Tells that something of this step, or all of it, cannot be shown here. */
  leaveOut(reason: string): void;
  /** What a person types, trimmed; null where the tour asks nothing. */
  readonly ask: ((question: string) => Promise<string>) | null;
  /** Requests so far. */
  count(): { readonly requests: number; readonly leftOut: number };
}

export interface TourOptions {
  readonly server: DemoServer;
  readonly page: Page;
  readonly ask: Tour['ask'];
  readonly signal: AbortSignal;
}

/** From 15 characters on a password needs no digits and symbols; this one has 96 random bits. */
export const newPassword = (): string => randomBytes(12).toString('base64url');

/** Begins a tour, as somebody whom nobody knows yet. */
export function createTour({ server: { origin, store }, page, ask, signal }: TourOptions): Tour {
  let requests = 0;
  let leftOut = 0;
  const username = `demo-${randomBytes(4).toString('hex')}`;

  const exchange = async (request: Ask): Promise<Answer> => {
    signal.throwIfAborted();
    requests += 1;
    return send(origin, request, signal);
  };
  const check = (answer: Answer, expected: Expected): Answer => {
    assertNotLimited(answer);
    const faults = judge(answer, expected);
    if (faults.length > 0) throw new Surprise(faults);
    page.so(expected.so);
    return answer;
  };

  return {
    notes: {
      ...{ username, email: `${username}@example.com`, password: newPassword() },
      ...{ userId: '', accessToken: '', refreshToken: '', keyId: '', apiKey: '' },
    },
    store,
    call: async (request, expected) => {
      page.request(request);
      const answer = await exchange(request);
      page.answer(answer);
      return check(answer, expected);
    },
    callBriefly: async (request, expected) => {
      const answer = await exchange(request);
      page.brief(request, answer);
      if (judge(answer, expected).length > 0) page.answer(answer); // a surprise is shown whole
      return check(answer, expected);
    },
    note: page.note,
    leaveOut: (reason) => {
      leftOut += 1;
      page.leftOut(reason);
    },
    ask,
    count: () => ({ requests, leftOut }),
  };
}

/** No step asks so often by itself: whoever came before did. */
function assertNotLimited({ status, headers, body }: Answer): void {
  if (status !== 429) return;
  throw new Refusal(
    `The server has answered as often as its rate limit allows: ${textAt(body, 'detail')} ` +
      `Wait ${headers.get('Retry-After') ?? 'some'} seconds, or leave --server out for a server of the tour's own.`,
  );
}
