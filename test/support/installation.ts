/** Settings, a folder and a fresh store without a server: what commands work on while none runs. */
import { afterAll, beforeAll } from '@jest/globals';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { openStorage } from '../../src/storage/open.ts';
import type { Storage } from '../../src/storage/port.ts';
import { dropDatabase, testConfig } from './server.ts';
import type { StoreKind, TestServer } from './server.ts';

export interface Installation extends Pick<TestServer, 'config' | 'secrets' | 'folder'> {
  /** The same store, opened beside the commands. */
  readonly storage: Storage;
}

/** One installation for all the facts of a block. */
export function useInstallation(store: StoreKind): () => Installation {
  let installation: Installation | null = null;
  beforeAll(async () => {
    const folder = mkdtempSync(join(tmpdir(), 'portcullis-test-'));
    const { config, secrets } = testConfig(store, folder);
    installation = { config, secrets, folder, storage: await openStorage(secrets.databaseUrl) };
  });
  afterAll(async () => {
    if (installation === null) return;
    await installation.storage.close();
    if (store === 'MongoDB') await dropDatabase(installation.secrets.databaseUrl);
    rmSync(installation.folder, { recursive: true, force: true });
  });
  return () => {
    if (installation === null) throw new Error('the installation is not made');
    return installation;
  };
}
