/**
 * A process that rotates the keys of an installation and dies in the middle, by its own hand and without a chance to
 * tidy up: `fork('rotation-worker.ts', [WAY, STEP, NOW])` with the installation's environment. It ends by SIGKILL, or
 * with code 1 where it never came to the step.
 */
import { createKeyCommands } from '../../../src/keys/key-commands.ts';
import { createKeystore } from '../../../src/keys/keystore.ts';
import { createSealer } from '../../../src/keys/sealer.ts';
import { loadConfig } from '../../../src/config.ts';
import { openStorage } from '../../../src/storage/open.ts';
import type { SigningKeyStore } from '../../../src/storage/port.ts';
import { QUICK } from './rotation-steps.ts';

async function rotateAndDie([way, step, now]: readonly string[]): Promise<void> {
  const loaded = loadConfig({ flags: {}, env: process.env });
  if (!loaded.ok) throw new Error(JSON.stringify(loaded.faults));
  const { config, secrets } = loaded;
  const storage = await openStorage(secrets.databaseUrl);
  const store = dyingAt(step ?? '', storage.signingKeys);
  const sealer = createSealer(secrets.secretKey);
  const options = { store, sealer, policy: QUICK, now: () => Number(now) };
  if (way === 'command') await createKeyCommands(options).rotate(null);
  else
    await createKeystore({
      ...options,
      keysFolder: config.keysFolder,
      onRetiredFile: () => undefined,
    }).load();
  process.exit(1);
}

function dyingAt(step: string, store: SigningKeyStore): SigningKeyStore {
  const dieAt = (reached: string): void => {
    if (reached === step) process.kill(process.pid, 'SIGKILL');
  };
  return {
    read: async () => {
      const set = await store.read();
      dieAt('after reading');
      return set;
    },
    write: async (...next) => {
      dieAt('before writing');
      const writing = store.write(...next);
      dieAt('while writing');
      const isWritten = await writing;
      dieAt('after writing');
      return isWritten;
    },
  };
}

await rotateAndDie(process.argv.slice(2));
