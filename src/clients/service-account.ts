/** The service account that a client acts for: its username, which is never given out again, beside the metadata. */
import type { Client } from '../storage/port.ts';

export const SERVICE_ACCOUNT = 'service_account';

/** Null where the client acts for nobody but itself, or is gone. */
export function serviceAccountOf(client: Pick<Client, 'metadata'> | null): string | null {
  const username = client?.metadata[SERVICE_ACCOUNT];
  return typeof username === 'string' ? username : null;
}
