/**
 * The deadline of a request: each call to the store has a limit of its own, but the calls of one request add up. A
 * request that has come in whole and has no answer in time gets 503; its handler goes on, and what it answers then
 * is dropped. One timer looks at all open requests, so that a deadline costs a request next to nothing.
 */
import type { IncomingMessage } from 'node:http';

import { AppError } from '../errors.ts';

// The contract gives a request 3 s; writing the answer has to fit in, too.
const DEADLINE_MS = 2_800;
const LOOK_MS = 100;
const RETRY_AFTER_SECONDS = 2;

interface OpenRequest {
  readonly message: IncomingMessage;
  /** Since when it waits for us, by performance.now(). */
  since: number;
  readonly refuse: (error: AppError) => void;
}

/** Waits for the `work` of a request that came at `since`; rejects with AppError('overloaded') at the deadline. */
export type WithinDeadline = (
  message: IncomingMessage,
  since: number,
  work: Promise<unknown>,
) => Promise<void>;

/** Makes the deadline that all requests of a server share; its timer runs while there are any. */
export function createDeadline(deadlineMs = DEADLINE_MS): WithinDeadline {
  const open = new Set<OpenRequest>();
  let timer: NodeJS.Timeout | null = null;

  const look = (): void => {
    if (open.size === 0 && timer !== null) {
      clearInterval(timer);
      timer = null;
    }
    const now = performance.now();
    for (const request of open) {
      // While its body is on the way it waits for the client, whose time the server's own limits measure.
      if (!request.message.complete) request.since = now;
      else if (now - request.since > deadlineMs) {
        open.delete(request);
        request.refuse(late());
      }
    }
  };

  // By hand, not by Promise.race(): that costs three times as much, and every request pays.
  return (message, since, work) =>
    new Promise((resolve, reject) => {
      const request: OpenRequest = { message, since, refuse: reject };
      open.add(request);
      timer ??= setInterval(look, LOOK_MS).unref();
      work.then(
        () => {
          open.delete(request);
          resolve();
        },
        (error: unknown) => {
          open.delete(request);
          reject(Error.isError(error) ? error : new Error(String(error)));
        },
      );
    });
}

const late = (): AppError =>
  new AppError('overloaded', 'The server cannot answer in time just now; try again in a moment.', {
    retryAfterSeconds: RETRY_AFTER_SECONDS,
  });
