/**
 * Which node is let in to the exchange, and to the feed of what was revoked: one whose access token lives and has the
 * scope, that is registered as a VPN node, and that did not ask too often. Each refusal says what to do.
 */
import { AppError } from '../errors.ts';
import type { ClientStore, CounterStore } from '../storage/port.ts';
import { VPN_SCOPE } from './claims.ts';

const RATE_WINDOW_SECONDS = 60;

export interface AdmissionOptions {
  /** Exchanges a minute that one node may do; null: as many as it likes. */
  readonly maxPerMinute: number | null;
  readonly clients: Pick<ClientStore, 'find'>;
  readonly counters: Pick<CounterStore, 'hit'>;
  readonly findClientToken: (value: string) => Promise<NodeToken | null>;
  readonly now: () => number;
}

/** A live access token that a client got for itself. */
interface NodeToken {
  readonly clientId: string;
  readonly scopes: readonly string[];
}

/** Throws `invalid_token`. */
export async function getNodeToken(
  bearer: string,
  { findClientToken }: Pick<AdmissionOptions, 'findClientToken'>,
): Promise<NodeToken> {
  const token = await findClientToken(bearer);
  if (token !== null) return token;
  throw new AppError(
    'invalid_token',
    'The access token is unknown, expired or revoked: get a new one by client_credentials and try again.',
  );
}

/** Throws `invalid_token` for a client that is gone, `unauthorized_client` for one that is no node. */
export async function assertNode(
  clientId: string,
  { clients }: Pick<AdmissionOptions, 'clients'>,
): Promise<void> {
  const client = await clients.find(clientId);
  if (client === null) throw new AppError('invalid_token', 'The client of this access token was deleted.');
  if (client.isVpnNode) return;
  throw new AppError(
    'unauthorized_client',
    'This client is no VPN node: an administrator registers one by portcullis vpn-nodes create.',
  );
}

/** Throws `insufficient_scope`. */
export function assertScope(scopes: readonly string[]): void {
  if (scopes.includes(VPN_SCOPE)) return;
  throw new AppError('insufficient_scope', `Ask for the access token with scope=${VPN_SCOPE}.`);
}

/** Lets a node read what was revoked; gives its id. Throws what the three above throw. */
export const createNodeAdmission =
  (options: Pick<AdmissionOptions, 'clients' | 'findClientToken'>) =>
  async (bearer: string): Promise<string> => {
    const { clientId, scopes } = await getNodeToken(bearer, options);
    await assertNode(clientId, options);
    assertScope(scopes);
    return clientId;
  };

/** Counts the exchange; throws `too_many_requests`. */
export async function assertRate(
  clientId: string,
  { counters, maxPerMinute, now }: AdmissionOptions,
): Promise<void> {
  if (maxPerMinute === null) return;
  const { count, resetsAt } = await counters.hit(`vpn:${clientId}`, RATE_WINDOW_SECONDS, now());
  if (count <= maxPerMinute) return;
  throw new AppError(
    'too_many_requests',
    `This node exchanged ${maxPerMinute} tokens within a minute: keep the JWT until shortly before it expires.`,
    { retryAfterSeconds: Math.max(1, resetsAt - now()) },
  );
}
