/** Every page with data as its route gives it, and a server that shows them as the real one does. */
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';

import Koa from 'koa';

import type { ErrorKind } from '../../src/http/error-page.ts';
import { createViews } from '../../src/http/views.ts';
import type { Brand, RenderOptions } from '../../src/http/views.ts';
import type { Locale } from '../../src/i18n/locale.ts';

/** 21 November 2026, 06:15 UTC */
export const NOW = 1_795_241_700;
export const BRAND = { name: 'Portcullis', accent: '#2f5fd0', logo: null };

const csrf = 'v7_RrQF0vYd3mS0aKJ1n1y5oUuQ2bq2m0Vb2B8l0oP8';
const action = '/interaction/4Zk1';
const account = { username: 'alice', email: 'alice@example.com', fullName: 'Alice Adams', isEmailVerified: true, contact: { phoneNumber: '+4930123456', address: '1 High Street\nLondon' } };
const clientName = 'Invoices';
const links = { canMail: true, forgotUrl: '/account/forgot', registerUrl: '/account/register', signInUrl: '/account/sign-in' };
const atService = [
  {
    names: ['reports:read', 'reports:write'],
    text: 'scope.service',
    values: { service: 'api.example.com', count: 2 },
  },
];
const scopes = ['openid', 'profile', 'email', 'offline_access'].map((name) => ({ names: [name], text: `scope.${name}` }));
const engineForm = (id: string): string =>
  `<form id="${id}" method="post" action="/${id}"><input type="hidden" name="xsrf" value="4f"/></form>`;

const docsFields = [
  { name: 'username', type: 'string', isRequired: true, about: 'The `username` or the address.' },
  { name: 'remember_me', type: 'boolean', isRequired: false, about: null },
];
const docsRequest = {
  id: 'postAuthLogin',
  method: 'POST',
  path: '/api/v1/auth/login',
  summary: 'Sign in',
  about: 'Five wrong passwords in a row lock the account.',
  needsToken: true,
  takesKey: true,
  parameters: [],
  body: docsFields,
  answers: [
    { status: '200', about: 'Signed in.', fields: docsFields },
    { status: '423', about: 'Locked for a while.', fields: [] },
  ],
};

export type PageData = Readonly<Record<string, unknown>>;

/** The page for an error of a kind, see src/http/error-page.ts. */
export function errorPage(kind: ErrorKind): { readonly view: string; readonly data: PageData } {
  const description = 'redirect_uri is not one of those that the client registered.';
  const requestId = 'b1590611-2337-4a1f-a170-e597dd2e721a';
  return { view: 'error', data: { kind, minutes: 12, status: 400, error: 'invalid_request', description, requestId } };
}

