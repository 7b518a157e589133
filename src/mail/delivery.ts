/** Where messages go: to a mail server, or, while one develops, to files that a person or a test can read. */
import { randomBytes } from 'node:crypto';
import { mkdir, writeFile } from 'node:fs/promises';
import { isIP } from 'node:net';
import { join } from 'node:path';

import { createTransport } from 'nodemailer';

import type { Message } from './compose.ts';

const CONNECT_MS = 5_000;
const SILENCE_MS = 10_000;

export interface Delivery {
  /** Rejects where the message was not taken. */
  deliver(message: Message): Promise<void>;
  /** Lets go of connections; what is under way on them fails. */
  close(): void;
}

/** By SMTP. Each message has a connection of its own: there are few of them, and none to keep alive. */
export function createSmtpDelivery(smtpUrl: string, from: string): Delivery {
  const transport = createTransport({
    url: smtpUrl,
    connectionTimeout: CONNECT_MS,
    greetingTimeout: CONNECT_MS,
    dnsTimeout: CONNECT_MS,
    socketTimeout: SILENCE_MS,
    // A message is text that we made: none of it names a file or an address to fetch.
    disableFileAccess: true,
    disableUrlAccess: true,
    ...(mustEncrypt(smtpUrl) && { requireTLS: true }),
  });
  return {
    deliver: async ({ to, ...message }) => {
      // As an object an address is taken as it is, not parsed for more of them.
      await transport.sendMail({ ...message, from, to: { name: '', address: to } });
    },
    close: () => transport.close(),
  };
}

/** By a file a message, readable by nobody else. The HTML part is left out: it says the same. */
export function createFileDelivery(folder: string, from: string): Delivery {
  return {
    deliver: async ({ to, subject, text }) => {
      await mkdir(folder, { recursive: true, mode: 0o700 });
      const date = new Date();
      const name = `${date.toISOString().replaceAll(':', '-')}-${randomBytes(4).toString('hex')}.eml`;
      const headers = [`Date: ${date.toUTCString()}`, `From: ${from}`, `To: ${to}`, `Subject: ${subject}`];
      const kind = [
        'MIME-Version: 1.0',
        'Content-Type: text/plain; charset=utf-8',
        'Content-Transfer-Encoding: 8bit',
      ];
      await writeFile(join(folder, name), [...headers, ...kind, '', text].join('\n'), {
        mode: 0o600,
        flag: 'wx',
      });
    },
    close: () => undefined,
  };
}

/** By nothing: production without SMTP_URL. Each mail is told as one that failed. */
export function createNoDelivery(): Delivery {
  return {
    deliver: async () => {
      throw new NoRetry('SMTP_URL is not set, so no mail can be sent');
    },
    close: () => undefined,
  };
}

/** A failure that comes again however often one tries. */
class NoRetry extends Error {
  readonly responseCode = 550;
}

/** True for what the mail server refuses for good (RFC 5321 4.2.1), such as an address that it does not know. */
export function isPermanent(error: unknown): boolean {
  return (
    Error.isError(error) &&
    'responseCode' in error &&
    typeof error.responseCode === 'number' &&
    error.responseCode >= 500
  );
}

/**
 * A password must not cross a network in clear because somebody on the way took STARTTLS out of the answer. The URL
 * itself may say otherwise (`?requireTLS=false`), and what it says goes before.
 */
function mustEncrypt(smtpUrl: string): boolean {
  const { protocol, username, hostname } = new URL(smtpUrl);
  const isLoopback =
    hostname === 'localhost' || hostname === '[::1]' || (isIP(hostname) === 4 && hostname.startsWith('127.'));
  return protocol === 'smtp:' && username !== '' && !isLoopback;
}
