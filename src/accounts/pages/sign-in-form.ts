/** The form by which people sign in, the same for an application's request and for a person's own pages. */
import type { Context } from 'koa';
import { z } from 'zod';

import type { Account } from '../../storage/port.ts';
import type { DeviceCookie } from './device-cookie.ts';
import { busyOr, Checkbox, Line, Password } from './page.ts';
import type { PageOptions, Pages } from './page.ts';
import type { SignIn, SignInOutcome } from '../sign-in.ts';

/** Where the form stands. */
export interface SignInPlace {
  readonly action: string;
  /** Null where nobody may register. */
  readonly registerUrl: string | null;
  readonly clientName?: string;
  readonly login?: string | null;
  readonly page: PageOptions;
}

export interface Entered {
  readonly account: Account;
  readonly remember: boolean;
  /** The first time in this browser, which is to be told to the owner of a proven address. */
  readonly isNewDevice: boolean;
}

export interface SignInForm {
  show(ctx: Context, place: SignInPlace): void;
  /** Reads the form; null where it was shown again, with what was wrong. */
  answer(ctx: Context, place: SignInPlace): Promise<Entered | null>;
}

const Fields = z.strictObject({ login: Line, password: Password, remember: Checkbox });

interface Problem {
  readonly status: number;
  readonly errors: Readonly<Record<string, string>>;
  readonly lockedUntil?: number;
}

export function createSignInForm(pages: Pages, signIn: SignIn, devices: DeviceCookie): SignInForm {
  const show = (ctx: Context, place: SignInPlace, problem?: Problem): void => {
    const { action, registerUrl, clientName, login, page } = place;
    const { status = 200, ...told } = problem ?? {};
    pages.show(
      ctx,
      'pages/sign-in',
      { action, registerUrl, clientName, forgotUrl: '/account/forgot', values: { login }, ...told },
      { ...page, status },
    );
  };

  return {
    show,
    answer: async (ctx, place) => {
      const { login, password, remember } = await pages.read(ctx, Fields);
      const again = { ...place, login };
      const attempt = signIn.attempt({
        login,
        password,
        deviceOf: (account) => devices.find(ctx, account),
        ip: ctx.ip,
        locale: pages.localeOf(ctx, place.page.uiLocales),
      });
      const outcome = await attempt.catch((error: unknown) => busyOr(error));
      if ('status' in outcome) {
        show(ctx, again, outcome);
        return null;
      }
      if (!outcome.ok) {
        show(ctx, again, problemOf(ctx, outcome));
        return null;
      }
      const { account } = outcome;
      const isNewDevice =
        devices.find(ctx, account) === null && (await signIn.mayTell(account, 'new-device'));
      devices.remember(ctx, account);
      return { account, remember: remember === 'on', isNewDevice };
    },
  };
}

function problemOf(ctx: Context, outcome: Exclude<SignInOutcome, { ok: true }>): Problem {
  if (outcome.reason === 'refused') return { status: 401, errors: { '': 'problem.refused' } };
  ctx.set('Retry-After', new Date(outcome.untilAt * 1_000).toUTCString());
  return { status: 423, errors: {}, lockedUntil: outcome.untilAt };
}
