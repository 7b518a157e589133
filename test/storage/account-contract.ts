/** What port.ts promises about people: their accounts, and the links that are mailed to them. Part of contract.ts. */
import { expect, test } from '@jest/globals';
import { randomUUID } from 'node:crypto';

import type {
  Account,
  AccountFilter,
  AccountStatus,
  OneTimePurpose,
  Storage,
} from '../../src/storage/port.ts';
import { newAccount, newOneTimeToken } from './races.ts';
import { readAll } from './read-all.ts';

const NOW = 1_800_000_000;
const LATER = NOW + 60;

type Store = () => Storage;

const conflictOn = (path: string, word: string) => ({
  code: 'conflict',
  message: expect.stringContaining(word),
  errors: [{ path, message: expect.stringContaining(word) }],
});

export function accountContract(store: Store): void {
  createContract(store);
  replaceContract(store);
  filterContract(store);

  test('deletes an account once, and frees its username and its address', async () => {
    const { accounts } = store();
    const account = newAccount(randomUUID());
    await accounts.create(account);
    expect(await accounts.delete(account.id)).toBe(true);
    expect(await accounts.delete(account.id)).toBe(false);
    expect(await accounts.find(account.id)).toBeNull();
    expect(await accounts.findByUsername(account.username)).toBeNull();
    expect(await accounts.findByEmail(account.emailKey)).toBeNull();
    expect(await accounts.replace({ ...account, version: 2 })).toBe(false);
    await accounts.create({ ...account, id: randomUUID() });
  });

  test('lists accounts in the order of their usernames, page by page', async () => {
    const { accounts } = store();
    const prefix = `~${randomUUID()}`; // behind every other username of this suite
    const names = ['a', 'b', 'c', 'd', 'e'].map((letter) => `${prefix}-${letter}`);
    const [first = '', second = ''] = names;
    for (const username of names.toReversed()) await accounts.create(newAccount(randomUUID(), { username }));
    const read = async (after: string, limit: number) => {
      const { items, next } = await accounts.list({ after, limit });
      return { names: items.map(({ username }) => username), next };
    };
    expect(await read(prefix, 2)).toEqual({ names: [first, second], next: second });
    expect(await read(second, 3)).toEqual({ names: names.slice(2), next: null });
    expect(await accounts.list({ after: '\u{10ffff}', limit: 10 })).toEqual({ items: [], next: null });
    const all = await readAll((after) => accounts.list({ after, limit: 1_000 }));
    expect(await readAll((after) => accounts.list({ after, limit: 2 }))).toEqual(all);
  });
}

