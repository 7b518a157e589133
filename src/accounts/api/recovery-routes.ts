/** Getting back in, and proving an address, by what was mailed. Who asks learns nothing of who has an account. */
import { z } from 'zod';

import { defineRoute } from '../../api/route.ts';
import type { Route } from '../../api/route.ts';
import { AppError } from '../../errors.ts';
import type { AccountApiOptions } from './options.ts';
import { invalidInput } from './refusals.ts';
import { Password, Token, Typed } from './schemas.ts';

const TAG = 'Recovery';

export const recoveryRoutes = (options: AccountApiOptions): readonly Route[] => [
  forgotPassword(options),
  resetPassword(options),
  verifyEmail(options),
  resendVerification(options),
];

const forgotPassword = ({ recovery }: AccountApiOptions): Route =>
  defineRoute({
    method: 'post',
    path: '/api/v1/auth/forgot-password',
    summary: 'Ask for a link to set a new password',
    about: 'The answer is the same whether or not an account has the address.',
    tag: TAG,
    access: 'public',
    body: z.strictObject({ email: Typed }),
    answers: { 202: { about: 'A mail follows where an account has the address.' } },
    handle: async ({ body: { email }, locale }) => {
      await recovery.requestReset(email, locale);
      return { status: 202 };
    },
  });

const resetPassword = ({ recovery }: AccountApiOptions): Route =>
  defineRoute({
    method: 'post',
    path: '/api/v1/auth/reset-password',
    summary: 'Set a new password by the mailed link',
    about: 'Every session of the account ends, and its lock. Nobody is signed in by it.',
    tag: TAG,
    access: 'public',
    body: z.strictObject({
      token: Token.meta({ description: 'The `token` of the link.' }),
      new_password: Password,
    }),
    answers: { 204: { about: 'The password is set.' } },
    refusals: ['conflict'],
    handle: async ({ body, visit: { ip }, locale }) => {
      const outcome = await recovery.resetPassword({
        ...{ token: body.token, password: body.new_password, ip, locale },
      });
      if (outcome.ok) return { status: 204 };
      throw outcome.reason === 'invalid'
        ? invalidInput(outcome.errors, { password: 'new_password' })
        : isOver();
    },
  });

const verifyEmail = ({ recovery }: AccountApiOptions): Route =>
  defineRoute({
    method: 'post',
    path: '/api/v1/auth/verify-email',
    summary: 'Prove an address by the mailed link',
    about: 'Of an account that was just made, or the new one of a changed profile.',
    tag: TAG,
    access: 'public',
    body: z.strictObject({ token: Token.meta({ description: 'The `token` of the link.' }) }),
    answers: { 204: { about: 'The address is proven.' } },
    refusals: ['conflict'],
    handle: async ({ body: { token }, locale }) => {
      const outcome = await recovery.verifyEmail(token, locale);
      if (outcome.ok) return { status: 204 };
      throw outcome.reason === 'invalid_token'
        ? isOver()
        : new AppError('conflict', 'Another account has this address by now.');
    },
  });

const resendVerification = ({ recovery }: AccountApiOptions): Route =>
  defineRoute({
    method: 'post',
    path: '/api/v1/auth/resend-verification',
    summary: 'Ask for the link that proves an address again',
    about: 'The answer is the same whether or not an account has the address.',
    tag: TAG,
    access: 'public',
    body: z.strictObject({ email: Typed }),
    answers: { 202: { about: 'A mail follows where there is an address to prove.' } },
    handle: async ({ body: { email }, locale }) => {
      await recovery.resendVerification(email, locale);
      return { status: 202 };
    },
  });

const isOver = (): AppError =>
  invalidInput([{ path: 'token', message: 'it is unknown, used or over: ask for a new link' }]);
