/** `portcullis backup` and `restore` beside a running server: what they write, what they refuse, what they leave. */
import { afterAll, expect, test } from '@jest/globals';
import { Decrypter } from 'age-encryption';
import { randomUUID } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { gunzipSync } from 'node:zlib';

import { AUDIT_ACTIONS } from '../../src/audit/actions.ts';
import { showProgress } from '../../src/cli/backup-report.ts';
import { generateSecret } from '../../src/config/secret-format.ts';
import { createCounter } from '../../src/backup/format.ts';
import { openRestoreTarget, openStorage } from '../../src/storage/open.ts';
import { STORE_NAMES } from '../../src/storage/port.ts';
import type { Storage } from '../../src/storage/port.ts';
import { createVpnNode } from '../support/clients.ts';
import { describeOnBothStores, dropDatabase, testConfig, useTestServer } from '../support/server.ts';
import type { StoreKind } from '../support/server.ts';
import { contentOf } from '../storage/filled.ts';
import { newAccount } from '../storage/races.ts';
import { documentOf, environmentOf, portcullis } from './run.ts';
import type { Ran } from './run.ts';

const urls: string[] = [];

afterAll(async () => {
  for (const url of urls) if (url.startsWith('mongodb')) await dropDatabase(url);
});

async function using<T>(url: string, work: (storage: Storage) => Promise<T>): Promise<T> {
  const storage = await openStorage(url);
  try {
    return await work(storage);
  } finally {
    await storage.close();
  }
}

