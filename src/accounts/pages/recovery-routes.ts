/** The pages that mailed links lead to, and the one that asks for such a link. They need no session. */
import Router from 'koa-router';
import type { Context } from 'koa';
import { z } from 'zod';

import { busyOr, errorsOf, Line, Password } from './page.ts';
import type { Pages } from './page.ts';
import type { Recovery } from '../recovery.ts';

export interface RecoveryRouteOptions {
  readonly pages: Pages;
  readonly recovery: Recovery;
}

const Address = z.strictObject({ email: Line });
const NewPassword = z.strictObject({ token: Line, newPassword: Password });
const Token = z.strictObject({ token: Line });

const SIGN_IN = { link: '/account', linkText: 'signIn.submit' } as const;
/** For whoever may be signed in already. */
const ACCOUNT = { link: '/account', linkText: 'error.account' } as const;
const BACK = { link: '/account', linkText: 'forgot.back' } as const;
const ASK_AGAIN = { link: '/account/forgot', linkText: 'forgot.title' } as const;

export function createRecoveryRoutes(options: RecoveryRouteOptions): Router {
  const router = new Router({ sensitive: true, prefix: '/account' });
  addForgot(router, options);
  addReset(router, options);
  addVerify(router, options);
  return router;
}

function addForgot(router: Router, { pages, recovery }: RecoveryRouteOptions): void {
  const show = (ctx: Context, told: object = {}, status = 200): void => {
    const data = { action: '/account/forgot', signInUrl: '/account', values: {}, ...told };
    pages.show(ctx, 'pages/forgot', data, { status });
  };
  router.get('/forgot', (ctx) => show(ctx));
  router.post('/forgot', async (ctx) => {
    const { email } = await pages.read(ctx, Address);
    if (!pages.canMail) {
      show(ctx, {}, 503);
      return;
    }
    if (!/^[^\s@]+@[^\s@]+$/.test(email)) {
      show(ctx, { errors: { email: 'problem.email' }, values: { email } }, 400);
      return;
    }
    await recovery.requestReset(email, pages.localeOf(ctx));
    const words = { title: 'forgot.sentTitle', text: 'forgot.sentText' };
    pages.show(ctx, 'pages/message', { ...words, ...BACK }, { status: 202 });
  });
}

function addReset(router: Router, { pages, recovery }: RecoveryRouteOptions): void {
  const show = (ctx: Context, token: string, errors: object = {}, status = 200): void =>
    pages.show(ctx, 'pages/reset', { action: '/account/reset', token, errors }, { status });
  const isOver = (ctx: Context): void => pages.show(ctx, 'pages/expired', ASK_AGAIN, { status: 410 });

  router.get('/reset', async (ctx) => {
    const token = tokenOf(ctx);
    if (await recovery.isResetLink(token)) show(ctx, token);
    else isOver(ctx);
  });
  router.post('/reset', async (ctx) => {
    const { token, newPassword } = await pages.read(ctx, NewPassword);
    const reset = { token, password: newPassword, ip: ctx.ip, locale: pages.localeOf(ctx) };
    const outcome = await recovery.resetPassword(reset).catch((error: unknown) => busyOr(error));
    if ('status' in outcome) show(ctx, token, outcome.errors, outcome.status);
    else if (outcome.ok) {
      pages.show(ctx, 'pages/message', { title: 'reset.doneTitle', text: 'reset.doneText', ...SIGN_IN });
    } else if (outcome.reason === 'invalid') {
      const { password, ...others } = errorsOf(outcome.errors);
      show(ctx, token, { ...others, ...(password !== undefined && { newPassword: password }) }, 400);
    } else isOver(ctx);
  });
}

/** A scanner of mails that opens links uses nothing up: a person presses the button. */
function addVerify(router: Router, { pages, recovery }: RecoveryRouteOptions): void {
  const isOver = (ctx: Context): void => pages.show(ctx, 'pages/expired', ACCOUNT, { status: 410 });

  router.get('/verify', async (ctx) => {
    const token = tokenOf(ctx);
    if (await recovery.isVerificationLink(token)) {
      pages.show(ctx, 'pages/verify', { action: '/account/verify', token });
    } else isOver(ctx);
  });
  router.post('/verify', async (ctx) => {
    const { token } = await pages.read(ctx, Token);
    const outcome = await recovery.verifyEmail(token, pages.localeOf(ctx));
    if (outcome.ok) {
      const values = { email: outcome.account.email };
      const words = { title: 'verify.doneTitle', text: 'verify.doneText', values };
      pages.show(ctx, 'pages/message', { ...words, ...ACCOUNT });
    } else if (outcome.reason === 'email_taken') {
      const words = { title: 'expired.title', text: 'problem.emailTaken' };
      pages.show(ctx, 'pages/message', { ...words, ...ACCOUNT }, { status: 409 });
    } else isOver(ctx);
  });
}

const tokenOf = (ctx: Context): string => {
  const { token } = ctx.query;
  return typeof token === 'string' ? token : '';
};
