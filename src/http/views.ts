/**
 * Pages: eta templates from `views/`, escaped by default, in the reader's language and the brand's colours, each
 * with a Content-Security-Policy of its own. They run no script, but for the one that sends a form on.
 */
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';

import { Eta } from 'eta';
import type { Context } from 'koa';

import { LEAST_CONTRAST, lightenFor } from '../colour.ts';
import { chooseLocale, createTranslator } from '../i18n/locale.ts';
import type { Locale, TextValues, Translate } from '../i18n/locale.ts';
import { describeTime } from '../i18n/time.ts';
import type { ReadableTime } from '../i18n/time.ts';
import { LOGO_PATH } from './brand.ts';

const FOLDER = join(import.meta.dirname, '../../views');
/** `--surface` of dark pages in `style.css`: what a dark accent is read on. */
const DARK_SURFACE = '#1a202a';
/** The grid of a portcullis, as in `parts/mark.eta`. */
const MARK = 'M4 21V10a8 8 0 0 1 16 0v11M4 10h16M4 15.5h16M9.3 3v16.5M14.7 3v16.5';
const SEND = 'document.forms[0].submit()';

export interface Brand {
  readonly name: string;
  /** `#rrggbb`, readable on white. */
  readonly accent: string;
  /** Served at LOGO_PATH, in the place of our mark. */
  readonly logo: object | null;
}

export interface ViewsOptions {
  readonly brand: Brand;
  /** Unix seconds: pages tell how long ago something was. */
  readonly now: () => number;
}

export interface RenderOptions {
  /** By default what the request asks for. */
  readonly locale?: Locale;
  /** Where a form of this page may lead besides here: a redirect URI. Chromium checks each redirect of a form. */
  readonly formAction?: readonly string[];
  /** Its form is sent at once by a script, where scripts run. */
  readonly sendsItself?: boolean;
}

export type RenderPage = (
  ctx: Context,
  view: string,
  data: Readonly<Record<string, unknown>>,
  options?: RenderOptions,
) => void;

/** What every template gets beside its own data. */
interface PageTools {
  readonly locale: Locale;
  readonly brand: Brand;
  readonly style: string;
  /** Null: our mark. */
  readonly logo: string | null;
  /** What a browser shows beside the title. */
  readonly icon: string;
  /** Null on every page that does not send itself. */
  readonly script: string | null;
  readonly t: (key: string, values?: TextValues) => string;
  /** A message: the text of that key where there is one, otherwise as it is. */
  readonly say: (message: string, values?: TextValues) => string;
  readonly time: (at: number) => ReadableTime;
}

/** Reads templates, texts and style once. The style sheet stands in the page: no second request, no other origin. */
export function createViews({ brand, now }: ViewsOptions): RenderPage {
  const translate = createTranslator();
  const style = brandStyle(brand) + readFileSync(join(FOLDER, 'style.css'), 'utf8');
  const styleHash = hashOf(style);
  const logo = brand.logo === null ? null : LOGO_PATH;
  const shared = { brand, style, logo, icon: logo ?? iconOf(brand) };
  const eta = new Eta({ views: FOLDER, cache: true });

  return (ctx, view, data, options = {}) => {
    const { locale = requestedLocale(ctx), formAction = [], sendsItself = false } = options;
    const script = sendsItself ? SEND : null;
    const tools: PageTools = { locale, script, ...shared, ...textTools(translate, locale, now) };
    ctx.body = eta.render(view, { ...data, ...tools });
    ctx.type = 'html';
    ctx.set('Content-Security-Policy', policyFor(styleHash, formAction, sendsItself));
    ctx.set('Cache-Control', 'no-store');
  };
}

function textTools(
  translate: Translate,
  locale: Locale,
  now: () => number,
): Pick<PageTools, 't' | 'say' | 'time'> {
  const t = (key: string, values?: TextValues): string => translate(locale, key, values);
  return {
    t,
    say: (message, values) => (translate.has(message, values) ? t(message, values) : message),
    time: (at) => describeTime(locale, at, now()),
  };
}

function requestedLocale(ctx: Context): Locale {
  const asked = ctx.query['ui_locales'];
  return chooseLocale(typeof asked === 'string' ? asked : undefined, ctx.get('Accept-Language'));
}

/** The values that make a brand; `style.css` has all others. */
function brandStyle({ accent }: Brand): string {
  const onDark = lightenFor(DARK_SURFACE, accent, LEAST_CONTRAST);
  return `:root { --brand: ${accent}; --brand-on-dark: ${onDark}; }\n`;
}

/** Our mark in the accent, on no ground. */
const iconOf = ({ accent }: Brand): string =>
  `data:image/svg+xml,${encodeURIComponent(
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 24 24"><path d="${MARK}" fill="none" stroke="${accent}" ` +
      'stroke-width="2" stroke-linecap="round" stroke-linejoin="round"/></svg>',
  )}`;

const hashOf = (text: string): string => createHash('sha256').update(text).digest('base64');

function policyFor(styleHash: string, formAction: readonly string[], sendsItself: boolean): string {
  const targets = ["'self'", ...new Set(formAction.map(formTarget))].join(' ');
  const script = sendsItself ? `script-src 'sha256-${hashOf(SEND)}'; ` : '';
  return (
    `default-src 'none'; ${script}style-src 'sha256-${styleHash}'; img-src 'self' data:; base-uri 'none'; ` +
    `object-src 'none'; form-action ${targets}; frame-ancestors 'none'`
  );
}

/**
 * A redirect URI as a source of the policy (CSP 3, 2.3.1): its origin, or its scheme where the URI has no origin
 * (a native app's) or a host that the grammar does not know (an IPv6 address).
 */
function formTarget(uri: string): string {
  const { protocol, hostname, origin } = new URL(uri);
  const hasOrigin = (protocol === 'https:' || protocol === 'http:') && !hostname.startsWith('[');
  return hasOrigin ? origin : protocol;
}
