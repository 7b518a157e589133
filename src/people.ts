/**
 * People, put together: accounts, their sign-in and recovery, and the pages of all that, on an open store and the
 * running engine. A part of the composition root.
 */
import Router from 'koa-router';
import type { Context } from 'koa';

import { createAccounts } from './accounts/accounts.ts';
import { createAccountRoutes } from './accounts/pages/account-routes.ts';
import { createCredentials } from './accounts/credentials.ts';
import { createDeviceCookie } from './accounts/pages/device-cookie.ts';
import { createInteractionRoutes } from './accounts/pages/interaction-routes.ts';
import { createLockout } from './accounts/lockout.ts';
import { createPages } from './accounts/pages/page.ts';
import type { Pages } from './accounts/pages/page.ts';
import { createPasswordHasher } from './accounts/passwords.ts';
import { createRecovery } from './accounts/recovery.ts';
import { createRecoveryRoutes } from './accounts/pages/recovery-routes.ts';
import { createRegisterForm } from './accounts/pages/register-form.ts';
import { createSignIn } from './accounts/sign-in.ts';
import { createSignInForm } from './accounts/pages/sign-in-form.ts';
import type { Entered } from './accounts/pages/sign-in-form.ts';
import { describeDevice } from './accounts/pages/user-agent.ts';
import type { Config, Secrets } from './config.ts';
import type { Events } from './events.ts';
import { createCookies } from './http/cookies.ts';
import { createCsrf } from './http/csrf.ts';
import type { RenderPage } from './http/views.ts';
import type { Mailer } from './mail/mailer.ts';
import { createNameSide, reservedNames } from './names.ts';
import type { Engine } from './oidc/provider.ts';
import type { Storage } from './storage/port.ts';

export interface PeopleOptions {
  readonly config: Config;
  readonly secrets: Pick<Secrets, 'jwtSecretKey'>;
  readonly storage: Storage;
  readonly engine: () => Engine;
  readonly mailer: Mailer;
  readonly events: Events;
  readonly renderPage: RenderPage;
  readonly now: () => number;
}

export type ServePages = (ctx: Context, next: () => Promise<unknown>) => Promise<unknown>;

/** Serves the pages under `/account` and `/interaction`. */
export function createPeople(options: PeopleOptions): ServePages {
  const { config, secrets, storage, engine, mailer, events, renderPage, now } = options;
  const endSessions = (accountId: string, exceptId: string | null): Promise<void> =>
    engine().sessions.endAll(accountId, exceptId);
  const lockout = createLockout({ counters: storage.counters, now });
  const shared = {
    accounts: storage.accounts,
    oneTimeTokens: storage.oneTimeTokens,
    counters: storage.counters,
    names: createNameSide(storage.names, 'account', []),
    reservedNames: reservedNames(config),
    hasher: createPasswordHasher(),
    lockout,
    mailer,
    issuer: config.issuer,
    product: config.brand.name,
    endSessions,
    revokeEverything: (accountId: string) => endSessions(accountId, null),
    events,
    now,
  };
  const accounts = createAccounts(shared);
  const recovery = createRecovery(shared);

  const cookies = createCookies(config.issuer);
  const secret = secrets.jwtSecretKey;
  const pages = createPages(renderPage, createCsrf({ issuer: config.issuer, secret, cookies }));
  const devices = createDeviceCookie(cookies, secret);
  const forms = {
    signInForm: createSignInForm(pages, createSignIn(shared), devices),
    registerForm: config.registration ? createRegisterForm({ pages, accounts, recovery, devices }) : null,
    onEntered: tellNewDevice(options, pages),
  };
  const router = new Router({ sensitive: true });
  const { interactions, sessions, applications, browser } = present(engine);
  for (const part of [
    createInteractionRoutes({ pages, interactions, accounts, ...forms }),
    createRecoveryRoutes({ pages, recovery }),
    createAccountRoutes({
      pages,
      accounts,
      credentials: createCredentials(shared),
      recovery,
      devices,
      browser,
      sessions,
      applications,
      ...forms,
    }),
  ]) {
    router.use(part.routes(), part.allowedMethods());
  }
  const routes = router.routes();
  // The router adds what it needs to a plain context.
  return async (ctx, next) => {
    await routes(ctx as Parameters<typeof routes>[0], async () => {
      await next();
    });
  };
}

/** A sign-in on a device that was not known is told to the person by mail. */
const tellNewDevice =
  ({ config, mailer, now }: PeopleOptions, pages: Pages) =>
  (ctx: Context, { account, isNewDevice }: Entered): void => {
    if (!isNewDevice) return;
    const data = {
      username: account.username,
      when: new Date(now() * 1_000).toISOString(),
      ip: ctx.ip,
      device: describeDevice(ctx.get('User-Agent')) ?? '',
      link: `${config.issuer}/account/sessions`,
    };
    mailer.send({ to: account.email, locale: pages.localeOf(ctx), template: 'new-device', data });
  };

/** The engine is replaced with the keys: what holds on to a part of it asks for the present one each time. */
const present = (engine: () => Engine) =>
  ({
    interactions: {
      details: (...request) => engine().interactions.details(...request),
      login: (...request) => engine().interactions.login(...request),
      selectAccount: (...request) => engine().interactions.selectAccount(...request),
      consent: (...request) => engine().interactions.consent(...request),
      abort: (...request) => engine().interactions.abort(...request),
    },
    sessions: {
      list: (accountId) => engine().sessions.list(accountId),
      end: (...session) => engine().sessions.end(...session),
      endAll: (...sessions) => engine().sessions.endAll(...sessions),
    },
    applications: {
      list: (accountId) => engine().applications.list(accountId),
      revoke: (...application) => engine().applications.revoke(...application),
    },
    browser: {
      current: (...request) => engine().current(...request),
      signIn: (...request) => engine().signIn(...request),
    },
  }) satisfies Pick<Engine, 'interactions' | 'sessions' | 'applications'> & {
    readonly browser: Pick<Engine, 'current' | 'signIn'>;
  };
