/**
 * The composition root of administration: what the command line does to the store itself, with or without a
 * running server. It knows the slices that an administrator changes; `app.ts` knows those that serve.
 */
import { randomUUID } from 'node:crypto';

import type { AccountEvents } from '../accounts/events.ts';
import { createLockedAccounts } from '../accounts/locked-accounts.ts';
import { createLockout } from '../accounts/lockout.ts';
import { createPasswordHasher } from '../accounts/passwords.ts';
import { createApiKeyAdministration } from './administration-api-keys.ts';
import type { ApiKeyAdministration } from './administration-api-keys.ts';
import { applyFile } from './administration-apply.ts';
import type { ApplyOutcome } from './administration-apply.ts';
import { createClientAdministration } from './administration-clients.ts';
import type { ClientAdministration } from './administration-clients.ts';
import { createAssertTies } from './administration-ties.ts';
import { createNodeAdministration } from './administration-nodes.ts';
import type { NodeAdministration } from './administration-nodes.ts';
import { createKeyAdministration } from './administration-keys.ts';
import type { KeyAdministration } from './administration-keys.ts';
import { createCustomerAdministration } from './administration-customers.ts';
import type { CustomerAdministrationByName } from './administration-customers.ts';
import { openCustomers } from './customers.ts';
import { createUserAdministration } from './administration-users.ts';
import type { UserAdministration, Users } from './administration-users.ts';
import { createAudit } from '../audit/audit.ts';
import type { Audit } from '../audit/audit.ts';
import { SERVER } from '../audit/entry.ts';
import { createClientRegistry } from '../clients/registry.ts';
import type { ClientRegistry, SavedClient } from '../clients/registry.ts';
import { recordClientChanges } from '../clients/recorded-registry.ts';
import type { Config, Secrets } from '../config.ts';
import { isAppError } from '../errors.ts';
import { createSealer } from '../keys/sealer.ts';
import { createNameSide, reservedClientIds, reservedNames } from '../names.ts';
import type { NameSide } from '../names.ts';
import { clientGrantId } from '../oidc/adapter.ts';
import { checkClient } from '../oidc/client-check.ts';
import type { SessionLifetimes } from '../oidc/lifetimes.ts';
import { createLogoutNotices } from '../oidc/logout-notices.ts';
import { createSessions } from '../oidc/sessions.ts';
import { createResourceServerRegistry } from '../resource-servers/registry.ts';
import { createVpnEndings } from './revocations.ts';
import type { VpnEndings } from './revocations.ts';
import { reencrypt, unlock } from './sealed.ts';
import type { Reencryption } from './sealed.ts';
import { COMMAND_TIMEOUT_MS, openStorage } from '../storage/open.ts';
import type { Storage } from '../storage/port.ts';

const DEMO_NODE_ID = 'demo-node';
// Nobody waits at the other end of a request, and an import makes many at once.
const AUDIT_WAIT_MS = 30_000;

export { SERVER_ROLES } from '../accounts/registration.ts';
export type { CustomerView } from './administration-customers.ts';
export type { OwnedKeyView } from './administration-api-keys.ts';
export type { KeyListView, KeyView, RetiredView, RetirementView, TurnView } from './administration-keys.ts';
export { readKeyFile } from '../keys/key-file.ts';
export { shellWord } from '../keys/pem-text.ts';
export { SIGNING_ALGORITHMS } from '../keys/material.ts';
export type { ImportCounts, ImportLine, RefusedLine, UserFilter, UserView } from './administration-users.ts';
export { AUDIT_ACTIONS, AUDIT_ACTORS, AUDIT_KINDS } from '../audit/actions.ts';
export type { Verification } from '../audit/verify.ts';
export { toAuditView } from '../audit/view.ts';
export type { AuditView } from '../audit/view.ts';
export type { ApplyOutcome } from './administration-apply.ts';
export type { AppliedItem } from '../apply/apply.ts';
export type { AuditFilter } from '../storage/port.ts';
export { signTestToken } from '../vpn/test-token.ts';
export type { LostCredentials } from './administration-nodes.ts';
export type { Reencryption, SealedCounts } from './sealed.ts';

export interface Administration extends ClientAdministration {
  readonly users: UserAdministration;
  readonly apiKeys: ApiKeyAdministration;
  readonly customers: CustomerAdministrationByName;
  readonly keys: KeyAdministration;
  readonly nodes: NodeAdministration;
  readonly audit: Pick<Audit, 'list' | 'verify'>;
  /** Makes the store as the file says; with `dryRun` only tells what would change. */
  apply(
    text: string,
    env: Readonly<Record<string, string | undefined>>,
    dryRun: boolean,
  ): Promise<ApplyOutcome>;
  /** Seals under SECRET_KEY what was sealed under the one before it. */
  reencrypt(): Promise<Reencryption>;
  /** Closes the store also where the audit log does not take what waits: `onUnrecorded` hears that, or it rejects. */
  close(onUnrecorded?: (error: unknown) => void): Promise<void>;
}

