/** Users from files, on both stores: `portcullis users import`, and the `users` of apply files. */
import { beforeAll, describe, expect, test } from '@jest/globals';
import bcrypt from 'bcryptjs';
import { pbkdf2Sync, scryptSync } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';

import { createPasswordHasher } from '../../src/accounts/passwords.ts';
import type { Account } from '../../src/storage/port.ts';
import { useInstallation } from '../support/installation.ts';
import { describeOnBothStores } from '../support/server.ts';
import { documentOf, environmentOf, portcullis } from './run.ts';
import type { Ran } from './run.ts';

const PASSWORD = 'a fine long passphrase';
const hasher = createPasswordHasher();

const unpadded = (bytes: Buffer): string => bytes.toString('base64').replace(/=+$/, '');
const HASHES: Readonly<Record<string, string>> = {
  bcrypt: bcrypt.hashSync(PASSWORD, 4),
  django: `pbkdf2_sha256$1000$salt$${pbkdf2Sync(PASSWORD, 'salt', 1_000, 32, 'sha256').toString('base64')}`,
  scrypt: `$scrypt$ln=4,r=8,p=1$${unpadded(Buffer.from('salt'))}$${unpadded(scryptSync(PASSWORD, 'salt', 32, { N: 16, r: 8, p: 1 }))}`,
};