describeOnBothStores('backup and restore', (store) => {
  const server = useTestServer(store);

  const newUrl = (kind: StoreKind = store): string => {
    const url =
      kind === 'SQLite'
        ? `sqlite:${join(server().folder, `${randomUUID()}.db`)}`
        : testConfig(kind, server().folder).secrets.databaseUrl;
    urls.push(url);
    return url;
  };
  const newFile = (): string => `${randomUUID()}.age`;
  const pathOf = (file: string): string => join(server().folder, file);

  const run = (argv: readonly string[], env: object = {}, more: object = {}): Promise<Ran> =>
    portcullis(argv, {
      cwd: server().folder,
      env: { ...environmentOf(server()), ...(env as Record<string, string>) },
      ...more,
    });
  /** A backup of the server's store. */
  const take = async (): Promise<string> => {
    const file = newFile();
    expect(await run(['backup', '--output', file])).toMatchObject({ code: 0, err: '' });
    return file;
  };
  const refused = async (argv: readonly string[], env: object = {}): Promise<string> => {
    const ran = await run(argv, env);
    expect([ran.code, ran.out]).toEqual([1, '']);
    const asJson = documentOf(await run([...argv, '--json'], env));
    expect(asJson).toMatchObject({ error: { message: ran.err.trimEnd() } });
    return ran.err;
  };

  test('writes a file that nobody else reads, reads it back, and says what is in it', async () => {
    await createVpnNode(server());
    const file = newFile();
    const { out, err, code } = await run(['backup', '--output', file]);
    expect([code, err]).toEqual([0, '']);
    expect(out).toMatch(
      /^Wrote \/.*\.age \(mode 0600\) and read it back: \d+ records of http:\/\/localhost:8011 as of 20\S+Z \(key sets: 1, .*clients: 1, .*\)\.\n$/,
    );
    expect(statSync(pathOf(file)).mode & 0o777).toBe(0o600);
    expect(readdirSync(server().folder).filter((name) => name.endsWith('.partial'))).toEqual([]);
    const verified = await run(['backup', 'verify', file]);
    expect(verified).toMatchObject({ code: 0, err: '' });
    expect(verified.out).toMatch(/^\S+\.age is whole and unchanged: \d+ records of /);
  });

  test('says it as one document with --json', async () => {
    const file = newFile();
    const taken = documentOf(await run(['backup', '--output', file, '--json']));
    expect(taken).toMatchObject({
      ...{ file: pathOf(file), issuer: server().issuer, portcullis: '0.1.0' },
      ...{ store: store === 'SQLite' ? 'sqlite' : 'mongodb', faults: [], left_over: [] },
      counts: { signing_keys: 1, sealed_secrets: 1, clients: expect.any(Number) },
    });
    expect(documentOf(await run(['backup', 'verify', file, '--json']))).toEqual({ ...taken, file });
    const url = newUrl();
    const restored = documentOf(await run(['restore', file, '--json'], { DATABASE_URL: url }));
    const { counts, records, created_at, issuer } = taken;
    expect(restored).toMatchObject({ file, counts, records, created_at, issuer, faults: [], left_over: [] });
    expect(restored['store']).toBe(url.replace('sqlite:', ''));
  });

  test('both are in the audit log, which goes on', async () => {
    const file = await take();
    const url = newUrl();
    await run(['restore', file], { DATABASE_URL: url });
    expect((await run(['audit', 'verify'], { DATABASE_URL: url })).code).toBe(0);
    const listed = documentOf(await run(['audit', 'list', '--limit', '2', '--json'], { DATABASE_URL: url }));
    expect(listed['items']).toMatchObject([
      { actor: 'cli', action: 'store.restore', details: { records: expect.any(Number) } },
      { actor: 'cli', action: 'store.backup', details: { to: pathOf(file) } },
    ]);
    expect(AUDIT_ACTIONS).toEqual(expect.arrayContaining(['store.backup', 'store.restore']));
  });

  test('the restored store holds what the backup held, of either kind', async () => {
    await server().stopInstances(); // what serves would count on
    const before = await using(server().secrets.databaseUrl, contentOf);
    const file = await take();
    const kinds: readonly StoreKind[] = store === 'SQLite' ? ['SQLite'] : ['SQLite', 'MongoDB'];
    for (const kind of kinds) {
      const url = newUrl(kind);
      expect(await run(['restore', file], { DATABASE_URL: url })).toMatchObject({ code: 0, err: '' });
      const after = await using(url, contentOf);
      expect(after.filter((record) => !before.includes(record))).toHaveLength(2); // the records of both commands
      expect(before.filter((record) => !after.includes(record))).toEqual([]);
    }
    await server().startInstance();
  });

  test('a backup is never written over anything, and leaves nothing where it fails', async () => {
    const file = await take();
    const bytes = readFileSync(pathOf(file));
    expect(await refused(['backup', '--output', file])).toContain('is there already and was left as it is');
    expect(readFileSync(pathOf(file)).equals(bytes)).toBe(true);
    expect(await refused(['backup', '--output', 'no/such.age'])).toMatch(
      /^The folder of \S+such\.age does not/,
    );
    const [other, folder] = [newFile(), randomUUID()];
    writeFileSync(pathOf(`${other}.partial`), 'half');
    expect(await refused(['backup', '--output', other])).toContain('another backup is being written there');
    expect(existsSync(pathOf(other))).toBe(false);
    mkdirSync(pathOf(folder));
    expect(await refused(['backup', '--output', folder])).toContain('is there already');
  });

  test('a backup that is no backup, or none of this installation, is refused, and no store is made', async () => {
    const file = await take();
    const bytes = readFileSync(pathOf(file));
    const [cut, changed, text, absent] = [newFile(), newFile(), newFile(), newFile()];
    writeFileSync(pathOf(cut), bytes.subarray(0, bytes.length - 1));
    writeFileSync(
      pathOf(changed),
      bytes.map((byte, at) => (at === bytes.length - 20 ? byte ^ 1 : byte)),
    );
    writeFileSync(pathOf(text), 'Dear reader,\n'.repeat(20));
    const other = { SECRET_KEY: generateSecret('SECRET_KEY', 'production') };
    const cases: readonly (readonly [string, object, string])[] = [
      [
        cut,
        {},
        `${pathOf(cut)}: The backup is damaged: it was cut or changed since it was written. Copy it anew`,
      ],
      [changed, {}, 'The backup is damaged'],
      [text, {}, `${pathOf(text)}: This file is no backup`],
      [absent, {}, `${pathOf(absent)} cannot be read (there is no such file)`],
      ['.', {}, 'cannot be read (it is a folder)'],
      [file, other, 'The backup does not open with this SECRET_KEY'],
    ];
    for (const [name, env, sentence] of cases) {
      expect(await refused(['backup', 'verify', name], env)).toContain(sentence);
      const path = pathOf(`${randomUUID()}.db`);
      const there = { ...env, DATABASE_URL: `sqlite:${path}` };
      expect((await refused(['restore', name], there)).split(sentence)).toHaveLength(2);
      expect(existsSync(path)).toBe(false);
    }
  });

  test('a backup of another SECRET_KEY than the store’s is not taken', async () => {
    const other = { SECRET_KEY: generateSecret('SECRET_KEY', 'production') };
    const file = newFile();
    expect(await refused(['backup', '--output', file], other)).toContain(
      'does not open with this SECRET_KEY',
    );
    expect(existsSync(pathOf(file))).toBe(false);
    expect(existsSync(pathOf(`${file}.partial`))).toBe(false);
  });

  test('a backup from before a new SECRET_KEY opens with SECRET_KEY_PREVIOUS', async () => {
    const file = await take();
    const replaced = {
      SECRET_KEY: generateSecret('SECRET_KEY', 'production'),
      SECRET_KEY_PREVIOUS: server().secrets.secretKey,
    };
    expect(await run(['backup', 'verify', file], replaced)).toMatchObject({ code: 0, err: '' });
    const url = newUrl();
    expect(await run(['restore', file], { ...replaced, DATABASE_URL: url })).toMatchObject({
      code: 0,
      err: '',
    });
    const anew = newFile();
    await run(['backup', '--output', anew], { ...replaced, DATABASE_URL: url });
    expect(await run(['backup', 'verify', anew], { ...replaced, SECRET_KEY_PREVIOUS: '' })).toMatchObject({
      code: 1, // it opens, and what is sealed in it does not
      err: expect.stringContaining('Fault: a signing key does not open with this SECRET_KEY'),
    });
  });

  test('a restore refuses a store that holds anything, and changes nothing', async () => {
    const file = await take();
    const url = newUrl();
    await using(url, ({ names }) => names.claim('ada', 'account'));
    const sentence = await refused(['restore', file], { DATABASE_URL: url });
    expect(sentence).toContain('The store holds something already, and a restore needs an empty one');
    expect(await using(url, contentOf)).toHaveLength(1);
  });

  test('a restore that was cut leaves a store that nothing opens until it came to its end', async () => {
    const file = await take();
    const url = newUrl();
    const target = await openRestoreTarget(url);
    await target.begin(1);
    await target.close();
    const env = { DATABASE_URL: url };
    for (const argv of [
      ['users', 'list'],
      ['backup', '--output', newFile()],
      ['audit', 'verify'],
    ])
      expect(await refused(argv, env)).toContain('The store is only half restored');
    await expect(
      server().startInstance({ secrets: { ...server().secrets, databaseUrl: url } }),
    ).rejects.toThrow('The store is only half restored');
    const { code, err } = await run(['restore', file], env);
    expect([code, err]).toEqual([0, 'The store held a restore that was cut: it was emptied first.\n']);
    expect((await run(['users', 'list'], env)).code).toBe(0);
  });

  test('a restore to another issuer says so', async () => {
    const env = { DATABASE_URL: newUrl(), ISSUER: 'https://other.example' };
    const { code, err } = await run(['restore', await take()], env);
    expect([code, err]).toEqual([
      0,
      'The backup is of http://localhost:8011, and this installation is https://other.example: its clients know the former.\n',
    ]);
  });

  test('what does not go together is told by all three; the backup is taken, and restored', async () => {
    const { secrets } = server();
    const account = newAccount(randomUUID(), { username: 'nameless' });
    await using(secrets.databaseUrl, ({ accounts }) => accounts.create(account));
    try {
      const told = 'Fault: a username is not in the register of names: nameless.\n';
      const file = newFile();
      expect(await run(['backup', '--output', file])).toMatchObject({ code: 0, err: told });
      const verified = await run(['backup', 'verify', file]);
      expect(verified).toMatchObject({ code: 1, err: told });
      expect(verified.out).toContain('is whole and unchanged, but what it holds does not go together');
      const url = newUrl();
      expect(await run(['restore', file], { DATABASE_URL: url })).toMatchObject({ code: 1, err: told });
      expect(await using(url, ({ accounts }) => accounts.find(account.id))).toEqual(account);
    } finally {
      await using(secrets.databaseUrl, ({ accounts }) => accounts.delete(account.id));
    }
  });

  test('goes to standard output, for a pipe', async () => {
    const chunks: Uint8Array[] = [];
    const onBytes = (bytes: Uint8Array): void => void chunks.push(bytes);
    const { out, err, code } = await run(['backup', '--output', '-'], {}, { onBytes });
    expect([code, out]).toEqual([0, '']);
    expect(err).toMatch(
      /^Wrote \d+ records\. Check it where it arrived, by portcullis backup verify FILE\.\n$/,
    );
    const file = newFile();
    writeFileSync(pathOf(file), Buffer.concat(chunks));
    expect((await run(['backup', 'verify', file])).code).toBe(0);
    const failing = { onBytes: () => { throw new Error('EPIPE'); } }; // prettier-ignore
    const cut = await run(['backup', '--output', '-'], {}, failing);
    expect([cut.code, cut.err]).toEqual([1, expect.stringContaining('took only a part of it (EPIPE)')]);
  });

  test.each([
    ['without a place to go', ['backup'], {}],
    ['to a file without a name', ['backup', '--output', ''], {}],
    ['as JSON and to standard output at once', ['backup', '--output', '-', '--json'], {}],
    ['to a terminal', ['backup', '--output', '-'], { isTerminal: true }],
  ])('is wrong usage %s', async (_name, argv, more) => {
    expect((await run(argv, {}, more)).code).toBe(2);
  });

  test.each([
    ['verfy', ['verfy', 'x.age'], "error: unknown command 'verfy'\n(Did you mean verify?)\n"],
    [
      'a file',
      ['a b.age'],
      "unknown command 'a b.age': a backup goes to the file that --output names, such as --output 'a b.age'\n",
    ],
    ['none', ['--output', ''], 'error: --output is empty: name a new file, or - for standard output\n'],
  ])('names what is not understood: %s', async (_name, argv, sentence) => {
    const { out, err, code } = await run(['backup', ...argv]);
    expect([code, out, err]).toEqual([2, '', expect.stringContaining(sentence)]);
    const asJson = documentOf(await run(['backup', ...argv, '--json']));
    expect(asJson).toMatchObject({ error: { code: 'wrong_usage' } });
  });

  test('names what is not understood after an option, too', async () => {
    const { error } = documentOf(await run(['backup', '--json', 'verfy', 'x.age'])) as { error: unknown };
    expect(error).toMatchObject({ message: expect.stringContaining('Did you mean verify?') });
  });

  test('says in its help what it takes without a verb, and in that of create', async () => {
    expect((await run(['backup', '--help'])).out).toMatch(
      /\nWithout a verb:\n {2}--output <file> {2}a new file, /,
    );
    expect((await run(['backup', 'create', '--help'])).out).toMatch(/ --output <file> +a new file, /);
    expect((await run(['backup', 'help', 'verify'])).out).toContain('backup verify [options] <file>');
  });

  test('has a passphrase with which any age opens it, to lines of JSON', async () => {
    const file = await take();
    const passphrase = (await run(['backup', 'passphrase'])).out.trimEnd();
    expect(documentOf(await run(['backup', 'passphrase', '--json']))).toEqual({ passphrase });
    const decrypter = new Decrypter();
    decrypter.addPassphrase(passphrase);
    const text = gunzipSync(await decrypter.decrypt(readFileSync(pathOf(file)))).toString();
    const lines = text
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line) as object);
    expect(lines[0]).toMatchObject({ format: 'portcullis-backup', version: 1, issuer: server().issuer });
    expect(lines.at(-1)).toEqual({ end: { counts: expect.any(Object), sha256: expect.any(String) } });
  });

  if (store === 'SQLite')
    test('is taken also where nothing can be written, and says that it has no record of it', async () => {
      const database = new DatabaseSync(
        server().config.database.kind === 'sqlite' ? join(server().folder, 'store.db') : '',
      );
      database.exec('BEGIN IMMEDIATE');
      try {
        const file = newFile();
        const { code, err } = await run(['backup', '--output', file]);
        expect([code, err]).toEqual([
          0,
          'The audit log cannot be written just now, so it has no record of this backup.\n',
        ]);
        expect((await run(['backup', 'verify', file])).code).toBe(0);
      } finally {
        database.exec('ROLLBACK');
        database.close();
      }
    });
});

test('progress is for a person at a terminal, every two seconds', () => {
  let nowMs = 0;
  const counter = createCounter();
  const told = (isTerminal: boolean): string => {
    let text = '';
    const io = { err: (more: string) => void (text += more), isTerminal: () => isTerminal };
    const progress = showProgress(io, () => nowMs);
    for (let step = 0; step < 5; step += 1) {
      progress('writing', counter.counts());
      nowMs += 1_000;
    }
    return text;
  };
  counter.add([{ store: STORE_NAMES[2], record: { name: 'a', kind: 'account' } }]);
  expect(told(true)).toBe('writing: 1 records so far.\n'.repeat(2));
  expect(told(false)).toBe('');
});
