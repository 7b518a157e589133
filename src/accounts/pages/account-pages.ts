/** What a signed-in person sees and changes: each page, and what is done with its form. */
import type { Context } from 'koa';
import { z } from 'zod';

import { AppError } from '../../errors.ts';
import { describeDevice } from '../../http/device.ts';
import type { BrowserSessions, CurrentSession } from '../../oidc/browser.ts';
import type { ConnectedApplication } from '../../oidc/grants.ts';
import type { SessionView } from '../../oidc/sessions.ts';
import type { Account } from '../../storage/port.ts';
import type { Accounts } from '../accounts.ts';
import { parseContact } from '../contact.ts';
import type { ChangeOutcome, Confirmation, Credentials } from '../credentials.ts';
import type { DeviceCookie } from './device-cookie.ts';
import { goOn } from './interaction-routes.ts';
import { busyOr, errorsOf, Line, Password } from './page.ts';
import type { Pages } from './page.ts';
import type { Recovery } from '../recovery.ts';
import { wishesOf } from './wishes.ts';

export interface AccountPageOptions {
  readonly pages: Pages;
  readonly accounts: Accounts;
  readonly credentials: Credentials;
  readonly recovery: Pick<Recovery, 'requestVerification'>;
  readonly devices: DeviceCookie;
  readonly browser: BrowserSessions;
  readonly sessions: {
    list(accountId: string): Promise<readonly SessionView[]>;
    end(accountId: string, id: string): Promise<boolean>;
    endAll(accountId: string, exceptId: string | null): Promise<void>;
  };
  readonly applications: {
    list(accountId: string): Promise<readonly ConnectedApplication[]>;
    revoke(accountId: string, clientId: string): Promise<boolean>;
  };
  /** The resource that stands for the VPN. */
  readonly vpnResource: string;
}

export interface Person {
  readonly account: Account;
  readonly session: CurrentSession;
}

export interface Told {
  readonly errors?: Readonly<Record<string, string>>;
  readonly values?: object;
  readonly notice?: string;
  readonly status?: number;
}

export const Nothing = z.strictObject({});
export const Id = z.strictObject({ id: Line });
const Name = z.strictObject({ fullName: z.string().max(1_000) });
const TypedContact = z.strictObject({ phoneNumber: Line, address: z.string().max(2_000) });
const NewEmail = z.strictObject({ email: Line, currentPassword: Password });
const NewPassword = z.strictObject({ currentPassword: Password, newPassword: Password });

/** What a page may say after a redirect; a query that names anything else says nothing. */
const NOTICES: readonly string[] = [
  'account.profile.nameSaved',
  'account.profile.contactSaved',
  'account.profile.emailSent',
  'account.profile.linkSent',
  'account.password.changed',
  'account.sessions.ended',
  'account.sessions.othersEnded',
  'account.applications.removed',
];

/** The page again, by GET: reloading it sends nothing twice. */
export const done = (ctx: Context, to: string, notice: string): void => goOn(ctx, `${to}?notice=${notice}`);

const noticeOf = (ctx: Context): object => {
  const { notice } = ctx.query;
  return typeof notice === 'string' && NOTICES.includes(notice) ? { notice } : {};
};

export const showProfile = (
  pages: Pages,
  ctx: Context,
  { account }: Person,
  { status, ...told }: Told = {},
): void =>
  pages.show(
    ctx,
    'account/profile',
    { account, ...noticeOf(ctx), ...told },
    status === undefined ? {} : { status },
  );

export const showPassword = (
  pages: Pages,
  ctx: Context,
  { account }: Person,
  { status, ...told }: Told = {},
): void =>
  pages.show(
    ctx,
    'account/password',
    { account, ...noticeOf(ctx), ...told },
    status === undefined ? {} : { status },
  );

export async function saveName(
  { pages, accounts }: AccountPageOptions,
  ctx: Context,
  person: Person,
): Promise<void> {
  const { fullName } = await pages.read(ctx, Name);
  await accounts.setFullName(person.account.id, fullName);
  done(ctx, '/account', 'account.profile.nameSaved');
}