/** What is read of the accounts that this test made. */
function filterContract(store: Store): void {
  const create = (username: string, fields: Partial<Account> = {}) =>
    store().accounts.create(newAccount(randomUUID(), { username, ...fields }));
  const usernames = async (filter: AccountFilter, limit = 1_000): Promise<readonly string[]> =>
    (await readAll((after) => store().accounts.list({ after, limit }, filter))).map(
      ({ username }) => username,
    );

  test('lists accounts by the start of the username or of the folded address', async () => {
    const start = `s${randomUUID()}`;
    await create(`${start}-b`);
    await create(`${start}-a`, { email: `X${start}@A.example`, emailKey: `x${start}@a.example` });
    await create(`other-${start}`, { email: `${start}@A.example`, emailKey: `${start}@a.example` });
    expect(await usernames({ startsWith: start })).toEqual([`other-${start}`, `${start}-a`, `${start}-b`]);
    expect(await usernames({ startsWith: start }, 1)).toEqual([`other-${start}`, `${start}-a`, `${start}-b`]);
    expect(await usernames({ startsWith: `${start}-` })).toEqual([`${start}-a`, `${start}-b`]);
    expect(await usernames({ startsWith: `${start}@` })).toEqual([`other-${start}`]);
    expect(await usernames({ startsWith: `${start}-b` })).toEqual([`${start}-b`]);
    expect(await usernames({ startsWith: `${start}-b-` })).toEqual([]);
    expect(await usernames({ startsWith: start.slice(1) })).toEqual([]);
    expect(await usernames({ startsWith: '' })).toEqual(await usernames({}));
  });

  test('takes the start literally, whatever it holds', async () => {
    const start = `t${randomUUID()}`;
    const tails = [
      '%',
      '_',
      '.*',
      '^',
      '\\',
      "'",
      '"',
      '$ne',
      '*',
      '[a-z]',
      'ö',
      'ｚ',
      '\u{1f600}',
      '\u{10fffd}',
    ];
    for (const tail of tails) await create(`${start}${tail}x`);
    for (const tail of tails) {
      expect(await usernames({ startsWith: `${start}${tail}` })).toEqual([`${start}${tail}x`]);
    }
    expect(await usernames({ startsWith: start })).toHaveLength(tails.length);
    for (const none of ['%', '_', '.*', '{"$gt":""}']) {
      expect(await usernames({ startsWith: none })).toEqual([]);
    }
  });

  test('lists accounts by status and by the role at this server, alone and together, page by page', async () => {
    const start = `r${randomUUID()}`;
    const admin = { roles: { portcullis: `admin-${start}` } };
    await create(`${start}-1`, { ...admin, status: 'disabled' });
    await create(`${start}-2`, admin);
    await create(`${start}-3`, { roles: { 'vpn-node': `admin-${start}` } });
    await create(`${start}-4`, admin);
    await create(`x-${start}`, admin);
    const role = `admin-${start}`;
    for (const limit of [1, 2, 1_000]) {
      expect(await usernames({ role }, limit)).toEqual(
        [1, 2, 4].map((n) => `${start}-${n}`).concat(`x-${start}`),
      );
      expect(await usernames({ role, status: 'active', startsWith: start }, limit)).toEqual([
        `${start}-2`,
        `${start}-4`,
      ]);
      expect(await usernames({ status: 'disabled', startsWith: start }, limit)).toEqual([`${start}-1`]);
      expect(await usernames({ role, status: undefined, startsWith: `${start}-3` }, limit)).toEqual([]);
    }
    const { items, next } = await store().accounts.list({ limit: 2 }, { role, startsWith: start });
    expect([items.length, next]).toEqual([2, `${start}-2`]);
  });

  test('lists and counts a replaced account as it is now', async () => {
    const { accounts } = store();
    const [before, after] = [`before-${randomUUID()}`, `after-${randomUUID()}`];
    const counts = async () =>
      (await accounts.count()).filter(({ role }) => role === before || role === after);
    const account = newAccount(randomUUID(), { roles: { portcullis: before } });
    await accounts.create(account);
    expect(await counts()).toEqual([{ role: before, status: 'active', count: 1 }]);
    await accounts.replace({ ...account, version: 2, roles: { portcullis: after }, status: 'disabled' });
    expect(await counts()).toEqual([{ role: after, status: 'disabled', count: 1 }]);
    expect(await usernames({ role: before })).toEqual([]);
    expect(await usernames({ role: after, status: 'disabled' })).toEqual([account.username]);
    await accounts.delete(account.id);
    expect(await counts()).toEqual([]);
  });

  test('counts all accounts by role and status', async () => {
    const { accounts } = store();
    const role = `role-${randomUUID()}`;
    for (const status of ['active', 'active', 'disabled'] as const) {
      await create(randomUUID(), { roles: { portcullis: role }, status });
      await create(randomUUID(), { status });
    }
    const counts = await accounts.count();
    const of = (wanted: string | null, status: AccountStatus) =>
      counts.filter((it) => it.role === wanted && it.status === status).map(({ count }) => count);
    expect([of(role, 'active'), of(role, 'disabled')]).toEqual([[2], [1]]);
    const all = await readAll((after) => accounts.list({ after, limit: 1_000 }));
    expect(counts.reduce((sum, { count }) => sum + count, 0)).toBe(all.length);
    const without = all.filter(
      ({ roles, status }) => roles['portcullis'] === undefined && status === 'disabled',
    );
    expect(of(null, 'disabled')).toEqual([without.length]);
  });
}

