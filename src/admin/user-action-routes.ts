/** What administrators do to a user without saying anything of them: lock, unlock, reset the password, end sessions. */
import { z } from 'zod';

import { Session, toSession } from '../accounts/api/schemas.ts';
import { defineRoute } from '../api/route.ts';
import type { Route } from '../api/route.ts';
import { FOR_ADMINISTRATORS } from './options.ts';
import type { AdminApiOptions } from './options.ts';
import { AdminUser, PasswordReset, UserId } from './schemas.ts';
import { ONE_USER } from './user-routes.ts';

export const userActionRoutes = (options: AdminApiOptions): readonly Route[] => [
  unlockUser(options),
  lockUser(options),
  resetPassword(options),
  listSessions(options),
  endSessions(options),
];

const unlockUser = ({ usersFor }: AdminApiOptions): Route =>
  defineRoute({
    ...FOR_ADMINISTRATORS,
    method: 'post',
    path: `${ONE_USER}/unlock`,
    summary: 'Unlock a user',
    about: 'After a lock by an administrator, or after too many wrong passwords.',
    permission: 'admin:users:write',
    params: UserId,
    answers: { 200: { about: 'The user may sign in.', schema: AdminUser } },
    handle: async (request) => ({
      status: 200,
      body: await usersFor(request).unlock(request.params.user_id),
    }),
  });

const lockUser = ({ usersFor }: AdminApiOptions): Route =>
  defineRoute({
    ...FOR_ADMINISTRATORS,
    method: 'post',
    path: `${ONE_USER}/lock`,
    summary: 'Lock a user',
    about: 'Nobody signs in as them until they are unlocked; their sessions, tokens and keys end.',
    permission: 'admin:users:write',
    params: UserId,
    answers: { 200: { about: 'The user is locked.', schema: AdminUser } },
    refusals: ['conflict'],
    handle: async (request) => ({
      status: 200,
      body: await usersFor(request).lock(request.params.user_id),
    }),
  });

const resetPassword = ({ usersFor, mailResetLink }: AdminApiOptions): Route =>
  defineRoute({
    ...FOR_ADMINISTRATORS,
    method: 'post',
    path: `${ONE_USER}/reset-password`,
    summary: 'Reset the password of a user',
    about:
      'With a password every session of theirs ends. Without one they are mailed a link of one use, one hour.',
    permission: 'admin:users:write',
    params: UserId,
    body: PasswordReset,
    answers: { 202: { about: 'The link is on its way.' }, 204: { about: 'The password is set.' } },
    refusals: ['conflict'],
    handle: async (request) => {
      const { password } = request.body;
      const { user_id: userId } = request.params;
      if (password === undefined) {
        await mailResetLink(request, userId, request.locale);
        return { status: 202 };
      }
      await usersFor(request).setPassword(userId, async () => password);
      return { status: 204 };
    },
  });

const listSessions = ({ usersFor, listSessions: list }: AdminApiOptions): Route =>
  defineRoute({
    ...FOR_ADMINISTRATORS,
    method: 'get',
    path: `${ONE_USER}/sessions`,
    summary: 'List the sessions of a user',
    permission: 'admin:users:read',
    params: UserId,
    answers: { 200: { about: 'The latest first.', schema: z.object({ sessions: z.array(Session) }) } },
    handle: async (request) => {
      const { id } = await usersFor(request).show(request.params.user_id);
      const currentId = request.caller.kind === 'person' ? request.caller.sessionId : '';
      const views = await list(id);
      return { status: 200, body: { sessions: views.map((view) => toSession(view, currentId)) } };
    },
  });

const endSessions = ({ usersFor }: AdminApiOptions): Route =>
  defineRoute({
    ...FOR_ADMINISTRATORS,
    method: 'delete',
    path: `${ONE_USER}/sessions`,
    summary: 'End all sessions of a user',
    about: 'And all that was issued in them.',
    permission: 'admin:users:write',
    params: UserId,
    answers: { 204: { about: 'They are over.' } },
    handle: async (request) => {
      await usersFor(request).endSessions(request.params.user_id);
      return { status: 204 };
    },
  });
