/** The form by which people make an account of their own. */
import type { Context } from 'koa';
import { z } from 'zod';

import type { Accounts } from '../accounts.ts';
import type { DeviceCookie } from './device-cookie.ts';
import { busyOr, errorsOf, Line, Password } from './page.ts';
import type { PageOptions, Pages } from './page.ts';
import type { Recovery } from '../recovery.ts';
import type { RegisterOutcome } from '../registration.ts';
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
  readonly accounts: Pick<Accounts, 'register'>;
  readonly recovery: Pick<Recovery, 'requestVerification'>;
  readonly devices: DeviceCookie;
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
}: RegisterFormOptions): RegisterForm {
  const show = (
    ctx: Context,
    { page, ...place }: RegisterPlace,
    { status = 200, ...told }: Told = {},
  ): void => pages.show(ctx, 'pages/register', { values: {}, ...place, ...told }, { ...page, status });

  return {
    show,
    answer: async (ctx, place) => {
      const { password, ...values } = await pages.read(ctx, Fields);
      const { username, email, fullName = '' } = values;
      const registering = accounts.register({
        username,
        email,
        password,
        fullName: fullName === '' ? null : fullName,
      });
      const outcome = await registering.catch((error: unknown) => busyOr(error));
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
      devices.remember(ctx, account.id);
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
