/**
 * The queue before the writer thread. What waits in one turn of the event loop goes as one batch, two batches
 * under way at most: while one is being committed the next one forms. Nobody waits longer than the port allows,
 * also where the disk hangs.
 */
import { Worker } from 'node:worker_threads';

import { storeUnavailable } from '../../errors.ts';
import { STORE_TIMEOUT_MS } from '../port.ts';
import { translateError } from './errors.ts';
import type { BatchOutcome, Parameter, StatementName, WriteFailure, WriteResult } from './statements.ts';

const MAX_WAITING = 10_000;
const MAX_IN_FLIGHT = 2;
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
  /** Takes no more, and waits for what is under way. */
  close(): Promise<void>;
}

/** Makes the queue of one store; its thread starts with the first write. */
export function createWriteQueue(path: string): WriteQueue {
  let queue: Waiting[] = [];
  let isScheduled = false;
  let isClosed = false;
  let whenIdle: (() => void) | null = null;

  const thread = createThread(path, (failed, cause) => {
    const all = [...failed, ...queue];
    queue = [];
    for (const { reject } of all) reject(storeUnavailable(cause));
    whenIdle?.();
  });
  const send = (): void => {
    isScheduled = false;
    if (queue.length === 0 || thread.isFull()) return;
    const batch = queue;
    queue = [];
    thread.send(batch, () => {
      if (queue.length > 0) schedule();
      else if (thread.isIdle()) whenIdle?.();
    });
  };
  const schedule = (): void => {
    if (isScheduled || thread.isFull()) return;
    isScheduled = true;
    setImmediate(send);
  };
  const watch = setInterval(() => {
    const oldest = thread.oldest() ?? queue[0];
    if (oldest !== undefined && oldest.giveUpAt < performance.now())
      thread.abandon(new Error('the disk does not answer'));
  }, WATCH_MS);
  watch.unref();

  return {
    write: (name, ...parameters) =>
      new Promise((resolve, reject) => {
        if (isClosed || queue.length >= MAX_WAITING) {
          reject(storeUnavailable(new Error(isClosed ? 'the store is closed' : 'too many writes wait')));
          return;
        }
        const giveUpAt = performance.now() + STORE_TIMEOUT_MS;
        queue.push({ statement: [name, parameters], resolve, reject, giveUpAt });
        schedule();
      }),
    close: async () => {
      isClosed = true;
      if (queue.length > 0 || !thread.isIdle()) await new Promise<void>((resolve) => (whenIdle = resolve));
      clearInterval(watch);
      await thread.stop();
    },
  };
}

interface Sent {
  readonly batch: readonly Waiting[];
  readonly onAnswered: () => void;
}

/** The writer thread as seen from here. One that died or hangs is given up; the next batch starts another. */
function createThread(path: string, onLost: (failed: readonly Waiting[], cause: unknown) => void) {
  let sent: Sent[] = [];
  let worker: Worker | null = null;

  const abandon = (cause: unknown): void => {
    worker?.removeAllListeners();
    void worker?.terminate();
    worker = null;
    const failed = sent.flatMap(({ batch }) => batch);
    sent = [];
    onLost(failed, cause);
  };
  const start = (): Worker => {
    const started = new Worker(new URL('writer.ts', import.meta.url), { workerData: path });
    started.on('message', (outcome: BatchOutcome) => {
      const answered = sent.shift();
      if (sent.length === 0) started.unref();
      if (answered === undefined) return;
      tell(answered.batch, outcome);
      answered.onAnswered();
    });
    started.on('error', abandon);
    return started;
  };

  return {
    abandon,
    isFull: () => sent.length >= MAX_IN_FLIGHT,
    isIdle: () => sent.length === 0,
    oldest: (): Waiting | undefined => sent[0]?.batch[0],
    send: (batch: readonly Waiting[], onAnswered: () => void): void => {
      sent.push({ batch, onAnswered });
      worker ??= start();
      worker.ref(); // a process with writes under way does not end
      worker.postMessage(batch.map(({ statement }) => statement));
    },
    stop: async (): Promise<void> => {
      await worker?.terminate();
    },
  };
}

function tell(answered: readonly Waiting[], outcome: BatchOutcome): void {
  for (const [index, { resolve, reject }] of answered.entries()) {
    const result = outcome.ok ? outcome.outcomes[index] : { failure: outcome.failure };
    if (typeof result === 'number') resolve({ changes: result });
    else if (result === undefined) reject(new Error('the writer did not answer a statement'));
    else if ('row' in result) resolve({ changes: 1, row: result.row });
    else reject(toError(result.failure));
  }
}

const toError = ({ message, errcode }: WriteFailure): unknown =>
  translateError(Object.assign(new Error(message), { errcode }));
