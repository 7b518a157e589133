/** How the node says no: as a Problem (RFC 9457), or as a page to whoever looks at it in a browser. */
import { STATUS_CODES } from 'node:http';

import type { Context, Next } from 'koa';

import { isGuardError, isVpnClientError, toRefusal } from '../../src/sdk/node/node.ts';
import { assertAnswered, Problem } from '../protected-api/problem.ts';
import { problemPage } from './pages.ts';

interface Told {
  readonly status: number;
  readonly message: string;
  readonly headers: Readonly<Record<string, string>>;
}

/** True for a browser's own request, which wants a page. */
export const wantsPage = (ctx: Context): boolean => ctx.accepts('json', 'html') === 'html';

/** Answers what is thrown further in, and what nobody answers. `report` hears of what the caller is not told. */
export const createFailures =
  (report: (error: unknown) => void) =>
  async (ctx: Context, next: Next): Promise<void> => {
    try {
      await next();
      assertAnswered(ctx);
    } catch (error) {
      const { status, message, headers } = tell(error, report);
      ctx.status = status;
      if (wantsPage(ctx)) ctx.body = problemPage(message);
      else {
        ctx.body = JSON.stringify({
          type: 'about:blank',
          title: STATUS_CODES[status],
          status,
          detail: message,
        });
        ctx.type = 'application/problem+json';
      }
      ctx.set({ ...headers });
    }
  };

function tell(error: unknown, report: (error: unknown) => void): Told {
  if (error instanceof Problem) return { status: error.status, message: error.message, headers: {} };
  if (isGuardError(error)) {
    const { status, headers } = toRefusal(error);
    const { 'Content-Type': _type, ...rest } = headers;
    return { status, message: error.message, headers: rest };
  }
  report(error);
  if (!isVpnClientError(error)) {
    return { status: 500, message: 'Something went wrong in the node; its terminal says what.', headers: {} };
  }
  if (error.code === 'ERR_VPN_SUBJECT_REFUSED') {
    return {
      status: 403,
      message: 'Portcullis does not know this sign-in any more. Sign in again.',
      headers: {},
    };
  }
  return error.isTemporary
    ? {
        status: 503,
        message: 'Portcullis cannot be asked just now. Try again in a moment.',
        headers: { 'Retry-After': String(error.retryAfterSeconds ?? 5) },
      }
    : { status: 502, message: 'Portcullis refuses this node; its terminal says why.', headers: {} };
}
