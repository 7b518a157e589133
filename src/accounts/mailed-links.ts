/**
 * Links of one use that prove who reads the mails of an address. The token is 256 random bits and stands in the mail
 * only; the store has its digest. Links are made of the issuer, whatever host a request named.
 */
import { randomBytes } from 'node:crypto';

import { digest } from '../digest.ts';
import type { Locale } from '../i18n/locale.ts';
import type { Mailer } from '../mail/mailer.ts';
import type { Account, OneTimePurpose, OneTimeToken, OneTimeTokenStore } from '../storage/port.ts';

const TOKEN_BYTES = 32;
const TOKEN = /^[\w-]{43}$/;
const HOUR = 3_600;

/** What a link of each purpose is: how long it lives (seconds), its page and its mail. */
const LINKS = {
  'reset-password': { lifetimeSeconds: HOUR, page: 'reset', template: 'reset-password' },
  'verify-email': { lifetimeSeconds: 24 * HOUR, page: 'verify', template: 'verify-email' },
  'change-email': { lifetimeSeconds: 24 * HOUR, page: 'verify', template: 'verify-email' },
} as const satisfies Readonly<Record<OneTimePurpose, object>>;

export interface MailedLinksOptions {
  readonly oneTimeTokens: OneTimeTokenStore;
  readonly mailer: Pick<Mailer, 'send'>;
  readonly issuer: string;
  readonly now: () => number;
}

export interface LinkRequest {
  readonly purpose: OneTimePurpose;
  readonly account: Pick<Account, 'id' | 'username'>;
  /** Where it goes, and what it proves. */
  readonly email: string;
  readonly locale: Locale;
}

export interface MailedLinks {
  /** Mails a link, in the place of the account's earlier one of that purpose. */
  send(request: LinkRequest): Promise<void>;
  /** Does all of it but the mail: so an address that nobody has takes as long as one that somebody has. */
  pretend(purpose: OneTimePurpose, emailDigest: string): Promise<void>;
  /** Null for a token that is malformed, unknown, used, expired, not the newest, or of another purpose. */
  find(purpose: OneTimePurpose, token: string): Promise<OneTimeToken | null>;
  /** As `find`, and uses it up: for exactly one caller. */
  consume(purpose: OneTimePurpose, token: string): Promise<OneTimeToken | null>;
}

/** Makes the links. */
export function createMailedLinks({ oneTimeTokens, mailer, issuer, now }: MailedLinksOptions): MailedLinks {
  const put = async (purpose: OneTimePurpose, accountId: string, email: string): Promise<string> => {
    const token = randomBytes(TOKEN_BYTES).toString('base64url');
    const expiresAt = now() + LINKS[purpose].lifetimeSeconds;
    await oneTimeTokens.put({ purpose, accountId, hash: digest(token), email, expiresAt });
    return token;
  };

  return {
    send: async ({ purpose, account, email, locale }) => {
      const token = await put(purpose, account.id, email);
      const { page, template } = LINKS[purpose];
      const link = `${issuer}/account/${page}?token=${token}`;
      mailer.send({ to: email, locale, template, data: { username: account.username, link } });
    },
    pretend: async (purpose, emailDigest) => {
      await put(purpose, `nobody ${emailDigest}`, ''); // no account's id has a space
    },
    find: async (purpose, token) =>
      TOKEN.test(token) ? oneTimeTokens.find(purpose, digest(token), now()) : null,
    consume: async (purpose, token) =>
      TOKEN.test(token) ? oneTimeTokens.consume(purpose, digest(token), now()) : null,
  };
}
