/** What a signed-in person sees and changes of their own account. */
import { z } from 'zod';

import { defineRoute } from '../../api/route.ts';
import type { Route } from '../../api/route.ts';
import { AppError } from '../../errors.ts';
import type { Locale } from '../../i18n/locale.ts';
import type { Account } from '../../storage/port.ts';
import type { AccountApiOptions } from './options.ts';
import { invalidInput, refusedChange } from './refusals.ts';
import { Email, FullName, Password, toUser, User } from './schemas.ts';

const TAG = 'Profile';
/** So long after signing in the password counts as given just now. */
const RECENT_SECONDS = 900;

export const profileRoutes = (options: AccountApiOptions): readonly Route[] => [
  readProfile(),
  changeProfile(options),
  changePassword(options),
];

const readProfile = (): Route =>
  defineRoute({
    method: 'get',
    path: '/api/v1/auth/profile',
    summary: 'Read the own account',
    tag: TAG,
    access: 'account',
    permission: 'profile:read',
    answers: { 200: { about: 'The account.', schema: User } },
    handle: async ({ caller: { account } }) => ({ status: 200, body: toUser(account) }),
  });

const Changes = z.strictObject({
  full_name: FullName.optional(),
  email: Email.optional().meta({
    description: 'Takes effect once the link that is mailed there is followed.',
  }),
  current_password: Password.optional().meta({
    description: `For a new address, where the sign-in is older than ${RECENT_SECONDS / 60} minutes.`,
  }),
});

interface Change {
  readonly account: Account;
  /** Null for who did not sign in. */
  readonly sessionId: string | null;
  readonly ip: string;
  readonly locale: Locale;
}

const changeProfile = (options: AccountApiOptions): Route =>
  defineRoute({
    method: 'patch',
    path: '/api/v1/auth/profile',
    summary: 'Change the own account',
    tag: TAG,
    access: 'account',
    permission: 'profile:write',
    body: Changes,
    answers: { 200: { about: 'The account as it is now.', schema: User } },
    refusals: ['account_locked', 'conflict'],
    handle: async ({ caller, body, visit: { ip }, locale }) => {
      const { account } = caller;
      const { full_name: fullName, email } = body;
      if (email !== undefined && email !== account.email) {
        if (caller.kind !== 'person') throw forPeople();
        const { sessionId } = caller;
        await moveTo(email, body.current_password, { account, sessionId, ip, locale }, options);
      }
      const changed =
        fullName === undefined ? account : await options.accounts.setFullName(account.id, fullName);
      return { status: 200, body: toUser(changed) };
    },
  });

/** Whoever has the address gets a new password by it: more than a key may. */
const forPeople = (): AppError =>
  new AppError('forbidden', 'Only a person who signed in may change the address.');

/** A stolen token alone does not take an account over: the address needs the password, now or a moment ago. */
async function moveTo(
  newEmail: string,
  currentPassword: string | undefined,
  { account, sessionId, ip, locale }: Change,
  { credentials, sessions, now }: AccountApiOptions,
): Promise<void> {
  const change = { accountId: account.id, newEmail, device: null, ip, locale };
  if (currentPassword !== undefined) {
    const outcome = await credentials.changeEmail({ ...change, currentPassword });
    if (!outcome.ok) throw refusedChange(outcome, now());
    return;
  }
  const session = (await sessions.list(account.id)).find(({ id }) => id === sessionId);
  if (session === undefined || now() - session.signedInAt > RECENT_SECONDS) {
    throw invalidInput([{ path: 'current_password', message: 'give it to change the address' }]);
  }
  await credentials.changeEmailOfConfirmed(account, change);
}

const changePassword = ({ credentials, now }: AccountApiOptions): Route =>
  defineRoute({
    method: 'post',
    path: '/api/v1/auth/change-password',
    summary: 'Change the password',
    about: 'Every other session ends. A wrong current password counts as a wrong sign-in.',
    tag: TAG,
    access: 'person',
    body: z.strictObject({ current_password: Password, new_password: Password }),
    answers: { 204: { about: 'The password is changed.' } },
    refusals: ['account_locked', 'conflict'],
    handle: async ({ caller: { account, sessionId }, body, visit: { ip }, locale }) => {
      const outcome = await credentials.changePassword({
        ...{ accountId: account.id, device: null, ip, locale },
        currentPassword: body.current_password,
        newPassword: body.new_password,
        exceptSessionUid: sessionId,
      });
      if (!outcome.ok) throw refusedChange(outcome, now());
      return { status: 204 };
    },
  });