describeOnBothStores('users of a file', (store) => {
  const installation = useInstallation(store);

  const cli = (argv: readonly string[], env: Record<string, string> = {}): Promise<Ran> =>
    portcullis(argv, {
      cwd: installation().folder,
      env: { ...environmentOf(installation()), ...env },
    });
  const write = (name: string, content: string | Buffer): void =>
    writeFileSync(join(installation().folder, name), content);
  const stored = (name: string): Promise<Account | null> =>
    installation().storage.accounts.findByUsername(name);

  describe('import', () => {
    const importLines = (
      lines: readonly (string | object)[],
      ...options: readonly string[]
    ): Promise<Ran> => {
      write('p.ndjson', lines.map((it) => (typeof it === 'string' ? it : JSON.stringify(it))).join('\n'));
      return cli(['users', 'import', 'p.ndjson', ...options]);
    };

    test.each(Object.keys(HASHES))('takes the hash of %s, and its password is right', async (kind) => {
      const user = { username: kind, email: `${kind}@example.com`, password_hash: HASHES[kind] };
      expect(await importLines([user])).toEqual({ out: '1 read, 1 created, 0 refused.\n', err: '', code: 0 });
      const { passwordHash = null } = (await stored(kind)) ?? {};
      expect(await hasher.verify(PASSWORD, passwordHash)).toMatchObject({ isRight: true, isOutdated: true });
    });

    test('takes every field, blank lines, CRLF, a byte order mark and a last line without an end', async () => {
      const full = {
        ...{ username: 'Full', email: 'Full@example.com', email_verified: true, full_name: 'F. Ull' },
        ...{ password: PASSWORD, role: 'developer', roles: { 'vpn-node': 'manager' }, disabled: true },
      };
      const ran = await importLines([
        `\uFEFF${JSON.stringify(full)}\r`,
        '',
        ' \r',
        '{"username":"bare","email":"bare@example.com"}',
      ]);
      expect(ran).toEqual({ out: '2 read, 2 created, 0 refused.\n', err: '', code: 0 });
      expect(await stored('full')).toMatchObject({
        ...{ email: 'Full@example.com', isEmailVerified: true, fullName: 'F. Ull', status: 'disabled' },
        roles: { portcullis: 'developer', 'vpn-node': 'manager' },
      });
      expect(await stored('bare')).toMatchObject({ passwordHash: null, roles: { portcullis: 'user' } });
    });

    test('tells each refused line with its number and every reason, and goes on', async () => {
      const lines = [
        { username: 'one', email: 'one@example.com' },
        '{"username": "x", "password": "hunter2"',
        '[1]',
        { username: 'a b', email: 'x', colour: 'red', role: 'king' },
        { username: 'ONE', email: 'other@example.com' },
        { username: 'two', email: 'ONE@example.com' },
        { username: 'two', email: 'two@example.com', password_hash: '$1$md5$hash', full_name: 3 },
        { username: 'two', email: 'two@example.com', password: 'short' },
        { username: 'two', email: 'two@example.com', password: PASSWORD, password_hash: HASHES['bcrypt'] },
        { username: 'two' },
        { username: 'two', email: 'two@example.com', roles: { nowhere: 'x', 'vpn-node': 'king' } },
        { username: 'two', email: 'two@example.com', full_name: 'x'.repeat(70_000) },
        '{"username": "two", "email": "two@example.com", "\\u001b[2J": 1}',
        { username: 'portcullis', email: 'p@example.com' },
        { username: 'last', email: 'last@example.com' },
      ];
      const { out, err, code } = await importLines(lines);
      expect([out, code]).toEqual(['15 read, 2 created, 13 refused.\n', 1]);
      expect(err.trimEnd().split('\n')).toEqual([
        expect.stringMatching(/^p\.ndjson:2: this line is no JSON: write one object/),
        'p.ndjson:3: expected a mapping of fields, found a list',
        expect.stringMatching(/^p\.ndjson:4: username: 2 to 64 letters/),
        expect.stringMatching(/^p\.ndjson:4: email: one plain address/),
        'p.ndjson:4: role: one of admin, user, developer, guest, service_account',
        'p.ndjson:4: colour: there is no such field',
        expect.stringMatching(/^p\.ndjson:5: username: there is a user of this name already/),
        'p.ndjson:6: email: another user has this address',
        expect.stringMatching(/^p\.ndjson:7: full_name: expected a text, found a number$/),
        expect.stringMatching(/^p\.ndjson:7: password_hash: no hash that can be checked/),
        'p.ndjson:8: password: A password has at least 8 characters.',
        'p.ndjson:9: password_hash: give a password or its hash, not both',
        'p.ndjson:10: email: a new user needs one',
        'p.ndjson:11: roles.nowhere: there is no such audience, or it has no roles',
        'p.ndjson:11: roles.vpn-node: one of basic, manager, admin',
        'p.ndjson:12: this line is too long',
        'p.ndjson:13: ?[2J: there is no such field',
        expect.stringMatching(/^p\.ndjson:14: username: a name that is kept/),
      ]);
      expect(err).not.toContain('hunter2');
      expect(await stored('two')).toBeNull();
      expect(await stored('last')).not.toBeNull();
    });

    test('of two lines with one name or address the first counts', async () => {
      const lines = ['twin', 'TWIN', 'twin'].map((username, i) => ({ username, email: `t${i}@example.com` }));
      const more = ['t7', 't8'].map((username) => ({ username, email: 'same@example.com' }));
      const { out, code } = await importLines([...lines, ...more]);
      expect([out, code]).toEqual(['5 read, 2 created, 3 refused.\n', 1]);
      expect([(await stored('twin'))?.email, await stored('t8')]).toEqual(['t0@example.com', null]);
    });

    test('--json gives the counts and the refusals as one document', async () => {
      const ran = await importLines([{ username: 'json', email: 'json@example.com' }, 'no'], '--json');
      const message = expect.stringMatching(/^this line is no JSON/);
      const refusals = [{ line: 2, errors: [{ path: '', message }] }];
      expect([ran.code, documentOf(ran)]).toEqual([1, { read: 2, created: 1, refused: 1, refusals }]);
    });

    test('shows how far it is, on standard error', async () => {
      const lines = Array.from({ length: 1_200 }, (_, i) => ({
        username: `many-${i}`,
        email: `m${i}@example.com`,
      }));
      const { out, err, code } = await importLines(lines);
      expect([out, code]).toEqual(['1200 read, 1200 created, 0 refused.\n', 0]);
      expect(err).toMatch(/^(\d+ read, \d+ created, 0 refused so far\.\n)+$/);
    }, 30_000);

    test('a file that is none is refused', async () => {
      for (const [file, sentence] of [
        ['absent', /^absent cannot be read \(there is no such file\)/],
        ['.', /^\. is a folder/],
      ] as const) {
        const { out, err, code } = await cli(['users', 'import', file]);
        expect([code, out]).toEqual([1, '']);
        expect(err).toMatch(sentence);
      }
      write('binary', Buffer.from([0xff, 0x0a]));
      expect((await cli(['users', 'import', 'binary'])).err).toMatch(/^binary:1: this line is no JSON/);
    });
  });

  describe('apply', () => {
    const apply = (text: string, env: Record<string, string> = {}, ...options: string[]): Promise<Ran> => {
      write('users.yaml', text);
      return cli(['apply', 'users.yaml', ...options], env);
    };
    const expectFaults = async (text: string, ...faults: readonly string[]): Promise<void> => {
      const { out, err, code } = await apply(text);
      expect([out, code]).toEqual(['', 1]);
      expect(err.split('\n').slice(0, -2)).toEqual(faults.map((it) => expect.stringContaining(it)));
      expect(err).toMatch(/Nothing was changed\.\n$/);
    };
    const FILE = `
resource_servers:
  - { identifier: https://api.example.com/x, audience: things, scopes: [r], roles: { reader: 1 }, default_role: reader }
users:
  - username: Chief
    email: chief@example.com
    email_verified: true
    password: { env: CHIEF_PASSWORD }
    role: admin
    roles: { vpn-node: manager, things: reader }
  - username: old
    email: old@example.com
    password_hash: '${HASHES['bcrypt'] ?? ''}'
`;

    beforeAll(async () => {
      const dry = await apply(FILE, { CHIEF_PASSWORD: PASSWORD }, '--dry-run');
      expect(dry.out).toMatch(/\+ users Chief\n\+ users old\nDry run: 3 created/);
      expect(await stored('chief')).toBeNull();
      const { out, err, code } = await apply(FILE, { CHIEF_PASSWORD: PASSWORD });
      expect([code, err]).toEqual([0, '']);
      expect(out).not.toContain(PASSWORD);
    });

    test('makes users with the roles of APIs of the same file, and the second time nothing', async () => {
      expect(await stored('chief')).toMatchObject({
        isEmailVerified: true,
        roles: { portcullis: 'admin', 'vpn-node': 'manager', things: 'reader' },
      });
      const again = await apply(FILE, { CHIEF_PASSWORD: PASSWORD });
      expect(again.out).toMatch(/= users Chief\n= users old\n0 created, 0 updated, 3 unchanged\.\n$/);
    });

    test('changes what it names and keeps the rest, the password among it', async () => {
      const before = await stored('old');
      const changed =
        'users: [{ username: OLD, full_name: Old, disabled: true, password: another fine passphrase }]';
      expect((await apply(changed)).out).toBe(
        '~ users OLD (full_name, disabled)\n0 created, 1 updated, 0 unchanged.\n',
      );
      expect(await stored('old')).toEqual({
        ...before,
        ...{ fullName: 'Old', status: 'disabled' },
        ...{ version: expect.any(Number), updatedAt: expect.any(Number) },
      });
      expect((await apply(changed)).out).toContain('= users OLD\n');
    });

    test('hands the administration on, whatever the order of the file', async () => {
      const people = (chief: string, next: string): string =>
        `users: [{ username: chief, role: ${chief} }, { username: next, email: n@example.com, role: ${next} }]`;
      expect((await apply(people('user', 'admin'))).out).toContain('+ users next\n~ users chief (role)\n');
      expect((await apply(people('admin', 'user'))).code).toBe(0);
      expect([
        (await stored('chief'))?.roles['portcullis'],
        (await stored('next'))?.roles['portcullis'],
      ]).toEqual(['admin', 'user']);
      await expectFaults(people('user', 'guest'), 'users[0]: "chief" is the last active administrator');
    });

    test('tells every fault by path and line and changes nothing', async () => {
      await expectFaults(
        [
          'users:',
          '  - { username: fresh, email: CHIEF@example.com }',
          '  - { username: fine, email: fine@example.com, password: short, roles: { nowhere: x } }',
          '  - { username: portcullis }',
        ].join('\n'),
        'users.yaml:2: users[0]: email: another user has this address',
        'users.yaml:3: users[1]: roles.nowhere: there is no such audience, or it has no roles; password: A password has',
        'users.yaml:4: users[2]: username: a name that is kept, or looks like one: choose another; email: a new user needs',
      );
      await expectFaults(
        [
          'users:',
          '  - username: a b',
          '    role: king',
          '    shoe: 43',
          '    password: { env: NOT_SET_ANYWHERE }',
        ].join('\n'),
        'users.yaml:5: users[0].password: the environment has no NOT_SET_ANYWHERE',
      );
      await expectFaults(
        'users:\n  - username: a b\n    role: king\n    shoe: 43',
        'users.yaml:2: users[0].username: 2 to 64',
        'users.yaml:3: users[0].role: one of admin',
        'users.yaml:4: users[0].shoe: there is no such field',
      );
      await expectFaults(
        'users:\n  - { username: u1, email: a@example.com }\n  - { username: u2, email: A@example.com }',
        'users.yaml:3: users[1].email: "A@example.com" is the email of users[0] already',
      );
      await expectFaults(
        'users:\n  - { username: u1, email: a@example.com }\n  - { username: U1, email: b@example.com }',
        'users.yaml:3: users[1]: "U1" stands already at users[0]',
      );
    });
  });
});
