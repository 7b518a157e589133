/**
 * The only writer of error bodies. A request under `/api` gets an RFC 9457 Problem, every other one an OAuth 2
 * error (RFC 6749 5.2) as JSON, or a page where a browser asks. Whatever is not an AppError is our fault: a
 * fixed text outside, the cause in the log.
 */
import { STATUS_CODES } from 'node:http';

import type { Context } from 'koa';

import { AppError, ERROR_TABLE, isAppError } from '../errors.ts';
import { isForPeople, kindOf, showError } from './error-page.ts';
import type { RenderPage } from './views.ts';

const FALLBACK_RETRY_SECONDS = 2;

export interface ErrorAnswerOptions {
  readonly renderPage: RenderPage;
  readonly onFailure: OnFailure;
  /** Development only: the stack of our own faults goes out with the answer. */
  readonly showDetail: boolean;
}

/** Answers whatever was thrown; `onFailure` hears of what is our own fault, and of a store that cannot answer. */
export function createErrorAnswer({ renderPage, onFailure, showDetail }: ErrorAnswerOptions) {
  return (ctx: Context, error: unknown): void => {
    if (!isAppError(error) || error.code === 'store_unavailable')
      onFailure({ requestId: String(ctx.state['requestId']), error });
    answer(ctx, error, renderPage, showDetail);
  };
}

export type OnFailure = (event: { requestId: string; error: unknown }) => void;

/** What nobody answered is not there; a path that is there under another method has its `Allow` set already. */
export function assertAnswered(ctx: Context): void {
  if (ctx.body !== undefined || ctx.headerSent) return;
  if (ctx.status === 405 || ctx.status === 501) {
    throw new AppError(
      'method_not_allowed',
      `${ctx.path} takes ${ctx.response.get('Allow')}, not ${ctx.method}.`,
    );
  }
  if (ctx.status !== 404) return;
  throw new AppError('not_found', `There is nothing at ${ctx.method} ${ctx.path.slice(0, 200)}.`);
}

/** Every 503 says when to come back (RFC 9110 10.2.3), whoever wrote it. */
export function assureRetryAfter(ctx: Context): void {
  if (ctx.status === 503 && !ctx.response.get('Retry-After'))
    ctx.set('Retry-After', String(FALLBACK_RETRY_SECONDS));
}

function answer(ctx: Context, error: unknown, renderPage: RenderPage, showDetail: boolean): void {
  const { status, oauth } = isAppError(error)
    ? ERROR_TABLE[error.code]
    : ({ status: 500, oauth: 'server_error' } as const);
  const failure =
    showDetail && Error.isError(error)
      ? String(error.stack)
      : 'The server failed to answer; the fault is logged.';
  const description = isAppError(error) ? error.message : failure;
  ctx.status = status;
  ctx.set('Cache-Control', 'no-store');
  if (isAppError(error)) setHeaders(ctx, error, oauth);
  if (ctx.path.startsWith('/api/')) {
    const faults = isAppError(error) ? error.errors : undefined;
    const errors = faults?.map(({ path, message }) => ({ path, message })); // and nothing else that a fault has
    ctx.body = { type: 'about:blank', title: STATUS_CODES[status], status, detail: description, errors };
    ctx.type = 'application/problem+json';
  } else if ((ctx.method === 'GET' || isForPeople(ctx)) && ctx.accepts('json', 'html') === 'html') {
    const retryAfterSeconds = isAppError(error) ? error.retryAfterSeconds : undefined;
    const kind = kindOf(ctx, status);
    showError(renderPage, ctx, { status, error: oauth, description, kind, retryAfterSeconds });
  } else {
    ctx.body = { error: oauth, error_description: description };
  }
}

function setHeaders(ctx: Context, { code, message, retryAfterSeconds }: AppError, oauth: string): void {
  if (retryAfterSeconds !== undefined) ctx.set('Retry-After', String(retryAfterSeconds));
  // RFC 6750 3.1: who gave no credentials is told no error of theirs.
  if (code === 'unauthenticated') ctx.set('WWW-Authenticate', 'Bearer');
  if (code !== 'invalid_token' && code !== 'insufficient_scope' && code !== 'unauthorized_client') return;
  // RFC 6750 3; descriptions are ours and hold no quotes.
  ctx.set('WWW-Authenticate', `Bearer error="${oauth}", error_description="${message.replaceAll('"', "'")}"`);
}
