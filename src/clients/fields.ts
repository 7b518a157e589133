/** What an administrator says of a client, before and after a change; of its secrets no more than that they change. */
import type { Client } from '../storage/port.ts';

/** The fields of a client, without its secrets. */
export const toFields = ({
  metadata,
  scopes,
}: Pick<Client, 'metadata' | 'scopes'>): Readonly<Record<string, unknown>> => ({
  ...metadata,
  scope: scopes.join(' '),
});

/** The fields that are named in `changes`; all of a new client's, which has none before. */
export function toChange(
  current: Client | null,
  next: Client,
  changes: readonly string[],
): { readonly before: object | null; readonly after: object } {
  if (current === null) return { before: null, after: toFields(next) };
  const isChanged = ([field]: [string, unknown]): boolean => changes.includes(field);
  const named = (client: Client): object =>
    Object.fromEntries(Object.entries(toFields(client)).filter(isChanged));
  const secret = changes.includes('client_secret') ? { has_new_secret: true } : {};
  return { before: named(current), after: { ...named(next), ...secret } };
}
