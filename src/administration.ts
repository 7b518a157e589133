/**
 * The composition root of administration: what the command line does to the store itself, with or without a
 * running server. It knows the slices that an administrator changes; `app.ts` knows those that serve.
 */
import { z } from 'zod';

import type { PlanUser, RolesOf } from './accounts/declared.ts';
import { UserInput } from './accounts/schema.ts';
import { createUserAdministration } from './administration-users.ts';
import type { UserAdministration } from './administration-users.ts';
import { applySections } from './apply/apply.ts';
import type { AppliedItem, Section } from './apply/apply.ts';
import { readDocument } from './apply/document.ts';
import type { DocumentFault } from './apply/document.ts';
import { refuseRepeated } from './apply/repeated.ts';
import { createClientRegistry } from './clients/registry.ts';
import type { ClientRegistry, SavedClient } from './clients/registry.ts';
import { saveClient, toView } from './clients/save.ts';
import type { ClientView, SaveOutcome } from './clients/save.ts';
import { ClientInput, VpnNodeInput } from './clients/schema.ts';
import type { Config, Secrets } from './config.ts';
import { AppError, isAppError } from './errors.ts';
import { assertSealedBy } from './keys/keystore.ts';
import { createSealer } from './keys/sealer.ts';
import { createNameSide, foldName, reservedNames } from './names.ts';
import type { NameSide } from './names.ts';
import { clientGrantId } from './oidc/adapter.ts';
import { checkClient } from './oidc/client-check.ts';
import { createResourceServerRegistry, ResourceServerInput } from './resource-servers/registry.ts';
import { openStorage } from './storage/open.ts';
import type { Client, Page, PageRequest, Storage } from './storage/port.ts';

const DEMO_NODE_ID = 'demo-node';
// What a file may hold; a larger installation is described by several.
const MAX_ITEMS = 10_000;

const ApplyFile = z.strictObject({
  resource_servers: z
    .array(ResourceServerInput)
    .max(MAX_ITEMS)
    .superRefine(refuseRepeated('resource_servers', 'audience', (audience) => audience))
    .default([]),
  clients: z.array(ClientInput).max(MAX_ITEMS).default([]),
  vpn_nodes: z.array(VpnNodeInput).max(MAX_ITEMS).default([]),
  users: z
    .array(UserInput)
    .max(MAX_ITEMS)
    .superRefine(refuseRepeated('users', 'email', foldName))
    .default([]),
});

export { SERVER_ROLES } from './accounts/registration.ts';
export type { ImportCounts, ImportLine, RefusedLine, UserView } from './administration-users.ts';
export type { AppliedItem } from './apply/apply.ts';

export type ApplyOutcome =
  | { readonly ok: true; readonly items: readonly AppliedItem[] }
  | {
      readonly ok: false;
      readonly faults: readonly DocumentFault[];
      /** Saved before a save failed, with their secrets; empty where a fault was found in time. */
      readonly items: readonly AppliedItem[];
    };

export interface Administration {
  readonly users: UserAdministration;
  listClients(page: PageRequest, isVpnNode: boolean): Promise<Page<ClientView>>;
  showClient(clientId: string, isVpnNode: boolean): Promise<ClientView>;
  /** `create` refuses an id that is taken; `update` keeps what `fields` does not name. */
  saveClient(
    verb: 'create' | 'update',
    clientId: string,
    isVpnNode: boolean,
    fields: object,
  ): Promise<SaveOutcome>;
  deleteClient(clientId: string, isVpnNode: boolean): Promise<void>;
  rotateSecret(clientId: string, isVpnNode: boolean, overlapSeconds: number): Promise<string | null>;
  /** Makes the store as the file says; with `dryRun` only tells what would change. */
  apply(
    text: string,
    env: Readonly<Record<string, string | undefined>>,
    dryRun: boolean,
  ): Promise<ApplyOutcome>;
  close(): Promise<void>;
}

