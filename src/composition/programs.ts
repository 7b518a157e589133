/**
 * Programs that call the JSON API, put together: API keys, and clients that act for service accounts. A part of the
 * composition root.
 */
import { serverRoleOf } from '../accounts/server-role.ts';
import { createCursors } from '../api/cursor.ts';
import type { Route } from '../api/route.ts';
import { createApiKeys } from '../apikeys/api-keys.ts';
import { createApiKeyRoutes } from '../apikeys/routes.ts';
import { createVerifyKey } from '../apikeys/verify.ts';
import type { VerifyKey } from '../apikeys/verify.ts';
import { serviceAccountOf } from '../clients/ties.ts';
import { signingSecretsOf } from '../config.ts';
import type { Config, JwtSecrets } from '../config.ts';
import type { Events } from '../events.ts';
import type { Engine } from '../oidc/provider.ts';
import { createPermissionsOf } from '../permissions.ts';
import type { Permission } from '../permissions.ts';
import type { Account, ApiKeyStore, Storage } from '../storage/port.ts';

export interface ProgramOptions {
  readonly config: Pick<Config, 'permissions' | 'rateLimit'>;
  readonly secrets: JwtSecrets;
  readonly storage: Pick<Storage, 'accounts' | 'apiKeys' | 'clients'>;
  readonly engine: () => Engine;
  readonly events: Events;
  readonly now: () => number;
}

export interface Programs {
  /** What an account may do here now. */
  readonly permissionsOf: (account: Account) => readonly Permission[];
  readonly findApiKey: VerifyKey;
  /** The account that a client acts for; null for most clients. */
  readonly findServiceAccount: (clientId: string) => Promise<Account | null>;
  readonly routes: readonly Route[];
}

/** Whatever ends all sessions of an account ends its API keys, too: none that a thief made outlives it. */
export const endingKeys = (engine: Engine, apiKeys: Pick<ApiKeyStore, 'deleteOfAccount'>): Engine => ({
  ...engine,
  sessions: {
    ...engine.sessions,
    endAll: async (accountId, exceptId) => {
      await engine.sessions.endAll(accountId, exceptId); // first: who makes a key meanwhile finds it over
      await apiKeys.deleteOfAccount(accountId);
    },
  },
});

export function createPrograms({ config, secrets, storage, engine, events, now }: ProgramOptions): Programs {
  const { accounts, apiKeys, clients } = storage;
  const permissionsOfRole = createPermissionsOf(config.permissions);
  const permissionsOf = (account: Account): readonly Permission[] => permissionsOfRole(serverRoleOf(account));
  const { adminPerHour, userPerHour } = config.rateLimit;
  const rateOf = (account: Account): number =>
    serverRoleOf(account) === 'admin' ? adminPerHour : userPerHour;
  const shared = { apiKeys, accounts, permissionsOf, events, now };
  return {
    permissionsOf,
    findApiKey: createVerifyKey({ ...shared, rateOf }),
    findServiceAccount: async (clientId) => {
      const username = serviceAccountOf(await clients.find(clientId));
      const account = username === null ? null : await accounts.findByUsername(username);
      // A person who has the name's role no more is not acted for.
      return account !== null && serverRoleOf(account) === 'service_account' ? account : null;
    },
    routes: createApiKeyRoutes({
      apiKeys: createApiKeys(shared),
      cursors: createCursors(signingSecretsOf(secrets)),
      rateOf,
      hasSession: async (accountId, sessionId) =>
        (await engine().sessions.list(accountId)).some(({ id }) => id === sessionId),
      now,
    }),
  };
}
