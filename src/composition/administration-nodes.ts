/** The part of administration for the enrolment of VPN nodes: codes, and taking keys away. */
import { createEnrolmentRegistry } from '../clients/enrolment.ts';
import type { EnrolmentCode } from '../clients/enrolment.ts';
import { KEY_METHOD } from '../clients/node-keys.ts';
import type { ClientRegistry } from '../clients/registry.ts';
import { saveClient } from '../clients/save.ts';
import type { Recorder } from '../audit/entry.ts';
import { AppError } from '../errors.ts';
import type { ClientStore } from '../storage/port.ts';

export type EnrolOutcome =
  | { readonly ok: true; readonly isNew: boolean; readonly code: string; readonly expiresAt: string }
  | { readonly ok: false; readonly faults: readonly string[] };

export interface NodeAdministration {
  /** A code for the node; where there is none of that id, it is made first, without a secret. */
  enrol(clientId: string, lifetimeSeconds: number, name: string | undefined): Promise<EnrolOutcome>;
  /** Ends keys of a node at once, and its code. */
  revoke(clientId: string, kids: readonly string[], isCodeEnded: boolean): Promise<void>;
}

interface NodeAdministrationOptions {
  readonly clients: ClientRegistry;
  readonly store: ClientStore;
  readonly record: Recorder;
  readonly now: () => number;
}

export function createNodeAdministration(options: NodeAdministrationOptions): NodeAdministration {
  const { clients, store, record, now } = options;
  const enrolment = createEnrolmentRegistry({ clients: store, record, now });
  /** True for a node that there is; throws for a client that is none. */
  const isNode = async (clientId: string): Promise<boolean> => {
    const client = await clients.find(clientId);
    if (client === null || client.isVpnNode) return client !== null;
    throw new AppError('not_found', `There is no VPN node "${clientId}". It is a client.`);
  };

  return {
    enrol: async (clientId, lifetimeSeconds, name) => {
      const isNew = !(await isNode(clientId));
      const named = name !== undefined && { name };
      if (isNew || named !== false) {
        const fields = { ...named, ...(isNew && { token_endpoint_auth_method: KEY_METHOD }) };
        const saved = await saveClient(clients, await clients.find(clientId), clientId, true, fields);
        if (!saved.ok) return saved;
      }
      return { ok: true, isNew, ...toShown(await enrolment.offer(clientId, lifetimeSeconds)) };
    },
    revoke: async (clientId, kids, isCodeEnded) => {
      if (!(await isNode(clientId))) {
        throw new AppError('not_found', `There is no VPN node "${clientId}".`);
      }
      await enrolment.revoke(clientId, kids, isCodeEnded);
    },
  };
}

const toShown = ({ code, expiresAt }: EnrolmentCode) => ({
  code,
  expiresAt: new Date(expiresAt * 1000).toISOString(),
});