/** Opens the store for administration. */
export async function openAdministration(config: Config, secrets: Secrets): Promise<Administration> {
  const storage = await openStorage(secrets.databaseUrl);
  const now = (): number => Math.floor(Date.now() / 1000);
  const sealer = createSealer(secrets.secretKey);
  try {
    assertSealedBy(await storage.signingKeys.read(), sealer); // nothing is sealed under another SECRET_KEY
  } catch (error) {
    await storage.close(); // its connections would keep the process alive
    throw error;
  }
  const names = createNameSide(storage.names, 'service', reservedNames(config));
  const clients = createClients(storage, names, now);
  const resourceServers = createResourceServerRegistry({
    resourceServers: storage.resourceServers,
    names,
    seal: sealer.seal,
    open: sealer.open,
  });
  const { users, ...people } = createUserAdministration(config, storage, now);

  /** A client under the noun that it was asked by: `clients` knows no VPN node, `vpn-nodes` nothing else. */
  const get = async (clientId: string, isVpnNode: boolean): Promise<Client> => {
    const client = await clients.find(clientId);
    if (client?.isVpnNode === isVpnNode) return client;
    const noun = isVpnNode ? 'VPN node' : 'client';
    const hint = client === null ? '' : ` It is a ${isVpnNode ? 'client' : 'VPN node'}.`;
    throw new AppError('not_found', `There is no ${noun} "${clientId}".${hint}`);
  };

  return {
    users,
    listClients: async (page, isVpnNode) => {
      const { items, next } = await clients.list(page, { isVpnNode });
      return { items: items.map(toView), next };
    },
    showClient: async (clientId, isVpnNode) => toView(await get(clientId, isVpnNode)),
    saveClient: async (verb, clientId, isVpnNode, fields) => {
      const current = verb === 'update' ? await get(clientId, isVpnNode) : await clients.find(clientId);
      if (verb === 'update' || current === null)
        return saveClient(clients, current, clientId, isVpnNode, fields);
      throw new AppError('conflict', `"${clientId}" exists already: change it by update, or use another id.`);
    },
    deleteClient: async (clientId, isVpnNode) => clients.delete((await get(clientId, isVpnNode)).clientId),
    rotateSecret: async (clientId, isVpnNode, overlapSeconds) => {
      await get(clientId, isVpnNode);
      return (await clients.rotateSecret(clientId, overlapSeconds)).secret;
    },
    apply: async (text, env, dryRun) => {
      const read = readDocument(text, ApplyFile, env);
      if (!read.ok) return { ...read, items: [] };
      const result = await applySections(
        toSections(read.value, { clients, resourceServers, people }),
        dryRun,
      );
      return result.ok
        ? result
        : { ...result, faults: result.faults.map(({ path, message }) => read.fault(path, message)) };
    },
    close: storage.close,
  };
}

interface Registries {
  readonly clients: ClientRegistry;
  readonly resourceServers: ReturnType<typeof createResourceServerRegistry>;
  readonly people: { readonly planUser: PlanUser; readonly rolesOf: RolesOf };
}

/** The file's lists in the order in which they may refer to each other. */
const toSections = (
  file: z.infer<typeof ApplyFile>,
  { clients, resourceServers, people }: Registries,
): readonly Section[] => [
  {
    name: 'resource_servers',
    items: file.resource_servers.map((input) => ({
      id: input.identifier,
      plan: async () => withoutSecret(await resourceServers.plan(input)),
    })),
  },
  {
    name: 'clients',
    items: file.clients.map((input) => ({ ...idOf(input), plan: () => clients.planClient(input) })),
  },
  {
    name: 'vpn_nodes',
    items: file.vpn_nodes.map((input) => ({ ...idOf(input), plan: () => clients.planVpnNode(input) })),
  },
  {
    name: 'users',
    items: file.users.map((input) => ({
      id: input.username,
      key: foldName(input.username),
      plan: async () => withoutSecret(await people.planUser(input, declaredWith(file, people.rolesOf))),
    })),
  },
];

/** What a user is planned beside: the other users of the file, and the roles of its resource servers. */
const declaredWith = (file: z.infer<typeof ApplyFile>, stored: RolesOf): Parameters<PlanUser>[1] => ({
  together: file.users,
  rolesOf: async (audience) => {
    const declared = file.resource_servers.find((server) => server.audience === audience);
    return declared === undefined ? stored(audience) : Object.keys(declared.roles);
  },
});

/** Ids that differ in upper and lower case only are one. */
const idOf = ({ client_id: id }: { readonly client_id: string }) => ({ id, key: foldName(id) });

const createClients = (storage: Storage, names: NameSide, now: () => number): ClientRegistry =>
  createClientRegistry({
    clients: storage.clients,
    names,
    revokeTokens: (clientId) => storage.artifacts.revokeGrant(clientGrantId(clientId)),
    check: checkClient,
    now,
  });

/** What a resource server or a person signs in by is given, never made, so there is no secret to show. */
const withoutSecret = <P extends { save(): Promise<unknown> }>(plan: P) => ({
  ...plan,
  save: async () => {
    await plan.save();
    return { secret: null };
  },
});

export interface DemoNode {
  readonly clientId: string;
  readonly secret: string;
}

/** On a store without clients, makes one VPN node to try things with; null where there are clients. */
export async function createDemoNode(storage: Storage, now: () => number): Promise<DemoNode | null> {
  try {
    const { items } = await storage.clients.list({ limit: 1 });
    if (items.length > 0) return null;
    const plan = await createClients(storage, createNameSide(storage.names, 'service', []), now).planVpnNode({
      client_id: DEMO_NODE_ID,
      name: 'Demo node',
    });
    const { secret }: SavedClient = await plan.save();
    return secret === null ? null : { clientId: DEMO_NODE_ID, secret };
  } catch (error) {
    // Another process that started with us was first, or the store went away: nothing to try with then.
    if (isAppError(error, 'conflict') || isAppError(error, 'store_unavailable')) return null;
    throw error;
  }
}
