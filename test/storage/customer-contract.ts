/** What port.ts promises about customers. Part of contract.ts. */
import { expect, test } from '@jest/globals';
import { randomUUID } from 'node:crypto';

import type { Customer, Storage } from '../../src/storage/port.ts';
import { newCustomer } from './races.ts';
import { readAll } from './read-all.ts';

type Store = () => Storage;

export function customerContract(store: Store): void {
  test('gives back a customer as it was created, in any case of its name and by what it is tied to', async () => {
    const { customers } = store();
    const name = `Acme-${randomUUID()}`;
    const [account, clientId] = [randomUUID(), `Client-${randomUUID()}`];
    const metadata = { 10: 'ten', 9: 'nine', $ne: null, 'a.b': { deep: [[{}]] }, text: 'ü\u0000\u2028' };
    const fields = { email: 'a@a.example', company: 'Ä & Co', subscriptionTier: 'gold', metadata };
    const customer = newCustomer(name, { ...fields, account, clientId, version: 4 });
    await customers.create(customer);
    for (const spelling of [name, name.toLowerCase(), name.toUpperCase()])
      expect(await customers.find(spelling)).toEqual(customer);
    expect(await customers.findByAccount(account)).toEqual(customer);
    expect(await customers.findByClient(clientId)).toEqual(customer);
    expect(await customers.findByAccount(clientId)).toBeNull();
    expect(await customers.findByClient(clientId.toLowerCase())).toBeNull();
    expect(await customers.find(randomUUID())).toBeNull();
    const [kept] = (await customers.list({ limit: 1 }, { startsWith: name })).items;
    expect(JSON.stringify(kept)).toBe(JSON.stringify(customer));
  });

  test('refuses a name that is taken in any case, and a second tie, and says which', async () => {
    const { customers } = store();
    const [name, account, clientId] = [randomUUID(), randomUUID(), randomUUID()];
    await customers.create(newCustomer(name, { account, clientId }));
    const conflict = (path: string) => ({ code: 'conflict', errors: [expect.objectContaining({ path })] });
    await expect(customers.create(newCustomer(name.toUpperCase()))).rejects.toMatchObject(
      conflict('username'),
    );
    await expect(customers.create(newCustomer(randomUUID(), { account }))).rejects.toMatchObject(
      conflict('account'),
    );
    const other = newCustomer(randomUUID());
    await customers.create(other);
    await customers.create(newCustomer(randomUUID())); // tied to nothing, as others are
    await expect(customers.replace({ ...other, version: 2, clientId })).rejects.toMatchObject(
      conflict('client'),
    );
    expect(await customers.find(other.username)).toEqual(other);
  });

  test('replaces the version before the given one, and no other; a tie that is given up is free', async () => {
    const { customers } = store();
    const account = randomUUID();
    const first = newCustomer(randomUUID(), { account });
    const second = { ...first, account: null, customerType: 'premium', series: 'two', version: 2 };
    expect(await customers.replace(second)).toBe(false);
    await customers.create(first);
    expect(await customers.replace(second)).toBe(true);
    expect(await customers.replace(second)).toBe(false);
    expect(await customers.replace({ ...second, version: 4 })).toBe(false);
    expect(await customers.find(first.username)).toEqual(second);
    expect(await customers.findByAccount(account)).toBeNull();
    await customers.create(newCustomer(randomUUID(), { account }));
  });

  test('deletes a customer once, in any case of its name', async () => {
    const { customers } = store();
    const customer = newCustomer(`A-${randomUUID()}`, { clientId: randomUUID() });
    await customers.create(customer);
    expect(await customers.delete(customer.username.toUpperCase())).toBe(true);
    expect(await customers.delete(customer.username)).toBe(false);
    expect(await customers.find(customer.username)).toBeNull();
    expect(await customers.findByClient(customer.clientId ?? '')).toBeNull();
  });

  test('lists customers by their names in lower case, page by page, all, of a type, or by their beginning', async () => {
    const { customers } = store();
    const prefix = `P_${randomUUID()}`;
    const made = ['B', 'a', 'c-', 'C_d'].map((name, index) =>
      newCustomer(`${prefix}${name}`, { customerType: index % 2 === 0 ? 'free' : 'premium' }),
    );
    for (const customer of [...made, newCustomer(`p${randomUUID()}`)]) await customers.create(customer);
    const sorted = made.toSorted((one, other) => (folded(one) < folded(other) ? -1 : 1));
    for (const limit of [1, 2, 4, 100]) {
      expect(await readAll((after) => customers.list({ after, limit }, { startsWith: prefix }))).toEqual(
        sorted,
      );
    }
    const [first, second] = sorted;
    expect((await customers.list({ limit: 1 }, { startsWith: prefix })).next).toBe(first && folded(first));
    const premium = { startsWith: prefix.toLowerCase(), customerType: 'premium' };
    expect((await customers.list({ limit: 9 }, premium)).items).toEqual(
      sorted.filter(({ customerType }) => customerType === 'premium'),
    );
    const literally = { startsWith: `${prefix}c-` };
    expect((await customers.list({ limit: 9 }, literally)).items).toHaveLength(1);
    const after = second && folded(second);
    expect((await customers.list({ after, limit: 9 }, { startsWith: prefix })).items).toEqual(
      sorted.slice(2),
    );
    const all = await readAll((from) => customers.list({ after: from, limit: 1_000 }));
    expect(await readAll((from) => customers.list({ after: from, limit: 2 }))).toEqual(all);
  });
}

const folded = ({ username }: Customer): string => username.toLowerCase();
