/** `portcullis clients` and `portcullis vpn-nodes`: every command, option and refusal, on both stores. */
import { beforeAll, describe, expect, test } from '@jest/globals';
import { exportJWK, generateKeyPair } from 'jose';
import type { CryptoKey } from 'jose';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';

import { createNameSide } from '../../src/names.ts';
import { openStorage } from '../../src/storage/open.ts';
import { makeFolder } from '../config/load.ts';
import { assertion, assertionForm, basic, form } from '../support/clients.ts';
import { describeOnBothStores, useTestServer } from '../support/server.ts';
import { documentOf, environmentOf, portcullis } from './run.ts';
import type { Ran } from './run.ts';

const SECRET = /client_secret: ([\w-]{43})\n/;
const NOUNS = ['clients', 'vpn-nodes'] as const;

describeOnBothStores('clients and VPN nodes', (store) => {
  const server = useTestServer(store);
  let privateKey: CryptoKey;
  let jwksFile = '';
  let count = 0;

  const cli = (...argv: readonly string[]): Promise<Ran> =>
    portcullis(argv, { cwd: server().folder, env: environmentOf(server()) });

  /** Creates one under a new id; gives its id and secret. */
  const create = async (noun: (typeof NOUNS)[number], ...options: readonly string[]) => {
    const id = `${noun}-${(count += 1)}`;
    const scope = noun === 'clients' ? ['--scope', 'read'] : [];
    const ran = await cli(noun, 'create', id, ...scope, ...options);
    expect([ran.code, ran.err]).toEqual([0, '']);
    return { id, secret: SECRET.exec(ran.out)?.[1] ?? '' };
  };

  const tokenStatus = async (id: string, secret: string): Promise<number> => {
    const body = form({ grant_type: 'client_credentials', scope: 'read' }, basic({ id, secret }));
    return (await server().request('/token', body)).status;
  };

  /** A refusal is a sentence on standard error, nothing on standard output, and exit code 1. */
  const expectRefusal = ({ out, err, code }: Ran, sentence: RegExp): void => {
    expect([code, out]).toEqual([1, '']);
    expect(err).toMatch(sentence);
  };

  beforeAll(async () => {
    const pair = await generateKeyPair('ES256');
    privateKey = pair.privateKey;
    const jwk = { ...(await exportJWK(pair.publicKey)), kid: 'one', alg: 'ES256', use: 'sig' };
    jwksFile = join(server().folder, 'jwks.json');
    writeFileSync(jwksFile, JSON.stringify({ keys: [jwk] }));
  });

  describe.each(NOUNS)('%s', (noun) => {
    const one = noun === 'clients' ? 'client' : 'VPN node';

    test('create shows a secret that works, and no command shows it again', async () => {
      const { id, secret } = await create(noun, '--name', 'Berlin');
      expect(await tokenStatus(id, secret)).toBe(200);
      const shown = [
        await cli(noun, 'show', id),
        await cli(noun, 'show', id, '--json'),
        await cli(noun, 'list', '--json'),
        await cli(noun, 'list'),
        await cli(noun, 'update', id, '--name', 'Oslo'),
        await cli(noun, 'create', id, '--scope', 'read'),
      ];
      for (const { out, err } of shown) expect(out + err).not.toMatch(new RegExp(`${secret}|secrets|hash`));
    });

    test('update changes what it names, keeps the rest and makes no secret', async () => {
      const { id, secret } = await create(noun, '--name', 'Berlin');
      const before = documentOf(await cli(noun, 'show', id));
      expect(await cli(noun, 'update', id, '--name', 'Oslo')).toEqual({
        out: `${id}: updated.\n`,
        err: '',
        code: 0,
      });
      const after = documentOf(await cli(noun, 'show', id));
      expect(after).toEqual({ ...before, client_name: 'Oslo', updated_at: expect.any(String) });
      expect(await tokenStatus(id, secret)).toBe(200);
    });

    test('list gives its own kind a page at a time, in the order of ids', async () => {
      for (let i = 0; i < 3; i += 1) await create(noun);
      const all = documentOf(await cli(noun, 'list', '--json', '--limit', '200'))['items'] as Item[];
      const ids = all.map(({ client_id }) => client_id);
      expect(ids).toEqual(ids.filter((id) => id.startsWith(noun)).toSorted());
      const read: string[] = [];
      for (let next: string | null | undefined; next !== null;) {
        const page: Ran = await cli(
          noun,
          'list',
          '--json',
          '--limit',
          '2',
          ...(next === undefined ? [] : ['--after', next]),
        );
        const found = documentOf(page) as { items: Item[]; next: string | null }; // as `list` prints it
        expect(found.items.length).toBeLessThanOrEqual(2);
        read.push(...found.items.map(({ client_id }) => client_id));
        next = found.next;
      }
      expect(read).toEqual(ids);
      const { out, err } = await cli(noun, 'list', '--limit', '1');
      expect(out).toMatch(new RegExp(`^ID +NAME +SCOPE +AUTHENTICATION\n${ids[0] ?? ''} +.*read +client_`));
      expect(err).toBe(`More follow: add --after ${ids[0] ?? ''}\n`);
    });

    test('rotate-secret ends the old secret at once, or after the overlap', async () => {
      // The server's clock moves on, that of the commands does not: the second noun needs a longer overlap.
      const overlap = noun === 'clients' ? 60 : 600;
      const { id, secret: first } = await create(noun);
      const rotated = await cli(noun, 'rotate-secret', id);
      const second = SECRET.exec(rotated.out)?.[1] ?? '';
      const ended =
        noun === 'clients'
          ? ''
          : ' The secret before it is over, and so is every token that the node got for itself, and every VPN JWT ' +
            'of its people; it gets new ones by the new one. With --overlap SECONDS the old secret goes on for so ' +
            'long, and ends nothing.';
      expect(rotated.out).toBe(
        `${id}: rotated.${ended}\nclient_secret: ${second}\nIt is shown this once: only its digest is kept.\n`,
      );
      expect([await tokenStatus(id, first), await tokenStatus(id, second)]).toEqual([401, 200]);
      const third = String(
        documentOf(await cli(noun, 'rotate-secret', id, '--overlap', String(overlap), '--json'))[
          'client_secret'
        ],
      );
      expect([await tokenStatus(id, second), await tokenStatus(id, third)]).toEqual([200, 200]);
      server().advance(overlap + 1);
      expect([await tokenStatus(id, second), await tokenStatus(id, third)]).toEqual([401, 200]);
    });

    test('rotate-secret with an overlap ends nothing, but what an earlier overlap left', async () => {
      const { id } = await create(noun);
      const rotate = async (): Promise<string> =>
        (await cli(noun, 'rotate-secret', id, '--overlap', '600')).out.split('\n')[0] ?? '';
      expect(await rotate()).toBe(`${id}: rotated.`);
      const ended = / The secret that an earlier rotation left is over, and so is .* by the new one\.$/;
      if (noun === 'clients') expect(await rotate()).toBe(`${id}: rotated.`);
      else expect(await rotate()).toMatch(ended);
    });

    test('delete ends it, and a second time there is nothing to delete', async () => {
      const { id, secret } = await create(noun);
      expect(await cli(noun, 'delete', id)).toEqual({
        out: `Deleted the ${one} ${id}.\n`,
        err: '',
        code: 0,
      });
      expect(await tokenStatus(id, secret)).toBe(401);
      expectRefusal(await cli(noun, 'delete', id), new RegExp(`^There is no ${one} "${id}"\\.\n$`));
    });

    test('--json prints one document and nothing else', async () => {
      const id = `json-${noun}`;
      const runs: readonly (readonly [string[], object])[] = [
        [['create', id, '--scope', 'read'], { client_id: id, client_secret: expect.any(String) }],
        [['show', id], { client_id: id, scope: 'read' }],
        [['update', id, '--name', 'New'], { client_id: id, done: 'updated' }],
        [['rotate-secret', id], { client_id: id, client_secret: expect.any(String), done: 'rotated' }],
        [['list'], { items: expect.any(Array) }],
        [['delete', id], { deleted: id }],
      ];
      for (const [argv, expected] of runs) {
        const options = noun === 'vpn-nodes' ? argv.filter((it) => it !== '--scope' && it !== 'read') : argv;
        const ran = await cli(noun, ...options, '--json');
        expect([ran.code, ran.err]).toEqual([0, '']);
        expect(documentOf(ran)).toMatchObject(expected);
      }
    });

    test('refuses an id that is not there', async () => {
      const sentence = new RegExp(`^There is no ${one} "absent"\\.\n$`);
      for (const verb of ['show', 'delete', 'rotate-secret'])
        expectRefusal(await cli(noun, verb, 'absent'), sentence);
      expectRefusal(await cli(noun, 'update', 'absent', '--name', 'x'), sentence);
    });

    test('refuses one of the other kind, and says that it is one', async () => {
      const [other, is] =
        noun === 'clients' ? (['vpn-nodes', 'VPN node'] as const) : (['clients', 'client'] as const);
      const { id } = await create(other);
      for (const verb of ['show', 'update', 'delete', 'rotate-secret']) {
        expectRefusal(
          await cli(noun, verb, id, ...(verb === 'update' ? ['--name', 'x'] : [])),
          new RegExp(`^There is no ${one} "${id}"\\. It is a ${is}\\.\n$`),
        );
      }
      const scope = noun === 'clients' ? ['--scope', 'read'] : [];
      expectRefusal(await cli(noun, 'create', id, ...scope), /exists already: change it by update/);
    });

    test('refuses an id and a name that are none, by what they must be', async () => {
      const scope = noun === 'clients' ? ['--scope', 'read'] : [];
      for (const id of ['a b', 'ü', '-x'.repeat(100), '.x', 'x'.repeat(129)])
        expectRefusal(
          await cli(noun, 'create', ...scope, '--', id),
          /^client_id: 1 to 128 letters, digits, /,
        );
      expectRefusal(await cli(noun, 'create', 'fine', ...scope, '--name', ' '), /^--name: /);
    });

    test('refuses an id that is an account’s name, in any case', async () => {
      const storage = await openStorage(server().secrets.databaseUrl);
      await createNameSide(storage.names, 'account', []).claim(`Alice.${noun}`);
      await storage.close();
      const scope = noun === 'clients' ? ['--scope', 'read'] : [];
      expectRefusal(
        await cli(noun, 'create', `alice.${noun}`, ...scope),
        /is, or was, the name of an account: choose another client id\.\n$/,
      );
      expectRefusal(await cli(noun, 'show', `alice.${noun}`), /There is no/);
    });

    test.each([
      ['no command', []],
      ['an unknown command', ['remove', 'x']],
      ['no id', ['show']],
      ['two ids', ['show', 'a', 'b']],
      ['an update of nothing', ['update', 'a']],
      ['an unknown option', ['list', '--all']],
      ['a limit of 0', ['list', '--limit', '0']],
      ['a limit of 201', ['list', '--limit', '201']],
      ['a limit that is no number', ['list', '--limit', '1e2']],
      ['a negative overlap', ['rotate-secret', 'x', '--overlap', '-1']],
      ['an overlap of 31 days', ['rotate-secret', 'x', '--overlap', '2678400']],
    ])('%s is wrong usage', async (_name, argv) => {
      const { out, err, code } = await cli(noun, ...argv);
      expect([code, out]).toEqual([2, '']);
      expect(err).toMatch(/--help/);
    });

    test.each(['list', 'show', 'create', 'update', 'delete', 'rotate-secret'])(
      '%s --help has an example',
      async (verb) => {
        const { out, code } = await cli(noun, verb, '--help');
        expect(code).toBe(0);
        expect(out).toMatch(new RegExp(`Example:\n {2}portcullis ${noun} ${verb}.*\n$`));
      },
    );
  });

  test('an empty list says how to make the first one', async () => {
    const env = { DATABASE_URL: 'sqlite:empty.db', VAR_DIR: '.' };
    const { out, code } = await portcullis(['vpn-nodes', 'list'], { cwd: makeFolder(), env });
    expect([code, out]).toEqual([0, 'There are none. Make one by: portcullis vpn-nodes create ID\n']);
  });

  test('a new client needs its scopes, as names separated by single spaces', async () => {
    const missing = await cli('clients', 'create', 'x');
    expect([missing.code, missing.err]).toEqual([2, expect.stringMatching(/a new client needs --scope/)]);
    for (const scope of ['', 'a  b', ' a', 'a"b', 'ü'])
      expectRefusal(await cli('clients', 'create', 'x', '--scope', scope), /^--scope: scope names separated/);
  });

  test('a client by private_key_jwt has keys instead of a secret, and can go back', async () => {
    const { id, secret } = await create('clients', '--auth-method', 'private_key_jwt', '--jwks', jwksFile);
    expect(secret).toBe('');
    const signed = assertionForm(await assertion({ id, privateKey }, server().issuer));
    expect((await server().request('/token', signed)).status).toBe(200);
    expectRefusal(await cli('clients', 'rotate-secret', id), /authenticates by its key and has no secret/);
    const { out, code } = await cli('clients', 'update', id, '--auth-method', 'client_secret_basic');
    expect(code).toBe(0);
    expect(await tokenStatus(id, SECRET.exec(out)?.[1] ?? '')).toBe(200);
    expect(documentOf(await cli('clients', 'show', id))).not.toHaveProperty('jwks');
  });

  test('refuses keys that are none, by what they must be', async () => {
    const { privateKey: secret } = await generateKeyPair('ES256', { extractable: true });
    const files = {
      'text.json': ['{', /^.*text\.json is no JSON: give a JWK set/],
      'null.json': ['null', /^.*null\.json is no JSON: give a JWK set/],
      'list.json': ['[]', /^--jwks: /],
      'none.json': ['{"keys":[]}', /^--jwks\.keys: /],
      'private.json': [
        JSON.stringify({ keys: [await exportJWK(secret)] }),
        /a public key, without private members/,
      ],
    } as const;
    for (const [name, [text, sentence]] of Object.entries(files)) {
      writeFileSync(join(server().folder, name), text);
      const argv = ['create', 'keyed', '--scope', 'read', '--auth-method', 'private_key_jwt', '--jwks', name];
      expectRefusal(await cli('clients', ...argv), sentence);
    }
    const base = ['clients', 'create', 'keyed', '--scope', 'read'] as const;
    expectRefusal(
      await cli(...base, '--jwks', 'absent.json'),
      /^absent\.json cannot be read \(there is no such file\): name a file/,
    );
    expectRefusal(
      await cli(...base, '--jwks', jwksFile),
      /^--jwks: the public keys of a client that uses private_key_jwt/,
    );
    expectRefusal(
      await cli(...base, '--auth-method', 'private_key_jwt'),
      /^--jwks: the public keys of a client that uses private_key_jwt/,
    );
    const unknown = await cli(...base, '--auth-method', 'none');
    expect([unknown.code, unknown.err]).toEqual([
      2,
      expect.stringMatching(/Allowed choices are client_secret_basic/),
    ]);
    expectRefusal(await cli('clients', 'show', 'keyed'), /There is no client/);
  });
});

