/** The page for what went wrong: in the reader's language it says what to do next, beside the words for whoever helps. */
import type { Context } from 'koa';

import type { RenderPage } from './views.ts';

/**
 * What a person can do about it: look elsewhere (nothing is there, or nothing for people), begin the sign-in again, go
 * back to the application, send the form anew, wait for their turn or for the server, or tell the operator.
 */
export type ErrorKind =
  'notFound' | 'programs' | 'over' | 'application' | 'form' | 'tooMany' | 'busy' | 'fault';

export interface ErrorFacts {
  readonly status: number;
  /** The OAuth code. */
  readonly error: string;
  /** In English, for whoever helps. */
  readonly description: string | undefined;
  readonly kind: ErrorKind;
  readonly retryAfterSeconds?: number | undefined;
}

const OWN_FORMS = /^\/(account|interaction|logout)(\/|$)|^\/device$/;

/** What people see in a browser, also in answer to a form. Everything else is asked by programs. */
export const isForPeople = (ctx: Context): boolean => OWN_FORMS.test(ctx.path);

/** The kind of an error of which only the status is known, at this address. */
export function kindOf(ctx: Context, status: number): ErrorKind {
  if (status === 405 && !isForPeople(ctx)) return 'programs';
  if (status === 404 || status === 405) return 'notFound';
  if (status === 429) return 'tooMany';
  if (status === 503) return 'busy';
  if (status >= 500) return 'fault';
  return isForPeople(ctx) && ctx.method === 'POST' ? 'form' : 'application';
}

/** Shows the page, with the number of the request. */
export function showError(
  renderPage: RenderPage,
  ctx: Context,
  { retryAfterSeconds = 60, ...facts }: ErrorFacts,
): void {
  const minutes = Math.max(1, Math.ceil(retryAfterSeconds / 60));
  renderPage(ctx, 'error', { ...facts, minutes, requestId: String(ctx.state['requestId']) });
}
