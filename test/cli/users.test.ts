/** `portcullis users`: every command, what it refuses, and what it ends, on both stores. */
import { beforeAll, describe, expect, test } from '@jest/globals';
import { PassThrough, Readable } from 'node:stream';

import { accountSubject, createLockout, MAX_FAILURES } from '../../src/accounts/lockout.ts';
import { createPasswordHasher } from '../../src/accounts/passwords.ts';
import { createNameSide } from '../../src/names.ts';
import type { Account } from '../../src/storage/port.ts';
import { useInstallation } from '../support/installation.ts';
import { describeOnBothStores } from '../support/server.ts';
import { documentOf, environmentOf, portcullis } from './run.ts';
import type { Ran } from './run.ts';

const PASSWORD = 'a fine long passphrase';
const OTHER = 'another fine passphrase';
const hasher = createPasswordHasher();
const now = (): number => Math.floor(Date.now() / 1000);

describeOnBothStores('users', (store) => {
  const installation = useInstallation(store);
  let count = 0;

  const cliWith = (
    { env = {}, stdin }: { env?: Record<string, string>; stdin?: Readable & { isTTY?: boolean } },
    ...argv: readonly string[]
  ): Promise<Ran> =>
    portcullis(argv, {
      cwd: installation().folder,
      env: { ...environmentOf(installation()), ...env },
      ...(stdin !== undefined && { stdin }),
    });
  const cli = (...argv: readonly string[]): Promise<Ran> =>
    cliWith({ env: { PORTCULLIS_PASSWORD: PASSWORD } }, 'users', ...argv);

  /** Creates one under a new name; gives its name. */
  const create = async (...options: readonly string[]): Promise<string> => {
    const name = `user-${(count += 1)}`;
    const ran = await cli('create', name, '--email', `${name}@example.com`, ...options);
    expect(ran).toEqual({ out: `${name}: created.\n`, err: '', code: 0 });
    return name;
  };
  const show = async (login: string): Promise<Record<string, unknown>> =>
    documentOf(await cli('show', login));
  const stored = async (name: string): Promise<Account> => {
    const account = await installation().storage.accounts.findByUsername(name);
    if (account === null) throw new Error(`${name} is not stored`);
    return account;
  };
  const isPassword = async (name: string, password: string): Promise<boolean> =>
    (await hasher.verify(password, (await stored(name)).passwordHash)).isRight;

  /** A refusal is a sentence on standard error, nothing on standard output, and exit code 1. */
  const expectRefusal = ({ out, err, code }: Ran, sentence: RegExp): void => {
    expect([code, out]).toEqual([1, '']);
    expect(err).toMatch(sentence);
  };

  /** A session and a mailed link of the account, and what is left of them. */
  const giveSession = async (accountId: string): Promise<() => Promise<readonly boolean[]>> => {
    const { artifacts, oneTimeTokens } = installation().storage;
    const expiresAt = now() + 600;
    await artifacts.upsert({ model: 'Session', id: `s-${accountId}`, payload: {}, expiresAt, accountId });
    const link = { purpose: 'reset-password', hash: `h-${accountId}`, email: 'a@b.example' } as const;
    await oneTimeTokens.put({ ...link, accountId, expiresAt });
    return async () => [
      (await artifacts.find('Session', `s-${accountId}`, now())) !== null,
      (await oneTimeTokens.find('reset-password', link.hash, now())) !== null,
    ];
  };

  test('an empty store says how to make the first administrator', async () => {
    expect(await cli('list')).toEqual({
      out: 'There are none. Make the first one by: portcullis users create NAME --email ADDRESS --role admin\n',
      err: '',
      code: 0,
    });
  });

  describe('with an administrator', () => {
    beforeAll(async () => {
      expect((await cli('create', 'root', '--email', 'root@example.com', '--role', 'admin')).code).toBe(0);
    });

    test('create makes a user who signs in by that password, and show tells all but how', async () => {
      const name = await create('--full-name', 'Ada L.', '--roles', 'vpn-node=manager', '--email-verified');
      expect(await isPassword(name, PASSWORD)).toBe(true);
      const shown = await show(name);
      expect(shown).toEqual({
        id: (await stored(name)).id,
        username: name,
        email: `${name}@example.com`,
        email_verified: true,
        full_name: 'Ada L.',
        role: 'user',
        roles: { 'vpn-node': 'manager' },
        disabled: false,
        has_password: true,
        created_at: expect.any(String),
        updated_at: expect.any(String),
        password_changed_at: expect.any(String),
        locked_until: null,
      });
      expect(await show(`${name}@EXAMPLE.com`)).toEqual(shown);
      expect(await show(name.toUpperCase())).toEqual(shown);
      for (const { out, err } of [await cli('list'), await cli('list', '--json'), await cli('show', name)])
        expect(out + err).not.toMatch(/argon2|hash|passphrase/i);
    });

    test('update changes what it names and keeps the rest', async () => {
      const name = await create('--full-name', 'Ada', '--email-verified', '--roles', 'vpn-node=basic');
      const before = await show(name);
      expect(await cli('update', name, '--role', 'developer', '--full-name', '')).toEqual({
        out: `${name}: updated.\n`,
        err: '',
        code: 0,
      });
      const changed = { role: 'developer', full_name: null, updated_at: expect.any(String) };
      expect(await show(name)).toEqual({ ...before, ...changed });
      await cli('update', name, '--email', `new-${name}@example.com`, '--no-roles');
      expect(await show(name)).toMatchObject({
        email: `new-${name}@example.com`,
        email_verified: false,
        roles: {},
        role: 'developer',
      });
      await cli('update', name, '--email-verified', '--roles', 'vpn-node=admin');
      expect(await show(name)).toMatchObject({ email_verified: true, roles: { 'vpn-node': 'admin' } });
      expect((await cli('update', name, '--role', 'developer')).out).toBe(`${name}: unchanged.\n`);
    });

    test('list gives a page at a time, in the order of names', async () => {
      const names = [await create(), await create(), await create()];
      const all = documentOf(await cli('list', '--limit', '200', '--json'))['items'] as {
        username: string;
      }[];
      const listed = all.map(({ username }) => username);
      expect(listed).toEqual(listed.toSorted());
      expect(listed).toEqual(expect.arrayContaining(names));
      const { out, err } = await cli('list', '--limit', '1');
      expect(out).toMatch(/^USERNAME +EMAIL +ROLE +STATUS +NAME\nroot +root@example.com +admin +active\n$/);
      expect(err).toBe('More follow: add --after root\n');
      expect((await cli('list', '--limit', '1', '--after', 'root')).out).toContain('user-1');
    });

    test('lock, reset-password and delete end every session and every mailed link', async () => {
      for (const argv of [['lock'], ['reset-password'], ['delete']]) {
        const name = await create();
        const left = await giveSession((await stored(name)).id);
        expect(await left()).toEqual([true, true]);
        const env = { PORTCULLIS_PASSWORD: OTHER };
        expect((await cliWith({ env }, 'users', ...argv, name)).err).toBe('');
        expect(await left()).toEqual([false, false]);
      }
    });

    test('lock keeps them out, and unlock lets them in again', async () => {
      const name = await create();
      expect((await cli('lock', name)).out).toBe(`${name}: locked.\n`);
      expect(await show(name)).toMatchObject({ disabled: true });
      expect((await cli('unlock', name)).out).toBe(`${name}: unlocked.\n`);
      expect(await show(name)).toMatchObject({ disabled: false });
    });

    test('unlock lifts a lock by wrong passwords, which show tells', async () => {
      const name = await create();
      const subject = accountSubject((await stored(name)).id);
      const lockout = createLockout({ counters: installation().storage.counters, now });
      for (let i = 1; i <= MAX_FAILURES; i += 1) {
        const admission = await lockout.admit(subject);
        if (admission.ok) await lockout.failed(admission);
      }
      expect(await show(name)).toMatchObject({ disabled: false, locked_until: expect.stringMatching(/Z$/) });
      await cli('unlock', name);
      expect(await show(name)).toMatchObject({ locked_until: null });
      expect(await lockout.admit(subject)).toMatchObject({ ok: true, attempt: 1 });
    });

    test('reset-password sets it by the rules for everybody', async () => {
      const name = await create();
      const reset = (password: string): Promise<Ran> =>
        cliWith({ env: { PORTCULLIS_PASSWORD: password } }, 'users', 'reset-password', name);
      expectRefusal(await reset('short'), /^password: A password has at least 8 characters\.\n$/);
      expectRefusal(await reset(PASSWORD), /^password: That is one of your last three/);
      expect(await reset(OTHER)).toEqual({ out: `${name}: password set.\n`, err: '', code: 0 });
      expect([await isPassword(name, PASSWORD), await isPassword(name, OTHER)]).toEqual([false, true]);
    });

    test('delete ends a name for ever', async () => {
      const name = await create();
      expect(await cli('delete', name)).toEqual({ out: `Deleted the user ${name}.\n`, err: '', code: 0 });
      expectRefusal(await cli('delete', name), new RegExp(`^There is no user "${name}"\\.\n$`));
      expectRefusal(
        await cli('create', name.toUpperCase(), '--email', `${name}@example.com`),
        /^username: it is, or was, the name of somebody/,
      );
    });

    test('refuses whoever is not there', async () => {
      const sentence = /^There is no user "absent"\.\n$/;
      for (const verb of ['show', 'delete', 'lock', 'unlock', 'reset-password'])
        expectRefusal(await cli(verb, 'absent'), sentence);
      expectRefusal(await cli('update', 'absent', '--role', 'guest'), sentence);
    });

    test('create refuses what is taken or wrong, each fault by its option, before it asks for a password', async () => {
      const name = await create();
      const [email, free] = [`${name}@example.com`, 'free@example.com'];
      await createNameSide(installation().storage.names, 'service', []).claim('billing');
      const refusals: readonly (readonly [readonly string[], RegExp])[] = [
        [[name.toUpperCase(), '--email', free], /^username: there is a user of this name already/],
        [['fresh', '--email', email.toUpperCase()], /^--email: another user has this address\n$/],
        [['Billing', '--email', free], /^username: it is, or was, the name of somebody or something/],
        [['p0rtcullis', '--email', free], /^username: a name that is kept, or looks like one/],
        [['a b', '--email', 'x'], /^username: 2 to 64 letters.*\n--email: one plain address/],
        [['fresh', '--email', free, '--full-name', 'a\u202Eb'], /^--full-name: /],
        [['fresh', '--email', free, '--roles', 'vpn-node=king'], /^--roles vpn-node: one of basic, man/],
        [['fresh', '--email', free, '--roles', 'nowhere=king'], /^--roles nowhere: there is no such aud/],
        [['fresh', '--email', free, '--roles', 'portcullis=admin'], /^--roles: say the role on portc/],
      ];
      for (const [argv, sentence] of refusals)
        expectRefusal(await cliWith({}, 'users', 'create', ...argv), sentence);
      expect(await installation().storage.accounts.findByUsername('fresh')).toBeNull();
      expectRefusal(await cli('update', name, '--email', 'root@example.com'), /^--email: another user has/);
    });

    test('the last active administrator is neither deleted nor locked nor given another role', async () => {
      for (const argv of [
        ['delete', 'root'],
        ['lock', 'root'],
        ['update', 'root', '--role', 'user'],
      ])
        expectRefusal(await cli(...argv), /^"root" is the last active administrator: make another one first/);
      expect(await show('root')).toMatchObject({ role: 'admin', disabled: false });
      const second = await create('--role', 'admin');
      expect((await cli('update', 'root', '--role', 'user')).code).toBe(0);
      expectRefusal(await cli('lock', second), /last active administrator/);
      await cli('update', 'root', '--role', 'admin');
      expect((await cli('delete', second)).code).toBe(0);
    });

    test('of two administrators who are taken at once, one stays', async () => {
      for (const verb of ['lock', 'delete', 'lock']) {
        const name = await create('--role', 'admin');
        await Promise.all([cli(verb, name), cli('lock', 'root')]);
        const admins = (await installation().storage.accounts.list({ limit: 200 })).items.filter(
          ({ roles, status }) => roles['portcullis'] === 'admin' && status === 'active',
        );
        expect(admins.length).toBeGreaterThan(0);
        await cli('unlock', 'root');
        await cli('delete', name);
      }
    });

    test('--json prints one document and nothing else', async () => {
      const runs: readonly (readonly [string[], object])[] = [
        [['create', 'json', '--email', 'json@example.com'], { username: 'json', done: 'created' }],
        [['show', 'json'], { username: 'json', locked_until: null }],
        [['update', 'json', '--role', 'guest'], { role: 'guest', done: 'updated' }],
        [['lock', 'json'], { disabled: true, done: 'locked' }],
        [['unlock', 'json'], { disabled: false, done: 'unlocked' }],
        [['list'], { items: expect.any(Array) }],
        [['delete', 'json'], { deleted: 'json' }],
      ];
      for (const [argv, expected] of runs) {
        const ran = await cli(...argv, '--json');
        expect([ran.code, ran.err]).toEqual([0, '']);
        expect(documentOf(ran)).toMatchObject(expected);
      }
      const refused = await cli('create', 'x', '--email', 'x', '--json');
      const message = refused.err.trimEnd();
      expect(documentOf(refused)).toEqual({ error: { code: 'invalid_request', message } });
    });

    describe('the password', () => {
      let name = '';
      const reset = (given: Parameters<typeof cliWith>[0]): Promise<Ran> =>
        cliWith(given, 'users', 'reset-password', name);
      const terminal = (...typed: readonly string[]): PassThrough => {
        const stream = Object.assign(new PassThrough(), { isTTY: true });
        for (const text of typed) stream.write(text);
        return stream;
      };

      test('comes from standard input, with or without its line end', async () => {
        for (const [index, end] of ['', '\n', '\r\n'].entries()) {
          name = await create();
          const password = ` ${OTHER} ${index} `;
          expect((await reset({ stdin: Readable.from([Buffer.from(password + end)]) })).code).toBe(0);
          expect(await isPassword(name, password)).toBe(true);
        }
      });

      test('is asked for twice in a terminal, which shows none of it', async () => {
        name = await create();
        const ran = await reset({ stdin: terminal(`${OTHER}\r`, `${OTHER}\r`) });
        const expected = { out: `${name}: password set.\n`, err: 'Password: \nOnce more: \n', code: 0 };
        expect(ran).toEqual(expected);
        expect(await isPassword(name, OTHER)).toBe(true);
      });

      test('is refused where there is none, or two', async () => {
        name = await create();
        const refusals: readonly (readonly [Parameters<typeof cliWith>[0], RegExp])[] = [
          [{}, /^No password was given: set PORTCULLIS_PASSWORD, write it to standard input/],
          [{ env: { PORTCULLIS_PASSWORD: '' } }, /^No password was given/],
          [{ stdin: Readable.from([Buffer.from('one\ntwo\n')]) }, /more than one line/],
          [{ stdin: Readable.from([Buffer.from([0xff, 0xfe])]) }, /^Standard input is no password/],
          [{ stdin: Readable.from([Buffer.alloc(20_000, 'x')]) }, /^Standard input is no password/],
          [{ stdin: terminal(`${OTHER}\r`, 'x\r') }, /two different passwords, so nothing was changed/],
          [{ stdin: terminal('abc\u0003') }, /No password was given, so nothing was changed/],
          [{ stdin: terminal('\u0004') }, /No password was given, so nothing was changed/],
          [{ stdin: terminal('\r') }, /No password was given, so nothing was changed/],
        ];
        for (const [given, sentence] of refusals) expectRefusal(await reset(given), sentence);
        expect(await isPassword(name, PASSWORD)).toBe(true);
      });

      test('may come later', async () => {
        const ran = await cliWith(
          {},
          'users',
          'create',
          'later',
          '--email',
          'l@example.com',
          '--no-password',
        );
        expect([ran.code, ran.err]).toEqual([0, '']);
        expect(await show('later')).toMatchObject({ has_password: false, password_changed_at: null });
      });
    });

    test.each([
      ['no command', []],
      ['no name', ['show']],
      ['a password as an argument', ['create', 'x', 'secret', '--email', 'x@example.com']],
      ['a password as an option', ['create', 'x', '--email', 'x@example.com', '--password', 'secret']],
      ['no address', ['create', 'x']],
      ['an unknown role', ['create', 'x', '--email', 'x@example.com', '--role', 'king']],
      ['a role without its audience', ['update', 'x', '--roles', 'manager']],
      ['an update of nothing', ['update', 'x']],
      ['a limit of 201', ['list', '--limit', '201']],
      ['no file', ['import']],
    ])('%s is wrong usage', async (_name, argv) => {
      const { out, err, code } = await cli(...argv);
      expect([code, out]).toEqual([2, '']);
      expect(err).toMatch(/--help/);
    });

    test.each(['list', 'show', 'create', 'update', 'delete', 'lock', 'unlock', 'reset-password', 'import'])(
      '%s --help has an example',
      async (verb) => {
        const { out, code } = await cli(verb, '--help');
        expect(code).toBe(0);
        expect(out).toMatch(new RegExp(`Example:\n {2}portcullis users ${verb}`));
      },
    );
  });
});
