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

/** What the middleware uses of a request of `node:http`. */
export interface NodeRequest {
  readonly headers: Headers;
  auth?: Auth;
}

/** What the middleware uses of a response of `node:http`. */
export interface NodeResponse {
  statusCode: number;
  setHeader(name: string, value: string): unknown;
  end(body: string): unknown;
}

/** Middleware of the `(req, res, next)` form: `req.auth` is an {@link Auth} for whatever comes after it. */
export type NodeMiddleware = (
  request: NodeRequest,
  response: NodeResponse,
  next: (error?: unknown) => void,
) => void;

type Authenticate = (headers: Headers) => Promise<Auth>;

/** Koa middleware around `authenticate`. */
export const koaMiddleware =
  (authenticate: Authenticate, resourceMetadata: string | undefined): KoaMiddleware =>
  async (ctx, next) => {
    let auth: Auth;
    try {
      auth = await authenticate(ctx.headers);
    } catch (error) {
      if (!isGuardError(error)) throw error;
      const { status, headers, body } = toRefusal(error, resourceMetadata);
      ctx.status = status;
      ctx.body = body;
      ctx.set({ ...headers }); // after the body, whose kind Koa guesses
      return;
    }
    Object.assign(ctx.state, { auth });
    await next();
  };

/** `(req, res, next)` middleware around `authenticate`. */
export const nodeMiddleware =
  (authenticate: Authenticate, resourceMetadata: string | undefined): NodeMiddleware =>
  (request, response, next) => {
    authenticate(request.headers).then(
      (auth) => {
        request.auth = auth;
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
