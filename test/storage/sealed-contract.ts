/** What port.ts promises of what is kept encrypted: replaced by compare-and-set, so that nothing newer is lost. */
import { expect, test } from '@jest/globals';
import { randomUUID } from 'node:crypto';

import type { Storage } from '../../src/storage/port.ts';
import { newResourceServer } from './races.ts';

export function sealedContract(store: () => Storage): void {
  test('keeps a sealed secret under its name, which is made once', async () => {
    const { sealedSecrets } = store();
    const [name, other] = [randomUUID(), randomUUID()];
    expect(await sealedSecrets.find(name)).toBeNull();
    expect(await sealedSecrets.replace(name, 'first', 'second')).toBe(false);
    expect(await sealedSecrets.replace(name, null, 'first')).toBe(true);
    expect(await sealedSecrets.replace(name, null, 'another')).toBe(false);
    expect(await sealedSecrets.find(name)).toBe('first');
    expect(await sealedSecrets.find(other)).toBeNull();
  });

  test('replaces a sealed secret that is still the expected one, and no other', async () => {
    const { sealedSecrets } = store();
    const [name, other] = [randomUUID(), randomUUID()];
    for (const each of [name, other]) await sealedSecrets.replace(each, null, 'first');
    expect(await sealedSecrets.replace(name, 'first', 'second')).toBe(true);
    expect(await sealedSecrets.replace(name, 'first', 'third')).toBe(false);
    expect([await sealedSecrets.find(name), await sealedSecrets.find(other)]).toEqual(['second', 'first']);
  });

  test('replaces a resource server that is still exactly the expected one, and no other', async () => {
    const { resourceServers } = store();
    const first = newResourceServer(randomUUID(), { sealedSecret: 'first' });
    const second = { ...first, sealedSecret: 'second' };
    expect(await resourceServers.replace(first, second)).toBe(false);
    await resourceServers.put(first);
    const changed = { ...first, scopes: ['read', 'write'] };
    await resourceServers.put(changed);
    expect(await resourceServers.replace(first, second)).toBe(false);
    expect(await resourceServers.find(first.identifier)).toEqual(changed);
    const found = await resourceServers.find(first.identifier);
    if (found === null) throw new Error('it was just put there');
    expect(await resourceServers.replace(found, { ...found, sealedSecret: 'second' })).toBe(true);
    expect(await resourceServers.findByAudience(first.audience)).toEqual({
      ...changed,
      sealedSecret: 'second',
    });
  });
}
