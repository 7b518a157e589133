/** A client as people see it and say it: what is shown of one, and saving one by its fields. */
import { readInput } from '../input-words.ts';
import type { ReadInput } from '../input-words.ts';
import type { Client } from '../storage/port.ts';
import type { ClientPlan, ClientRegistry } from './registry.ts';
import { ClientInput, VpnNodeInput } from './schema.ts';

/** A client as it is shown: RFC 7591's names, no secret. */
export interface ClientView {
  readonly client_id: string;
  readonly client_name?: string;
  readonly scope: string;
  readonly token_endpoint_auth_method: string;
  readonly created_at: string;
  readonly updated_at: string;
}

export type SaveOutcome =
  | { readonly ok: true; readonly secret: string | null }
  | { readonly ok: false; readonly faults: readonly string[] };

/** Saves a client or VPN node; what `fields` does not name stays as `current` has it. */
export async function saveClient(
  clients: ClientRegistry,
  current: Client | null,
  clientId: string,
  isVpnNode: boolean,
  fields: object,
): Promise<SaveOutcome> {
  const input = { ...(current === null ? {} : toInput(current)), ...fields, client_id: clientId };
  const plan = isVpnNode
    ? planned(readInput(VpnNodeInput, input), clients.planVpnNode)
    : planned(readInput(ClientInput, input), clients.planClient);
  return plan.ok ? { ok: true, secret: (await (await plan.plan).save()).secret } : plan;
}

/** The plan of a valid input, or its faults as sentences. */
function planned<T>(read: ReadInput<T>, plan: (input: T) => Promise<ClientPlan>) {
  if (read.ok) return { ok: true, plan: plan(read.value) } as const;
  const faults = read.faults.map(({ path, message }) => `${path.map(String).join('.')}: ${message}`);
  return { ok: false, faults } as const;
}

/** What may be shown of a client. */
export const toView = ({ clientId, metadata, scopes, createdAt, updatedAt }: Client): ClientView => ({
  client_id: clientId,
  ...metadata,
  token_endpoint_auth_method: String(metadata['token_endpoint_auth_method']),
  scope: scopes.join(' '),
  created_at: new Date(createdAt * 1000).toISOString(),
  updated_at: new Date(updatedAt * 1000).toISOString(),
});

/** What a stored client would look like as an input, so that an update can keep what it does not name. */
function toInput({ isVpnNode, metadata, scopes }: Client): object {
  const { response_types, ...given } = metadata;
  if (!isVpnNode) return { ...given, scope: scopes.join(' ') };
  const { client_name: name, redirect_uris, post_logout_redirect_uris } = given;
  return { redirect_uris, post_logout_redirect_uris, ...(name !== undefined && { name }) };
}
