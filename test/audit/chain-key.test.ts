/** The key of the audit log: made once whoever starts, kept encrypted, and never made again in silence. */
import { expect, test } from '@jest/globals';

import { CHAIN_KEY, readChainKey } from '../../src/audit/chain-key.ts';
import { openEverything, unlock } from '../../src/composition/sealed.ts';
import { createSealer } from '../../src/keys/sealer.ts';
import { environmentOf, portcullis } from '../cli/run.ts';
import { useInstallation } from '../support/installation.ts';
import { withLatency } from '../support/latency.ts';
import { describeOnBothStores } from '../support/server.ts';

const AT_ONCE = 20;

describeOnBothStores('the key of the audit log', (store) => {
  const installation = useInstallation(store);
  const sealer = () => createSealer(installation().secrets.secretKey);

  test('is one, whoever of twenty instances makes it, and stays so', async () => {
    const options = () => ({ ...withLatency(installation().storage), sealer: sealer() });
    const keys = await Promise.all(Array.from({ length: AT_ONCE }, () => readChainKey(options())));
    expect(new Set(keys).size).toBe(1);
    expect(keys[0]).toMatch(/^[\w-]{43}$/);
    expect(await readChainKey(options())).toBe(keys[0]);
    const sealed = await installation().storage.sealedSecrets.find(CHAIN_KEY);
    expect(sealed).not.toContain(keys[0]);
  });

  test('that does not open is refused with a sentence, and left as it is', async () => {
    const { storage } = installation();
    const { sealedSecrets } = storage;
    const genuine = await sealedSecrets.find(CHAIN_KEY);
    const foreign = createSealer('another').seal('a key that somebody chose', CHAIN_KEY);
    await sealedSecrets.replace(CHAIN_KEY, genuine, foreign);
    for (const open of [unlock, openEverything]) {
      await expect(open(storage, sealer())).rejects.toThrow(
        /^The key of the audit log in the store does not open with this SECRET_KEY\. .*nothing was changed\.$/,
      );
    }
    const { folder } = installation();
    const ran = await portcullis(['users', 'list'], { cwd: folder, env: environmentOf(installation()) });
    expect([ran.code, ran.out]).toEqual([1, '']);
    expect(ran.err).toContain('The key of the audit log in the store does not open with this SECRET_KEY.');
    expect(await sealedSecrets.find(CHAIN_KEY)).toBe(foreign);
    await sealedSecrets.replace(CHAIN_KEY, foreign, genuine ?? '');
  });

  test('is bound to its name: another sealed secret in its place does not open', async () => {
    const { sealedSecrets } = installation().storage;
    const genuine = await sealedSecrets.find(CHAIN_KEY);
    const moved = sealer().seal('a key of something else', 'another name');
    await sealedSecrets.replace(CHAIN_KEY, genuine, moved);
    await expect(readChainKey({ sealedSecrets, sealer: sealer() })).rejects.toThrow('does not open');
    await sealedSecrets.replace(CHAIN_KEY, moved, genuine ?? '');
  });
});

describeOnBothStores('a store with signing keys and no key of an audit log', (store) => {
  const installation = useInstallation(store);

  test('gets none under another SECRET_KEY', async () => {
    const { storage, secrets } = installation();
    const sealedJwk = createSealer(secrets.secretKey).seal('{}', 'key');
    const key = { kid: 'key', alg: 'RS256', sealedJwk, createdAt: 1, signsFrom: 1 };
    await storage.signingKeys.write(0, { keys: [key], retired: [] });
    for (const open of [unlock, openEverything]) {
      await expect(open(storage, createSealer('another'))).rejects.toThrow(/^The signing key "/);
    }
    expect(await storage.sealedSecrets.find(CHAIN_KEY)).toBeNull();
    await unlock(storage, createSealer(secrets.secretKey));
    expect(await storage.sealedSecrets.find(CHAIN_KEY)).not.toBeNull();
  });
});
