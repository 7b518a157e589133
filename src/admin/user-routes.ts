/** Users as administrators list, read, make, change and delete them. */
import { z } from 'zod';

import { SERVER_ROLES } from '../accounts/registration.ts';
import { listOf, pageOf, PageQuery } from '../api/cursor.ts';
import { defineRoute } from '../api/route.ts';
import type { Route } from '../api/route.ts';
import { FOR_ADMINISTRATORS } from './options.ts';
import type { AdminApiOptions } from './options.ts';
import { AdminUser, AdminUserDetails, NewUser, UserChanges, UserId } from './schemas.ts';

const LIST = '/api/v1/admin/users';
export const ONE_USER = '/api/v1/admin/users/{user_id}';

const UserQuery = PageQuery.extend({
  q: z.string().min(1).max(200).optional().meta({ description: 'How the username or the address begins.' }),
  role: z.enum(SERVER_ROLES).optional(),
  status: z
    .enum(['active', 'disabled', 'locked'])
    .optional()
    .meta({ description: '`locked`: by too many wrong passwords.' }),
  sort: z.literal('username').optional().meta({ description: 'The order there is, and the default.' }),
});

export const userRoutes = (options: AdminApiOptions): readonly Route[] => [
  listUsers(options),
  createUser(options),
  readUser(options),
  changeUser(options),
  deleteUser(options),
];

const listUsers = ({ usersFor, cursors }: AdminApiOptions): Route =>
  defineRoute({
    ...FOR_ADMINISTRATORS,
    method: 'get',
    path: LIST,
    summary: 'List users',
    permission: 'admin:users:read',
    query: UserQuery,
    answers: {
      200: {
        about: 'A page of them, in the order of their usernames.',
        schema: pageOf(AdminUser),
      },
    },
    handle: async (request) => {
      const { limit, after, sort: _sort, ...filter } = request.query;
      const list = listOf('admin/users', request, filter);
      const { q: startsWith, role, status } = filter;
      const page = cursors.read(list, { limit, after });
      const { items, next } = await usersFor(request).list(page, { startsWith, role, status });
      return { status: 200, body: { items: [...items], next: cursors.write(list, next) } };
    },
  });

const createUser = ({ usersFor }: AdminApiOptions): Route =>
  defineRoute({
    ...FOR_ADMINISTRATORS,
    method: 'post',
    path: LIST,
    summary: 'Make a user',
    permission: 'admin:users:write',
    body: NewUser,
    answers: { 201: { about: 'The user is made.', schema: AdminUser } },
    refusals: ['conflict'],
    handle: async (request) => ({ status: 201, body: await usersFor(request).create(request.body, null) }),
  });

const readUser = ({ usersFor }: AdminApiOptions): Route =>
  defineRoute({
    ...FOR_ADMINISTRATORS,
    method: 'get',
    path: ONE_USER,
    summary: 'Read a user',
    permission: 'admin:users:read',
    params: UserId,
    answers: { 200: { about: 'The user.', schema: AdminUserDetails } },
    handle: async (request) => ({
      status: 200,
      body: await usersFor(request).show(request.params.user_id),
    }),
  });

const changeUser = ({ usersFor }: AdminApiOptions): Route =>
  defineRoute({
    ...FOR_ADMINISTRATORS,
    method: 'patch',
    path: ONE_USER,
    summary: 'Change a user',
    about: 'What is not named stays. The last active administrator keeps the role.',
    permission: 'admin:users:write',
    params: UserId,
    body: UserChanges,
    answers: { 200: { about: 'The user as it is now.', schema: AdminUser } },
    refusals: ['conflict'],
    handle: async (request) => {
      const { user } = await usersFor(request).update(request.params.user_id, request.body);
      return { status: 200, body: user };
    },
  });

const deleteUser = ({ usersFor }: AdminApiOptions): Route =>
  defineRoute({
    ...FOR_ADMINISTRATORS,
    method: 'delete',
    path: ONE_USER,
    summary: 'Delete a user',
    about: 'All that they have ends, and nobody is called so again.',
    permission: 'admin:users:write',
    params: UserId,
    answers: { 204: { about: 'The user is gone.' } },
    refusals: ['conflict'],
    handle: async (request) => {
      await usersFor(request).delete(request.params.user_id);
      return { status: 204 };
    },
  });