/** Opens the store for administration. */
export async function openAdministration(config: Config, secrets: Secrets): Promise<Administration> {
  const opened = await openStorage(secrets.databaseUrl, COMMAND_TIMEOUT_MS);
  const now = (): number => Math.floor(Date.now() / 1000);
  // Running servers look for what is revoked by themselves.
  const endings = createVpnEndings({ config, storage: opened, onAppended: () => undefined, now });
  const { storage } = endings;
  const sealer = createSealer(secrets.secretKey, secrets.previousSecretKey);
  const chainKey = await unlock(storage, sealer).catch(async (error: unknown) => {
    await storage.close(); // its connections would keep the process alive
    throw error;
  });
  const nameSide = (reserved: readonly string[]): NameSide =>
    createNameSide(storage.names, 'service', reserved);
  const audit = createAudit({
    store: storage.audit,
    chainKey,
    waitMs: AUDIT_WAIT_MS,
    now,
  });
  const record = audit.as({ actor: 'cli', ip: null, requestId: randomUUID() });
  const clients = recordClientChanges(
    createClients(storage, nameSide(reservedClientIds(config)), now),
    record,
  );
  const resourceServers = createResourceServerRegistry({
    resourceServers: storage.resourceServers,
    names: nameSide(reservedNames(config)),
    seal: sealer.seal,
    open: sealer.open,
    hasKey: async (alg) => (await storage.signingKeys.read())?.keys.some((key) => key.alg === alg) === true,
  });
  const users = openUsers(config, endings, now);
  const planCustomers = openCustomers({ config, storage, now }).as(record);
  const assertTies = createAssertTies(storage);

  return {
    users: users.as({ record, naming: 'login' }),
    apiKeys: createApiKeyAdministration({ config, storage, record, now }),
    customers: createCustomerAdministration({ config, storage, record, now }),
    keys: createKeyAdministration({ config, storage, sealer, record, now }),
    nodes: createNodeAdministration({ clients, store: storage.clients, record, now }),
    ...createClientAdministration({ clients, assertTies, outbox: storage.outbox, now }),
    audit,
    reencrypt: () => reencrypt(storage, sealer, record),
    apply: (...asked) =>
      applyFile({ clients, assertTies, resourceServers, users, customers: planCustomers, record }, ...asked),
    close: async (onUnrecorded) => {
      await audit.flush().catch(onUnrecorded).finally(storage.close);
    },
  };
}

function openUsers(config: Config, { storage, endAll }: VpnEndings, now: () => number): Users {
  const { counters } = storage;
  // A running server looks for notices every few seconds.
  const notices = createLogoutNotices({ ...storage, onQueued: () => undefined, now });
  const sessions = createSessions({ ...storage, notices, lifetimes: sessionLifetimesOf(config), now });
  return createUserAdministration({
    ...{ config, storage, now },
    hasher: createPasswordHasher(),
    locked: createLockedAccounts({ ...storage, lockout: createLockout({ counters, now }), now }),
    revokeEverything: async (accountId) => {
      await endAll(sessions.endAll)(accountId, null);
      await storage.apiKeys.deleteOfAccount(accountId);
    },
    events: UNHEARD,
  });
}

const sessionLifetimesOf = ({ sessions, api }: Config): SessionLifetimes => ({
  sessionIdleSeconds: sessions.idleSeconds,
  sessionRememberedSeconds: sessions.rememberedSeconds,
  apiRememberedSeconds: api.refreshTokenSeconds,
});

/** A command answers the one who typed it; the server's log is the server's. What was changed is in the audit log. */
const UNHEARD: AccountEvents = {
  signedIn: () => undefined,
  signInRefused: () => undefined,
  accountLocked: () => undefined,
  accountRegistered: () => undefined,
  passwordChanged: () => undefined,
  emailChanged: () => undefined,
  accountStatusChanged: () => undefined,
  accountDeleted: () => undefined,
};

const createClients = (storage: Storage, names: NameSide, now: () => number): ClientRegistry =>
  createClientRegistry({
    clients: storage.clients,
    names,
    revokeTokens: (clientId) => storage.artifacts.revokeGrant(clientGrantId(clientId)),
    check: checkClient,
    now,
  });

export interface DemoNode {
  readonly clientId: string;
  readonly secret: string;
}

/** On a store without clients, makes one VPN node to try things with; null where there are clients. */
export async function createDemoNode(
  storage: Storage,
  audit: Pick<Audit, 'as'>,
  now: () => number,
): Promise<DemoNode | null> {
  try {
    const { items } = await storage.clients.list({ limit: 1 });
    if (items.length > 0) return null;
    const clients = createClients(storage, createNameSide(storage.names, 'service', []), now);
    const recorded = recordClientChanges(clients, audit.as(SERVER));
    const plan = await recorded.planVpnNode({ client_id: DEMO_NODE_ID, name: 'Demo node' });
    const { secret }: SavedClient = await plan.save();
    return secret === null ? null : { clientId: DEMO_NODE_ID, secret };
  } catch (error) {
    // Another process that started with us was first, or the store went away: nothing to try with then.
    if (isAppError(error, 'conflict') || isAppError(error, 'store_unavailable')) return null;
    throw error;
  }
}