function createContract(store: Store): void {
  test('gives back an account as it was created, by its id, its username and its address', async () => {
    const { accounts } = store();
    const account = newAccount(randomUUID(), {
      isEmailVerified: true,
      fullName: 'Zoë “Z” Müller',
      passwordHash: '$argon2id$…',
      passwordHistory: ['older', 'oldest'],
      passwordChangedAt: NOW,
      roles: { portcullis: 'admin', 'vpn-node': 'basic', 'a.b': '$ne', constructor: 'guest' },
      status: 'disabled',
    });
    await accounts.create(account);
    expect(await accounts.find(account.id)).toEqual(account);
    expect(await accounts.findByUsername(account.username)).toEqual(account);
    expect(await accounts.findByEmail(account.emailKey)).toEqual(account);
  });

  test('gives null for whom it does not know, and takes no key for another', async () => {
    const { accounts } = store();
    const { id, username, email, emailKey } = newAccount(randomUUID());
    await accounts.create(newAccount(id));
    expect(await accounts.find(randomUUID())).toBeNull();
    for (const other of [id, email, emailKey, '']) expect(await accounts.findByUsername(other)).toBeNull();
    for (const other of [id, email, username, '']) expect(await accounts.findByEmail(other)).toBeNull();
    for (const other of [username, emailKey, '']) expect(await accounts.find(other)).toBeNull();
  });

  test('refuses an id, a username or an address that is taken, says which, and changes nothing', async () => {
    const { accounts } = store();
    const account = newAccount(randomUUID());
    const other = newAccount(randomUUID());
    const { id, username, email, emailKey } = account;
    await accounts.create(account);
    await expect(accounts.create({ ...other, id })).rejects.toMatchObject({
      code: 'conflict',
      message: expect.stringContaining(id),
      errors: undefined,
    });
    await expect(accounts.create({ ...other, username })).rejects.toMatchObject(
      conflictOn('username', username),
    );
    await expect(accounts.create({ ...other, email, emailKey })).rejects.toMatchObject(
      conflictOn('email', email),
    );
    await expect(accounts.create(account)).rejects.toMatchObject({ code: 'conflict' });
    expect(await accounts.find(other.id)).toBeNull();
    expect(await accounts.find(id)).toEqual(account);
    await accounts.create(other);
  });
}

function replaceContract(store: Store): void {
  test('replaces the version before the given one, and no other', async () => {
    const { accounts } = store();
    const account = newAccount(randomUUID());
    const second = { ...account, version: 2, status: 'disabled', roles: { portcullis: 'user' } } as const;
    expect(await accounts.replace(second)).toBe(false);
    await accounts.create(account);
    expect(await accounts.replace(second)).toBe(true);
    expect(await accounts.replace({ ...account, version: 2 })).toBe(false);
    expect(await accounts.replace({ ...account, version: 4 })).toBe(false);
    expect(await accounts.find(account.id)).toEqual(second);
    expect(await accounts.findByUsername(account.username)).toEqual(second);
    expect(await accounts.findByEmail(account.emailKey)).toEqual(second);
  });

  test('finds a replaced account by its new address only, and frees the old one', async () => {
    const { accounts } = store();
    const account = newAccount(randomUUID());
    const { email, emailKey } = newAccount(randomUUID());
    await accounts.create(account);
    expect(await accounts.findByEmail(account.emailKey)).toEqual(account);
    const moved = { ...account, version: 2, email, emailKey };
    expect(await accounts.replace(moved)).toBe(true);
    expect(await accounts.findByEmail(emailKey)).toEqual(moved);
    expect(await accounts.findByEmail(account.emailKey)).toBeNull();
    await accounts.create(newAccount(randomUUID(), { email: account.email, emailKey: account.emailKey }));
  });

  test('refuses to replace by an address that another account has, and changes nothing', async () => {
    const { accounts } = store();
    const [first, second] = [newAccount(randomUUID()), newAccount(randomUUID())];
    await accounts.create(first);
    await accounts.create(second);
    const { email, emailKey } = first;
    await expect(accounts.replace({ ...second, version: 2, email, emailKey })).rejects.toMatchObject(
      conflictOn('email', email),
    );
    expect(await accounts.find(second.id)).toEqual(second);
    expect(await accounts.findByEmail(emailKey)).toEqual(first);
    // A stale version is told as such, whatever else it holds.
    expect(await accounts.replace({ ...second, version: 7, email, emailKey })).toBe(false);
  });
}

