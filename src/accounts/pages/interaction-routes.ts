/**
 * The pages between an application's request and its answer: sign in, register, choose the account, agree. The
 * engine keeps the interaction, bound to the browser by a cookie of its own; here a person answers it.
 */
import Router from 'koa-router';
import type { Context } from 'koa';
import { z } from 'zod';

import type { InteractionDetails, Interactions } from '../../oidc/interactions.ts';
import type { Accounts } from '../accounts.ts';
import type { PageOptions, Pages } from './page.ts';
import type { RegisterForm } from './register-form.ts';
import type { Entered, SignInForm, SignInPlace } from './sign-in-form.ts';
import { wishesOf } from './wishes.ts';

export interface InteractionRouteOptions {
  readonly pages: Pages;
  readonly interactions: Interactions;
  readonly accounts: Pick<Accounts, 'find'>;
  readonly signInForm: SignInForm;
  /** Null where nobody may register. */
  readonly registerForm: RegisterForm | null;
  /** Tells the person of a sign-in on a device that was not known. */
  readonly onEntered: (ctx: Context, entered: Entered) => void;
}

const Decision = z.strictObject({ decision: z.enum(['allow', 'deny']) });
const Choice = z.strictObject({ choice: z.enum(['continue', 'other']) });

type Answer = (ctx: Context, details: InteractionDetails) => Promise<void> | void;

export function createInteractionRoutes(options: InteractionRouteOptions): Router {
  const router = new Router({ sensitive: true });
  const path = (step: string): string => `/interaction/:uid${step}`;
  /** Only for the browser in which it began, and while it lasts: otherwise a page that tells how to go on. */
  const during =
    (answer: Answer) => async (ctx: Context & { params: Record<string, string | undefined> }) => {
      const details = await options.interactions.details(ctx.req, ctx.res);
      if (details === null || details.uid !== ctx.params['uid']) {
        options.pages.show(ctx, 'pages/expired', { what: 'session' }, { status: 410 });
        return;
      }
      await answer(ctx, details);
    };

  router.get(
    path(''),
    during((ctx, details) => ask(options, ctx, details)),
  );
  router.get(
    path('/sign-in'),
    during((ctx, details) => options.signInForm.show(ctx, placeOf(options, details))),
  );
  router.post(
    path('/sign-in'),
    during(async (ctx, details) => {
      await enter(options, ctx, await options.signInForm.answer(ctx, placeOf(options, details)));
    }),
  );
  router.post(
    path('/account'),
    during((ctx, details) => chooseAccount(options, ctx, details)),
  );
  router.post(
    path('/consent'),
    during((ctx) => decide(options, ctx)),
  );
  const { registerForm } = options;
  if (registerForm !== null) {
    router.get(
      path('/register'),
      during((ctx, details) => registerForm.show(ctx, registerPlace(details))),
    );
    router.post(
      path('/register'),
      during(async (ctx, details) => {
        await enter(options, ctx, await registerForm.answer(ctx, registerPlace(details)));
      }),
    );
  }
  return router;
}

/** A page whose form leads back to the application in the end: Chrome checks each redirect on the way. */
const pageOf = ({ uiLocales, redirectUri }: InteractionDetails): PageOptions => ({
  uiLocales,
  ...(redirectUri !== null && { formAction: [redirectUri] }),
});

const placeOf = ({ registerForm }: InteractionRouteOptions, details: InteractionDetails): SignInPlace => ({
  action: `/interaction/${details.uid}/sign-in`,
  registerUrl: registerForm === null ? null : `/interaction/${details.uid}/register`,
  clientName: details.client.name,
  login: details.loginHint,
  page: pageOf(details),
});

const registerPlace = (details: InteractionDetails) => ({
  action: `/interaction/${details.uid}/register`,
  signInUrl: `/interaction/${details.uid}/sign-in`,
  clientName: details.client.name,
  page: pageOf(details),
});

async function ask(
  options: InteractionRouteOptions,
  ctx: Context,
  details: InteractionDetails,
): Promise<void> {
  const { pages, accounts, signInForm } = options;
  const { prompt, accountId, client, uid } = details;
  const account = accountId === null ? null : await accounts.find(accountId);
  if (prompt === 'login' || account === null) {
    signInForm.show(ctx, placeOf(options, details));
    return;
  }
  const { username, email } = account;
  const asked = { account: { username, email }, clientName: client.name };
  if (prompt === 'select_account') {
    pages.show(
      ctx,
      'pages/select-account',
      { ...asked, action: `/interaction/${uid}/account` },
      pageOf(details),
    );
    return;
  }
  pages.show(
    ctx,
    'pages/consent',
    {
      ...asked,
      action: `/interaction/${uid}/consent`,
      clientHost: hostOf(details),
      scopes: wishesOf(details),
    },
    pageOf(details),
  );
}

/**
 * Where the person goes afterwards: the one thing about an application that it cannot claim by itself. Null where
 * nothing sends them anywhere, as after a device's code.
 */
const hostOf = ({ redirectUri }: InteractionDetails): string | null =>
  redirectUri !== null && URL.canParse(redirectUri)
    ? new URL(redirectUri).host || new URL(redirectUri).protocol
    : null;

async function enter(options: InteractionRouteOptions, ctx: Context, entered: Entered | null): Promise<void> {
  if (entered === null) return; // the form was shown again
  options.onEntered(ctx, entered);
  const { account, remember } = entered;
  const person = { accountId: account.id, amr: ['pwd'], remember };
  goOn(ctx, await options.interactions.login(ctx.req, ctx.res, person));
}

async function chooseAccount(
  { pages, interactions }: InteractionRouteOptions,
  ctx: Context,
  { uid }: InteractionDetails,
): Promise<void> {
  const { choice } = await pages.read(ctx, Choice);
  goOn(
    ctx,
    choice === 'continue'
      ? await interactions.selectAccount(ctx.req, ctx.res)
      : `/interaction/${uid}/sign-in`,
  );
}

async function decide({ pages, interactions }: InteractionRouteOptions, ctx: Context): Promise<void> {
  const { decision } = await pages.read(ctx, Decision);
  const answer = decision === 'allow' ? interactions.consent : interactions.abort;
  goOn(ctx, await answer(ctx.req, ctx.res));
}

/** Never 307: the next address must not get what was typed here (RFC 9700 4.12). */
export function goOn(ctx: Context, to: string): void {
  ctx.status = 303;
  ctx.set('Location', to);
  ctx.body = '';
}
