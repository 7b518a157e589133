/**
 * People, put together: accounts, their sign-in and recovery, and the pages of all that, on an open store and the
 * running engine. A part of the composition root.
 */
import Router from 'koa-router';
import type { Context } from 'koa';

import { createAccountApi } from '../accounts/api/account-api.ts';
import { createAccounts } from '../accounts/accounts.ts';
import { createAccountRoutes } from '../accounts/pages/account-routes.ts';
import { createCredentials } from '../accounts/credentials.ts';
import { createDeviceCookie } from '../accounts/pages/device-cookie.ts';
import { createInteractionRoutes } from '../accounts/pages/interaction-routes.ts';
import { createLockedAccounts } from '../accounts/locked-accounts.ts';
import type { LockedAccounts } from '../accounts/locked-accounts.ts';
import { createLockout } from '../accounts/lockout.ts';
import { createFormLimits } from '../accounts/pages/open-forms.ts';
import { createPages } from '../accounts/pages/page.ts';
import type { Pages } from '../accounts/pages/page.ts';
import { createPasswordHasher } from '../accounts/passwords.ts';
import type { PasswordHasher } from '../accounts/passwords.ts';
import { createRecovery } from '../accounts/recovery.ts';
import type { Recovery } from '../accounts/recovery.ts';
import { createRecoveryRoutes } from '../accounts/pages/recovery-routes.ts';
import { createRegisterForm } from '../accounts/pages/register-form.ts';
import { createSignIn } from '../accounts/sign-in.ts';
import { createSignInForm } from '../accounts/pages/sign-in-form.ts';
import type { Entered } from '../accounts/pages/sign-in-form.ts';
import type { Route } from '../api/route.ts';
import { signingSecretsOf } from '../config.ts';
import type { Config, JwtSecrets } from '../config.ts';
import type { Events } from '../events.ts';
import { createCookies } from '../http/cookies.ts';
import { createCsrf } from '../http/csrf.ts';
import { describeDevice } from '../http/device.ts';
import type { Visit } from '../http/device.ts';
import type { RateLimits } from '../http/rate-limit.ts';
import type { RenderPage } from '../http/views.ts';
import type { Locale } from '../i18n/locale.ts';
import { toInstant } from '../instant.ts';
import type { Mailer } from '../mail/mailer.ts';
import { createNameSide, reservedNames, vpnResourceOf } from '../names.ts';
import type { Engine } from '../oidc/provider.ts';
import type { Account, Storage } from '../storage/port.ts';

export interface PeopleOptions {
  readonly config: Config;
  readonly secrets: JwtSecrets;
  readonly storage: Storage;
  readonly engine: () => Engine;
  /** The same, where nobody is told what it ends. */
  readonly untoldEngine: () => Engine;
  readonly mailer: Mailer;
  readonly events: Events;
  readonly limits: RateLimits;
  readonly renderPage: RenderPage;
  readonly refusalMs?: number | undefined;
  readonly now: () => number;
}

export type ServePages = (ctx: Context, next: () => Promise<unknown>) => Promise<unknown>;

export interface People {
  /** Serves the pages under `/account` and `/interaction`. */
  readonly pages: ServePages;
  /** The same life by JSON. */
  readonly api: readonly Route[];
  /** What administration shares with it. */
  readonly parts: {
    readonly hasher: PasswordHasher;
    readonly locked: LockedAccounts;
    readonly recovery: Recovery;
  };
}

/** Builds both on the same parts. */
export function createPeople(options: PeopleOptions): People {
  const parts = createParts(options);
  const { tokens, sessions } = present(options.engine);
  const { registration } = options.config;
  return {
    pages: createAccountPages(options, parts),
    parts,
    api: createAccountApi({
      ...{ ...parts, tokens, sessions, registration, now: options.now },
      tellOtherDevice: tellDevice(options, 'other-device'),
    }),
  };
}

type Parts = ReturnType<typeof createParts>;

