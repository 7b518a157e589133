/**
 * What a client is tied to, beside its metadata: the service account that it acts for, by a username that is never given
 * out again, and the customer that its tokens tell of.
 */
import type { Client } from '../storage/port.ts';

export const SERVICE_ACCOUNT = 'service_account';
export const CUSTOMER = 'customer';

type Tied = Pick<Client, 'metadata'> | null;

/** Null where the client acts for nobody but itself, or is gone. */
export const serviceAccountOf = (client: Tied): string | null => textOf(client, SERVICE_ACCOUNT);

/** The same for a customer, which has to be looked for. */
export const customerOf = (client: Tied): string | null => textOf(client, CUSTOMER);

function textOf(client: Tied, name: string): string | null {
  const value = client?.metadata[name];
  return typeof value === 'string' ? value : null;
}
