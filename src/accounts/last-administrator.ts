/**
 * The last administrator stays: nobody else could make another one from afar. Looked for before something is taken
 * from an administrator, and again afterwards, since two who are taken at once each saw the other one.
 */
import { AppError } from '../errors.ts';
import type { Account, AccountFilter, AccountStore } from '../storage/port.ts';
import { OWN_AUDIENCE } from './registration.ts';

const PAGE = 200;
const ADMINISTRATORS: AccountFilter = { role: 'admin', status: 'active' };

/** Somebody who may administer this server now. */
export const isAdministrator = ({ roles, status }: Pick<Account, 'roles' | 'status'>): boolean =>
  status === 'active' && roles[OWN_AUDIENCE] === 'admin';

/** True where some account is one for which `isOne` says so. It reads those of the filter until it found one. */
export async function hasAccount(
  accounts: Pick<AccountStore, 'list'>,
  isOne: (account: Account) => boolean,
  filter: AccountFilter = {},
): Promise<boolean> {
  for (let after: string | null | undefined; after !== null;) {
    const page = await accounts.list({ after, limit: PAGE }, filter);
    if (page.items.some(isOne)) return true;
    after = page.next;
  }
  return false;
}

/**
 * Takes the administration from an account by `take`, which `giveBack` undoes where another one lost it meanwhile.
 * Throws `conflict` for the last one. For who is no administrator it is `take` alone.
 */
export async function withdraw(
  account: Account,
  accounts: Pick<AccountStore, 'list'>,
  { take, giveBack }: { take: () => Promise<unknown>; giveBack: () => Promise<unknown> },
): Promise<void> {
  if (!isAdministrator(account)) {
    await take();
    return;
  }
  const isAnother = (other: Account): boolean => other.id !== account.id && isAdministrator(other);
  if (!(await hasAccount(accounts, isAnother, ADMINISTRATORS))) throw lastAdministrator(account.username);
  await take();
  if (await hasAccount(accounts, isAdministrator, ADMINISTRATORS)) return;
  await giveBack();
  throw lastAdministrator(account.username);
}

/** Why the last one stays. */
export const lastAdministrator = (username: string): AppError =>
  new AppError(
    'conflict',
    `"${username}" is the last active administrator: make another one first, by the role admin.`,
  );
