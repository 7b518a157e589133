/**
 * Which accounts are locked by failed sign-ins, without asking for each one: the lockout's counters are found by a
 * digest alone, so whoever locks an account leaves a mark here, which ends when the lock does.
 */
import { digest } from '../digest.ts';
import type { Account, AccountStore, ArtifactStore, Page, PageRequest } from '../storage/port.ts';
import { accountSubject } from './lockout.ts';
import type { Admitted, Lockout } from './lockout.ts';
import { serverRoleOf } from './server-role.ts';

const MODEL = 'LockedAccount';
/** All marks are found under it. No account has an id of so few characters, and none loses its mark with its tokens. */
const ALL = 'locked';
const PAGE = 200;
/** A mark is five guesses at one account: where there are more of them, figures need no end and lists none either. */
const MAX_MARKS = 10_000;

interface LockedAccountsOptions {
  readonly artifacts: Pick<ArtifactStore, 'upsert' | 'destroy' | 'listOfAccount'>;
  readonly accounts: Pick<AccountStore, 'find'>;
  readonly lockout: Lockout;
  readonly now: () => number;
}

export interface LockedAccounts {
  /** The lockout, leaving its marks. */
  readonly lockout: Lockout;
  /** At most 10,000 are counted. */
  count(): Promise<number>;
  /** In the order of the usernames, as the store lists all accounts. */
  list(
    page: PageRequest,
    filter: { readonly startsWith?: string | undefined; readonly role?: string | undefined },
  ): Promise<Page<Account>>;
  /** The account is gone. */
  forget(accountId: string): Promise<void>;
}

export function createLockedAccounts(options: LockedAccountsOptions): LockedAccounts {
  const { artifacts, accounts, lockout, now } = options;
  const forget = (accountId: string): Promise<void> => artifacts.destroy(MODEL, idOf(accountId));

  return {
    forget,
    count: async () => {
      const found = new Set<string>();
      for await (const page of marks(artifacts, now)) page.forEach((accountId) => found.add(accountId));
      return found.size;
    },
    list: async ({ after = '', limit }, filter) => {
      const found: Account[] = [];
      for await (const page of marks(artifacts, now)) {
        for (const account of await Promise.all(page.map((id) => accounts.find(id))))
          if (account !== null && account.username > after && fits(account, filter)) found.push(account);
      }
      found.sort((a, b) => (a.username < b.username ? -1 : 1));
      const items = found.slice(0, limit);
      return { items, next: found.length > limit ? (items.at(-1)?.username ?? null) : null };
    },
    lockout: marking(lockout, forget, options),
  };
}

function marking(
  lockout: Lockout,
  forget: (accountId: string) => Promise<void>,
  { artifacts }: LockedAccountsOptions,
): Lockout {
  const admitted = new WeakMap<Admitted, string>();
  const mark = async (accountId: string): Promise<void> => {
    const untilAt = await lockout.lockedUntil(accountSubject(accountId));
    if (untilAt === null) return; // unlocked meanwhile
    const payload = { accountId };
    await artifacts.upsert({
      model: MODEL,
      id: idOf(accountId),
      accountId: ALL,
      payload,
      expiresAt: untilAt,
    });
  };
  return {
    ...lockout,
    admit: async (subject) => {
      const admission = await lockout.admit(subject);
      if (admission.ok && subject.kind === 'account') admitted.set(admission, subject.accountId);
      return admission;
    },
    failed: async (attempt) => {
      const outcome = await lockout.failed(attempt);
      const accountId = admitted.get(attempt);
      if (outcome.lockedNow && accountId !== undefined) await mark(accountId);
      return outcome;
    },
    unlock: async (subject) => {
      await lockout.unlock(subject);
      if (subject.kind === 'account') await forget(subject.accountId);
    },
  };
}

/** The ids of the accounts that have one, by pages: a request has no time to look at them one after the other. */
async function* marks(
  artifacts: Pick<ArtifactStore, 'listOfAccount'>,
  now: () => number,
): AsyncGenerator<readonly string[]> {
  let count = 0;
  for (let after: string | null | undefined; after !== null && count < MAX_MARKS;) {
    const page = await artifacts.listOfAccount(MODEL, ALL, { after, limit: PAGE }, now());
    count += page.items.length;
    yield page.items.map(({ payload }) => String(payload['accountId']));
    after = page.next;
  }
}

const fits = (
  account: Account,
  { startsWith, role }: { readonly startsWith?: string | undefined; readonly role?: string | undefined },
): boolean =>
  (role === undefined || serverRoleOf(account) === role) &&
  (startsWith === undefined ||
    account.username.startsWith(startsWith) ||
    account.emailKey.startsWith(startsWith));

const idOf = (accountId: string): string => digest(`${MODEL} ${accountId}`);
