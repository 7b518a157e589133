/**
 * The admin API, put together: users as the command line administers them, under the name of who asks, and the
 * figures of the installation. A part of the composition root.
 */
import type { LockedAccounts } from '../accounts/locked-accounts.ts';
import type { PasswordHasher } from '../accounts/passwords.ts';
import type { Recovery } from '../accounts/recovery.ts';
import { createAdminApi } from '../admin/admin-api.ts';
import type { Asking } from '../api/caller.ts';
import { createUserAdministration } from './administration-users.ts';
import type { UserAdministration } from './administration-users.ts';
import { createCursors } from '../api/cursor.ts';
import type { Route } from '../api/route.ts';
import { signingSecretsOf } from '../config.ts';
import type { Config, JwtSecrets } from '../config.ts';
import { AppError } from '../errors.ts';
import type { Events } from '../events.ts';
import type { Ledger } from './ledger.ts';
import type { Engine } from '../oidc/provider.ts';
import { createRecorderOf } from './recorder.ts';
import { toFigures } from '../statistics/figures.ts';
import type { Storage } from '../storage/port.ts';

const TOP_CLIENTS = 10;

export interface AdminServiceOptions {
  readonly config: Config;
  readonly secrets: JwtSecrets;
  readonly storage: Storage;
  readonly engine: () => Engine;
  readonly ledger: Pick<Ledger, 'audit' | 'statistics' | 'unaudited'>;
  readonly hasher: PasswordHasher;
  readonly locked: LockedAccounts;
  readonly recovery: Pick<Recovery, 'mailReset'>;
  readonly events: Events;
  readonly now: () => number;
}

export function createAdminService(options: AdminServiceOptions): readonly Route[] {
  const { secrets, storage, engine, ledger, locked, recovery, now } = options;
  const { audit, statistics } = ledger;
  const users = createUserAdministration({
    ...options,
    events: ledger.unaudited,
    revokeEverything: (accountId) => engine().sessions.endAll(accountId, null),
  });
  const recorderOf = createRecorderOf(audit);
  const usersFor = (asking: Asking): UserAdministration =>
    users.as({ record: recorderOf(asking), naming: 'id' });

  return createAdminApi({
    usersFor,
    mailResetLink: async (asking, userId, locale) => {
      const { id, email, disabled, role } = await usersFor(asking).show(userId);
      if (role === 'service_account') throw new AppError('conflict', 'A service account has no password.');
      if (disabled) throw new AppError('conflict', 'This user is locked: unlock them first.');
      const change = { action: 'account.mail_reset_link', target: `account:${id}`, details: {} };
      await recorderOf(asking)(change, () => recovery.mailReset(email, locale));
    },
    listSessions: (userId) => engine().sessions.list(userId),
    count: async () => {
      const [counted, lockedUsers, sessions, apiKeys] = await Promise.all([
        storage.accounts.count(),
        locked.count(),
        storage.artifacts.count('Session', now()),
        storage.apiKeys.count(),
      ]);
      return { users: counted, lockedUsers, sessions, apiKeys };
    },
    figures: async (hours) =>
      toFigures(await statistics.read(hours), { hours, clients: TOP_CLIENTS, now: now() }),
    listAudit: audit.list,
    cursors: createCursors(signingSecretsOf(secrets)),
  });
}
