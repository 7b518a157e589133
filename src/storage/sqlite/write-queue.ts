/**
 * The queue before the writer thread. What comes in one turn of the event loop goes there in a few parts; the
 * thread commits all that has arrived as one transaction, so the next one forms while this one reaches the disk.
 * Nobody waits longer than the port allows, also where the disk hangs.
 */
import { Worker } from 'node:worker_threads';

import { storeUnavailable } from '../../errors.ts';
import { STORE_TIMEOUT_MS } from '../port.ts';
import { translateError } from './errors.ts';
import type {
  Parameter,
  StatementName,
  TransactionOutcome,
  WriteFailure,
  WriteResult,
} from './statements.ts';

const MAX_WAITING = 10_000;
// A turn is long, and its first writes need not wait for its last: they go in parts, so that the thread commits one while
// the next comes together. Each part costs two wake-ups and a sync of the disk, so there are as few as keep both busy.
const PARTS = 4;
const LEAST_PART = 8;
const MOST_PART = 64;
const FORGETTING = 0.95;
const WATCH_MS = 250;

interface Waiting {
  readonly statement: readonly [StatementName, readonly Parameter[]];
  readonly resolve: (result: WriteResult) => void;
  readonly reject: (error: unknown) => void;
  readonly giveUpAt: number;
}

export interface WriteQueue {
  /** Runs one statement in the next transaction; resolves once that is on disk. */
  write(name: StatementName, ...parameters: readonly Parameter[]): Promise<WriteResult>;
  /** True from a transaction that failed until one that did not. */
  isFailing(): boolean;
  /** Takes no more, and waits for what is under way. */
  close(): Promise<void>;
}

/** Makes the queue of one store; its thread starts with the first write. */
export function createWriteQueue(path: string, timeoutMs = STORE_TIMEOUT_MS): WriteQueue {
  let unsent: Waiting[] = [];
  /** How many writes lately waited at once. */
  let crowd = 0;
  let isScheduled = false;
  let isClosed = false;
  let whenIdle: (() => void) | null = null;

  const thread = createThread(path, {
    onIdle: () => {
      if (unsent.length === 0) whenIdle?.();
    },
    onLost: (failed, cause) => {
      const all = [...failed, ...unsent];
      unsent = [];
      for (const { reject } of all) reject(storeUnavailable(cause));
      whenIdle?.();
    },
  });
  const send = (): void => {
    if (unsent.length === 0) return;
    crowd = Math.max(waiting(), crowd * FORGETTING);
    thread.send(unsent);
    unsent = [];
  };
  const schedule = (): void => {
    if (isScheduled) return;
    isScheduled = true;
    setImmediate(() => {
      isScheduled = false;
      send();
    });
  };
  const waiting = (): number => unsent.length + thread.sent().length;
  const part = (): number => Math.min(Math.max(crowd / PARTS, LEAST_PART), MOST_PART);
  const watch = setInterval(() => {
    const oldest = thread.sent()[0] ?? unsent[0];
    if (oldest !== undefined && oldest.giveUpAt < performance.now())
      thread.abandon(new Error('the disk does not answer'));
  }, WATCH_MS);
  watch.unref();

  return {
    write: (name, ...parameters) =>
      new Promise((resolve, reject) => {
        if (isClosed || waiting() >= MAX_WAITING) {
          reject(storeUnavailable(new Error(isClosed ? 'the store is closed' : 'too many writes wait')));
          return;
        }
        const giveUpAt = performance.now() + timeoutMs;
        unsent.push({ statement: [name, parameters], resolve, reject, giveUpAt });
        if (unsent.length >= part()) send();
        else schedule();
      }),
    isFailing: thread.isFailing,
    close: async () => {
      isClosed = true;
      if (waiting() > 0) await new Promise<void>((resolve) => (whenIdle = resolve));
      clearInterval(watch);
      await thread.stop();
    },
  };
}

interface ThreadOptions {
  readonly onIdle: () => void;
  readonly onLost: (failed: readonly Waiting[], cause: unknown) => void;
}

/** The writer thread as seen from here. One that died or hangs is given up; the next batch starts another. */
function createThread(path: string, { onIdle, onLost }: ThreadOptions) {
  let sent: Waiting[] = [];
  let worker: Worker | null = null;
  let isFailing = false;

  const abandon = (cause: unknown): void => {
    isFailing = true;
    worker?.removeAllListeners();
    void worker?.terminate();
    worker = null;
    const failed = sent;
    sent = [];
    onLost(failed, cause);
  };
  const start = (): Worker => {
    const started = new Worker(new URL('writer.ts', import.meta.url), { workerData: path });
    // Messages keep their order, so a transaction answers the oldest of what was sent.
    started.on('message', (outcome: TransactionOutcome) => {
      isFailing = !outcome.ok;
      tell(sent.splice(0, outcome.count), outcome);
      if (sent.length > 0) return;
      started.unref();
      onIdle();
    });
    started.on('error', abandon);
    return started;
  };

  return {
    abandon,
    isFailing: () => isFailing,
    sent: (): readonly Waiting[] => sent,
    send: (batch: readonly Waiting[]): void => {
      worker ??= start();
      if (sent.length === 0) worker.ref(); // a process with writes under way does not end
      sent.push(...batch);
      worker.postMessage(batch.map(({ statement }) => statement));
    },
    stop: async (): Promise<void> => {
      await worker?.terminate();
    },
  };
}

function tell(answered: readonly Waiting[], outcome: TransactionOutcome): void {
  for (const [index, { resolve, reject }] of answered.entries()) {
    const result = outcome.ok ? outcome.outcomes[index] : { failure: outcome.failure };
    if (typeof result === 'number') resolve({ changes: result, rows: [] });
    else if (result === undefined) reject(new Error('the writer did not answer a statement'));
    else if ('rows' in result) resolve({ changes: result.rows.length, rows: result.rows });
    else reject(toError(result.failure));
  }
}

const toError = ({ message, errcode }: WriteFailure): unknown =>
  translateError(Object.assign(new Error(message), { errcode }));
