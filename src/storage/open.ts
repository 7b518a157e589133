/** Opens the store that DATABASE_URL names. */
import { STORE_TIMEOUT_MS } from './port.ts';
import type { RestoreTarget, Storage } from './port.ts';
import { openSqliteRestore } from './sqlite/restore.ts';
import { openSqliteStorage } from './sqlite/storage.ts';

const SQLITE = 'sqlite:';

/** For commands: nobody waits at the other end of a request, and an answer that comes late is better than none. */
export const COMMAND_TIMEOUT_MS = 5_000;

/**
 * `sqlite:PATH` or `mongodb…`, as the configuration checked it. No call waits longer than `timeoutMs`. Rejects with
 * AppError('store_unavailable') where trying again may help, with a plain Error and its remedy where it will not.
 */
export async function openStorage(databaseUrl: string, timeoutMs = STORE_TIMEOUT_MS): Promise<Storage> {
  if (databaseUrl.startsWith(SQLITE))
    return openSqliteStorage({ path: databaseUrl.slice(SQLITE.length), timeoutMs });
  // Loaded on demand: it is a third of the start-up time and of the memory of a server that does not use it.
  const { openMongoStorage } = await import('./mongo/storage.ts');
  return openMongoStorage({ uri: databaseUrl, timeoutMs });
}

/** Opens the same store to be filled from a backup. Rejects as `openStorage`. */
export async function openRestoreTarget(databaseUrl: string): Promise<RestoreTarget> {
  if (databaseUrl.startsWith(SQLITE)) return openSqliteRestore({ path: databaseUrl.slice(SQLITE.length) });
  const { openMongoRestore } = await import('./mongo/restore.ts');
  return openMongoRestore({ uri: databaseUrl });
}