export async function saveContact(
  { pages, accounts }: AccountPageOptions,
  ctx: Context,
  person: Person,
): Promise<void> {
  const values = await pages.read(ctx, TypedContact);
  const contact = parseContact(values);
  if (!contact.ok) {
    showProfile(pages, ctx, person, { status: 400, errors: errorsOf(contact.errors), values });
    return;
  }
  await accounts.setContact(person.account.id, contact.value);
  done(ctx, '/account', 'account.profile.contactSaved');
}

export const confirmationOf = (
  { pages, devices }: AccountPageOptions,
  ctx: Context,
  { account }: Person,
  currentPassword: string,
): Confirmation => ({
  accountId: account.id,
  currentPassword,
  device: devices.find(ctx, account),
  ip: ctx.ip,
  locale: pages.localeOf(ctx),
});

export async function changeEmail(options: AccountPageOptions, ctx: Context, person: Person): Promise<void> {
  const { email, currentPassword } = await options.pages.read(ctx, NewEmail);
  const confirmation = confirmationOf(options, ctx, person, currentPassword);
  const problem = await problemOf(ctx, options.credentials.changeEmail({ ...confirmation, newEmail: email }));
  if (problem === null) done(ctx, '/account', 'account.profile.emailSent');
  else showProfile(options.pages, ctx, person, { ...problem, values: { email } });
}

export async function changePassword(
  options: AccountPageOptions,
  ctx: Context,
  person: Person,
): Promise<void> {
  const { currentPassword, newPassword } = await options.pages.read(ctx, NewPassword);
  const change = {
    ...confirmationOf(options, ctx, person, currentPassword),
    newPassword,
    exceptSessionUid: person.session.id,
  };
  const problem = await problemOf(ctx, options.credentials.changePassword(change));
  if (problem !== null) {
    showPassword(options.pages, ctx, person, problem);
    return;
  }
  const account = await options.accounts.find(person.account.id);
  if (account !== null) options.devices.remember(ctx, account); // the browser that goes on
  done(ctx, '/account/password', 'account.password.changed');
}

/** Why a change was refused, for its page; null where it was made. */
export async function problemOf(
  ctx: Context,
  changing: Promise<ChangeOutcome | { ok: true }>,
): Promise<Told | null> {
  const outcome = await changing.catch((error: unknown) => busyOr(error));
  if ('status' in outcome) return outcome;
  if (outcome.ok) return null;
  if (outcome.reason === 'invalid') return { status: 400, errors: errorsOf(outcome.errors) };
  if (outcome.reason === 'refused')
    throw new AppError('forbidden', 'This account cannot be changed any more.');
  if (outcome.reason !== 'locked')
    return { status: 401, errors: { currentPassword: 'problem.currentPassword' } };
  ctx.set('Retry-After', new Date(outcome.untilAt * 1_000).toUTCString());
  return { status: 423, errors: { currentPassword: 'problem.tooMany' } };
}

export async function showSessions(
  { pages, sessions }: AccountPageOptions,
  ctx: Context,
  { account, session }: Person,
): Promise<void> {
  const rows = (await sessions.list(account.id)).map(({ id, userAgent, ip, signedInAt, lastSeenAt }) => ({
    id,
    device: describeDevice(userAgent),
    ip,
    first: signedInAt,
    last: lastSeenAt,
    current: id === session.id,
  }));
  pages.show(ctx, 'account/sessions', { account, rows, ...noticeOf(ctx) });
}

export async function showApplications(
  { pages, applications, vpnResource }: AccountPageOptions,
  ctx: Context,
  { account }: Person,
): Promise<void> {
  const rows = (await applications.list(account.id)).map((application) => ({
    id: application.clientId,
    name: application.name,
    since: application.grantedAt,
    scopes: wishesOf({ missing: application, scopes: [], vpnResource, client: application }),
  }));
  pages.show(ctx, 'account/applications', { account, rows, ...noticeOf(ctx) });
}
