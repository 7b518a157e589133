/**
 * One definition of a request to the JSON API: it is what the router answers by, and what the OpenAPI document
 * tells. Input is checked strictly; of an answer only what its schema names goes out.
 */
import type { Context } from 'koa';
import { z } from 'zod';

import type { ErrorCode } from '../errors.ts';
import { checked, readJsonBody } from '../http/body.ts';
import { visitOf } from '../http/device.ts';
import type { Visit } from '../http/device.ts';
import { chooseLocale } from '../i18n/locale.ts';
import type { Locale } from '../i18n/locale.ts';
import type { Permission } from '../permissions.ts';
import type { Caller, PersonCaller } from './caller.ts';
import { readParams, readQuery } from './input.ts';

/**
 * `public`: no credentials are looked at. `person`: somebody who signed in. `account`: the same, or an API key of
 * theirs. A role: somebody who has it, by token or key, or a client with the scope of that name. `gateway`: the route
 * judges the credentials itself, and who brings them is not counted, since one gateway asks for everybody.
 */
export type Access = 'public' | 'person' | 'account' | 'gateway' | { readonly role: string };

type Schema = z.ZodType;

const NOTHING = z.strictObject({});

export interface AnswerSpec {
  readonly about: string;
  /** None for an answer without a body. */
  readonly schema?: Schema;
}

type AnswerSpecs = Readonly<Record<number, AnswerSpec>>;

/** What a handler may answer: a status of the definition, and the body of its schema. */
type AnswerOf<Answers extends AnswerSpecs> = {
  [Status in keyof Answers & number]: Answers[Status] extends { readonly schema: infer S extends Schema }
    ? { readonly status: Status; readonly body: z.input<S> }
    : { readonly status: Status };
}[keyof Answers & number];

type CallerOf<A extends Access> = A extends 'public' | 'gateway'
  ? null
  : A extends 'person'
    ? PersonCaller
    : A extends 'account'
      ? Extract<Caller, { readonly account: unknown }>
      : Caller;

type Read<S extends Schema | undefined> = S extends Schema ? z.output<S> : undefined;

export interface ApiRequest<A extends Access, Body, Query, Params> {
  readonly caller: CallerOf<A>;
  readonly body: Body;
  readonly query: Query;
  readonly params: Params;
  readonly visit: Visit;
  readonly locale: Locale;
  readonly requestId: string;
}

/** What a definition says, without what it does. */
export interface RouteFacts {
  readonly method: 'get' | 'post' | 'put' | 'patch' | 'delete';
  /** As OpenAPI writes it: `/api/v1/things/{id}`. */
  readonly path: string;
  readonly summary: string;
  readonly about?: string;
  readonly tag: string;
  readonly access: Access;
  /** What the caller must be permitted to do; a route for a role names it always. */
  readonly permission?: Permission;
  readonly body?: Schema | undefined;
  readonly query?: z.ZodObject | undefined;
  readonly params?: z.ZodObject | undefined;
  readonly answers: AnswerSpecs;
  /** Refusals beside those that follow from access, input and limits. */
  readonly refusals?: readonly ErrorCode[];
}

interface RouteSpec<
  A extends Access,
  Body extends Schema | undefined,
  Query extends z.ZodObject | undefined,
  Params extends z.ZodObject | undefined,
  Answers extends AnswerSpecs,
> extends RouteFacts {
  readonly access: A;
  readonly body?: Body;
  readonly query?: Query;
  readonly params?: Params;
  readonly answers: Answers;
  readonly handle: (
    request: ApiRequest<A, Read<Body>, Read<Query>, Read<Params>>,
  ) => Promise<AnswerOf<NoInfer<Answers>>>;
}

export interface Route extends RouteFacts {
  /** Reads the input, calls the handler and answers. `caller`: null where the router asks nobody who they are. */
  readonly serve: (ctx: Context, caller: Caller | null) => Promise<void>;
}

/** Makes a route of a definition. */
export function defineRoute<
  const A extends Access,
  const Answers extends AnswerSpecs,
  Body extends Schema | undefined = undefined,
  Query extends z.ZodObject | undefined = undefined,
  Params extends z.ZodObject | undefined = undefined,
>(spec: RouteSpec<A, Body, Query, Params, Answers>): Route {
  return {
    ...spec,
    serve: async (ctx, caller) => {
      const answer = await spec.handle({
        caller: caller as CallerOf<A>, // the router admits nobody else
        ...(await readInput(ctx, spec)),
        visit: visitOf(ctx),
        locale: chooseLocale(undefined, ctx.get('Accept-Language')),
        requestId: String(ctx.state['requestId']),
      });
      const schema = spec.answers[answer.status]?.schema;
      ctx.body = schema !== undefined && 'body' in answer ? schema.parse(answer.body) : null;
      ctx.status = answer.status; // after the body: none would be 204
    },
  };
}

interface Input<
  Body extends Schema | undefined,
  Query extends Schema | undefined,
  Params extends Schema | undefined,
> {
  readonly body: Read<Body>;
  readonly query: Read<Query>;
  readonly params: Read<Params>;
}

async function readInput<
  Body extends Schema | undefined,
  Query extends z.ZodObject | undefined,
  Params extends z.ZodObject | undefined,
>(
  ctx: Context,
  { body, query, params }: { readonly body?: Body; readonly query?: Query; readonly params?: Params },
): Promise<Input<Body, Query, Params>> {
  const input = {
    params: params && readParams(ctx, params),
    query: readQuery(ctx, query),
    body: ctx.method === 'GET' || ctx.method === 'HEAD' ? undefined : await readBody(ctx, body),
  };
  return input as Input<Body, Query, Params>; // each was read by its own schema
}

/** Where a route takes no body, an empty object will do; and no body does where it takes one, but needs no member. */
async function readBody(ctx: Context, schema: Schema | undefined): Promise<unknown> {
  const body = await readJsonBody(ctx, schema ?? NOTHING);
  if (schema === undefined) return undefined;
  return body === undefined ? checked(schema, {}) : body;
}
