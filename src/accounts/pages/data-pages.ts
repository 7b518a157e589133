/** All that is stored of a signed-in person: taken along as a file, or deleted. */
import type { Context } from 'koa';
import { z } from 'zod';

import { isAppError } from '../../errors.ts';
import type { Account } from '../../storage/port.ts';
import type { Accounts } from '../accounts.ts';
import { isAdministrator } from '../last-administrator.ts';
import { confirmationOf, Nothing, problemOf } from './account-pages.ts';
import type { AccountPageOptions, Person, Told } from './account-pages.ts';
import { Line, Password } from './page.ts';

const Ending = z.strictObject({ confirmation: Line, currentPassword: Password });

export async function exportData(
  { pages, accounts, sessions, applications }: AccountPageOptions,
  ctx: Context,
  { account }: Person,
): Promise<void> {
  await pages.read(ctx, Nothing);
  ctx.set('Content-Disposition', `attachment; filename="${account.username}.json"`);
  ctx.set('Cache-Control', 'no-store');
  ctx.body = {
    account: await accounts.exportData(account.id),
    sessions: await sessions.list(account.id),
    applications: await applications.list(account.id),
  };
}

export async function remove(options: AccountPageOptions, ctx: Context, person: Person): Promise<void> {
  const { pages, credentials, accounts } = options;
  const { account } = person;
  const { confirmation, currentPassword } = await pages.read(ctx, Ending);
  const isConfirmed = confirmation.trim().toLowerCase() === account.username;
  const wrong = isConfirmed
    ? await problemOf(ctx, credentials.confirm(confirmationOf(options, ctx, person, currentPassword)))
    : { status: 400, errors: { confirmation: 'problem.confirmation' } };
  const problem = wrong ?? (await end(account, accounts));
  if (problem !== null) {
    const { status = 400, ...told } = problem;
    pages.show(ctx, 'account/data', { account, values: { confirmation }, ...told }, { status });
    return;
  }
  pages.show(ctx, 'pages/message', { title: 'account.data.deletedTitle', text: 'account.data.deletedText' });
}

/** Null where it is gone; the last administrator stays. */
async function end(account: Account, accounts: Accounts): Promise<Told | null> {
  try {
    await accounts.remove(account.id);
    return null;
  } catch (error) {
    if (!isAppError(error, 'conflict') || !isAdministrator(account)) throw error;
    return { status: 409, errors: { '': 'problem.lastAdministrator' } };
  }
}
