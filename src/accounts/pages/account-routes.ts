/** A person's own pages: their addresses, and the sign-in that stands before them. */
import Router from 'koa-router';
import type { Context } from 'koa';

import {
  changeEmail,
  changePassword,
  done,
  Id,
  Nothing,
  saveContact,
  saveName,
  showApplications,
  showPassword,
  showProfile,
  showSessions,
} from './account-pages.ts';
import type { AccountPageOptions, Person } from './account-pages.ts';
import { exportData, remove } from './data-pages.ts';
import { goOn } from './interaction-routes.ts';
import type { RegisterForm } from './register-form.ts';
import type { Entered, SignInForm } from './sign-in-form.ts';

export interface AccountRouteOptions extends AccountPageOptions {
  readonly signInForm: SignInForm;
  /** Null where nobody may register. */
  readonly registerForm: RegisterForm | null;
  readonly onEntered: (ctx: Context, entered: Entered) => void;
}

type Handler = (ctx: Context, person: Person) => Promise<void> | void;

export function createAccountRoutes(options: AccountRouteOptions): Router {
  const router = new Router({ sensitive: true, prefix: '/account' });
  const signedIn = (handler: Handler) => async (ctx: Context) => {
    const person = await findPerson(options, ctx);
    if (person !== null) await handler(ctx, person);
    else if (ctx.method === 'GET' || ctx.method === 'HEAD')
      options.signInForm.show(ctx, signInPlace(options));
    else goOn(ctx, '/account');
  };

  addSignIn(router, options);
  for (const [path, handler] of Object.entries(pagesOf(options))) router.get(path, signedIn(handler));
  for (const [path, handler] of Object.entries(formsOf(options))) router.post(path, signedIn(handler));
  return router;
}

const pagesOf = (options: AccountRouteOptions): Readonly<Record<string, Handler>> => ({
  '/': (ctx, person) => showProfile(options.pages, ctx, person),
  '/password': (ctx, person) => showPassword(options.pages, ctx, person),
  '/sessions': (ctx, person) => showSessions(options, ctx, person),
  '/applications': (ctx, person) => showApplications(options, ctx, person),
  '/data': (ctx, { account }) => options.pages.show(ctx, 'account/data', { account }),
});

const formsOf = (options: AccountRouteOptions): Readonly<Record<string, Handler>> => {
  const { pages, sessions, applications, recovery } = options;
  return {
    '/profile': (ctx, person) => saveName(options, ctx, person),
    '/contact': (ctx, person) => saveContact(options, ctx, person),
    '/email': (ctx, person) => changeEmail(options, ctx, person),
    '/verification': async (ctx, { account }) => {
      await pages.read(ctx, Nothing);
      await recovery.requestVerification(account, pages.localeOf(ctx));
      done(ctx, '/account', 'account.profile.linkSent');
    },
    '/password': (ctx, person) => changePassword(options, ctx, person),
    '/sessions/end': async (ctx, { account }) => {
      const { id } = await pages.read(ctx, Id);
      await sessions.end(account.id, id);
      done(ctx, '/account/sessions', 'account.sessions.ended');
    },
    '/sessions/end-others': async (ctx, { account, session }) => {
      await pages.read(ctx, Nothing);
      await sessions.endAll(account.id, session.id);
      done(ctx, '/account/sessions', 'account.sessions.othersEnded');
    },
    '/applications/remove': async (ctx, { account }) => {
      const { id } = await pages.read(ctx, Id);
      await applications.revoke(account.id, id);
      done(ctx, '/account/applications', 'account.applications.removed');
    },
    '/export': (ctx, person) => exportData(options, ctx, person),
    '/delete': (ctx, person) => remove(options, ctx, person),
    '/sign-out': async (ctx, { account, session }) => {
      await pages.read(ctx, Nothing);
      await sessions.end(account.id, session.id);
      pages.show(ctx, 'pages/signed-out', { accountUrl: '/account' });
    },
  };
};

const signInPlace = ({ registerForm }: AccountRouteOptions) => ({
  action: '/account/sign-in',
  registerUrl: registerForm === null ? null : '/account/register',
  page: {},
});

const REGISTER_PLACE = { action: '/account/register', signInUrl: '/account', page: {} } as const;

function addSignIn(router: Router, options: AccountRouteOptions): void {
  const { signInForm, registerForm, browser, onEntered } = options;
  const enter = async (ctx: Context, entered: Entered | null): Promise<void> => {
    if (entered === null) return; // the form was shown again
    onEntered(ctx, entered);
    const { account, remember } = entered;
    await browser.signIn(ctx.req, ctx.res, { accountId: account.id, amr: ['pwd'], remember });
    goOn(ctx, '/account');
  };
  router.get('/sign-in', (ctx) => goOn(ctx, '/account'));
  router.post('/sign-in', async (ctx) => enter(ctx, await signInForm.answer(ctx, signInPlace(options))));
  if (registerForm === null) return;
  router.get('/register', (ctx) => registerForm.show(ctx, REGISTER_PLACE));
  router.post('/register', async (ctx) => enter(ctx, await registerForm.answer(ctx, REGISTER_PLACE)));
}

/** Who is signed in in this browser; a disabled account is nobody. */
async function findPerson({ browser, accounts }: AccountRouteOptions, ctx: Context): Promise<Person | null> {
  const session = await browser.current(ctx.req, ctx.res);
  const account = session && (await accounts.find(session.accountId));
  return session !== null && account?.status === 'active' ? { account, session } : null;
}
