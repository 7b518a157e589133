/** `portcullis keys`: every command, option and refusal, on both stores, beside a running server. */
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { exportJWK, importPKCS8, importSPKI } from 'jose';
import { createPrivateKey, createPublicKey, generateKeyPairSync } from 'node:crypto';
import { chmodSync, existsSync, readFileSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { PassThrough } from 'node:stream';

import type { KeyListView, KeyView, RetirementView, TurnView } from '../../src/composition/administration.ts';
import { makeFolder } from '../config/load.ts';
import { damagedPem, NO_FILES } from '../keys/strange.ts';
import { apply, createVpnNode, getToken, json } from '../support/clients.ts';
import { describeOnBothStores, startTestServer } from '../support/server.ts';
import type { TestServer } from '../support/server.ts';
import { documentOf, environmentOf, portcullis } from './run.ts';
import type { Ran } from './run.ts';

const INSTANT = /^20\d\d-\d\d-\d\dT\d\d:\d\d:\d\d\.000Z$/;
const HOUR_MS = 3_600_000;

const pem = (type: 'ec' | 'rsa' | 'ed25519' = 'ec'): string => {
  const { privateKey } =
    type === 'ec'
      ? generateKeyPairSync('ec', { namedCurve: 'P-256' })
      : type === 'rsa'
        ? generateKeyPairSync('rsa', { modulusLength: 2048 })
        : generateKeyPairSync('ed25519');
  return privateKey.export({ type: 'pkcs8', format: 'pem' }).toString();
};

describeOnBothStores('keys', (store) => {
  let server: TestServer;

  beforeEach(async () => {
    server = await startTestServer(store, {}, { keyReloadMs: 50 });
  });
  afterEach(() => server.stop());

  const cli = (...argv: readonly string[]): Promise<Ran> =>
    portcullis(['keys', ...argv], { cwd: server.folder, env: environmentOf(server) });
  const typing = (answer: string, ...argv: readonly string[]): Promise<Ran> => {
    const stdin = Object.assign(new PassThrough(), { isTTY: true });
    stdin.end(answer);
    return portcullis(['keys', ...argv], { cwd: server.folder, env: environmentOf(server), stdin });
  };
  const list = async (): Promise<KeyListView> =>
    documentOf(await cli('list', '--json')) as unknown as KeyListView; // as `list` prints it
  const find = async (state: string, alg = 'RS256'): Promise<KeyView> => {
    const found = (await list()).items.find((it) => it.state === state && it.alg === alg);
    if (found === undefined) throw new Error(`no ${alg} key is ${state}`);
    return found;
  };
  const written = (name: string, text: string): string => {
    writeFileSync(join(server.folder, name), text, { mode: 0o600 });
    return name;
  };
  const published = async (): Promise<string[]> =>
    ((await json(await server.request('/jwks')))['keys'] as { kid: string }[]).map(({ kid }) => kid); // RFC 7517 5
  const refused = (ran: Ran, sentence: RegExp): void => {
    expect([ran.code, ran.out]).toEqual([1, '']);
    expect(ran.err).toMatch(sentence);
  };
  /** Does it at a later time by the clock of this process, by which no server may run then. */
  const later = async <T>(ms: number, work: () => Promise<T>): Promise<T> => {
    await server.stopInstances();
    const storedAt = Date.now;
    try {
      Date.now = () => storedAt() + ms;
      return await work();
    } finally {
      Date.now = storedAt;
    }
  };
  const records = async (action: string) =>
    (await server.administration.audit.list({ limit: 9 }, { action, actor: 'cli' })).items;

  test('list shows each published key with its state and times, and when the next one takes over', async () => {
    const { items, next_rotation: next } = await list();
    expect(items.map(({ alg, state }) => [alg, state])).toEqual([
      ['RS256', 'active'],
      ['RS256', 'next'],
      ['ES256', 'active'],
      ['ES256', 'next'],
    ]);
    expect(items.map(({ kid }) => kid).toSorted()).toEqual((await published()).toSorted());
    const [active, standby] = items;
    expect(active?.since).toMatch(INSTANT);
    expect(active?.until).toBe(next['RS256']);
    expect(Date.parse(next['RS256'] ?? '') - Date.parse(active?.since ?? '')).toBe(90 * 24 * HOUR_MS);
    expect(standby).toMatchObject({ signs_from: null, until: null });
    const { out, code } = await cli('list');
    expect(code).toBe(0);
    expect(out).toMatch(/^KID +ALG +STATE +SINCE +NEXT CHANGE\n/);
    expect(out).toContain(`The next key of RS256 takes over at ${next['RS256'] ?? ''}.\n`);
    const env = { ...environmentOf(server), KEYS_ROTATION_INTERVAL: '0' };
    const byCommand = await portcullis(['keys', 'list'], { cwd: server.folder, env });
    expect(byCommand.out).toContain('RS256 rotates by command only.\n');
  });

  test('rotate gives the standby its turn once it is known, makes another, and does nothing the second time', async () => {
    const standby = await find('next');
    const first = await cli('rotate', '--alg', 'RS256');
    expect([first.code, first.err]).toEqual([0, '']);
    const at = new Date(Date.parse(standby.published_at) + HOUR_MS).toISOString();
    expect(first.out).toBe(`RS256: ${standby.kid} signs from ${at} on.\n`);
    const second = await cli('rotate', '--alg', 'RS256');
    expect(second.out).toBe(
      `RS256: ${standby.kid} signs from ${at} on, as was scheduled before: nothing was changed.\n`,
    );
    const { items } = await list();
    expect(items.filter(({ alg }) => alg === 'RS256')).toHaveLength(3);
    await server.logged('keys_changed', items.find(({ signs_from: from }) => from === null)?.kid ?? '');
    expect((await published()).toSorted()).toEqual(items.map(({ kid }) => kid).toSorted());
    expect(await find('next')).toMatchObject({ kid: standby.kid, signs_from: at });
    const both = documentOf(await cli('rotate', '--json'));
    expect(both['items']).toMatchObject([
      { alg: 'RS256', kid: standby.kid, signs_from: at, done: 'already scheduled' },
      { alg: 'ES256', done: 'scheduled' },
    ]);
    expect((await records('keys.rotate')).map(({ details }) => details)).toEqual([
      { alg: null },
      { alg: 'RS256' },
      { alg: 'RS256' },
    ]);
  });

  test('a running server signs by the key that took over, and takes what the one before signed', async () => {
    const [before, standby] = [await find('active'), await find('next')];
    const node = await createVpnNode(server);
    const headers = { authorization: `Bearer ${await getToken(server, node)}` };
    const kidOf = async (): Promise<unknown> => {
      const answer = await json(await server.request('/vpn/auth', { method: 'POST', headers }));
      const [head = ''] = String(answer['access_token']).split('.');
      return (JSON.parse(Buffer.from(head, 'base64url').toString()) as { kid: string }).kid; // our own header
    };
    expect(await kidOf()).toBe(before.kid);
    await cli('rotate');
    server.advance(3_600);
    await server.logged('keys_changed', `"RS256":"${standby.kid}"`);
    headers.authorization = `Bearer ${await getToken(server, node)}`;
    expect(await kidOf()).toBe(standby.kid);
    expect(await published()).toContain(before.kid);
  });

  describe('retire', () => {
    test('ends a key that waits, without asking, and puts another in its place', async () => {
      const standby = await find('next');
      const { out, err, code } = await cli('retire', standby.kid);
      expect([code, err]).toEqual([0, '']);
      expect(out).toBe(
        `Retired ${standby.kid}.\nIt never signed, so nothing breaks. Another key for RS256 is in its place.\n`,
      );
      const next = await find('next');
      expect(next.kid).not.toBe(standby.kid);
      await server.logged('keys_changed', next.kid);
      expect(await published()).not.toContain(standby.kid);
      const [record] = await records('keys.retire');
      expect(record).toMatchObject({
        target: `key:${standby.kid}`,
        details: { alg: 'RS256', state: 'next', emergency: false },
      });
      refused(await cli('retire', standby.kid), /^There is no signing key ".*": portcullis keys list shows/);
    });

    test('refuses the signer, unless it is an emergency that somebody confirms', async () => {
      const { kid } = await find('active');
      refused(await cli('retire', kid), /signs now: portcullis keys rotate .*add --emergency\.\n$/);
      refused(await cli('retire', kid, '--emergency'), /Nothing was changed: add --yes/);
      for (const answer of ['', 'n\n', '\n', 'yesterday\n']) {
        const declined = await typing(answer, 'retire', kid, '--emergency');
        refused(declined, /Retire .* now\? \[y\/N\] Nothing was changed\.\n$/);
      }
      expect(await find('active')).toMatchObject({ kid });
      expect(await records('keys.retire')).toEqual([]);
      const agreed = await typing('y\n', 'retire', kid, '--emergency');
      expect(agreed.code).toBe(0);
      expect(agreed.err).toContain(`What ${kid} signed is refused by whoever reads the keys anew:`);
      expect(agreed.out).toMatch(new RegExp(`^Retired ${kid}\\.\n.* signs from now on\\.`));
    });

    test('tells in an emergency what breaks, how long the thief is believed, and who knows the successor', async () => {
      await apply(server.administration, {
        resource_servers: [
          { identifier: 'urn:api', audience: 'api', scopes: ['x'], access_token_lifetime: 7_200 },
          { identifier: 'urn:es', audience: 'es', scopes: ['x'], signing_alg: 'ES256' },
        ],
      });
      const [active, standby] = [await find('active'), await find('next')];
      const argv = ['retire', active.kid, '--emergency', '--yes', '--json'];
      const begunAt = Date.now();
      const told = documentOf(await cli(...argv)) as unknown as RetirementView & { done: string };
      expect(told).toMatchObject({ kid: active.kid, alg: 'RS256', state: 'active', done: 'retired' });
      expect(told.breaks.map(({ tokens }) => tokens)).toEqual([
        'VPN JWTs',
        'access tokens for urn:api',
        'ID tokens',
        'ID tokens as the hint of a sign-out',
      ]);
      const hours = told.breaks.map(({ until }) => Math.round((Date.parse(until) - begunAt) / HOUR_MS));
      expect(hours).toEqual([1, 2, 1, 720]);
      const seconds = Math.round((Date.parse(told.accepted_until ?? '') - begunAt) / 1_000);
      expect(seconds).toBeGreaterThanOrEqual(303);
      expect(seconds).toBeLessThanOrEqual(360); // the command takes its time, too
      expect(told.successor).toMatchObject({ kid: standby.kid, is_known: false });
      expect(await find('active')).toMatchObject({ kid: standby.kid });
      await server.logged('keys_changed', `"RS256":"${standby.kid}"`);
      expect(await published()).not.toContain(active.kid);
      const again = await cli('retire', standby.kid, '--emergency', '--yes');
      expect(again.out).toMatch(/ {2}- VPN JWTs, which were good until 20.* at the latest\n/);
      expect(again.out).toMatch(/published since 20.* only: who keeps the keys may refuse .* until 20/);
      expect(again.err).toBe('');
      const { kid } = await find('active', 'ES256');
      const ofOther = await cli('retire', kid, '--emergency', '--yes');
      expect(ofOther.out).toMatch(/ {2}- tokens of customers, .*\n {2}- access tokens for urn:es, /);
    });

    test('says that everybody knows a successor that was published long enough', async () => {
      const env = { ...environmentOf(server), JWKS_MAX_AGE: '30', KEYS_PUBLISH_AHEAD: '95' };
      const argv = ['keys', 'retire', (await find('active')).kid, '--emergency', '--yes'];
      const { out } = await later(HOUR_MS, () => portcullis(argv, { cwd: server.folder, env }));
      expect(out).toMatch(/signs from now on\. Everybody knows it: it is published since 20/);
    });

    test('ends an algorithm that nobody looks after with its last key', async () => {
      const made = documentOf(await cli('create', '--alg', 'EdDSA', '--json'));
      const { out } = await cli('retire', String(made['kid']));
      expect(out).toContain(
        'It never signed, so nothing breaks. It was the last key for EdDSA: there is none now. Make one by: portcullis keys create --alg EdDSA\n',
      );
      expect((await list()).items.map(({ alg }) => alg)).not.toContain('EdDSA');
      await cli('import', written('ed.pem', pem('ed25519')));
      const asJson = documentOf(await cli('retire', 'ed', '--json'));
      expect(asJson).toMatchObject({ keys_left: 0, standby: null, next_rotation: null });
    });

    test('says in an emergency who follows, or that nobody does', async () => {
      for (const kid of ['one', 'two']) await cli('import', written(`${kid}.pem`, pem('ed25519')));
      const end = async () => typing('y\n', 'retire', (await find('active', 'EdDSA')).kid, '--emergency');
      await later(2 * HOUR_MS, async () => {
        const { out, err } = await end();
        for (const told of [err, out]) expect(told).toMatch(/\n(one|two) signs from now on\./);
        const last = await end();
        expect(last.err).toContain('No other key for EdDSA is there to follow.\n');
        expect(last.out).toMatch(/No other key for EdDSA follows\. Make one by: .* create --alg EdDSA\n$/);
      });
    });

    test('tells of the rotation that a key was to be, and when the next one is', async () => {
      const { next_rotation: byItself } = await list();
      const [turn] = documentOf(await cli('rotate', '--alg', 'RS256', '--json'))['items'] as TurnView[];
      const { kid = '', signs_from: at = '' } = turn ?? {};
      const { out } = await cli('retire', kid);
      expect(out).toBe(
        `Retired ${kid}.\nIt never signed, so nothing breaks. The rotation of RS256 that was due at ${at} is off; ` +
          `the next one is at ${byItself['RS256'] ?? ''}. Run portcullis keys rotate --alg RS256 for one now.\n`,
      );
      expect((await list()).next_rotation).toEqual(byItself);
      await cli('import', written('one.pem', pem('rsa')));
      await cli('import', written('two.pem', pem('rsa')));
      const { signs_from: first } = (await list()).items.find((it) => it.kid === 'one') ?? {};
      const second = await cli('retire', 'two');
      expect(second.out).toMatch(new RegExp(` is off; the next one is at ${String(first)}\\.\n$`));
      const env = { ...environmentOf(server), KEYS_ROTATION_INTERVAL: '0' };
      const third = await portcullis(['keys', 'retire', 'one'], { cwd: server.folder, env });
      expect(third.out).toMatch(/ is off; no other one is due\. Run portcullis keys rotate --alg RS256 for /);
    });

    test('says that nobody waits where nothing looks after the algorithm', async () => {
      const env = { ...environmentOf(server), KEYS_ALGORITHMS: 'RS256,ES256,EdDSA' };
      await portcullis(['keys', 'rotate'], { cwd: server.folder, env }); // makes the two of EdDSA
      const standby = (await list()).items.find((it) => it.alg === 'EdDSA' && it.signs_from === null);
      const { out } = await cli('retire', standby?.kid ?? '');
      expect(out).toMatch(/No other key for EdDSA waits: portcullis keys rotate --alg EdDSA makes/);
    });
  });

  test('create makes the first key of an algorithm, which is published before it signs', async () => {
    const made = documentOf(await cli('create', '--alg', 'EdDSA', '--json')) as unknown as KeyView;
    expect(made).toMatchObject({ alg: 'EdDSA', state: 'next', done: 'created' });
    expect(Date.parse(made.signs_from ?? '') - Date.parse(made.published_at)).toBe(HOUR_MS);
    await server.logged('keys_changed', made.kid);
    expect(await published()).toContain(made.kid);
    refused(await cli('create', '--alg', 'EdDSA'), /^There are keys for EdDSA: portcullis keys rotate --alg/);
    refused(await cli('create', '--alg', 'RS256'), /^There are keys for RS256/);
    const rotated = await cli('rotate', '--alg', 'EdDSA');
    expect(rotated.out).toContain(made.kid);
    const { out } = await portcullis(['keys', 'list'], { cwd: server.folder, env: environmentOf(server) });
    expect(out).toContain(made.kid);
  });

  describe('import', () => {
    test('adds a key of a PEM file under its name or another, which signs once it is known', async () => {
      const file = written('main-2026.pem', pem());
      const { out, code } = await cli('import', file);
      expect([code, out]).toEqual([
        0,
        expect.stringMatching(/^ES256: main-2026: imported\. It signs from 20/),
      ]);
      const named = documentOf(
        await cli('import', written('x.pem', pem('rsa')), '--kid', 'other', '--json'),
      ) as unknown as KeyView;
      expect(named).toMatchObject({ kid: 'other', alg: 'RS256', state: 'next', done: 'imported' });
      expect(Date.parse(named.signs_from ?? '') - Date.parse(named.published_at)).toBe(HOUR_MS);
      await server.logged('keys_changed', 'main-2026', '"other"');
      expect(await published()).toEqual(expect.arrayContaining(['main-2026', 'other']));
      expect((await records('keys.import')).map(({ target }) => target)).toEqual([
        'key:other',
        'key:main-2026',
      ]);
    });

    test.each([
      [
        'a file that is not there',
        'absent.pem',
        null,
        /^absent\.pem cannot be read \(there is no such file\)/,
      ],
      ['text', 'text.pem', 'no key', /text\.pem: this is no private key in PEM form\..* -out NEW\.pem\n$/],
      ['a name that is no kid', 'a b.pem', pem(), /a b\.pem: its name is the kid/],
      [
        'a file without end',
        'long.pem',
        'x'.repeat(70_000),
        /^long\.pem is no key: it is larger than 64 KiB/,
      ],
    ])('refuses %s', async (_name, file, text, sentence) => {
      if (text !== null) written(file, text);
      refused(await cli('import', file), sentence);
      expect(await records('keys.import')).toEqual([]);
    });

    const ec = createPrivateKey(pem());
    const sealed = { format: 'pem', type: 'pkcs8', cipher: 'aes-256-cbc', passphrase: 'x' } as const;
    test.each([
      [
        'a key under a passphrase',
        ec.export(sealed).toString(),
        / is under a passphrase\. .*: openssl pkey -in 'own key\.pem' -out NEW\.pem\n$/,
      ],
      [
        'such a key in the traditional form',
        ec.export({ ...sealed, type: 'sec1' }).toString(),
        / is under a passphrase\. /,
      ],
      [
        'a public key',
        createPublicKey(ec).export({ type: 'spki', format: 'pem' }).toString(),
        / is a public key and no private key, .*: take the file of its private key\.\n$/,
      ],
      ['a certificate', '-----BEGIN CERTIFICATE-----\nAA\n', / is a certificate and no private key, /],
      ['two private keys', pem() + pem('rsa'), /: it holds 2 private keys, .*: name a file with one\.\n$/],
    ])('advises nothing that would overwrite %s', async (_name, text, sentence) => {
      refused(await cli('import', written('own key.pem', text), '--kid', 'own'), sentence);
      expect(await records('keys.import')).toEqual([]);
    });

    test('tells how to make a file that is not there, and of one that this user may not read', async () => {
      refused(await cli('import', 'absent.pem'), /make this one: openssl genpkey .* -out absent\.pem\n$/);
      symlinkSync('/proc/sys/vm/compact_memory', join(server.folder, 'denied.pem')); // nor may root read it
      refused(
        await cli('import', 'denied.pem'),
        /^denied\.pem .* \(EACCES\)\. Make it readable for this user/,
      );
    });

    test('warns of a file that others may read, or change', async () => {
      for (const [n, mode] of [0o644, 0o620, 0o640].entries()) {
        const file = written(`mode ${n}.pem`, pem());
        chmodSync(join(server.folder, file), mode);
        const { code, err } = await cli('import', file, '--kid', `mode-${n}`);
        const warning = `${file} can be read or changed by others: chmod 600 '${file}'\n`;
        expect([code, err]).toEqual([0, mode === 0o640 ? '' : warning]); // as production starts with it
      }
      expect((await cli('import', written('own.pem', pem()))).err).toBe('');
    });

    test.each(NO_FILES)('refuses %s', async (_name, make, sentence) => {
      make(join(server.folder, 'strange.pem'));
      refused(await cli('import', 'strange.pem'), sentence);
    });

    test('refuses a damaged key, and a name that a command line would not take', async () => {
      for (const type of ['ec', 'rsa'] as const)
        refused(await cli('import', written('bad.pem', damagedPem(type))), /^bad\.pem: this key is damaged/);
      const file = written('good.pem', pem());
      for (const kid of ['..', '-x'])
        refused(await cli('import', file, `--kid=${kid}`), /^good\.pem: its name is the kid, unless --kid/);
      refused(await cli('import', '--', written('-x.pem', pem())), /^-x\.pem: its name is the kid/);
      expect(await records('keys.import')).toEqual([]);
    });

    test('refuses a public key, a key that is there, a name that is taken, and one that was', async () => {
      const key = pem();
      const spki = createPublicKey(key).export({ type: 'spki', format: 'pem' }).toString();
      refused(await cli('import', written('public.pem', spki)), /no private key/);
      await cli('import', written('mine.pem', key));
      refused(await cli('import', 'mine.pem', '--kid', 'again'), /is there already, as "mine"/);
      refused(
        await cli('import', written('two.pem', pem()), '--kid', 'mine'),
        /A key of the name "mine" is there, and a kid stands for one key for ever: choose another by --kid/,
      );
      await cli('retire', 'mine');
      const gone = /^This key was retired and comes back under no name: make another one\.\n$/;
      refused(await cli('import', 'mine.pem'), gone);
      refused(await cli('import', 'mine.pem', '--kid', 'again'), gone);
      refused(
        await cli('import', 'two.pem', '--kid', 'mine'),
        /A key of the name "mine" was retired, and a kid stands/,
      );
    });
  });

  describe('export', () => {
    test('prints the public key, in PEM form or as a JWK, and nothing private', async () => {
      const { kid } = await find('active', 'ES256');
      const asPem = await cli('export', kid);
      const jwk = await exportJWK(await importSPKI(asPem.out, 'ES256', { extractable: true }));
      const asJwk = documentOf(await cli('export', kid, '--jwk'));
      expect(asJwk).toEqual({ ...jwk, kid, alg: 'ES256', use: 'sig' });
      expect(documentOf(await cli('export', kid, '--json'))).toEqual({ kid, alg: 'ES256', pem: asPem.out });
      expect(documentOf(await cli('export', kid, '--jwk', '--json'))).toEqual({
        kid,
        alg: 'ES256',
        jwk: asJwk,
      });
      const { keys } = await json(await server.request('/jwks'));
      expect(keys).toContainEqual(asJwk);
      expect(await records('keys.export')).toEqual([]);
    });

    test('writes the private key to a new file with mode 0600 only, and that is recorded', async () => {
      const { kid } = await find('active');
      const { out } = await cli('export', kid, '--private', '--output', 'key.pem');
      const file = join(server.folder, 'key.pem');
      expect(out).toBe(`Wrote the private key ${kid} to ${file} (mode 0600).\n`);
      expect(statSync(file).mode & 0o777).toBe(0o600);
      await importPKCS8(readFileSync(file, 'utf8'), 'RS256');
      expect(await records('keys.export')).toMatchObject([{ target: `key:${kid}`, details: {} }]);
      refused(await cli('export', kid, '--private', '--output', 'key.pem'), /is there already and was left/);
      refused(await cli('export', kid, '--output', 'no/key.pem'), /^The folder of .* does not exist/);
      refused(await cli('export', kid, '--output', '/dev/full/x'), /cannot be written \(ENOTDIR\)/);
      expect(await records('keys.export')).toHaveLength(1);
      const asJson = documentOf(await cli('export', kid, '--output', 'public.pem', '--json'));
      expect(asJson).toEqual({ kid, alg: 'RS256', file: join(server.folder, 'public.pem'), private: false });
      expect(readFileSync(join(server.folder, 'public.pem'), 'utf8')).toMatch(/^-----BEGIN PUBLIC KEY-----/);
      refused(await cli('export', 'absent'), /^There is no signing key "absent"/);
    });
  });
});

describe('keys without a server', () => {
  const env = { DATABASE_URL: 'sqlite:empty.db', VAR_DIR: '.' };

  test('tell on a new store what makes them, and a first one from a file signs at once', async () => {
    const cwd = makeFolder();
    const run = (...argv: readonly string[]): Promise<Ran> => portcullis(['keys', ...argv], { cwd, env });
    expect((await run('list')).out).toBe('There are none: the server makes them at its first start.\n');
    expect((await run('rotate')).err).toBe(
      'The store holds no signing keys: start the server once to make them.\n',
    );
    writeFileSync(join(cwd, 'first.pem'), pem('rsa'));
    const made = documentOf(await run('import', 'first.pem', '--json'));
    expect(made).toMatchObject({ kid: 'first', state: 'active' });
    const { items } = documentOf(await run('list', '--json')) as unknown as KeyListView;
    expect(items.map(({ alg, state }) => `${alg} ${state}`).toSorted()).toEqual([
      'ES256 active',
      'ES256 next',
      'RS256 active',
      'RS256 next',
    ]);
  });

  test.each(['list', 'rotate', 'create', 'retire', 'import', 'export'])(
    '%s --help has an example',
    async (verb) => {
      const { out, code } = await portcullis(['keys', verb, '--help'], { cwd: makeFolder() });
      expect(code).toBe(0);
      expect(out).toMatch(new RegExp(`Example:\n {2}portcullis keys ${verb}.*\n$`));
    },
  );

  test.each([
    ['no command', []],
    ['an algorithm that there is none of', ['rotate', '--alg', 'HS256']],
    ['a key without its algorithm', ['create']],
    ['a retirement of nothing', ['retire']],
    ['a private key without a file', ['export', 'x', '--private']],
    ['a private key to standard output', ['export', 'x', '--private', '--output', '-']],
    ['a file of that name', ['export', 'x', '--output', '-']],
    ['a file without a name', ['export', 'x', '--output', '']],
    ['a private key as a JWK', ['export', 'x', '--private', '--jwk', '--output', 'f']],
  ])('%s is wrong usage', async (_name, argv) => {
    const cwd = makeFolder();
    const { out, err, code } = await portcullis(['keys', ...argv], { cwd });
    expect([code, out, existsSync(join(cwd, '-'))]).toEqual([2, '', false]);
    expect(err).toMatch(/--help/);
  });
});