interface Item {
  readonly client_id: string;
}

describe('a store that cannot be used', () => {
  test.each([
    [
      'a folder whose parent is missing',
      'sqlite:a/b/store.db',
      /^The folder .* cannot be made \(ENOENT\): make it/,
    ],
    [
      'a MongoDB that is not there',
      'mongodb://user:hunter2@127.0.0.1:1/x?serverSelectionTimeoutMS=50',
      /^The store mongodb:\/\/\*\*\*@127\.0\.0\.1:1\/x.* cannot be used .*Check DATABASE_URL/,
    ],
  ])('%s is told, with exit code 1 and without the password', async (_name, DATABASE_URL, sentence) => {
    const cwd = makeFolder();
    const { out, err, code } = await portcullis(['clients', 'list'], {
      cwd,
      env: { DATABASE_URL, VAR_DIR: cwd },
    });
    expect([code, out]).toEqual([1, '']);
    expect(err).toMatch(sentence);
    expect(err).not.toContain('hunter2');
  });

  test('wrong settings are told before the store is opened', async () => {
    const { code, err } = await portcullis(['clients', 'list'], { cwd: makeFolder(), env: { PORT: 'x' } });
    expect([code, err]).toEqual([1, expect.stringMatching(/^The configuration has one fault:\n {2}- PORT/)]);
  });
});

