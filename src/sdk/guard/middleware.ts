/**
 * The guard as middleware: for Koa, and for whatever calls `(req, res, next)`, such as Express, Connect or
 * `node:http` by hand. It answers a refusal itself; every other failure it hands on.
 */
import type { Auth } from './auth.ts';
import type { Headers } from './credential.ts';
import { isGuardError } from './errors.ts';
import { toRefusal } from './refusal.ts';

/** What the middleware uses of a Koa context. */
export interface KoaContext {
  readonly headers: Headers;
  /** Gets `auth`: see {@link Auth}. */
  readonly state: object;
  status: number;
  body: unknown;
  set(headers: Record<string, string>): void;
}

/** Koa middleware: `ctx.state.auth` is an {@link Auth} for whatever comes after it. */
export type KoaMiddleware = (ctx: KoaContext, next: () => Promise<unknown>) => Promise<void>;

/** What any middleware uses of a request of `node:http`. */
export interface NodeHeaders {
  readonly headers: Headers;
}

/** What the guard uses of a request of `node:http`. */
export interface NodeRequest extends NodeHeaders {
  auth?: Auth;
}

/** What the middleware uses of a response of `node:http`. */
export interface NodeResponse {
  statusCode: number;
  setHeader(name: string, value: string): unknown;
  end(body: string): unknown;
}

/** Middleware of the `(req, res, next)` form: `req.auth` is an {@link Auth} for whatever comes after it. */
export type NodeMiddleware<Request extends NodeHeaders = NodeRequest> = (
  request: Request,
  response: NodeResponse,
  next: (error?: unknown) => void,
) => void;

/** Reads from the headers what the routes are told; rejects with a GuardError where it keeps the request out. */
type Admit<Told extends object> = (headers: Headers) => Promise<Told>;

/** Koa middleware around `admit`: what it gives becomes part of `ctx.state`. */
export const koaMiddleware =
  (admit: Admit<object>, resourceMetadata: string | undefined): KoaMiddleware =>
  async (ctx, next) => {
    let told: object;
    try {
      told = await admit(ctx.headers);
    } catch (error) {
      if (!isGuardError(error)) throw error;
      const { status, headers, body } = toRefusal(error, resourceMetadata);
      ctx.status = status;
      ctx.body = body;
      ctx.set({ ...headers }); // after the body, whose kind Koa guesses
      return;
    }
    Object.assign(ctx.state, told);
    await next();
  };

/** `(req, res, next)` middleware around `admit`: what it gives becomes part of `req`. */
export const nodeMiddleware =
  <Told extends object>(
    admit: Admit<Told>,
    resourceMetadata: string | undefined,
  ): NodeMiddleware<NodeHeaders & Partial<Told>> =>
  (request, response, next) => {
    admit(request.headers).then(
      (told) => {
        Object.assign(request, told);
        next();
      },
      (error: unknown) => {
        if (!isGuardError(error)) {
          next(error);
          return;
        }
        const { status, headers, body } = toRefusal(error, resourceMetadata);
        response.statusCode = status;
        for (const [name, value] of Object.entries(headers)) response.setHeader(name, value);
        response.end(body);
      },
    );
  };
