/** What a page may say of a client: who asks, and where the answer goes. */
import type { Client as EngineClient } from 'oidc-provider';

import { isFirstParty, isVpnNode } from './clients.ts';

export interface ClientSummary {
  readonly clientId: string;
  /** Its registered name; its id where it has none. */
  readonly name: string;
  readonly uri: string | null;
  readonly logoUri: string | null;
  readonly policyUri: string | null;
  readonly tosUri: string | null;
  readonly isFirstParty: boolean;
  /** Then a person who signs in there lets it use the VPN for them, whatever the scopes (see `vpn/exchange.ts`). */
  readonly isVpnNode: boolean;
}

export const summarize = (client: EngineClient): ClientSummary => ({
  clientId: client.clientId,
  name: client.clientName ?? client.clientId,
  uri: client.clientUri ?? null,
  logoUri: client.logoUri ?? null,
  policyUri: client.policyUri ?? null,
  tosUri: client.tosUri ?? null,
  isFirstParty: isFirstParty(client),
  isVpnNode: isVpnNode(client),
});
