/** The last three passwords of an account: none of them comes back at the next change. */
import type { Account } from '../storage/port.ts';
import { normalPassword } from './passwords.ts';
import type { PasswordHasher } from './passwords.ts';
import { isServiceAccount } from './server-role.ts';

/** Beside the present one. */
const KEPT = 2;

type Passwords = Pick<Account, 'passwordHash' | 'passwordHistory'>;

/** The account with a new hash; the one before it joins the history. A service account stays without. */
export const withPassword = (account: Account, passwordHash: string, now: number): Account =>
  isServiceAccount(account)
    ? account
    : {
        ...account,
        passwordHash,
        passwordHistory: hashesOf(account).slice(0, KEPT),
        passwordChangedAt: now,
      };

/** The account as nobody signs in to it. */
export const withoutPassword = (account: Account): Account => ({
  ...account,
  passwordHash: null,
  passwordHistory: [],
  passwordChangedAt: null,
});

/**
 * True where the password is one of the last three. A `current` password that is known to be right saves a hash.
 */
export async function isReused(
  hasher: Pick<PasswordHasher, 'verify'>,
  account: Passwords,
  password: string,
  current: string | null,
): Promise<boolean> {
  if (current !== null && normalPassword(current) === normalPassword(password)) return true;
  const hashes = current === null ? hashesOf(account) : account.passwordHistory;
  for (const hash of hashes) {
    if ((await hasher.verify(password, hash)).isRight) return true;
  }
  return false;
}

/** Newest first. */
const hashesOf = ({ passwordHash, passwordHistory }: Passwords): readonly string[] =>
  passwordHash === null ? passwordHistory : [passwordHash, ...passwordHistory];

/** True while no other password was set: one that was only hashed anew is the same, and leaves the history alone. */
export const isSamePassword = (account: Passwords, earlier: Passwords): boolean =>
  account.passwordHash !== null && account.passwordHistory[0] === earlier.passwordHistory[0];
