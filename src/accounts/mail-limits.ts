/**
 * How many mails strangers can have sent to one address: nobody's mailbox is flooded by way of us. Each kind of mail
 * has its own count, and only what goes out is counted, so that asking for one kind never silences another.
 */
import { digest } from '../digest.ts';
import type { MailTemplate } from '../mail/mailer.ts';
import type { CounterStore, OneTimePurpose } from '../storage/port.ts';

/** An hour, of each kind. */
const MAX_MAILS = 5;
const WINDOW_SECONDS = 3_600;

export interface MailLimitOptions {
  readonly counters: Pick<CounterStore, 'hit'>;
  readonly now: () => number;
}

/**
 * Counts a mail that is about to go out; false for one too many. What does not go out (`isMeant` false) is counted
 * apart: the answer takes as long, and the owner's mails lose nothing by it.
 */
export async function mayMail(
  kind: MailTemplate | OneTimePurpose,
  emailKey: string,
  { counters, now }: MailLimitOptions,
  isMeant = true,
): Promise<boolean> {
  const key = `mail:${isMeant ? kind : `no ${kind}`}:${digest(emailKey)}`;
  const { count } = await counters.hit(key, WINDOW_SECONDS, now());
  return isMeant && count <= MAX_MAILS;
}
