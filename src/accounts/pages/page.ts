/** What the pages of this slice have in common: the form and its token, the language, the words for what is wrong. */
import type { Context } from 'koa';
import { z } from 'zod';

import { AppError, isAppError } from '../../errors.ts';
import { readForm } from '../../http/body.ts';
import type { Csrf } from '../../http/csrf.ts';
import type { RenderOptions, RenderPage } from '../../http/views.ts';
import { chooseLocale } from '../../i18n/locale.ts';
import type { Locale } from '../../i18n/locale.ts';
import type { ContactFault } from '../contact.ts';
import type { IdentityFault } from '../identity.ts';
import type { PasswordFault } from '../password-policy.ts';

/** One line of text in a form. */
export const Line = z.string().max(320);
/** A password as it was typed: never trimmed; what is too long is refused by its rules, with a sentence. */
export const Password = z.string().max(4_096);
/** A checkbox: absent or `on`. */
export const Checkbox = z.literal('on').optional();

export interface PageOptions extends RenderOptions {
  readonly uiLocales?: string | undefined;
  /** Of the answer: 200 where it is not given. */
  readonly status?: number;
}

export interface Pages {
  /** False where mails go nowhere: then no page may promise one. */
  readonly canMail: boolean;
  localeOf(ctx: Context, uiLocales?: string): Locale;
  /** Draws a page; its forms carry the token of this browser. */
  show(ctx: Context, view: string, data: object, options?: PageOptions): void;
  /** The fields of a posted form; refuses a form that is not ours before it looks at them. */
  read<T>(ctx: Context, fields: z.ZodType<T>): Promise<T>;
}

export function createPages(renderPage: RenderPage, csrf: Csrf, canMail: boolean): Pages {
  const localeOf = (ctx: Context, uiLocales?: string): Locale =>
    chooseLocale(uiLocales, ctx.get('Accept-Language'));
  return {
    canMail,
    localeOf,
    show: (ctx, view, data, { uiLocales, status = 200, ...options } = {}) => {
      ctx.status = status;
      const locale = localeOf(ctx, uiLocales);
      renderPage(ctx, view, { ...data, canMail, csrf: csrf.tokenFor(ctx) }, { locale, ...options });
    },
    read: async (ctx, fields) => {
      const { csrf: token, ...rest } = await readForm(ctx, WithToken);
      csrf.assertOwn(ctx, token);
      const parsed = fields.safeParse(rest);
      if (parsed.success) return parsed.data;
      const [issue] = parsed.error.issues;
      throw new AppError(
        'invalid_request',
        `The form is not complete (${issue?.path.join('.') ?? ''}): reload the page.`,
      );
    },
  };
}

const WithToken = z.looseObject({ csrf: z.string().max(100) });

const FAULT_TEXTS: Readonly<Record<IdentityFault | PasswordFault | ContactFault, string>> = {
  username_malformed: 'problem.username',
  username_reserved: 'problem.usernameTaken',
  email_malformed: 'problem.email',
  full_name_malformed: 'problem.fullName',
  phone_number_malformed: 'problem.phoneNumber',
  address_malformed: 'problem.address',
  password_short: 'passwordPolicy.tooShort',
  password_long: 'passwordPolicy.tooLong',
  password_malformed: 'passwordPolicy.malformed',
  password_simple: 'passwordPolicy.tooSimple',
  password_common: 'passwordPolicy.common',
  password_repetitive: 'passwordPolicy.common',
  password_personal: 'passwordPolicy.personal',
  password_reused: 'passwordPolicy.reused',
};

interface Fault {
  readonly path: string;
  readonly code: string;
  readonly message: string;
}

/** Field → text, for the fields' names on the page. */
export const errorsOf = (faults: readonly Fault[]): Readonly<Record<string, string>> =>
  Object.fromEntries(
    faults.map(({ path, code, message }) => [
      path.replaceAll(/_(\w)/g, (_all, letter: string) => letter.toUpperCase()),
      Object.hasOwn(FAULT_TEXTS, code) ? FAULT_TEXTS[code as PasswordFault] : message, // its own keys
    ]),
  );

/** What a person sees in the place of a bare 503: the page again, with a word. Other errors go on. */
export function busyOr(error: unknown): {
  readonly status: 503;
  readonly errors: Readonly<Record<string, string>>;
} {
  if (isAppError(error, 'overloaded')) return { status: 503, errors: { '': 'problem.busy' } };
  throw error;
}

const SCOPES_WITH_WORDS: readonly string[] = [
  'openid',
  'profile',
  'email',
  'phone',
  'address',
  'offline_access',
  'read',
  'customer',
];

/** Something that an application asks for: the scopes or the claim, and the key of its text with what that names. */
export interface InWords {
  readonly names: readonly string[];
  readonly text: string;
  readonly values?: Readonly<Record<string, string | number>>;
}

/** A scope as its person reads it; one without words has a text for all such, beside its name. */
export const inWords = (scope: string): InWords => ({
  names: [scope],
  text: `scope.${SCOPES_WITH_WORDS.includes(scope) ? scope : 'other'}`,
});
