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
  /** In the list of those that are open. */
  place: number;
}

/** Waits for the `work` of a request that came at `since`; rejects with AppError('overloaded') at the deadline. */
export type WithinDeadline = (
  message: IncomingMessage,
  since: number,
  work: Promise<unknown>,
) => Promise<void>;

/** Makes the deadline that all requests of a server share; its timer runs while there are any. */
export function createDeadline(deadlineMs = DEADLINE_MS): WithinDeadline {
  // No Set: its tables, one after another, keep each other alive, and with them the requests that were in them.
  const open: OpenRequest[] = [];
  let timer: NodeJS.Timeout | null = null;

  const close = (request: OpenRequest): void => {
    if (open[request.place] !== request) return; // it was refused
    const last = open.pop();
    if (last === undefined || last === request) return;
    open[request.place] = last;
    last.place = request.place;
  };
  const look = (): void => {
    if (open.length === 0 && timer !== null) {
      clearInterval(timer);
      timer = null;
    }
    const now = performance.now();
    for (const request of [...open]) {
      // While its body is on the way it waits for the client, whose time the server's own limits measure.
      if (!request.message.complete) request.since = now;
      else if (now - request.since > deadlineMs) {
        close(request);
        request.refuse(late());
      }
    }
  };

  // By hand, not by Promise.race(): that costs three times as much, and every request pays.
  return (message, since, work) =>
    new Promise((resolve, reject) => {
      const request: OpenRequest = { message, since, refuse: reject, place: open.length };
      open.push(request);
      timer ??= setInterval(look, LOOK_MS).unref();
      work.then(
        () => {
          close(request);
          resolve();
        },
        (error: unknown) => {
          close(request);
          reject(Error.isError(error) ? error : new Error(String(error)));
        },
      );
    });
}

const late = (): AppError =>
  new AppError('overloaded', 'The server cannot answer in time just now; try again in a moment.', {
    retryAfterSeconds: RETRY_AFTER_SECONDS,
  });
