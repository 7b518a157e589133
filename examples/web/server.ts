/**
 * A web application that signs people in by Portcullis: plain node:http, the tokens in this process's memory, and
 * in the browser nothing but a cookie that says which session is its own.
 */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';

import { listen, plain } from '../listen.ts';
import type { Answer, ExampleRequest, ExampleServer, Handler } from '../listen.ts';
import { createBounded } from './bounded.ts';
import type { Bounded } from './bounded.ts';
import { problemPage, startPage } from './pages.ts';
import { oauthError, toProblem } from './problems.ts';
import { createRelyingParty } from './relying-party.ts';
import type { PendingSignIn, Person, RelyingParty } from './relying-party.ts';

export interface WebOptions {
  readonly issuer: string;
  readonly port: number;
  readonly clientSecret: string;
}

interface Session {
  readonly person: Person;
  /** At work: requests that come meanwhile wait for it, since a refresh token is used once. */
  readonly renewal: Promise<Person> | null;
}

interface Parts {
  readonly relyingParty: RelyingParty;
  /** Apart from the sessions, so that sign-ins which nobody finishes push no one out. */
  readonly signIns: Bounded<PendingSignIn>;
  readonly sessions: Bounded<Session>;
  readonly origin: string;
}

// Cookies know no ports: these names are not those of the other servers on localhost.
const SESSION_COOKIE = 'web_example_session';
const SIGN_IN_COOKIE = 'web_example_sign_in.';
const MAX_ENTRIES = 1_000;
const SIGN_IN_SECONDS = 15 * 60;
const SESSION_SECONDS = 8 * 60 * 60;

const SHARED = join(import.meta.dirname, '..');
const asset = (file: string, type: string): Answer => ({
  status: 200,
  type,
  body: readFileSync(join(SHARED, file)),
});

/** Starts it on a port of loopback, as the client `web-example`. */
export function startWeb({ issuer, port, clientSecret }: WebOptions): Promise<ExampleServer> {
  const now = (): number => Math.floor(Date.now() / 1000);
  return listen(port, contentSecurityPolicy(issuer), (origin) => {
    const redirectUri = `${origin}/callback`;
    const client = { issuer, clientId: 'web-example', clientSecret, redirectUri };
    return createHandler({
      relyingParty: createRelyingParty({ ...client, postLogoutRedirectUri: `${origin}/` }, now),
      signIns: createBounded({ maxEntries: MAX_ENTRIES, lifetimeSeconds: SIGN_IN_SECONDS, now }),
      sessions: createBounded({ maxEntries: MAX_ENTRIES, lifetimeSeconds: SESSION_SECONDS, now }),
      origin,
    });
  });
}

/** `form-action` names the issuer, too: Chrome applies it to the redirect that signing out ends with. */
const contentSecurityPolicy = (issuer: string): readonly string[] => [
  "default-src 'none'",
  "style-src 'self'",
  "img-src 'self'",
  "base-uri 'none'",
  `form-action 'self' ${new URL(issuer).origin}`,
  "frame-ancestors 'none'",
];

function createHandler(parts: Parts): Handler {
  const routes: Readonly<Record<string, Handler>> = {
    'GET /': async (request) => startPage(findSession(parts, request)?.person ?? null),
    'GET /sign-in': () => orProblem(() => signIn(parts)),
    'GET /callback': (request) => orProblem(() => callback(parts, request)),
    'POST /renew': (request) => orProblem(() => renew(parts, request)),
    'POST /sign-out': (request) => orProblem(() => signOut(parts, request)),
    'GET /style.css': async () => asset('style.css', 'text/css; charset=utf-8'),
    'GET /icon.svg': async () => asset('icon.svg', 'image/svg+xml'),
  };
  return async (request) => {
    const route = `${request.method} ${request.url.pathname}`;
    const handle = Object.hasOwn(routes, route) ? routes[route] : undefined;
    if (handle === undefined) return plain(404, 'There is nothing here. The application is at /.');
    if (request.method === 'POST' && !isOwnForm(parts, request)) {
      return problemPage(403, 'This form was sent by another site.');
    }
    return handle(request);
  };
}

