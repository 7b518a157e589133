/**
 * The languages that pages and mails speak: which one a reader gets, and the texts of `views/texts/` in it. Texts
 * are plain; whoever puts one into HTML escapes it.
 */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';

import i18next from 'i18next';

const FOLDER = join(import.meta.dirname, '../../views/texts');
/** A header is the reader's to write; browsers send a handful of languages. */
const MAX_LANGUAGES = 20;
const MAX_CHARACTERS = 500;

export const LOCALES = ['en', 'de'] as const;
export type Locale = (typeof LOCALES)[number];

export type TextValues = Readonly<Record<string, string | number>>;

/** A text in a language. Throws for a key that is not in the texts: a page of ours names it wrongly. */
export interface Translate {
  (locale: Locale, key: string, values?: TextValues): string;
  /** Whether there is such a text; one in the plural is found with its `count`. */
  has(key: string, values?: TextValues): boolean;
}

/**
 * The language for a reader: what the application asked for (`ui_locales`, OpenID Connect Core 3.1.2.1), else what
 * the browser prefers (`Accept-Language`, RFC 9110 12.5.4), else English.
 */
export function chooseLocale(uiLocales: string | undefined, acceptLanguage: string | undefined): Locale {
  const asked = (uiLocales ?? '').slice(0, MAX_CHARACTERS).split(' ').slice(0, MAX_LANGUAGES);
  return firstKnown([...asked, ...byPreference(acceptLanguage ?? '')]) ?? 'en';
}

/** Reads the texts once. */
export function createTranslator(): Translate {
  const instance = i18next.createInstance();
  // With everything given and no plugin it is ready at once; nobody has to wait for the promise.
  void instance.init({
    fallbackLng: false,
    initAsync: false,
    resources: Object.fromEntries(LOCALES.map((locale) => [locale, { translation: readTexts(locale) }])),
    nsSeparator: false,
    interpolation: { escapeValue: false },
  });
  const pluralOf = ({ count }: TextValues) => (typeof count === 'number' ? { count } : {});
  const translate = (locale: Locale, key: string, values: TextValues = {}): string => {
    const plural = pluralOf(values);
    if (!instance.exists(key, { lng: locale, ...plural })) throw new Error(`There is no text ${key}`);
    // As `replace` the values are values only: none is an option of i18next, whatever it is called.
    return instance.t(key, { lng: locale, replace: values, nest: false, ...plural });
  };
  return Object.assign(translate, {
    has: (key: string, values: TextValues = {}): boolean =>
      instance.exists(key, { lng: 'en', ...pluralOf(values) }),
  });
}

function readTexts(locale: Locale): Record<string, string> {
  const texts: unknown = JSON.parse(readFileSync(join(FOLDER, `${locale}.json`), 'utf8'));
  return texts as Record<string, string>; // a file of ours; a test compares the languages
}

function firstKnown(tags: readonly string[]): Locale | undefined {
  return tags
    .map((tag) => LOCALES.find((locale) => locale === tag.toLowerCase().split('-', 1)[0]))
    .find((locale) => locale !== undefined);
}

/** The languages of the header, best first; those with weight 0 are the ones that the reader does not want. */
function byPreference(header: string): readonly string[] {
  return header
    .slice(0, MAX_CHARACTERS)
    .split(',')
    .slice(0, MAX_LANGUAGES)
    .map((entry) => {
      const [tag = '', ...parameters] = entry.split(';').map((part) => part.trim());
      const weight = parameters.find((parameter) => /^q=/i.test(parameter))?.slice(2);
      return { tag, weight: weight === undefined ? 1 : Number(weight) };
    })
    .filter(({ weight }) => weight > 0)
    .sort((one, other) => other.weight - one.weight)
    .map(({ tag }) => tag);
}
