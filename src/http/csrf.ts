/**
 * Whether a form was sent by our own page in the same browser: a token that is bound to a cookie of that browser,
 * and the browser's own word on where the request comes from (ASVS 3.5).
 */
import { randomBytes } from 'node:crypto';

import type { Context } from 'koa';

import { AppError } from '../errors.ts';
import { createSeal } from './cookies.ts';
import type { Cookies, SigningSecrets } from './cookies.ts';

const COOKIE = 'portcullis_browser';
const BROWSER_ID = /^[\w-]{22}$/;

export interface Csrf {
  /** The token for the forms of this answer's page; gives the browser its cookie where it has none. */
  tokenFor(ctx: Context): string;
  /** Throws 403 where the form is not one of ours. */
  assertOwn(ctx: Context, token: string): void;
}

export interface CsrfOptions {
  readonly issuer: string;
  readonly secrets: SigningSecrets;
  readonly cookies: Cookies;
}

export function createCsrf({ issuer, secrets, cookies }: CsrfOptions): Csrf {
  const seal = createSeal(secrets, 'csrf');
  const browserOf = (ctx: Context): string | null => {
    const id = cookies.read(ctx, COOKIE);
    return id !== null && BROWSER_ID.test(id) ? id : null;
  };

  return {
    tokenFor: (ctx) => {
      let browser = browserOf(ctx);
      if (browser === null) {
        browser = randomBytes(16).toString('base64url');
        cookies.write(ctx, COOKIE, browser);
      }
      return seal.of(browser);
    },
    assertOwn: (ctx, token) => {
      const browser = browserOf(ctx);
      if (browser !== null && isSameOrigin(ctx, issuer) && seal.matches(browser, token)) return;
      throw new AppError(
        'forbidden',
        'This form does not belong to this browser any more: cookies were cleared, or another site sent it. ' +
          'Go back, reload the page and send it again.',
      );
    },
  };
}

/** `Origin` is `null` under our own Referrer-Policy, so Sec-Fetch-Site decides where the browser sends it. */
function isSameOrigin(ctx: Context, issuer: string): boolean {
  const site = ctx.get('Sec-Fetch-Site');
  if (site !== '') return site === 'same-origin';
  const origin = ctx.get('Origin');
  return origin === '' || origin === 'null' || origin === issuer;
}
