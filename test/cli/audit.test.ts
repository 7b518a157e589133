/** `portcullis audit`: what it lists, exports and finds, on both stores; and that each command leaves its record. */
import { beforeAll, describe, expect, test } from '@jest/globals';
import { readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';

import type { Command } from 'commander';

import { AUDIT_ACTIONS } from '../../src/audit/actions.ts';
import { createAudit } from '../../src/audit/audit.ts';
import { addStoreCommand, administer } from '../../src/cli/administer.ts';
import { newAuditRecord } from '../storage/races.ts';
import { useInstallation } from '../support/installation.ts';
import { describeOnBothStores } from '../support/server.ts';
import { documentOf, environmentOf, portcullis, run as runAlone } from './run.ts';
import type { Ran } from './run.ts';

const PASSWORD = 'a fine long passphrase';

describeOnBothStores('audit', (kind) => {
  const installation = useInstallation(kind);
  const run = (...argv: readonly string[]): Promise<Ran> =>
    portcullis(argv, {
      cwd: installation().folder,
      env: { ...environmentOf(installation()), PORTCULLIS_PASSWORD: PASSWORD },
    });
  const audit = (...argv: readonly string[]): Promise<Ran> => run('audit', ...argv);
  const list = async (...argv: readonly string[]): Promise<readonly Record<string, unknown>[]> =>
    documentOf(await audit('list', '--json', ...argv))['items'] as Record<string, unknown>[];

  test('says so where there is nothing yet', async () => {
    expect(await audit('list')).toEqual({ out: 'There are none.\n', err: '', code: 0 });
    expect(await audit('verify')).toEqual({ out: 'The audit log is empty.\n', err: '', code: 0 });
  });

  test('has each change by the command line, as cli, in order and without a secret', async () => {
    await run('users', 'create', 'root', '--email', 'root@example.com', '--role', 'admin');
    await run('users', 'create', 'ada', '--email', 'ada@example.com');
    await run('users', 'update', 'ada', '--full-name', 'Ada', '--role', 'developer');
    await run('users', 'update', 'ada', '--full-name', 'Ada');
    await run('users', 'lock', 'ada');
    await run('users', 'unlock', 'ada');
    await run('users', 'reset-password', 'ada');
    await run('users', 'delete', 'root');
    await run('users', 'delete', 'ada');
    await run('vpn-nodes', 'create', 'node-a', '--name', 'A');
    await run('vpn-nodes', 'rotate-secret', 'node-a');
    await run('clients', 'delete', 'nobody');
    const items = await list('--oldest-first');
    expect(
      items.map(({ action, actor, details }) => [action, actor, Object.keys(details as object)]),
    ).toEqual([
      ['account.create', 'cli', ['before', 'after']],
      ['account.create', 'cli', ['before', 'after']],
      ['account.update', 'cli', ['before', 'after']],
      ['account.lock', 'cli', ['before', 'after']],
      ['account.unlock', 'cli', ['before', 'after']],
      // The password was given before, so it is refused.
      ['account.reset_password', 'cli', []],
      ['account.reset_password', 'cli', ['outcome', 'of', 'code']],
      ['account.delete', 'cli', ['before', 'after']],
      // The last administrator stays.
      ['account.delete', 'cli', ['outcome', 'of', 'code']],
      ['account.delete', 'cli', ['before', 'after']],
      ['vpn_node.create', 'cli', ['before', 'after']],
      ['vpn_node.rotate_secret', 'cli', ['overlap_seconds']],
    ]);
    expect(items[2]).toMatchObject({
      details: { before: { full_name: null, role: 'user' }, after: { full_name: 'Ada', role: 'developer' } },
    });
    expect(JSON.stringify(items)).not.toMatch(/argon2|passphrase/);
    expect(items[1]).toMatchObject({
      ...{ target: expect.stringMatching(/^account:/), details: { after: { username: 'ada' } } },
      ...{ at: expect.stringMatching(/^\d{4}-\d\d-\d\dT.*Z$/), previous_hash: items[0]?.['hash'] },
    });
    const requests = items.map(({ request_id: id }) => id);
    expect(requests[5]).toBe(requests[6]);
    expect(new Set(requests).size).toBe(10);
  });

  test('has each change of an apply file once, and none of a dry run', async () => {
    const file = join(installation().folder, 'all.json');
    const document = {
      resource_servers: [{ identifier: 'urn:api', audience: 'api', scopes: ['api:read'] }],
      clients: [{ client_id: 'reports', scope: 'api:read' }],
      users: [{ username: 'grace', email: 'grace@example.com', password_hash: HASH }],
    };
    writeFileSync(file, JSON.stringify(document));
    const before = (await list()).length;
    expect((await run('apply', file, '--dry-run')).code).toBe(0);
    expect(await list()).toHaveLength(before);
    expect((await run('apply', file)).code).toBe(0);
    expect((await run('apply', file)).code).toBe(0);
    const made = (await list()).slice(0, (await list()).length - before);
    expect(made.map(({ action, target }) => [action, target])).toEqual([
      ['account.create', expect.stringMatching(/^account:/)],
      ['client.create', 'client:reports'],
      ['resource_server.create', 'resource-server:urn:api'],
    ]);
    expect(JSON.stringify(made)).not.toContain('pbkdf2');
    // No record has an action that a filter would refuse.
    const actions = (await list('--limit', '200')).map(({ action }) => action);
    expect(AUDIT_ACTIONS).toEqual(expect.arrayContaining(actions));
  });

  test('lists page by page, and by actor, action, target and time', async () => {
    const seqs = async (...argv: readonly string[]): Promise<readonly unknown[]> =>
      (await list(...argv)).map(({ seq }) => seq);
    const [newest = 0] = (await seqs()) as readonly number[];
    expect(await seqs('--limit', '2')).toEqual([newest, newest - 1]);
    expect(await seqs('--limit', '2', '--after', String(newest - 1))).toEqual([newest - 2, newest - 3]);
    expect(await seqs('--limit', '2', '--oldest-first')).toEqual([1, 2]);
    expect((await audit('list', '--limit', '2')).err).toBe(`More follow: add --after ${newest - 1}\n`);
    expect(await seqs('--action', 'account.update')).toEqual([3]);
    expect(await seqs('--target', 'client:node-a')).toHaveLength(2);
    expect(await seqs('--actor', 'server')).toEqual([]);
    expect(await seqs('--until', '2020-01-01')).toEqual([]);
    expect(await seqs('--from', '2020-01-01T00:00:00Z', '--action', 'account.update')).toEqual([3]);
    const grace = await seqs('--target', 'grace');
    expect(grace).toEqual([newest]);
    const { target } = (await list('--target', 'GRACE'))[0] ?? {};
    expect(await seqs('--target', String(target))).toEqual(grace);
    expect(await seqs('--actor', 'grace')).toEqual([]);
    const { out } = await audit('list', '--action', 'account.update');
    expect(out).toMatch(
      /^SEQ {2}TIME .*\n3 {4}\d{4}-.* cli {4}account\.update {2}account:\S+ .*"full_name":"Ada"/,
    );
  });

  test('exports all records, a line each, in order, or as one document', async () => {
    const { out, code } = await audit('export');
    const lines = out.trimEnd().split('\n');
    const records = lines.map((line) => JSON.parse(line) as Record<string, unknown>);
    expect(code).toBe(0);
    expect(records.map(({ seq }) => seq)).toEqual(lines.map((_line, index) => index + 1));
    expect(documentOf(await audit('export', '--json'))).toEqual({ items: records });
    expect(documentOf(await audit('export', '--json', '--actor', 'account:nobody'))).toEqual({ items: [] });
    const ran = await audit('export', '--output', 'audit.ndjson', '--action', 'account.create');
    expect([ran.code, ran.out]).toEqual([
      0,
      expect.stringMatching(/^Wrote 3 records to .* \(mode 0600\)\.\n$/),
    ]);
    const file = join(installation().folder, 'audit.ndjson');
    expect(readFileSync(file, 'utf8').trimEnd().split('\n')).toHaveLength(3);
    expect(statSync(file).mode & 0o777).toBe(0o600);
    const again = await audit('export', '--output', 'audit.ndjson');
    expect([again.code, again.err]).toEqual([1, expect.stringContaining('is there already')]);
    const nowhere = await audit('export', '--output', 'nowhere/audit.ndjson', '--json');
    expect([nowhere.code, documentOf(nowhere)]).toEqual([1, { error: expect.anything() }]);
  });

  test('verify tells the newest record, by which the next one finds what is gone', async () => {
    const { out, code } = await audit('verify');
    const [, known = ''] = /The newest: (\d+:[\w-]{43})\n$/.exec(out) ?? [];
    expect(code).toBe(0);
    expect((await audit('verify', '--known', known)).code).toBe(0);
    const [seq = '', hash = ''] = known.split(':');
    const later = await audit('verify', '--known', `${Number(seq) + 1}:${hash}`);
    expect([later.code, later.err]).toEqual([1, expect.stringContaining('the log ends before record')]);
    const json = await audit('verify', '--json', '--known', `1:${hash}`);
    expect([json.code, documentOf(json)]).toEqual([
      1,
      { ok: false, seq: 1, fault: 'known', message: 'record 1 is not the one that was noted' },
    ]);
  });

  test.each([
    ['--actor', 'nobody'],
    ['--target', 'ada'], // deleted above
    ['--target', 'server'],
    ['--target', 'thing:1'],
  ])('list %s %s is refused, since it would find nothing', async (option, name) => {
    const ran = await audit('list', option, name, '--json');
    expect([ran.code, documentOf(ran)]).toEqual([
      1,
      {
        error: {
          code: 'not_found',
          message: expect.stringContaining(`no user "${name}": give ${option} a username, or account:ID`),
        },
      },
    ]);
  });

  test('an unknown action is told, with those that there are', async () => {
    const { code, err } = await audit('export', '--action', 'nope');
    expect([code, err]).toEqual([2, expect.stringMatching(/nope.*account\.create, .*vpn_node\.update/s)]);
  });

  test.each([
    [['verify', '--known', 'x']],
    [['list', '--limit', '201']],
    [['list', '--after', 'x']],
    [['list', '--from', 'yesterday']],
    [['list', '--from', '2020-01-01T00:00']],
    [['remove']],
    [['list', '--seq', '1']],
  ])('%j is wrong usage', async (argv) => {
    const ran = await audit(...argv);
    expect([ran.code, ran.out]).toEqual([2, '']);
  });

  test.each(['list', 'export', 'verify'])('%s has a help with an example', async (name) => {
    const { out, code } = await audit(name, '--help');
    expect([code, out]).toEqual([0, expect.stringContaining(`Example:\n  portcullis audit ${name}`)]);
    if (name !== 'verify') expect(out).toMatch(/--target <target>.*account:ID/s);
  });

  test('a record that was made without the SECRET_KEY is found', async () => {
    const forger = createAudit({
      store: installation().storage.audit,
      chainKey: 'another',
      now: () => 1_800_000_000,
    });
    await forger.as({ actor: 'cli', ip: null, requestId: null })(
      { action: 'account.create', target: null, details: {} },
      async () => undefined,
    );
    const { code, err, out } = await audit('verify');
    expect([code, out, err]).toEqual([
      1,
      '',
      expect.stringMatching(/^The audit log is not as it was written: record \d+ was changed/),
    ]);
  });
});

describeOnBothStores('an export that fails', (kind) => {
  const installation = useInstallation(kind);

  test('leaves no half of a file, for which the next one would be refused', async () => {
    const { storage, folder } = installation();
    await storage.audit.append(newAuditRecord(1, { at: 9e15 })); // no calendar goes so far
    for (let round = 0; round < 2; round += 1) {
      const ran = await portcullis(['audit', 'export', '--output', 'audit.ndjson'], {
        cwd: folder,
        env: environmentOf(installation()),
      });
      expect([ran.out, ran.err, ran.code]).toEqual(['', 'Invalid time value\n', 1]);
      expect(readdirSync(folder)).not.toContain('audit.ndjson');
    }
  });
});

describe('a log that takes no failure', () => {
  const installation = useInstallation('SQLite');
  const surroundings = () => ({ cwd: installation().folder, env: environmentOf(installation()) });
  const UNRECORDED = /^The audit log could not be written: .+\n$/;

  beforeAll(() => {
    const database = new DatabaseSync(installation().secrets.databaseUrl.replace('sqlite:', ''));
    database.exec(
      `CREATE TRIGGER no_failure BEFORE INSERT ON audit WHEN instr(new.record, '"failed"') > 0
       BEGIN SELECT RAISE (ABORT, 'no room'); END`,
    );
    database.close();
  });

  test('hides nothing of what a command says of its own failure', async () => {
    const create = ['users', 'create', 'root', '--email', 'root@example.com', '--role', 'admin'];
    expect((await portcullis([...create, '--no-password'], surroundings())).code).toBe(0);
    const { out, err, code } = await portcullis(['users', 'delete', 'root'], surroundings());
    const [first, ...rest] = err.split(/(?<=\n)/);
    expect([out, code, rest]).toEqual(['', 1, [expect.stringContaining('is the last active administrator')]]);
    expect(first).toMatch(UNRECORDED);
  });

  test('makes no failure of what a command has done, so that nobody does it again', async () => {
    // One that goes on after a failure of a part.
    const register: Parameters<typeof runAlone>[0] = (program, io) =>
      void addStoreCommand(program, 'tidy', 'tidies').action((_options: object, command: Command) =>
        administer(io, command, async ({ users }) => {
          await users.delete('root').catch(() => undefined);
          io.out('done\n');
        }),
      );
    const { out, err, code } = await runAlone(register, ['tidy'], surroundings());
    expect([out, code]).toEqual(['done\n', 0]);
    expect(err).toMatch(UNRECORDED);
  });
});

const HASH = 'pbkdf2_sha256$600000$c2FsdA$F2Iz4b3GSdGGhnaTbRzb7DVXCGDWNKQZGfYhPzfYqEU=';
