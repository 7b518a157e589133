/**
 * What the node knows of browsers: whose session one has, the sign-in that it began, and the token by which a form is
 * known to come from a page of this node. A sign-in that was begun is kept by the browser, sealed: whoever comes may begin
 * one, so the node keeps nothing of it. The names of cookies are fixed: `ctx.cookies` keeps something of each for ever.
 */
import { createHmac, randomBytes, timingSafeEqual } from 'node:crypto';

import type { Context } from 'koa';

import type { Caller } from '../../src/sdk/node/node.ts';
import { Problem } from '../protected-api/problem.ts';
import { createSealedList } from './sealed.ts';
import { createSessions } from './sessions.ts';
import { PendingSignIn } from './sign-in.ts';

const SIGN_IN_SECONDS = 15 * 60;
// Some tabs may each be at theirs; many more would not fit into a cookie.
const SIGN_INS = { maxEntries: 4, lifetimeSeconds: SIGN_IN_SECONDS };
// 256 random bits, as openid-client makes them.
const STATE = /^[\w-]{43}$/;
// A VPN JWT lives an hour by itself; the session ends with it in any case.
const SESSION_SECONDS = 24 * 60 * 60;
const SESSIONS = { maxOfPerson: 10, maxEntries: 10_000, lifetimeSeconds: SESSION_SECONDS };

export interface Browsers {
  /** The token for the forms of a page that this browser is shown. */
  csrf(ctx: Context): string;
  /** Throws a Problem for a form, or a request with a cookie, that does not come from a page of this node. */
  assertOwnForm(ctx: Context, csrf: unknown): void;
  /** The JWT of the session; null where there is none. */
  session(ctx: Context): string | null;
  /** `person` is whom the JWT speaks for. Throws a Problem where the node is full. */
  openSession(ctx: Context, jwt: string, person: Caller): void;
  closeSession(ctx: Context): void;
  rememberSignIn(ctx: Context, pending: PendingSignIn): void;
  /** The sign-in that this browser began with that state; it forgets it with the answer. */
  takeSignIn(ctx: Context, state: string): PendingSignIn | null;
}

/** `origin` is where browsers find the node; over https its cookies are for https alone. */
export function createBrowsers(origin: string, now: () => number): Browsers {
  const isSecure = origin.startsWith('https:');
  // A name that another server on a sibling host cannot set.
  const prefix = isSecure ? '__Host-' : '';
  const names = {
    session: `${prefix}vpn_node_session`,
    browser: `${prefix}vpn_node_browser`,
    signIn: `${prefix}vpn_node_sign_in`,
  };
  const sessions = createSessions({ ...SESSIONS, now });
  const signIns = createSealedList({ ...SIGN_INS, entry: PendingSignIn, purpose: names.signIn, now });
  const key = randomBytes(32);

  const read = (ctx: Context, name: string): string => ctx.cookies.get(name) ?? '';
  const write = (ctx: Context, name: string, value: string, maxAgeSeconds: number): void => {
    const attributes = `Path=/; HttpOnly; SameSite=Lax; Max-Age=${maxAgeSeconds}${isSecure ? '; Secure' : ''}`;
    ctx.append('Set-Cookie', `${name}=${value}; ${attributes}`);
  };
  /** Bound to the session as well: a page from before the sign-in is not good after it. */
  const tokenOf = (ctx: Context, browser: string): Buffer =>
    createHmac('sha256', key)
      .update(`${browser} ${read(ctx, names.session)}`)
      .digest();

  return {
    csrf: (ctx) => {
      const known = read(ctx, names.browser);
      const browser = known === '' ? randomBytes(32).toString('base64url') : known;
      if (known === '') write(ctx, names.browser, browser, SESSION_SECONDS);
      return tokenOf(ctx, browser).toString('base64url');
    },
    assertOwnForm: (ctx, csrf) => {
      const browser = read(ctx, names.browser);
      const given = Buffer.from(typeof csrf === 'string' ? csrf : '', 'base64url');
      const expected = tokenOf(ctx, browser);
      const isKnown = browser !== '' && given.length === expected.length && timingSafeEqual(given, expected);
      if (isKnown && isFromHere(ctx, origin)) return;
      throw new Problem(403, 'This form was not sent by a page of this node, or the page is too old.');
    },
    session: (ctx) => sessions.find(read(ctx, names.session)),
    openSession: (ctx, jwt, person) => {
      sessions.close(read(ctx, names.session)); // a new key at each sign-in: nobody can have fixed it before
      write(ctx, names.session, sessions.open(jwt, person), SESSION_SECONDS);
    },
    closeSession: (ctx) => {
      sessions.close(read(ctx, names.session));
      write(ctx, names.session, '', 0);
    },
    rememberSignIn: (ctx, pending) => {
      write(ctx, names.signIn, signIns.add(read(ctx, names.signIn), pending), SIGN_IN_SECONDS);
    },
    takeSignIn: (ctx, state) => {
      if (!STATE.test(state)) return null;
      const taken = signIns.take(read(ctx, names.signIn), (pending) => pending.state === state);
      if (taken === null) return null;
      write(ctx, names.signIn, taken.rest, taken.rest === '' ? 0 : SIGN_IN_SECONDS);
      return taken.value;
    },
  };
}

/** Browsers say where a request comes from; a program that sends the cookie of one says nothing. */
function isFromHere(ctx: Context, origin: string): boolean {
  const { 'sec-fetch-site': site } = ctx.headers;
  const from = ctx.headers.origin;
  if (site !== undefined && site !== 'same-origin') return false;
  return from === undefined || from === origin;
}
