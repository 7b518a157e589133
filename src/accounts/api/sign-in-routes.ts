/** Registering, signing in, refreshing and signing out. */
import { z } from 'zod';

import { defineRoute } from '../../api/route.ts';
import type { Route } from '../../api/route.ts';
import { AppError } from '../../errors.ts';
import type { FirstParty, IssuedTokens } from '../../oidc/first-party.ts';
import type { Account } from '../../storage/port.ts';
import { isSamePassword } from '../password-history.ts';
import type { RegisterInput } from '../registration.ts';
import type { AccountApiOptions } from './options.ts';
import { invalidInput, locked } from './refusals.ts';
import { FullName, Login, Password, Token, Tokens, toTokens, toUser, Typed, User } from './schemas.ts';

const TAG = 'Sign-in';

export const signInRoutes = (options: AccountApiOptions): readonly Route[] => [
  register(options),
  login(options),
  refresh(options),
  logout(options),
];

const register = ({ accounts, recovery, registration }: AccountApiOptions): Route =>
  defineRoute({
    method: 'post',
    path: '/api/v1/auth/register',
    summary: 'Make an account',
    about: 'A link to verify the address is mailed.',
    tag: TAG,
    access: 'public',
    body: z.strictObject({
      username: Typed,
      email: Typed,
      password: Password,
      full_name: FullName.optional(),
    }),
    answers: {
      201: { about: 'The account is made.', schema: User },
      202: { about: 'A mail says what came of it, where the server tells nobody else what is taken.' },
    },
    refusals: ['conflict', 'forbidden'],
    handle: async ({ body, locale }) => {
      if (!registration.isEnabled) {
        throw new AppError('forbidden', 'People do not register themselves here: ask for an account.');
      }
      const { username, email, password, full_name: fullName = null } = body;
      const input: RegisterInput = { username, email, password, fullName };
      if (registration.conceals) {
        const answer = await accounts.registerConcealed(input, (saved) =>
          recovery.tellRegistered(saved, input, locale),
        );
        if (!answer.ok) throw invalidInput(answer.errors);
        return { status: 202 };
      }
      const outcome = await accounts.register(input);
      if (!outcome.ok)
        throw outcome.reason === 'invalid' ? invalidInput(outcome.errors) : taken(outcome.reason);
      await recovery.requestVerification(outcome.account, locale);
      return { status: 201, body: toUser(outcome.account) };
    },
  });

const taken = (reason: 'username_taken' | 'email_taken'): AppError => {
  const path = reason === 'username_taken' ? 'username' : 'email';
  const message = path === 'username' ? 'another account has this name' : 'another account has this address';
  return new AppError('conflict', `${path}: ${message}`, { errors: [{ path, message }] });
};

const login = (options: AccountApiOptions): Route =>
  defineRoute({
    method: 'post',
    path: '/api/v1/auth/login',
    summary: 'Sign in',
    about: 'Five wrong passwords in a row lock the account for 30 minutes.',
    tag: TAG,
    access: 'public',
    body: z.strictObject({
      username: Login.meta({ description: 'The username or the address.' }),
      password: Password,
      remember_me: z.boolean().optional().meta({ description: 'The refresh token lives longer.' }),
    }),
    answers: { 200: { about: 'Signed in.', schema: Tokens } },
    refusals: ['unauthenticated', 'account_locked'],
    handle: async ({ body: { username, password, remember_me: remember = false }, ...request }) => {
      const { visit, locale } = request;
      const outcome = await options.signIn.attempt({
        login: username,
        password,
        deviceOf: () => null, // known by a cookie, and this API takes none
        ip: visit.ip,
        locale,
      });
      if (!outcome.ok) {
        throw outcome.reason === 'locked' ? locked(outcome.untilAt, options.now()) : wrongPassword();
      }
      const { account } = outcome;
      const issued = await openSession(account, remember, request, options);
      if (issued === null) throw wrongPassword();
      return { status: 200, body: toTokens(issued, account) };
    },
  });

/** One answer for an unknown name, a wrong password and a disabled account. */
const wrongPassword = (): AppError =>
  new AppError('unauthenticated', 'The username or the password is wrong.');

/**
 * The account is read again once the session is there: a change of the password, or a disabling, that came between
 * ended all sessions but this one. Null where there was one.
 */
async function openSession(
  account: Account,
  remember: boolean,
  request: Parameters<FirstParty['signIn']>[1],
  { tokens, accounts, sessions }: AccountApiOptions,
): Promise<IssuedTokens | null> {
  const issued = await tokens.signIn({ accountId: account.id, amr: ['pwd'], remember }, request);
  const current = await accounts.find(account.id);
  if (current?.status === 'active' && isSamePassword(current, account)) return issued;
  await sessions.end(account.id, issued.sessionId);
  return null;
}

const refresh = ({ tokens, accounts, signIn, tellOtherDevice }: AccountApiOptions): Route =>
  defineRoute({
    method: 'post',
    path: '/api/v1/auth/refresh',
    summary: 'Get new tokens',
    about:
      'A refresh token is good once. Who asks again within seconds, since the answer was lost, gets it again; a ' +
      'token that comes back later ends the session.',
    tag: TAG,
    access: 'public',
    body: z.strictObject({ refresh_token: Token }),
    answers: { 200: { about: 'New tokens.', schema: Tokens } },
    refusals: ['invalid_token'],
    handle: async ({ body, ...request }) => {
      const issued = await tokens.refresh(body.refresh_token, request);
      const account = issued && (await accounts.find(issued.accountId));
      if (issued === null || account?.status !== 'active') {
        throw new AppError('invalid_token', 'This refresh token is unknown, used or over: sign in again.');
      }
      if (issued.isFromElsewhere && (await signIn.mayTell(account, 'other-device')))
        tellOtherDevice(account, request.visit, request.locale);
      return { status: 200, body: toTokens(issued, account) };
    },
  });

const logout = ({ sessions }: AccountApiOptions): Route =>
  defineRoute({
    method: 'post',
    path: '/api/v1/auth/logout',
    summary: 'Sign out',
    about: 'The tokens of the session stop at once.',
    tag: TAG,
    access: 'person',
    query: z.strictObject({
      all: z
        .enum(['true', 'false'])
        .optional()
        .meta({ description: 'Whether every session of the account ends.' }),
    }),
    answers: { 204: { about: 'Signed out.' } },
    handle: async ({ caller: { account, sessionId }, query: { all } }) => {
      if (all === 'true') await sessions.endAll(account.id, null);
      else await sessions.end(account.id, sessionId);
      return { status: 204 };
    },
  });
