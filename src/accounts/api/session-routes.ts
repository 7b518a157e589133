/** Where the account is signed in, in browsers and at this API. */
import { z } from 'zod';

import { defineRoute } from '../../api/route.ts';
import type { Route } from '../../api/route.ts';
import { AppError } from '../../errors.ts';
import type { AccountApiOptions } from './options.ts';
import { Session, toSession } from './schemas.ts';

const TAG = 'Sessions';

export const sessionRoutes = ({ sessions }: AccountApiOptions): readonly Route[] => [
  defineRoute({
    method: 'get',
    path: '/api/v1/auth/sessions',
    summary: 'List the sessions',
    tag: TAG,
    access: 'account',
    permission: 'sessions:read',
    answers: { 200: { about: 'The latest first.', schema: z.object({ sessions: z.array(Session) }) } },
    handle: async ({ caller }) => {
      const currentId = caller.kind === 'person' ? caller.sessionId : null;
      const views = await sessions.list(caller.account.id);
      return { status: 200, body: { sessions: views.map((view) => toSession(view, currentId)) } };
    },
  }),
  defineRoute({
    method: 'delete',
    path: '/api/v1/auth/sessions/{id}',
    summary: 'End a session',
    about: 'What was issued in it stops at once.',
    tag: TAG,
    access: 'account',
    permission: 'sessions:write',
    params: z.strictObject({ id: z.string().min(1).max(64) }),
    answers: { 204: { about: 'It is over.' } },
    handle: async ({ caller: { account }, params: { id } }) => {
      if (await sessions.end(account.id, id)) return { status: 204 };
      throw new AppError('not_found', 'There is no such session.');
    },
  }),
];
