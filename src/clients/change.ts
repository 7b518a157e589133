/** Changes a stored client by compare-and-set: who loses a race looks at what the winner left, and decides again. */
import { AppError } from '../errors.ts';
import type { Client, ClientStore } from '../storage/port.ts';

// Two who change one client at once are rare; a handful of attempts settles it.
const MAX_ATTEMPTS = 10;

interface ChangeOptions {
  readonly clients: Pick<ClientStore, 'find' | 'replace'>;
  readonly now: () => number;
}

/** Gives the client as it is afterwards. `edit` may throw, or give null where nothing is to change. */
export type ChangeClient = (clientId: string, edit: (client: Client) => Client | null) => Promise<Client>;

/** Throws `not_found` where there is no such client, and `conflict` where it keeps changing. */
export const createChangeClient =
  ({ clients, now }: ChangeOptions): ChangeClient =>
  async (clientId, edit) => {
    for (let attempt = 0; attempt < MAX_ATTEMPTS; attempt += 1) {
      const current = await clients.find(clientId);
      if (current === null) throw noClient(clientId);
      const edited = edit(current);
      if (edited === null) return current;
      const next = { ...edited, version: current.version + 1, updatedAt: now() };
      if (await clients.replace(next)) return next;
    }
    throw new AppError('conflict', `The client "${clientId}" kept changing: try again.`);
  };

export const noClient = (clientId: string): AppError =>
  new AppError('not_found', `There is no client "${clientId}".`);
