/**
 * Mails to people. `send` puts a mail into a queue and returns: no request waits for a mail server, and none can
 * tell by the time it took whether a mail was sent. The queue is bounded, each try has an end, and so has a stop.
 */
import { setTimeout as sleep } from 'node:timers/promises';

import { createComposer } from './compose.ts';
import type { Compose, Mail } from './compose.ts';
import { createFileDelivery, createNoDelivery, createSmtpDelivery, isPermanent } from './delivery.ts';
import type { Delivery } from './delivery.ts';

export type { Mail, MailTemplate } from './compose.ts';

/** Ten minutes of a mail server that answers at its slowest; what comes on top is told and dropped. */
const MAX_WAITING = 500;
/** Mail servers refuse those who come with more connections. */
const AT_ONCE = 4;
const TRY_MS = 20_000;
/** Before the second and the third try: a restart of the mail server, and greylisting of the impatient kind. */
const PAUSES_MS: readonly number[] = [2_000, 15_000];
const CLOSE_MS = 2_000;

export interface Mailer {
  /** False where mails go nowhere: production without SMTP_URL. */
  readonly canSend: boolean;
  /** Queues it; never throws and is never waited for. */
  send(mail: Mail): void;
  /** Takes no more, sends what waits for 2 s at most, or for less, and tells what was not sent. */
  close(patienceMs?: number): Promise<void>;
}

export interface MailEvents {
  /** `link` in development only, so that one can go on without a mail server. */
  mailSent(details: { template: string; link?: string }): void;
  mailFailed(details: { template: string; cause: string }): void;
}

export interface MailerOptions {
  /** Null: files in `folder`, or nothing at all where there is none. */
  readonly smtpUrl: string | null;
  readonly folder: string | null;
  readonly from: string;
  readonly issuer: string;
  readonly brandName: string;
  readonly events: MailEvents;
  readonly isDevelopment: boolean;
  /** How long one try may last, and the pauses between tries; tests shorten them. */
  readonly tryMs?: number;
  readonly pausesMs?: readonly number[];
}

/** Starts the mailer; nothing is connected before the first mail. */
export function createMailer(options: MailerOptions): Mailer {
  const { issuer, brandName, events, isDevelopment, tryMs = TRY_MS, pausesMs = PAUSES_MS } = options;
  const delivery = deliveryFor(options);
  const compose = createComposer(issuer, brandName);
  const stopping = new AbortController();
  const queue: Mail[] = [];
  const working = new Set<Promise<void>>();
  let isClosed = false;

  const sendOne = async (mail: Mail): Promise<void> => {
    const { template, data } = mail;
    try {
      await attempt(mail, { compose, delivery, tryMs, pausesMs, signal: stopping.signal });
      events.mailSent({
        template,
        ...(isDevelopment && data['link'] !== undefined && { link: data['link'] }),
      });
    } catch (error) {
      events.mailFailed({ template, cause: stopping.signal.aborted ? STOPPED : causeOf(error) });
    }
  };
  const work = async (): Promise<void> => {
    await nextTurn(); // the request that asked goes first
    for (let mail = queue.shift(); mail !== undefined; mail = queue.shift()) await sendOne(mail);
  };
  const startWorker = (): void => {
    const worker = work().finally(() => working.delete(worker));
    working.add(worker);
  };

  return {
    canSend: options.smtpUrl !== null || options.folder !== null,
    send: (mail) => {
      if (isClosed || queue.length >= MAX_WAITING) {
        events.mailFailed({
          template: mail.template,
          cause: isClosed ? STOPPED : 'too many mails are waiting',
        });
        return;
      }
      queue.push(mail);
      if (working.size < AT_ONCE) startWorker();
    },
    close: async (patienceMs = CLOSE_MS) => {
      isClosed = true;
      const wait = new AbortController();
      const patienceLeft = Math.min(CLOSE_MS, Math.max(0, patienceMs));
      const patience = sleep(patienceLeft, undefined, { signal: wait.signal }).catch(() => undefined);
      await Promise.race([Promise.all(working), patience]);
      wait.abort();
      stopping.abort();
      for (const { template } of queue.splice(0)) events.mailFailed({ template, cause: STOPPED });
      await Promise.all(working);
      delivery.close();
    },
  };
}

const STOPPED = 'the server stopped before it was sent';

const nextTurn = (): Promise<void> => new Promise((resolve) => void setImmediate(resolve));

function deliveryFor({ smtpUrl, folder, from }: MailerOptions): Delivery {
  if (smtpUrl !== null) return createSmtpDelivery(smtpUrl, from);
  return folder === null ? createNoDelivery() : createFileDelivery(folder, from);
}

interface AttemptOptions extends Required<Pick<MailerOptions, 'tryMs' | 'pausesMs'>> {
  readonly compose: Compose;
  readonly delivery: Delivery;
  readonly signal: AbortSignal;
}

/** Tries until it is delivered, refused for good, or was tried once more than there are pauses. */
async function attempt(
  mail: Mail,
  { compose, delivery, tryMs, pausesMs, signal }: AttemptOptions,
): Promise<void> {
  const message = compose(mail);
  for (const pauseMs of [...pausesMs, null]) {
    try {
      await within(delivery.deliver(message), tryMs, signal);
      return;
    } catch (error) {
      if (pauseMs === null || isPermanent(error) || signal.aborted) throw error;
      await sleep(pauseMs, undefined, { signal });
    }
  }
}

/** Waits no longer than that; what comes of the work afterwards is nobody's concern any more. */
async function within(work: Promise<void>, milliseconds: number, signal: AbortSignal): Promise<void> {
  const ended = new AbortController();
  const late = sleep(milliseconds, undefined, { signal: AbortSignal.any([signal, ended.signal]) }).then(
    () => {
      throw new Error(`the mail server did not take it within ${milliseconds} ms`);
    },
  );
  try {
    await Promise.race([work, late]);
  } finally {
    ended.abort();
    late.catch(() => undefined);
    work.catch(() => undefined);
  }
}

/** One line of the mail server's words; nodemailer's errors hold no password. */
const causeOf = (error: unknown): string => (Error.isError(error) ? error.message.slice(0, 300) : 'unknown');
