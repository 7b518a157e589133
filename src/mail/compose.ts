/** Turns a mail that somebody asked for into a message: subject, plain text and HTML in the reader's language. */
import { join } from 'node:path';

import { Eta } from 'eta';

import { createTranslator } from '../i18n/locale.ts';
import type { Locale, TextValues } from '../i18n/locale.ts';
import { describeTime } from '../i18n/time.ts';

const FOLDER = join(import.meta.dirname, '../../views/mail');
/** Some facts, such as the name of a device, are a stranger's to write. */
const MAX_FACT_CHARACTERS = 120;
const MAX_ADDRESS_CHARACTERS = 320;
/** What a mail may tell beside its text, in this order. */
const FACTS = ['newEmail', 'when', 'device', 'ip'] as const;

export const MAIL_TEMPLATES = [
  'verify-email',
  'reset-password',
  'changed-email',
  'changed-password',
  'new-device',
  'other-device',
  'account-locked',
  'already-registered',
  'username-taken',
] as const;
export type MailTemplate = (typeof MAIL_TEMPLATES)[number];

export interface Mail {
  /** One address. */
  readonly to: string;
  readonly locale: Locale;
  readonly template: MailTemplate;
  /** `username`; `link`, under the issuer; `when` (ISO 8601), `ip`, `device`, `newEmail`. */
  readonly data: Readonly<Record<string, string>>;
}

export interface Message {
  readonly to: string;
  readonly subject: string;
  readonly text: string;
  readonly html: string;
}

export type Compose = (mail: Mail) => Message;

/** Reads the templates once. The result throws for an address or a link that no mail of ours has. */
export function createComposer(issuer: string, brandName: string): Compose {
  const translate = createTranslator();
  const asHtml = new Eta({ views: FOLDER, cache: true });
  const asText = new Eta({ views: FOLDER, cache: true, autoEscape: false });

  return ({ to, locale, template, data }) => {
    const t = (key: string, values?: TextValues): string => translate(locale, key, values);
    const of = (part: string): string => t(`mail.${template}.${part}`, { brand: brandName });
    const facts = FACTS.flatMap((name) => {
      const value = data[name];
      return value === undefined ? [] : [{ label: t(`mail.${name}`), value: shown(name, value, locale) }];
    });
    const parts = {
      locale,
      brandName,
      subject: of('subject'),
      greeting: t('mail.greeting', { username: oneLine(data['username'] ?? '') }),
      text: of('text'),
      facts,
      link: checkedLink(data['link'], issuer),
      button: of('button'),
      linkText: t('mail.link'),
      note: of('note'),
      footer: t('mail.footer', { brand: brandName, host: new URL(issuer).host }),
    };
    return {
      to: checkedAddress(to),
      subject: parts.subject,
      text: asText.render('text', parts),
      html: asHtml.render('html', parts),
    };
  };
}

/** A link in a mail of ours leads to this server, whoever made it: the mail is trusted because it is ours. */
function checkedLink(link: string | undefined, issuer: string): string | null {
  if (link === undefined) return null;
  if (URL.canParse(link) && new URL(link).origin === issuer) return link;
  throw new Error('a mail was to carry a link to another server');
}

/** One address and nothing else: a comma adds a recipient, a line break a header (ASVS 1.3.11). */
function checkedAddress(to: string): string {
  if (to.length <= MAX_ADDRESS_CHARACTERS && /^[^\s,;:<>()"\\\p{Cc}@]+@[^\s,;:<>()"\\\p{Cc}@]+$/u.test(to))
    return to;
  throw new Error('a mail was to go to what is not one address');
}

function shown(name: (typeof FACTS)[number], value: string, locale: Locale): string {
  const at = name === 'when' ? Date.parse(value) / 1_000 : Number.NaN;
  return Number.isNaN(at) ? oneLine(value) : describeTime(locale, at, at).text;
}

function oneLine(value: string): string {
  return value.replaceAll(/[\s\p{Cc}\u2028\u2029]+/gu, ' ').slice(0, MAX_FACT_CHARACTERS);
}