/** Shown name → template and data. Each state of a page that looks different stands here. */
export const PAGES: Readonly<Record<string, { readonly view: string; readonly data: PageData }>> = {
  'sign-in': {
    view: 'pages/sign-in',
    data: { action, csrf, values: { login: '' }, clientName, ...links },
  },
  'sign-in-refused': {
    view: 'pages/sign-in',
    data: { action, csrf, values: { login: 'alice' }, errors: { '': 'problem.refused' }, ...links },
  },
  'sign-in-locked': {
    view: 'pages/sign-in',
    data: {
      action,
      csrf,
      values: { login: 'alice' },
      lockedUntil: NOW + 1_790,
      canMail: true,
      forgotUrl: links.forgotUrl,
      notice: 'reset.doneTitle',
    },
  },
  register: {
    view: 'pages/register',
    data: { action, csrf, values: { username: '', email: '', fullName: '' }, clientName, ...links },
  },
  'register-refused': {
    view: 'pages/register',
    data: {
      action,
      csrf,
      values: { username: 'alice', email: 'alice@', fullName: 'Alice Adams' },
      errors: { username: 'problem.usernameTaken', email: 'problem.email', password: 'passwordPolicy.tooSimple' },
      ...links,
    },
  },
  consent: {
    view: 'pages/consent',
    data: { clientName, clientHost: 'invoices.example.com', scopes, account, action, csrf },
  },
  'consent-nothing': {
    view: 'pages/consent',
    data: { clientName, clientHost: 'invoices.example.com', scopes: [], account, action, csrf },
  },
  // A device was allowed: nothing sends the person anywhere.
  'consent-device': {
    view: 'pages/consent',
    data: { clientName, clientHost: null, scopes: atService, account, action, csrf },
  },
  'select-account': { view: 'pages/select-account', data: { account, clientName, action, csrf } },
  forgot: { view: 'pages/forgot', data: { action, csrf, values: { email: '' }, ...links } },
  'forgot-no-mail': { view: 'pages/forgot', data: { action, csrf, values: { email: '' }, ...links, canMail: false } },
  reset: {
    view: 'pages/reset',
    data: {
      action,
      csrf,
      token: 'wJp3',
      username: 'alice',
      errors: { newPassword: 'passwordPolicy.common' },
    },
  },
  message: {
    view: 'pages/message',
    data: {
      title: 'verify.sentTitle',
      text: 'verify.sentText',
      values: { email: account.email },
      link: links.signInUrl,
      linkText: 'forgot.back',
    },
  },
  verify: { view: 'pages/verify', data: { action, csrf, token: 'wJp3', email: account.email } },
  expired: { view: 'pages/expired', data: { link: links.forgotUrl, linkText: 'forgot.submit' } },
  'expired-session': { view: 'pages/expired', data: { what: 'session' } },
  logout: { view: 'pages/logout', data: { form: engineForm('op.logoutForm'), clientName } },
  'signed-out': { view: 'pages/signed-out', data: { accountUrl: '/account' } },
  'signed-out-not': { view: 'pages/signed-out', data: { accountUrl: '/account', isSignedIn: true, clientName } },
  'hand-on': { view: 'pages/hand-on', data: { form: engineForm('op.handOnForm'), clientName } },
  'device-code': { view: 'pages/device-code', data: { form: engineForm('op.deviceInputForm') } },
  'device-code-refused': {
    view: 'pages/device-code',
    data: {
      form: engineForm('op.deviceInputForm'),
      values: { user_code: 'BCDF-GHJK' },
      errors: { user_code: 'problem.userCode' },
    },
  },
  'device-confirm': {
    view: 'pages/device-confirm',
    data: { form: engineForm('op.deviceConfirmForm'), clientName: 'Television', userCode: 'BCDF-GHJK' },
  },
  'device-done': { view: 'pages/device-done', data: { clientName: 'Television' } },
  'device-aborted': { view: 'pages/device-done', data: { clientName: 'Television', aborted: true } },
  'error-application': errorPage('application'),
  'error-tooMany': errorPage('tooMany'),
  'account-profile': { view: 'account/profile', data: { account, csrf, canMail: true } },
  'account-profile-no-mail': { view: 'account/profile', data: { account, csrf, canMail: false } },
  'account-profile-changed': {
    view: 'account/profile',
    data: { account: { ...account, isEmailVerified: false }, csrf, canMail: true, notice: 'account.profile.linkSent' },
  },
  'account-password': {
    view: 'account/password',
    data: { account, csrf, errors: { currentPassword: 'problem.currentPassword' } },
  },
  'account-sessions': {
    view: 'account/sessions',
    data: {
      account,
      csrf,
      rows: [
        { id: 's1', device: 'Firefox on Linux', ip: '203.0.113.7', first: NOW - 90_000, last: NOW - 20, current: true },
        { id: 's2', device: 'Safari on iPhone', ip: '2001:db8::7', first: NOW - 900_000, last: NOW - 11_000, current: false },
        { id: 's3', device: null, ip: '198.51.100.23', first: NOW - 2_000_000, last: NOW - 400_000, current: false },
      ],
    },
  },
  'account-sessions-one': {
    view: 'account/sessions',
    data: {
      account,
      csrf,
      rows: [{ id: 's1', device: 'Firefox on Linux', ip: '203.0.113.7', first: NOW, last: NOW, current: true }],
    },
  },
  'account-applications': {
    view: 'account/applications',
    data: {
      account,
      csrf,
      rows: [
        { id: 'g1', name: clientName, scopes, since: NOW - 900_000 },
        { id: 'g2', name: 'Television', scopes: atService, since: NOW - 90_000 },
      ],
    },
  },
  'account-applications-none': { view: 'account/applications', data: { account, csrf, rows: [] } },
  'account-data': { view: 'account/data', data: { account, csrf } },
  docs: {
    view: 'pages/docs',
    data: {
      page: {
        title: 'Portcullis API',
        about: 'Every refusal is a Problem.',
        server: 'auth.example.com',
        subjects: [{ name: 'Sign-in', requests: [docsRequest] }, { name: 'Profile', requests: [] }],
      },
    },
  },
};

export interface PageServer {
  readonly url: string;
  stop(): Promise<void>;
}

/** Serves each page at `/NAME`, in the language of `?ui_locales`; `pages` may have more than the above. */
export async function servePages(
  pages: Readonly<Record<string, { readonly view: string; readonly data: PageData; readonly options?: RenderOptions }>> = PAGES,
  brand: Brand = BRAND,
): Promise<PageServer> {
  const app = new Koa();
  const renderPage = createViews({ brand, now: () => NOW });
  app.use((ctx) => {
    const page = pages[ctx.path.slice(1)];
    if (page !== undefined) renderPage(ctx, page.view, page.data, page.options);
  });
  const server = createServer((request, response) => void app.callback()(request, response));
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo; // it listens on TCP
  return {
    url: `http://127.0.0.1:${port}`,
    stop: async () => {
      server.close();
      server.closeAllConnections();
      await once(server, 'close');
    },
  };
}

export const LANGUAGES: readonly Locale[] = ['en', 'de'];