describe('the command line itself', () => {
  const cli = (...argv: readonly string[]): Promise<Ran> => portcullis(argv, { cwd: makeFolder() });

  test('nothing, and an unknown command, are wrong usage', async () => {
    const nothing = await cli();
    expect([nothing.code, nothing.err]).toEqual([2, expect.stringMatching(/^Usage: portcullis/)]);
    const unknown = await cli('client');
    expect([unknown.code, unknown.err]).toEqual([
      2,
      expect.stringMatching(/unknown command 'client'.*clients/s),
    ]);
  });

  test.each([
    [['nonsense', '--help']],
    [['users', 'nonsense', '-h']],
    [['keys', 'nonsense', '--help', '--json']],
  ])('%j: help for a command that there is none of is wrong usage', async (argv) => {
    const { out, err, code } = await cli(...argv);
    expect([code, err]).toEqual([2, expect.stringMatching(/^error: unknown command 'nonsense'\n/)]);
    expect(out === '' || 'error' in (JSON.parse(out) as object)).toBe(true);
  });

  test('every --help has an example', async () => {
    const verbsOf = (help: string): readonly string[] =>
      [...(/^Commands:\n([^]*?)(?:\n\n|$(?![^]))/m.exec(help)?.[1] ?? '').matchAll(/^ {2}([a-z][\w-]*)/gm)]
        .map(([, verb = '']) => verb)
        .filter((verb) => verb !== 'help');
    const visit = async (path: readonly string[]): Promise<number> => {
      const { out } = await cli(...path, '--help');
      const [, example = ''] = /^Example:\n {2}(.*)/m.exec(out) ?? [];
      expect([path, example]).toEqual([path, expect.stringContaining(`portcullis ${path[0] ?? ''}`)]);
      let count = 1;
      for (const verb of verbsOf(out)) count += await visit([...path, verb]);
      return count;
    };
    expect(await visit([])).toBeGreaterThan(60);
  });

  test('--help lists every command and --version tells the version', async () => {
    const { out, code } = await cli('--help');
    expect(code).toBe(0);
    for (const command of ['serve', 'apply', 'clients', 'vpn-nodes', 'config', 'secrets'])
      expect(out).toMatch(new RegExp(`^ {2}${command} `, 'm'));
    expect(await cli('--version')).toEqual({
      out: expect.stringMatching(/^\d+\.\d+\.\d+\n$/),
      err: '',
      code: 0,
    });
  });
});
