/** The part of administration for the enrolment of VPN nodes: codes, and taking keys away. */
import { createEnrolmentRegistry } from '../clients/enrolment.ts';
import type { EnrolmentCode } from '../clients/enrolment.ts';
import { KEY_METHOD, liveKeys } from '../clients/node-keys.ts';
import type { ClientRegistry } from '../clients/registry.ts';
import { saveClient } from '../clients/save.ts';
import type { Recorder } from '../audit/entry.ts';
import { AppError } from '../errors.ts';
import { toInstant } from '../instant.ts';
import type { Client, ClientStore } from '../storage/port.ts';

export type EnrolOutcome =
  | { readonly ok: true; readonly isNew: boolean; readonly code: string; readonly expiresAt: string }
  | { readonly ok: false; readonly faults: readonly string[] };

/** What a node lost before its end, with which all ends that it holds (`vpn/ending-stores.ts`), and what it has left. */
export interface LostCredentials {
  readonly keys: readonly string[];
  readonly hasSecret: boolean;
  readonly left: { readonly keys: number; readonly hasSecret: boolean };
}

export interface NodeAdministration {
  /** Does what may take credentials of a node away, and tells which it lost by that; null where it lost none. */
  losing<T>(clientId: string, work: () => Promise<T>): Promise<{ done: T; lost: LostCredentials | null }>;
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
    losing: async (clientId, work) => {
      const before = await store.find(clientId);
      const done = await work();
      return { done, lost: lostBetween(before, await store.find(clientId), now()) };
    },
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

function lostBetween(before: Client | null, after: Client | null, now: number): LostCredentials | null {
  const [had, has] = [credentialsOf(before, now), credentialsOf(after, now)];
  const keys = had.keys.filter((kid) => !has.keys.includes(kid));
  const hasSecret = had.secrets.some((it) => !has.secrets.includes(it));
  const left = { keys: has.keys.length, hasSecret: has.secrets.length > 0 };
  return keys.length > 0 || hasSecret ? { keys, hasSecret, left } : null;
}

const credentialsOf = (client: Client | null, now: number) => ({
  keys: client === null ? [] : liveKeys(client, now).map(({ kid }) => kid),
  secrets: (client?.secrets ?? [])
    .filter(({ expiresAt }) => expiresAt === null || expiresAt > now)
    .map(({ hash }) => hash),
});

const toShown = ({ code, expiresAt }: EnrolmentCode) => ({
  code,
  expiresAt: toInstant(expiresAt),
});