/** Browsers say where a form comes from; one that does not is too old for SameSite cookies as well. */
function isOwnForm({ origin }: Parts, { headers }: ExampleRequest): boolean {
  const site = headers['sec-fetch-site'];
  return site === undefined ? headers.origin === origin : site === 'same-origin';
}

async function signIn({ relyingParty, signIns }: Parts): Promise<Answer> {
  const { url, pending } = await relyingParty.begin();
  // One cookie a sign-in: two tabs may each be at theirs.
  const name = SIGN_IN_COOKIE + pending.state;
  return redirect(url.href, [setCookie(name, signIns.add(pending), SIGN_IN_SECONDS)]);
}

/** The answer belongs to the browser that asked: without its cookie somebody else's sign-in could be slipped in. */
async function callback(parts: Parts, request: ExampleRequest): Promise<Answer> {
  const { relyingParty, signIns, sessions } = parts;
  const key = cookie(request, SIGN_IN_COOKIE + (request.url.searchParams.get('state') ?? ''));
  const pending = signIns.find(key);
  if (pending === null) {
    return problemPage(
      400,
      'This sign-in is too old, or was begun in another browser or tab. Begin it again.',
    );
  }
  signIns.remove(key); // it is good for one answer
  const person = await relyingParty.finish(request.url, pending);
  sessions.remove(cookie(request, SESSION_COOKIE)); // a new key at each sign-in: nobody can have fixed it before
  const session = sessions.add({ person, renewal: null });
  return redirect('/', [
    setCookie(SESSION_COOKIE, session, SESSION_SECONDS),
    setCookie(SIGN_IN_COOKIE + pending.state, '', 0),
  ]);
}

async function renew(parts: Parts, request: ExampleRequest): Promise<Answer> {
  const key = cookie(request, SESSION_COOKIE);
  const session = parts.sessions.find(key);
  if (session === null) return redirect('/');
  const renewal = session.renewal ?? parts.relyingParty.renew(session.person);
  parts.sessions.replace(key, { ...session, renewal });
  try {
    parts.sessions.replace(key, { person: await renewal, renewal: null });
    return redirect('/');
  } catch (error) {
    // The server says that the refresh token is over: so is the session. Anything else may pass.
    if (oauthError(error) === 'invalid_grant') parts.sessions.remove(key);
    else parts.sessions.replace(key, { ...session, renewal: null });
    throw error;
  }
}

/** The session here ends first: it must, even where the server cannot be reached. */
async function signOut({ relyingParty, sessions }: Parts, request: ExampleRequest): Promise<Answer> {
  const key = cookie(request, SESSION_COOKIE);
  const session = sessions.find(key);
  sessions.remove(key);
  if (session === null) return redirect('/');
  const url = await relyingParty.end(session.person);
  return redirect(url.href, [setCookie(SESSION_COOKIE, '', 0)]);
}

const findSession = ({ sessions }: Parts, request: ExampleRequest): Session | null =>
  sessions.find(cookie(request, SESSION_COOKIE));

async function orProblem(answer: () => Promise<Answer>): Promise<Answer> {
  try {
    return await answer();
  } catch (error) {
    return toProblem(error);
  }
}

const redirect = (location: string, cookies: readonly string[] = []): Answer => ({
  ...plain(303, 'See the other page.'),
  headers: { Location: location, ...(cookies.length > 0 && { 'Set-Cookie': cookies }) },
});

// Without Secure: the example speaks http on loopback, where not every browser would send it back.
const setCookie = (name: string, value: string, maxAgeSeconds: number): string =>
  `${name}=${value}; Path=/; HttpOnly; SameSite=Lax; Max-Age=${maxAgeSeconds}`;

/** The value of a cookie, or the empty text, which is no key. */
function cookie({ headers }: ExampleRequest, name: string): string {
  const pairs = (headers.cookie ?? '').split(/; */);
  return pairs.find((pair) => pair.startsWith(`${name}=`))?.slice(name.length + 1) ?? '';
}
