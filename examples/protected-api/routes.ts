/**
 * What the API does, and who may: one line a route says the roles and the scope that its guard requires. People see
 * what is theirs; administrators see everybody's.
 */
import type { ParameterizedContext } from 'koa';
import Router from 'koa-router';
import { z } from 'zod';

import type { Auth, Guard } from '../../src/sdk/guard/guard.ts';
import { createCollection } from './collection.ts';
import type { Collection, Entry } from './collection.ts';
import { Problem, readJson } from './problem.ts';

/** As resources.yaml declares them. */
export const ROLES = ['admin', 'user', 'developer', 'guest', 'service_account'] as const;
export type Role = (typeof ROLES)[number];

export interface State {
  auth: Auth;
}

type Context = ParameterizedContext<State> & {
  readonly params: Readonly<Record<string, string | undefined>>;
};

const KINDS = ['agents', 'conversations', 'workflows'] as const;

type Kind = (typeof KINDS)[number];
type Data = Readonly<Record<Kind, Collection<object>>>;

interface Route {
  readonly method: 'get' | 'post' | 'delete';
  readonly path: string;
  readonly roles: readonly Role[];
  readonly scope: 'api:read' | 'api:write';
  readonly answer: (ctx: Context, data: Data) => void | Promise<void>;
}

const Name = z.string().min(1).max(100);
const AgentInput = z.strictObject({ name: Name, model: Name });
const ConversationInput = z.strictObject({ title: Name, message: z.string().max(4_000).default('') });
const WorkflowInput = z.strictObject({ name: Name, steps: z.array(Name).max(20).default([]) });

const EVERYBODY = ROLES;
const NOT_GUESTS: readonly Role[] = ['admin', 'user', 'developer', 'service_account'];
const AUTOMATION: readonly Role[] = ['admin', 'developer', 'service_account'];
const BUILDERS: readonly Role[] = ['admin', 'developer'];
const ADMINS: readonly Role[] = ['admin'];

/** The whole API. */
export const ROUTES: readonly Route[] = [
  // Agents are everybody's to see, and their builders' to change.
  { method: 'get', path: '/agents', roles: EVERYBODY, scope: 'api:read', answer: list('agents', 'all') },
  { method: 'post', path: '/agents', roles: BUILDERS, scope: 'api:write', answer: add('agents', AgentInput) },
  { method: 'delete', path: '/agents/:id', roles: BUILDERS, scope: 'api:write', answer: remove('agents') },

  {
    method: 'get',
    path: '/conversations',
    roles: NOT_GUESTS,
    scope: 'api:read',
    answer: list('conversations', 'own'),
  },
  {
    method: 'post',
    path: '/conversations',
    roles: NOT_GUESTS,
    scope: 'api:write',
    answer: add('conversations', ConversationInput),
  },
  {
    method: 'delete',
    path: '/conversations/:id',
    roles: NOT_GUESTS,
    scope: 'api:write',
    answer: remove('conversations'),
  },

  {
    method: 'get',
    path: '/workflows',
    roles: AUTOMATION,
    scope: 'api:read',
    answer: list('workflows', 'all'),
  },
  {
    method: 'post',
    path: '/workflows',
    roles: BUILDERS,
    scope: 'api:write',
    answer: add('workflows', WorkflowInput),
  },
  {
    method: 'delete',
    path: '/workflows/:id',
    roles: BUILDERS,
    scope: 'api:write',
    answer: remove('workflows'),
  },

  { method: 'get', path: '/analytics', roles: BUILDERS, scope: 'api:read', answer: analytics },

  { method: 'get', path: '/system/status', roles: ADMINS, scope: 'api:read', answer: status },
  { method: 'delete', path: '/system/data', roles: ADMINS, scope: 'api:write', answer: clear },
];

/** The routes, each behind the guard. */
export function createRoutes(guard: Guard): Router<State> {
  const limits = { maxPerOwner: 100, maxInAll: 1_000 };
  const data: Data = {
    agents: createCollection(limits),
    conversations: createCollection(limits),
    workflows: createCollection(limits),
  };
  const router = new Router<State>({ sensitive: true });
  for (const { method, path, roles, scope, answer } of ROUTES) {
    router[method](path, guard.koa({ roles, scopes: [scope] }), (ctx) => answer(ctx, data));
  }
  return router;
}

const isAdmin = ({ role }: Auth): boolean => role === 'admin';

/** Whose things somebody may change: their own; an administrator everybody's. */
const reach = (auth: Auth): string | null => (isAdmin(auth) ? null : auth.subject);

function list(kind: Kind, whose: 'own' | 'all'): Route['answer'] {
  return ({ state: { auth }, response }, data) => {
    const entries = data[kind].list(whose === 'all' ? null : reach(auth));
    response.body = { items: entries.map((entry) => toView(entry)) };
  };
}

function add(kind: Kind, schema: z.ZodObject): Route['answer'] {
  return async ({ state: { auth }, req, response }, data) => {
    const entry = data[kind].add(auth.subject, await readJson(req, schema));
    if (entry === null) throw new Problem(409, 'You have as many as there may be: delete some first.');
    response.status = 201;
    response.body = toView(entry);
  };
}

/** What is somebody else's is not there: whether it exists is nobody's business. */
function remove(kind: Kind): Route['answer'] {
  return ({ state: { auth }, params: { id = '' }, response }, data) => {
    if (!data[kind].remove(id, reach(auth)))
      throw new Problem(404, 'There is no such thing, or it is not yours.');
    response.status = 204;
  };
}

function analytics({ response }: Context, data: Data): void {
  const count = (kind: Kind): number => data[kind].list(null).length;
  response.body = {
    agents: count('agents'),
    conversations: count('conversations'),
    workflows: count('workflows'),
    people: new Set(KINDS.flatMap((kind) => data[kind].list(null).map(({ owner }) => owner))).size,
  };
}

function status({ state: { auth }, response }: Context): void {
  response.body = {
    status: 'running',
    uptimeSeconds: Math.floor(performance.now() / 1000),
    caller: auth.subject,
  };
}

function clear({ response }: Context, data: Data): void {
  for (const kind of KINDS) data[kind].clear();
  response.status = 204;
}

const toView = ({ id, owner, createdAt, value }: Entry<object>): object => ({
  ...{ id, owner, created_at: createdAt },
  ...value,
});
