/** Many locked accounts, as administrators list them, on both stores. */
import { expect, test } from '@jest/globals';

import { createLockedAccounts } from '../../src/accounts/locked-accounts.ts';
import { accountSubject, MAX_FAILURES } from '../../src/accounts/lockout.ts';
import type { AccountStore } from '../../src/storage/port.ts';
import { newAccount } from '../storage/races.ts';
import { readAll } from '../storage/read-all.ts';
import { describeOnBothStores } from '../support/server.ts';
import { useWorld } from './world.ts';

/** More than a page of marks. */
const LOCKED = 250;
/** Of a page. */
const MANY = 100;

describeOnBothStores('locked accounts', (kind) => {
  const world = useWorld(kind);

  /** The look-up, and how many of it were at work at most. */
  function counting(find: AccountStore['find']) {
    const seen = { now: 0, most: 0 };
    const counted: AccountStore['find'] = async (id) => {
      seen.most = Math.max(seen.most, (seen.now += 1));
      return find(id).finally(() => (seen.now -= 1));
    };
    return { find: counted, seen };
  }

  test('are looked up many at once, and listed in the order of their names, page by page', async () => {
    const { storage, lockout: unmarked, now } = world();
    const { find, seen } = counting((id) => storage.accounts.find(id));
    const { lockout, list, count } = createLockedAccounts({
      ...{ artifacts: storage.artifacts, accounts: { find }, lockout: unmarked, now },
    });
    const lock = async (id: string): Promise<void> => {
      await storage.accounts.create(newAccount(id));
      for (let attempt = 0; attempt < MAX_FAILURES; attempt += 1) {
        const admitted = await lockout.admit(accountSubject(id));
        if (!admitted.ok) throw new Error(`${id} is locked already`);
        await lockout.failed(admitted);
      }
    };
    const ids = Array.from({ length: LOCKED }, (_, n) => `locked-${String(n).padStart(3, '0')}`);
    await Promise.all(ids.map(lock));
    await storage.accounts.delete(ids[7] ?? ''); // its mark stays until the lock ends

    expect(await count()).toBe(LOCKED);
    const shown = await readAll((after) => list({ limit: 120, after }, {}));
    expect(shown.map(({ id }) => id)).toEqual(ids.filter((_, n) => n !== 7));
    expect(seen.most).toBeGreaterThanOrEqual(MANY);
    const some = await list({ limit: 120 }, { startsWith: 'user-locked-24' });
    expect(some.items.map(({ id }) => id)).toEqual(ids.slice(240));
    await lockout.unlock(accountSubject(ids[0] ?? ''));
    expect((await list({ limit: 1 }, {})).items).toMatchObject([{ id: ids[1] }]);
  });
});
