/** What a page may say of a client: who asks, and where the answer goes. */
import type { Client as EngineClient } from 'oidc-provider';

import { isFirstParty } from './clients.ts';

export interface ClientSummary {
  readonly clientId: string;
  /** Its registered name; its id where it has none. */
  readonly name: string;
  readonly uri: string | null;
  readonly logoUri: string | null;
  readonly policyUri: string | null;
  readonly tosUri: string | null;
  readonly isFirstParty: boolean;
}

export const summarize = (client: EngineClient): ClientSummary => ({
  clientId: client.clientId,
  name: client.clientName ?? client.clientId,
  uri: client.clientUri ?? null,
  logoUri: client.logoUri ?? null,
  policyUri: client.policyUri ?? null,
  tosUri: client.tosUri ?? null,
  isFirstParty: isFirstParty(client),
});
