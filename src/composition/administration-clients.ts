/** The clients' part of administration: clients and VPN nodes, each under its own noun, and the logouts they wait for. */
import type { AssertTies } from './administration-ties.ts';
import { toLogoutView } from '../clients/logouts.ts';
import type { LogoutView } from '../clients/logouts.ts';
import type { ClientRegistry } from '../clients/registry.ts';
import { saveClient, toView } from '../clients/save.ts';
import type { ClientView, SaveOutcome } from '../clients/save.ts';
import { AppError } from '../errors.ts';
import type { Client, OutboxStore, Page, PageRequest } from '../storage/port.ts';

export interface ClientAdministration {
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
  /** Logouts that clients were not told of yet; with `onlyFailed` those that are given up. */
  listLogouts(page: PageRequest, onlyFailed: boolean): Promise<Page<LogoutView>>;
}

interface ClientAdministrationOptions {
  readonly clients: ClientRegistry;
  readonly assertTies: AssertTies;
  readonly outbox: OutboxStore;
  readonly now: () => number;
}

export function createClientAdministration({
  clients: registry,
  assertTies,
  outbox,
  now,
}: ClientAdministrationOptions): ClientAdministration {
  const clients: ClientRegistry = {
    ...registry,
    planClient: async (input) => {
      await assertTies(input);
      return registry.planClient(input);
    },
  };
  /** A client under the noun that it was asked by: `clients` knows no VPN node, `vpn-nodes` nothing else. */
  const get = async (clientId: string, isVpnNode: boolean): Promise<Client> => {
    const client = await clients.find(clientId);
    if (client?.isVpnNode === isVpnNode) return client;
    const noun = isVpnNode ? 'VPN node' : 'client';
    const hint = client === null ? '' : ` It is a ${isVpnNode ? 'client' : 'VPN node'}.`;
    throw new AppError('not_found', `There is no ${noun} "${clientId}".${hint}`);
  };

  return {
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
    listLogouts: (page, onlyFailed) => listLogouts(outbox, page, now(), onlyFailed),
  };
}

async function listLogouts(
  outbox: OutboxStore,
  page: PageRequest,
  now: number,
  onlyFailed: boolean,
): Promise<Page<LogoutView>> {
  const { items, next } = await outbox.list(page, now, onlyFailed ? { isFailed: true } : {});
  return { items: items.map(toLogoutView), next };
}
