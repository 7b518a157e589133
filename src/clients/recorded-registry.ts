/** The registry of clients with the record of each change: a plan is recorded when it is saved, not when it is made. */
import type { Recorder } from '../audit/entry.ts';
import { toFields } from './fields.ts';
import type { ClientPlan, ClientRegistry } from './registry.ts';

export function recordClientChanges(registry: ClientRegistry, record: Recorder): ClientRegistry {
  const changing = <T>(
    action: string,
    clientId: string,
    details: object,
    work: () => Promise<T>,
  ): Promise<T> => record({ action, target: `client:${clientId}`, details: { ...details } }, work);
  const recorded = (plan: ClientPlan, clientId: string, noun: Noun): ClientPlan => {
    const { action, before, after, save } = plan;
    if (action === 'none') return plan;
    return { ...plan, save: () => changing(`${noun}.${action}`, clientId, { before, after }, save) };
  };
  const nounOf = async (clientId: string): Promise<Noun> => {
    const client = await registry.find(clientId);
    return client?.isVpnNode === true ? 'vpn_node' : 'client';
  };

  return {
    ...registry,
    planClient: async (input) => recorded(await registry.planClient(input), input.client_id, 'client'),
    planVpnNode: async (input) => recorded(await registry.planVpnNode(input), input.client_id, 'vpn_node'),
    rotateSecret: async (clientId, overlapSeconds) => {
      const action = `${await nounOf(clientId)}.rotate_secret`;
      const details = { overlap_seconds: overlapSeconds };
      return changing(action, clientId, details, () => registry.rotateSecret(clientId, overlapSeconds));
    },
    delete: async (clientId) => {
      const client = await registry.find(clientId);
      const before = client && toFields(client);
      const action = `${await nounOf(clientId)}.delete`;
      await changing(action, clientId, { before, after: null }, () => registry.delete(clientId));
    },
  };
}

type Noun = 'client' | 'vpn_node';
