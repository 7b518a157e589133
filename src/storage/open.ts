/** Opens the store that DATABASE_URL names. */
import type { Storage } from './port.ts';
import { openSqliteStorage } from './sqlite/storage.ts';

const SQLITE = 'sqlite:';

/**
 * `sqlite:PATH` or `mongodb…`, as the configuration checked it. Rejects with AppError('store_unavailable') where
 * trying again may help, with a plain Error and its remedy where it will not.
 */
export async function openStorage(databaseUrl: string): Promise<Storage> {
  if (databaseUrl.startsWith(SQLITE)) return openSqliteStorage({ path: databaseUrl.slice(SQLITE.length) });
  // Loaded on demand: it is a third of the start-up time and of the memory of a server that does not use it.
  const { openMongoStorage } = await import('./mongo/storage.ts');
  return openMongoStorage({ uri: databaseUrl });
}