export function oneTimeTokenContract(store: Store): void {
  test('gives a token once by its purpose and hash, and can look without using it up', async () => {
    const { oneTimeTokens } = store();
    const token = newOneTimeToken(randomUUID());
    const { purpose, hash } = token;
    await oneTimeTokens.put(token);
    expect(await oneTimeTokens.find(purpose, hash, NOW)).toEqual(token);
    expect(await oneTimeTokens.find(purpose, hash, NOW)).toEqual(token);
    expect(await oneTimeTokens.consume(purpose, hash, NOW)).toEqual(token);
    expect(await oneTimeTokens.consume(purpose, hash, NOW)).toBeNull();
    expect(await oneTimeTokens.find(purpose, hash, NOW)).toBeNull();
  });

  test('gives null for an unknown hash, and for a known one of another purpose', async () => {
    const { oneTimeTokens } = store();
    const token = newOneTimeToken(randomUUID(), { purpose: 'verify-email' });
    await oneTimeTokens.put(token);
    for (const purpose of ['change-email', 'reset-password'] as const) {
      expect(await oneTimeTokens.find(purpose, token.hash, NOW)).toBeNull();
      expect(await oneTimeTokens.consume(purpose, token.hash, NOW)).toBeNull();
    }
    expect(await oneTimeTokens.find('verify-email', randomUUID(), NOW)).toBeNull();
    expect(await oneTimeTokens.consume('verify-email', randomUUID(), NOW)).toBeNull();
    expect(await oneTimeTokens.consume('verify-email', token.hash, NOW)).toEqual(token);
  });

  test('never gives a token from the second on at which it expires', async () => {
    const { oneTimeTokens } = store();
    const token = newOneTimeToken(randomUUID());
    await oneTimeTokens.put(token);
    expect(await oneTimeTokens.find(token.purpose, token.hash, LATER)).toBeNull();
    expect(await oneTimeTokens.consume(token.purpose, token.hash, LATER)).toBeNull();
    expect(await oneTimeTokens.consume(token.purpose, token.hash, LATER - 1)).toEqual(token);
  });

  test('keeps the newest token of an account and a purpose only', async () => {
    const { oneTimeTokens } = store();
    const accountId = randomUUID();
    const [first, second] = [
      newOneTimeToken(accountId),
      newOneTimeToken(accountId, { email: 'b@a.example' }),
    ];
    const beside = newOneTimeToken(accountId, { purpose: 'change-email' });
    for (const token of [first, beside, second]) await oneTimeTokens.put(token);
    expect(await oneTimeTokens.find(first.purpose, first.hash, NOW)).toBeNull();
    expect(await oneTimeTokens.consume(first.purpose, first.hash, NOW)).toBeNull();
    expect(await oneTimeTokens.consume(second.purpose, second.hash, NOW)).toEqual(second);
    expect(await oneTimeTokens.consume(beside.purpose, beside.hash, NOW)).toEqual(beside);
  });

  test('keeps exactly one of many that are put at once for an account and a purpose', async () => {
    const { oneTimeTokens } = store();
    const accountId = randomUUID();
    const all = Array.from({ length: 20 }, () => newOneTimeToken(accountId));
    await Promise.all(all.map((token) => oneTimeTokens.put(token)));
    const found = await Promise.all(
      all.map(({ purpose, hash }) => oneTimeTokens.consume(purpose, hash, NOW)),
    );
    expect(found.filter((token) => token !== null)).toHaveLength(1);
  });

  test('forgets every token of an account and none of another, as often as asked', async () => {
    const { oneTimeTokens } = store();
    const [accountId, other] = [randomUUID(), randomUUID()];
    const purposes: readonly OneTimePurpose[] = ['verify-email', 'change-email', 'reset-password'];
    const tokens = purposes.map((purpose) => newOneTimeToken(accountId, { purpose }));
    const beside = newOneTimeToken(other);
    for (const token of [...tokens, beside]) await oneTimeTokens.put(token);
    await oneTimeTokens.revokeAccount(accountId);
    await oneTimeTokens.revokeAccount(accountId);
    for (const { purpose, hash } of tokens) {
      expect(await oneTimeTokens.consume(purpose, hash, NOW)).toBeNull();
    }
    expect(await oneTimeTokens.consume(beside.purpose, beside.hash, NOW)).toEqual(beside);
  });
}
