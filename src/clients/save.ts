/** A client as people see it and say it: what is shown of one, and saving one by its fields. */
import { readInput } from '../input-words.ts';
import type { ReadInput } from '../input-words.ts';
import { toInstant } from '../instant.ts';
import type { Client, ClientKey } from '../storage/port.ts';
import type { ClientPlan, ClientRegistry } from './registry.ts';
import { DEVICE_CODE } from './rules.ts';
import { ClientInput, VpnNodeInput } from './schema.ts';

/** A client as it is shown: RFC 7591's names, no secret. */
export interface ClientView {
  readonly client_id: string;
  readonly client_name?: string;
  readonly scope: string;
  readonly token_endpoint_auth_method: string;
  /** Those that the client registered by itself, the newest first. */
  readonly keys?: readonly ClientKeyView[];
  /** Until when a code may be used by which it registers its first key. */
  readonly enrolment_code_until?: string;
  readonly created_at: string;
  readonly updated_at: string;
}

interface ClientKeyView {
  readonly kid: string;
  readonly alg: string;
  readonly added_at: string;
  /** Null: does not expire. */
  readonly expires_at: string | null;
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
export const toView = ({ clientId, metadata, scopes, keys, enrolment, ...times }: Client): ClientView => ({
  client_id: clientId,
  ...metadata,
  token_endpoint_auth_method: String(metadata['token_endpoint_auth_method']),
  scope: scopes.join(' '),
  ...(keys !== undefined && { keys: keys.map(toKeyView) }),
  ...(enrolment?.kid === null && { enrolment_code_until: toInstant(enrolment.expiresAt) }),
  created_at: toInstant(times.createdAt),
  updated_at: toInstant(times.updatedAt),
});

const toKeyView = ({ kid, jwk, addedAt, expiresAt }: ClientKey): ClientKeyView => ({
  kid,
  alg: String(jwk['alg']),
  added_at: toInstant(addedAt),
  expires_at: expiresAt === null ? null : toInstant(expiresAt),
});

/** What a stored client would look like as an input, so that an update can keep what it does not name. */
function toInput({ isVpnNode, metadata, scopes }: Client): object {
  const { response_types, ...given } = metadata;
  if (!isVpnNode) return { ...given, ...(scopes.length > 0 && { scope: scopes.join(' ') }) };
  const { client_name: name, grant_types, redirect_uris, post_logout_redirect_uris } = given;
  const grants = grant_types as readonly string[]; // written by the registry
  // With a browser it comes by itself, and shall go with it.
  const device_sign_in = grants.includes(DEVICE_CODE) && !grants.includes('authorization_code');
  return { device_sign_in, redirect_uris, post_logout_redirect_uris, ...(name !== undefined && { name }) };
}
