/** What an account is at this server itself. */
import type { Account } from '../storage/port.ts';
import { OWN_AUDIENCE, SERVER_ROLES } from './registration.ts';

export type ServerRole = (typeof SERVER_ROLES)[number];

/** What has no role here, or one that is no more, may do the least. */
export const serverRoleOf = ({ roles }: Pick<Account, 'roles'>): ServerRole =>
  SERVER_ROLES.find((role) => role === roles[OWN_AUDIENCE]) ?? 'guest';

/** A program's account: it has no password, and nobody signs in as it. */
export const isServiceAccount = (account: Pick<Account, 'roles'>): boolean =>
  serverRoleOf(account) === 'service_account';
