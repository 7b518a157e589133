/** `portcullis api-keys`: every command, and what it refuses, on both stores. */
import { beforeAll, describe, expect, test } from '@jest/globals';

import { digestOf } from '../../src/apikeys/format.ts';
import { useInstallation } from '../support/installation.ts';
import { describeOnBothStores } from '../support/server.ts';
import { documentOf, environmentOf, portcullis } from './run.ts';
import type { Ran } from './run.ts';

const KEY_ID = /^[0-9A-Za-z]{19}$/;
const SECRET = /^pcl_[0-9A-Za-z]{49}$/;

describeOnBothStores('api-keys', (store) => {
  const installation = useInstallation(store);
  const run = (...argv: readonly string[]): Promise<Ran> =>
    portcullis(argv, { cwd: installation().folder, env: environmentOf(installation()) });
  const cli = (...argv: readonly string[]): Promise<Ran> => run('api-keys', ...argv);
  const json = async (...argv: readonly string[]): Promise<Record<string, unknown>> =>
    documentOf(await cli(...argv, '--json'));
  const make = async (user: string, ...options: readonly string[]) => {
    const made = await json('create', 'a key', '--user', user, ...options);
    return { id: String(made['key_id']), secret: String(made['secret']) };
  };
  const stored = async (id: string) => installation().storage.apiKeys.find(id);

  beforeAll(async () => {
    await run('users', 'create', 'ci-bot', '--role', 'service_account');
    await run('users', 'create', 'ada', '--email', 'ada@example.com', '--no-password');
    await run('users', 'create', 'root-ish', '--email', 'r@example.com', '--role', 'admin', '--no-password');
  });

  test('a store without any says how to make one', async () => {
    const { out, code } = await cli('list');
    expect([code, out]).toEqual([
      0,
      'There are none. Make one by: portcullis api-keys create NAME --user USER\n',
    ]);
  });

  describe('create', () => {
    test('tells the key once, and keeps its digest', async () => {
      const { out, err, code } = await cli('create', 'Nightly build', '--user', 'ci-bot');
      expect([err, code]).toEqual(['', 0]);
      const told =
        /^(\w+) \(Nightly build, of ci-bot\): created\.\nsecret: (\S+)\nIt is shown this once: only its digest is kept\.\n$/;
      const [, id = '', secret = ''] = told.exec(out) ?? [];
      expect(id).toMatch(KEY_ID);
      expect(secret).toMatch(SECRET);
      expect(await stored(id)).toMatchObject({
        name: 'Nightly build',
        scopes: ['profile:read'],
        secrets: [{ hash: digestOf(secret), expiresAt: null }],
        rateLimit: null,
        expiresAt: null,
      });
      expect(JSON.stringify(await stored(id))).not.toContain(secret);
    });

    test('--json prints one document', async () => {
      const made = await json(
        ...['create', 'Build', '--user', 'ADA@example.com', '--scope', 'profile:read sessions:read'],
        ...['--rate-limit', '500', '--expires-at', '2027-01-31T00:00:00+01:00'],
      );
      expect(made).toEqual({
        key_id: expect.stringMatching(KEY_ID),
        name: 'Build',
        scopes: ['profile:read', 'sessions:read'],
        rate_limit: 500,
        created_at: expect.any(String),
        expires_at: '2027-01-30T23:00:00.000Z',
        expired: false,
        last_used_at: null,
        previous_secret_until: null,
        user: 'ada',
        secret: expect.stringMatching(SECRET),
        done: 'created',
      });
    });

    test.each([
      ['nobody’s', ['--user', 'nobody'], 'There is no user "nobody".'],
      ['a permission that there is none of', ['--scope', 'profile:burn'], '--scope: one of profile:read'],
      [
        'what the owner may not',
        ['--scope', 'admin:users:read'],
        '--scope: the owner of the key may not do this: admin:users:read',
      ],
      ['a past end', ['--expires-at', '2020-01-01T00:00:00Z'], '--expires-at: a time to come'],
      ['an end that is no time', ['--expires-at', 'tomorrow'], '--expires-at: a time such as 2027-01-31'],
    ])('refuses %s', async (_name, options, sentence) => {
      const { out, err, code } = await cli('create', 'a key', '--user', 'ada', ...options);
      expect([code, out]).toEqual([1, '']);
      expect(err).toContain(sentence);
    });

    test('refuses a name with a line feed, as one JSON document where that is asked for', async () => {
      const { out, code } = await cli('create', 'a\nb', '--user', 'ada', '--json');
      expect(code).toBe(1);
      expect(JSON.parse(out)).toEqual({
        error: { code: 'invalid_request', message: 'name: a name without control characters' },
      });
    });

    test.each([
      [['create', 'x']],
      [['create', '--user', 'ada']],
      [['create', 'x', '--user', 'ada', '--rate-limit', '0']],
    ])('calls %j wrong usage', async (argv) => {
      expect((await cli(...argv)).code).toBe(2);
    });

    test('gives an administrator’s key of administration what is named', async () => {
      const { id } = await make('root-ish', '--scope', 'admin:stats:read');
      expect(await stored(id)).toMatchObject({ scopes: ['admin:stats:read'] });
    });
  });

  test('list shows those of all or of one, a page at a time', async () => {
    await run('users', 'create', 'lister', '--role', 'service_account');
    const ids = [];
    for (let number = 0; number < 3; number += 1) ids.push((await make('lister')).id);
    const shown: string[] = [];
    for (let after: readonly string[] | null = []; after !== null;) {
      const page = await json('list', '--user', 'lister', '--limit', '2', ...after);
      shown.push(...(page['items'] as { key_id: string }[]).map(({ key_id: id }) => id));
      after = typeof page['next'] === 'string' ? ['--after', page['next']] : null;
    }
    expect(shown.toSorted()).toEqual(ids.toSorted());
    const { out } = await cli('list', '--user', 'lister');
    expect(out).toMatch(/^ID +USER +NAME +SCOPE +EXPIRES +LAST USED\n/);
    expect(out.match(/lister +a key +profile:read +never/g)).toHaveLength(3);
    const all = (await json('list'))['items'] as readonly { user: string }[];
    expect(new Set(all.map(({ user }) => user))).toEqual(new Set(['ci-bot', 'ada', 'root-ish', 'lister']));
    expect((await cli('list', '--user', 'nobody')).code).toBe(1);
  });

  test('show, update, rotate and delete take the id, and the owner beside it', async () => {
    const { id, secret } = await make('ci-bot');
    expect(documentOf(await cli('show', id))).toMatchObject({ key_id: id, user: 'ci-bot' });
    expect((await cli('show', id)).out).not.toContain(secret);
    const other = await cli('show', id, '--user', 'ada');
    expect([other.code, other.err]).toEqual([1, `"ada" has no API key "${id}".\n`]);
    for (const verb of [['update', '--name', 'x'], ['rotate'], ['delete']]) {
      const [name = '', ...options] = verb;
      expect((await cli(name, id, '--user', 'ada', ...options)).code).toBe(1);
      const unknown = await cli(name, 'unknown', ...options);
      expect([unknown.code, unknown.err]).toEqual([1, 'There is no API key "unknown".\n']);
    }

    const options = ['--name', 'renamed', '--rate-limit', '7', '--scope', ''];
    expect((await cli('update', id, '--user', 'ci-bot', ...options)).out).toBe(
      `${id} (renamed, of ci-bot): updated.\n`,
    );
    expect(await stored(id)).toMatchObject({ name: 'renamed', rateLimit: 7, scopes: [] });
    expect(await cli('update', id, '--rate-limit', 'none', '--expires-at', 'never')).toMatchObject({
      err: '',
    });
    expect(await stored(id)).toMatchObject({ name: 'renamed', rateLimit: null, expiresAt: null });
    expect((await cli('update', id)).code).toBe(2);

    const next = await json('rotate', id, '--overlap', '60');
    expect(next).toMatchObject({ done: 'rotated', secret: expect.stringMatching(SECRET) });
    expect((await stored(id))?.secrets.map(({ hash }) => hash)).toEqual([
      digestOf(String(next['secret'])),
      digestOf(secret),
    ]);
    expect((await cli('rotate', id, '--overlap', String(31 * 86_400))).code).toBe(2);

    expect((await cli('delete', id)).out).toBe(`Deleted the API key ${id}.\n`);
    expect(await stored(id)).toBeNull();
    expect((await cli('delete', id)).code).toBe(1);
  });

  test('a key that a deletion which was cut left over is shown, and deleted', async () => {
    const ids = [];
    for (const user of ['left', 'staying']) {
      await run('users', 'create', user, '--role', 'service_account');
      ids.push((await make(user)).id);
    }
    const [left = '', staying = ''] = ids;
    const { accounts } = installation().storage;
    await accounts.delete((await accounts.findByUsername('left'))?.id ?? '');
    const { out, err, code } = await cli('list', '--limit', '200');
    expect([err, code]).toEqual(['', 0]);
    expect(out).toMatch(new RegExp(`^${left} +\\(deleted\\) +a key `, 'm'));
    expect(out).toMatch(new RegExp(`^${staying} +staying +a key `, 'm'));
    expect(documentOf(await cli('show', left))).toMatchObject({ key_id: left, user: '(deleted)' });
    expect((await cli('rotate', left)).err).toBe(
      `The owner of the API key "${left}" is deleted, and nobody can use it: portcullis api-keys delete ${left}\n`,
    );
    expect((await cli('delete', left, '--user', 'staying')).code).toBe(1);
    expect((await cli('delete', left)).out).toBe(`Deleted the API key ${left}.\n`);
    expect(await stored(left)).toBeNull();
    await cli('delete', staying);
  });

  test('each change is in the audit log, without a secret', async () => {
    const { id, secret } = await make('ci-bot');
    await cli('update', id, '--name', 'other');
    await cli('rotate', id);
    await cli('delete', id);
    const { items } = await installation().storage.audit.list({ limit: 4 }, {}, 'newest');
    expect(items.map(({ action, actor }) => [action, actor])).toEqual(
      ['delete', 'rotate', 'update', 'create'].map((verb) => [`api_key.${verb}`, 'cli']),
    );
    expect(items[2]).toMatchObject({
      target: `api-key:${id}`,
      details: { before: { name: 'a key' }, after: { name: 'other' } },
    });
    expect(JSON.stringify(items)).not.toContain(secret);
  });

  test.each(['list', 'show', 'create', 'update', 'rotate', 'delete'])(
    '%s --help has an example',
    async (verb) => {
      const { out, code } = await cli(verb, '--help');
      expect([code, out]).toEqual([0, expect.stringContaining(`Example:\n  portcullis api-keys ${verb}`)]);
    },
  );

  describe('users of the role service_account', () => {
    test('have no password, need no address, and nobody is asked for one', async () => {
      const made = await run('users', 'create', 'deploy', '--role', 'service_account');
      expect(made).toEqual({ out: 'deploy: created.\n', err: '', code: 0 });
      expect(documentOf(await run('users', 'show', 'deploy'))).toMatchObject({
        role: 'service_account',
        email: 'deploy@service.invalid',
        has_password: false,
      });
      const own = await run(
        'users',
        'create',
        'mailed',
        '--role',
        'service_account',
        '--email',
        'ops@example.com',
      );
      expect(own.code).toBe(0);
      expect((await run('users', 'create', 'nobody')).code).toBe(2);
    });

    test('get none', async () => {
      const env = { ...environmentOf(installation()), PORTCULLIS_PASSWORD: 'a fine long passphrase' };
      const reset = await portcullis(['users', 'reset-password', 'ci-bot'], {
        cwd: installation().folder,
        env,
      });
      expect([reset.code, reset.err]).toEqual([
        1,
        'A service account has no password: give it API keys, or a client.\n',
      ]);
      const account = await installation().storage.accounts.findByUsername('ci-bot');
      expect(account?.passwordHash).toBeNull();
    });

    test('lose theirs when they become one, and have to set a new one when they are one no more', async () => {
      const env = { ...environmentOf(installation()), PORTCULLIS_PASSWORD: 'a fine long passphrase' };
      const create = ['users', 'create', 'grace', '--email', 'grace@example.com'];
      await portcullis(create, { cwd: installation().folder, env });
      const { id } = await make('grace');
      const find = () => installation().storage.accounts.findByUsername('grace');
      expect((await find())?.passwordHash).not.toBeNull();
      expect((await run('users', 'update', 'grace', '--role', 'service_account')).code).toBe(0);
      expect(await find()).toMatchObject({
        passwordHash: null,
        passwordHistory: [],
        passwordChangedAt: null,
      });
      expect(await stored(id)).toBeNull();
      const kept = await make('grace');
      expect((await run('users', 'update', 'grace', '--full-name', 'Grace')).code).toBe(0);
      expect((await run('users', 'update', 'grace', '--role', 'user')).code).toBe(0);
      expect(await find()).toMatchObject({ passwordHash: null });
      expect(await stored(kept.id)).not.toBeNull();
    });
  });
});
