/**
 * Pages: eta templates from `views/`, escaped by default, in the reader's language and the brand's colours, each
 * with a Content-Security-Policy of its own. They run no script.
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

const FOLDER = join(import.meta.dirname, '../../views');
/** `--surface` of dark pages in `style.css`: what a dark accent is read on. */
const DARK_SURFACE = '#1a202a';

export interface Brand {
  readonly name: string;
  /** `#rrggbb`, readable on white. */
  readonly accent: string;
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
  readonly t: (key: string, values?: TextValues) => string;
  /** A message: the text of that key where there is one, otherwise as it is. */
  readonly say: (message: string, values?: TextValues) => string;
  readonly time: (at: number) => ReadableTime;
}

/** Reads templates, texts and style once. The style sheet stands in the page: no second request, no other origin. */
export function createViews({ brand, now }: ViewsOptions): RenderPage {
  const translate = createTranslator();
  const style = brandStyle(brand) + readFileSync(join(FOLDER, 'style.css'), 'utf8');
  const styleHash = createHash('sha256').update(style).digest('base64');
  const eta = new Eta({ views: FOLDER, cache: true });

  return (ctx, view, data, options = {}) => {
    const { locale = requestedLocale(ctx), formAction = [] } = options;
    const tools: PageTools = { locale, brand, style, ...textTools(translate, locale, now) };
    ctx.body = eta.render(view, { ...data, ...tools });
    ctx.type = 'html';
    ctx.set('Content-Security-Policy', policyFor(styleHash, formAction));
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
    say: (message, values) => (translate.has(message) ? t(message, values) : message),
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

function policyFor(styleHash: string, formAction: readonly string[]): string {
  const targets = ["'self'", ...new Set(formAction.map(formTarget))].join(' ');
  return (
    `default-src 'none'; style-src 'sha256-${styleHash}'; img-src 'self' data:; base-uri 'none'; ` +
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
