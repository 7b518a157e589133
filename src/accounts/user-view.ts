/** A user as administrators see one, in the words of apply files; no hash. */
import { toInstant } from '../instant.ts';
import type { Account } from '../storage/port.ts';
import { OWN_AUDIENCE } from './registration.ts';

/** What an administrator may change of a user. */
export interface UserFields {
  readonly email: string;
  readonly email_verified: boolean;
  readonly full_name: string | null;
  readonly role: string;
  /** At other audiences. */
  readonly roles: Readonly<Record<string, string>>;
  readonly disabled: boolean;
}

export interface UserView extends UserFields {
  readonly id: string;
  readonly username: string;
  /** False: a mailed link comes first. */
  readonly has_password: boolean;
  readonly created_at: string;
  readonly updated_at: string;
}

export const toUserFields = (
  account: Pick<Account, 'email' | 'isEmailVerified' | 'fullName' | 'roles' | 'status'>,
): UserFields => {
  const { [OWN_AUDIENCE]: role = 'user', ...roles } = account.roles;
  return {
    email: account.email,
    email_verified: account.isEmailVerified,
    full_name: account.fullName,
    role,
    roles,
    disabled: account.status === 'disabled',
  };
};

export const toUserView = (account: Account): UserView => ({
  id: account.id,
  username: account.username,
  ...toUserFields(account),
  has_password: account.passwordHash !== null,
  created_at: toInstant(account.createdAt),
  updated_at: toInstant(account.updatedAt),
});
