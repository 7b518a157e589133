/** `portcullis customers`, and customers in apply files: on the store itself, seen by a running server. */
import { beforeAll, describe, expect, test } from '@jest/globals';
import { randomUUID } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';

import { createClient } from '../support/clients.ts';
import { describeOnBothStores, useTestServer } from '../support/server.ts';
import { documentOf, environmentOf, portcullis } from './run.ts';
import type { Ran } from './run.ts';

const newName = (): string => `c-${randomUUID().slice(0, 8)}`;

describeOnBothStores('portcullis customers', (store) => {
  const server = useTestServer(store);
  let env: Readonly<Record<string, string>>;
  beforeAll(() => {
    env = environmentOf(server());
  });
  const run = (...argv: readonly string[]): Promise<Ran> =>
    portcullis(['customers', ...argv], { cwd: server().folder, env });
  const document = async (...argv: readonly string[]): Promise<Record<string, unknown>> =>
    documentOf(await run(...argv, '--json'));

  test('makes, shows, changes, lists and deletes a customer', async () => {
    const name = `Acme-${randomUUID().slice(0, 8)}`;
    const { id } = await createClient(server(), 'read');
    const created = await run(
      ...['create', name, '--customer-type', 'premium', '--company', 'Acme', '--client', id],
      ...['--additional-metadata', '{"region":"eu"}'],
    );
    expect(created).toEqual({ code: 0, err: '', out: `${name}: created.\n` });
    const shown = documentOf(await run('show', name.toLowerCase()));
    expect(shown).toMatchObject({ username: name, company: 'Acme', client: id, rate_limit: 1_000 });
    const changed = await document(
      'update',
      name,
      '--customer-type',
      'free',
      '--company',
      'none',
      '--client',
      'none',
    );
    expect(changed).toMatchObject({ customer_type: 'free', company: null, client: null, done: 'updated' });
    expect(changed['additional_metadata']).toEqual({ region: 'eu' });
    const cleared = await document('update', name, '--additional-metadata', 'none');
    expect(cleared['additional_metadata']).toEqual({});
    const table = await run('list', '--search', name.toLowerCase());
    expect(table.out).toMatch(new RegExp(`^USERNAME +TYPE +REQUESTS/HOUR.*\n${name} +free +100 +basic`));
    expect(await document('list', '--customer-type', 'free', '--search', name)).toEqual({
      items: [expect.objectContaining({ username: name })],
      next: null,
    });
    expect(await document('delete', name)).toEqual({ deleted: name });
    expect((await run('show', name)).code).toBe(1);
  });

  test('lists by pages, and says how to begin where there are none', async () => {
    const prefix = newName();
    expect((await run('list', '--search', prefix)).out).toContain(
      'There are none. Make one by: portcullis customers create',
    );
    for (const letter of ['A', 'b']) await run('create', prefix + letter, '--customer-type', 'free');
    const page = await run('list', '--search', prefix, '--limit', '1');
    expect(page.err).toBe(`More follow: add --after ${prefix}a\n`);
    const rest = await document('list', '--search', prefix, '--after', `${prefix}A`);
    expect(rest['items']).toEqual([expect.objectContaining({ username: `${prefix}b` })]);
  });

  test('ends tokens', async () => {
    const name = newName();
    await run('create', name, '--customer-type', 'free');
    expect((await run('revoke-tokens', name)).out).toBe(`${name}: tokens revoked.\n`);
    const records = await server().administration.audit.list({ limit: 9 }, { target: `customer:${name}` });
    expect(records.items.map(({ action, actor }) => [action, actor])).toEqual([
      ['customer.revoke_tokens', 'cli'],
      ['customer.create', 'cli'],
    ]);
  });

  test('refuses in the words of the command line', async () => {
    const name = newName();
    const refusal = async (...argv: readonly string[]) => {
      const { code, err, out } = await run(...argv);
      expect(out).toBe('');
      return [code, err];
    };
    expect(await refusal('create', name, '--customer-type', 'gold')).toEqual([
      1,
      '--customer-type: expected one of premium, standard, free, found "gold"\n',
    ]);
    const metadata = JSON.stringify({ a: 'x'.repeat(4_000) });
    expect(
      await refusal('create', name, '--customer-type', 'free', '--additional-metadata', metadata),
    ).toEqual([
      1,
      expect.stringMatching(
        /^--additional-metadata: the whole token would have \d+ bytes, and may have 4096/,
      ),
    ]);
    expect(await refusal('create', name, '--customer-type', 'free', '--account', 'nobody')).toEqual([
      1,
      '--account: there is no user "nobody"\n',
    ]);
    expect(await refusal('create', 'a/b', '--customer-type', 'free')).toEqual([
      1,
      expect.stringContaining('username: 1 to 64'),
    ]);
    expect(await refusal('create', name, '--customer-type', 'free', '--additional-metadata', '{')).toEqual([
      2,
      expect.stringContaining('found no JSON'),
    ]);
    expect(await refusal('create', name)).toEqual([2, expect.stringContaining('--customer-type')]);
    expect(await refusal('update', name, '--company', 'x')).toEqual([1, `There is no customer "${name}".\n`]);
    expect(await refusal('update', name)).toEqual([2, expect.stringContaining('nothing to change')]);
    await run('create', name, '--customer-type', 'free');
    expect(await refusal('create', name.toUpperCase(), '--customer-type', 'free')).toEqual([
      1,
      expect.stringContaining('There is a customer'),
    ]);
  });

  describe('in an apply file', () => {
    const apply = async (file: object, ...options: readonly string[]): Promise<Ran> => {
      writeFileSync(join(server().folder, 'apply.json'), JSON.stringify(file, null, 1));
      return portcullis(['apply', 'apply.json', ...options], { cwd: server().folder, env });
    };
    const show = async (name: string) => documentOf(await run('show', name));

    test('are made as it says, with the accounts and clients beside them, and once', async () => {
      const [one, two, user, client] = [newName(), newName(), `u-${newName()}`, `app-${newName()}`];
      const file = {
        users: [{ username: user, email: `${user}@example.com` }],
        clients: [{ client_id: client, scope: 'customer' }],
        customers: [
          { username: one, customer_type: 'premium', account: user, additional_metadata: { a: [1] } },
          { username: two, customer_type: 'free', client },
        ],
      };
      const dry = await apply(file, '--dry-run');
      expect(dry.code).toBe(0);
      expect((await run('show', one)).code).toBe(1);
      expect((await apply(file)).code).toBe(0);
      expect(await show(one)).toMatchObject({ account: user, additional_metadata: { a: [1] } });
      expect(await show(two)).toMatchObject({ client });
      const again = documentOf(await apply(file, '--json'))['items'] as readonly {
        section: string;
        action: string;
      }[];
      expect(again.filter(({ section }) => section === 'customers').map(({ action }) => action)).toEqual([
        'none',
        'none',
      ]);
    });

    test('lose what it does not say, and hand a tie over to another one', async () => {
      const [one, two] = [newName(), newName()];
      const { id } = await createClient(server(), 'read');
      const first = { username: one, customer_type: 'free', client: id, company: 'X' };
      expect((await apply({ customers: [first] })).code).toBe(0);
      const moved = {
        customers: [
          { username: two, customer_type: 'free', client: id },
          { username: one, customer_type: 'free' },
        ],
      };
      expect((await apply(moved)).code).toBe(0);
      expect(await show(one)).toMatchObject({ client: null, company: null });
      expect(await show(two)).toMatchObject({ client: id });
      const taken = await apply({ customers: [first] });
      expect([taken.code, taken.err]).toEqual([
        1,
        expect.stringContaining(`client: the customer "${two}" is tied to it`),
      ]);
    });

    test('change nothing where one of them is wrong, which is told with its path and line', async () => {
      const name = newName();
      const good = { username: name, customer_type: 'free' };
      const bad: readonly (readonly [object, string])[] = [
        [{ username: newName(), customer_type: 'gold' }, 'customers[1]'],
        [{ username: newName(), customer_type: 'free', tier: 'x' }, 'customers[1].tier'],
        [
          { username: newName(), customer_type: 'free', additional_metadata: { email: 1 } },
          'customers[1].additional_metadata.email',
        ],
        [{ username: name.toUpperCase(), customer_type: 'free' }, 'customers[1]'],
        [{ username: newName(), customer_type: 'free', account: 'nobody' }, 'customers[1]'],
      ];
      for (const [item, path] of bad) {
        const ran = await apply({ customers: [good, item] });
        expect([path, ran.code, ran.err]).toEqual([path, 1, expect.stringContaining(path)]);
      }
      const { id } = await createClient(server(), 'read');
      const both = [
        { ...good, client: id },
        { username: newName(), customer_type: 'free', client: id },
      ];
      expect((await apply({ customers: both })).err).toContain('is the client of customers[0] already');
      expect((await run('show', name)).code).toBe(1);
    });
  });
});