/** The slice's logic. */
function createParts(options: PeopleOptions) {
  const { config, storage, engine, mailer, events, now } = options;
  const endSessions = (accountId: string, exceptId: string | null, isTold: boolean): Promise<void> =>
    (isTold ? engine() : options.untoldEngine()).sessions.endAll(accountId, exceptId);
  const locked = createLockedAccounts({
    ...storage,
    lockout: createLockout({ counters: storage.counters, now }),
    now,
  });
  const hasher = createPasswordHasher();
  const shared = {
    accounts: storage.accounts,
    oneTimeTokens: storage.oneTimeTokens,
    apiKeys: storage.apiKeys,
    counters: storage.counters,
    names: createNameSide(storage.names, 'account', []),
    reservedNames: reservedNames(config),
    hasher,
    lockout: locked.lockout,
    mailer,
    issuer: config.issuer,
    product: config.brand.name,
    mustProveEmail: config.registration.conceals,
    refusalMs: options.refusalMs,
    endSessions,
    revokeEverything: (accountId: string) => endSessions(accountId, null, true),
    events,
    now,
  };
  return {
    hasher,
    locked,
    accounts: createAccounts(shared),
    recovery: createRecovery(shared),
    credentials: createCredentials(shared),
    signIn: createSignIn(shared),
  };
}

function createAccountPages(options: PeopleOptions, parts: Parts): ServePages {
  const { config, engine, mailer, limits, renderPage } = options;
  const { issuer, registration } = config;
  const { accounts, recovery, credentials, signIn } = parts;
  const cookies = createCookies(issuer);
  const secrets = signingSecretsOf(options.secrets);
  const pages = createPages(renderPage, createCsrf({ issuer, secrets, cookies }), mailer.canSend);
  const devices = createDeviceCookie(cookies, secrets);
  const forms = {
    signInForm: createSignInForm(pages, signIn, devices),
    registerForm: registration.isEnabled
      ? createRegisterForm({ pages, accounts, recovery, devices, conceals: registration.conceals })
      : null,
    onEntered: tellNewDevice(options, pages),
  };
  const { interactions, sessions, applications, browser } = present(engine);
  const router = new Router({ sensitive: true });
  for (const part of [
    createFormLimits(limits, browser, registration.isEnabled),
    createInteractionRoutes({ pages, interactions, accounts, ...forms }),
    createRecoveryRoutes({ pages, recovery }),
    createAccountRoutes({
      ...{ pages, accounts, credentials, recovery, devices, browser, sessions, applications },
      vpnResource: vpnResourceOf(issuer),
      ...forms,
    }),
  ]) {
    router.use(part.routes(), part.allowedMethods());
  }
  router.get('/', (ctx) => ctx.redirect('/account'));
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
  (options: PeopleOptions, pages: Pages) =>
  (ctx: Context, { account, isNewDevice }: Entered): void => {
    const device = { ip: ctx.ip, userAgent: ctx.get('User-Agent') };
    if (isNewDevice) tellDevice(options, 'new-device')(account, device, pages.localeOf(ctx));
  };

/** So is another kind of device that refreshed the tokens of a session: its owner knows whether that is right. */
const tellDevice =
  ({ config, mailer, now }: PeopleOptions, template: 'new-device' | 'other-device') =>
  (
    { email, username }: Account,
    { ip, userAgent }: Pick<Visit, 'ip' | 'userAgent'>,
    locale: Locale,
  ): void => {
    const data = {
      username,
      when: toInstant(now()),
      ip,
      device: describeDevice(userAgent) ?? '',
      link: `${config.issuer}/account/sessions`,
    };
    mailer.send({ to: email, locale, template, data });
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
    tokens: {
      signIn: (...request) => engine().firstParty.signIn(...request),
      refresh: (...request) => engine().firstParty.refresh(...request),
    },
  }) satisfies Pick<Engine, 'interactions' | 'sessions' | 'applications'> & {
    readonly browser: Pick<Engine, 'current' | 'signIn'>;
    readonly tokens: Pick<Engine['firstParty'], 'signIn' | 'refresh'>;
  };
