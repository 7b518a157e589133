/** The form by which people make an account of their own. */
import type { Context } from 'koa';
import { z } from 'zod';

import type { Accounts } from '../accounts.ts';
import type { DeviceCookie } from './device-cookie.ts';
import { busyOr, errorsOf, Line, Password } from './page.ts';
import type { PageOptions, Pages } from './page.ts';
import type { Recovery } from '../recovery.ts';
import type { RegisterInput, RegisterOutcome } from '../registration.ts';
import type { Entered } from './sign-in-form.ts';

export interface RegisterPlace {
  readonly action: string;
  readonly signInUrl: string;
  readonly clientName?: string;
  readonly page: PageOptions;
}

export interface RegisterForm {
  show(ctx: Context, place: RegisterPlace): void;
  /** Reads the form; null where it was shown again, with what was wrong. */
  answer(ctx: Context, place: RegisterPlace): Promise<Entered | null>;
}

export interface RegisterFormOptions {
  readonly pages: Pages;
  readonly accounts: Pick<Accounts, 'register' | 'registerConcealed'>;
  readonly recovery: Pick<Recovery, 'requestVerification' | 'tellRegistered'>;
  readonly devices: DeviceCookie;
  /** Whether a taken name or address is told by mail alone. */
  readonly conceals: boolean;
}

const Fields = z.strictObject({ username: Line, email: Line, fullName: Line.optional(), password: Password });

interface Told {
  readonly status?: number;
  readonly errors?: Readonly<Record<string, string>>;
  readonly values?: object;
}

export function createRegisterForm({
  pages,
  accounts,
  recovery,
  devices,
  conceals,
}: RegisterFormOptions): RegisterForm {
  const show = (
    ctx: Context,
    { page, ...place }: RegisterPlace,
    { status = 200, ...told }: Told = {},
  ): void => pages.show(ctx, 'pages/register', { values: {}, ...place, ...told }, { ...page, status });

  /** The same page for everybody; nobody is signed in, since that would tell. */
  const conceal = async (
    ctx: Context,
    place: RegisterPlace,
    input: RegisterInput,
  ): Promise<RegisterOutcome | null> => {
    const locale = pages.localeOf(ctx, place.page.uiLocales);
    const answer = await accounts.registerConcealed(input, (outcome) =>
      recovery.tellRegistered(outcome, input, locale),
    );
    if (!answer.ok) return answer;
    const words = { title: 'verify.sentTitle', text: 'register.sentText', values: { email: input.email } };
    const back = { link: place.signInUrl, linkText: 'signIn.submit' };
    pages.show(ctx, 'pages/message', { ...words, ...back }, { ...place.page, status: 202 });
    return null;
  };

  return {
    show,
    answer: async (ctx, place) => {
      const { password, ...values } = await pages.read(ctx, Fields);
      const { username, email, fullName = '' } = values;
      const input = { username, email, password, fullName: fullName === '' ? null : fullName };
      const registering = conceals ? conceal(ctx, place, input) : accounts.register(input);
      const outcome = await registering.catch((error: unknown) => busyOr(error));
      if (outcome === null) return null;
      if ('status' in outcome) {
        show(ctx, place, { ...outcome, values });
        return null;
      }
      if (!outcome.ok) {
        show(ctx, place, { ...problemOf(outcome), values });
        return null;
      }
      const { account } = outcome;
      await recovery.requestVerification(account, pages.localeOf(ctx, place.page.uiLocales));
      devices.remember(ctx, account);
      return { account, remember: false, isNewDevice: false };
    },
  };
}

function problemOf(outcome: Exclude<RegisterOutcome, { ok: true }>): Told {
  if (outcome.reason === 'invalid') return { status: 400, errors: errorsOf(outcome.errors) };
  return outcome.reason === 'username_taken'
    ? { status: 409, errors: { username: 'problem.usernameTaken' } }
    : { status: 409, errors: { email: 'problem.emailTaken' } };
}
