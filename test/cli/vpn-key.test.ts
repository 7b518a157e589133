/** `vpn-nodes enrol`, `vpn-key` and `vpn-check`: a node that never has a secret, by the command line alone. */
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { PassThrough, Readable } from 'node:stream';

import { createOAuth2Client } from '../../src/sdk/node/node.ts';
import { basic, createVpnNode, form, json } from '../support/clients.ts';
import { NO_LINKS } from '../support/no-links.ts';
import { describeOnBothStores, startTestServer } from '../support/server.ts';
import type { TestServer } from '../support/server.ts';
import { documentOf, environmentOf, portcullis } from './run.ts';
import type { Ran } from './run.ts';
import { findFreePort, ROOT, start } from './serve-process.ts';

/** What a credential takes along that is taken away, up to by what the node goes on. */
const ALL =
  'and so is every token that the node got for itself, and every VPN JWT of its people; it gets new ones';

describeOnBothStores('a node without a secret', (store) => {
  let server: TestServer;
  let folder: string;

  beforeAll(async () => {
    const port = String(await findFreePort());
    server = await startTestServer(store, { ISSUER: `http://localhost:${port}`, PORT: port });
    folder = mkdtempSync(join(tmpdir(), 'portcullis-node-'));
  });
  afterAll(async () => {
    await server.stop();
    rmSync(folder, { recursive: true, force: true });
  });

  const nodes = (...argv: readonly string[]): Promise<Ran> =>
    portcullis(['vpn-nodes', ...argv], { cwd: server.folder, env: environmentOf(server) });
  const onNode = (
    argv: readonly string[],
    env: Readonly<Record<string, string>> = {},
    stdin?: Readable,
  ): Promise<Ran> =>
    portcullis(argv, {
      cwd: folder,
      env: { PARENT_ISSUER: server.issuer, PORTBRO_PRIVATE_KEY_FILE: 'key.json', ...env },
      ...(stdin !== undefined && { stdin }),
    });
  const codeIn = ({ out }: Ran): string => /^enrolment_code: (\S+)$/m.exec(out)?.[1] ?? '';
  const shown = async (id: string) => documentOf(await nodes('show', id, '--json'));

  test('is made, enrols, is checked, rotates, and loses its old key', async () => {
    const made = await nodes('enrol', 'node-oslo', '--name', 'Oslo');
    expect([made.err, made.code]).toEqual(['', 0]);
    expect(made.out).toMatch(
      /^node-oslo: created\.\nenrolment_code: node-oslo\.[\w-]{43}\nGood once, until \d{4}-/,
    );
    expect(await shown('node-oslo')).toMatchObject({
      client_name: 'Oslo',
      token_endpoint_auth_method: 'private_key_jwt',
      enrolment_code_until: expect.any(String),
    });

    const enrolled = await onNode(['vpn-key', 'enrol'], { PORTBRO_ENROLMENT_CODE: codeIn(made) });
    expect([enrolled.err, enrolled.code]).toEqual(['', 0]);
    const file = join(folder, 'key.json');
    expect(enrolled.out).toMatch(/^node-oslo: enrolled\. Its ES256 key [\w-]{43} is in \S+key\.json\.\n$/);
    expect(statSync(file).mode & 0o777).toBe(0o600);

    const env = { PORTBRO_CLIENT_ID: 'node-oslo' };
    const checked = await onNode(['vpn-check', '--force-refresh'], env);
    expect([checked.err, checked.code]).toEqual(['', 0]);
    expect(checked.out).toContain('node-oslo is a VPN node of');

    const rotated = await onNode(['vpn-key', 'rotate', '--alg', 'EdDSA', '--json'], env);
    expect([rotated.err, rotated.code]).toEqual(['', 0]);
    const { kid, keys, done } = documentOf(rotated) as { kid: string; keys: { kid: string }[]; done: string };
    expect([done, keys.length, keys[0]?.kid]).toEqual(['rotated', 2, kid]);
    expect(documentOf(rotated)).toMatchObject({ alg: 'EdDSA' });
    const old = keys[1]?.kid ?? '';
    expect(await shown('node-oslo')).toMatchObject({
      keys: [
        { kid, alg: 'EdDSA', expires_at: null },
        { kid: old, alg: 'ES256', expires_at: expect.stringMatching(/^\d{4}-/) },
      ],
    });
    expect(await nodes('update', 'node-oslo', '--revoke-key', old, '--name', 'Oslo 2')).toMatchObject({
      ...{ code: 0, err: '', out: `node-oslo: updated. The key ${old} is over, ${ALL} by its other key.\n` },
    });
    expect(await shown('node-oslo')).toMatchObject({ client_name: 'Oslo 2', keys: [{ kid }] });
    const again = await onNode(['vpn-key', 'rotate'], env);
    expect(again.out).toMatch(
      /^node-oslo: rotated\. Its EdDSA key .*\nThe key \S+ goes on until \d{4}-.*Z\.\n$/,
    );
    expect((await onNode(['vpn-check'], env)).code).toBe(0);
  });

  test('takes the code from standard input, and tells why it is not taken', async () => {
    const key = { PORTBRO_PRIVATE_KEY_FILE: join(folder, 'piped.json') };
    const code = String(
      documentOf(await nodes('enrol', 'node-rome', '--lifetime', '60', '--json'))['enrolment_code'],
    );
    const wrong = await onNode(
      ['vpn-key', 'enrol', '--json'],
      key,
      Readable.from([`${code.slice(0, -2)}xx\n`]),
    );
    expect([wrong.code, wrong.err]).toEqual([1, expect.stringMatching(/unknown, used or expired/)]);
    expect(documentOf(wrong)).toMatchObject({ error: { code: 'failed' } });
    const unset = { ...key, PORTBRO_ENROLMENT_CODE: '' };
    const done = await onNode(['vpn-key', 'enrol', '--json'], unset, Readable.from([`${code}\n`]));
    expect(documentOf(done)).toMatchObject({ client_id: 'node-rome', done: 'enrolled' });
    const twice = await onNode(['vpn-key', 'enrol'], key, Readable.from([code]));
    expect([twice.code, twice.err]).toEqual([1, expect.stringMatching(/piped\.json is there already/)]);
  });

  test('enrols and rotates where the file system has no links', async () => {
    const code = codeIn(await nodes('enrol', 'node-bari'));
    const file = join(folder, 'bari.json');
    const env = { PARENT_ISSUER: server.issuer, PORTBRO_PRIVATE_KEY_FILE: file };
    const vpnKey = (verb: string, more: Readonly<Record<string, string>>) =>
      start(process.execPath, [...NO_LINKS, join(ROOT, 'src/main.ts'), 'vpn-key', verb], {
        ...{ cwd: folder, env: { ...env, ...more } },
      }).ended;
    expect(await vpnKey('enrol', { PORTBRO_ENROLMENT_CODE: code })).toMatchObject({ code: 0, err: '' });
    const enrolled = readFileSync(file, 'utf8');
    expect(statSync(file).mode & 0o777).toBe(0o600);
    const again = codeIn(await nodes('enrol', 'node-bari'));
    expect(await vpnKey('enrol', { PORTBRO_ENROLMENT_CODE: again })).toMatchObject({ code: 1 });
    expect(readFileSync(file, 'utf8')).toBe(enrolled);
    expect(await vpnKey('rotate', { PORTBRO_CLIENT_ID: 'node-bari' })).toMatchObject({ code: 0, err: '' });
    expect(readFileSync(file, 'utf8')).not.toBe(enrolled);
    expect(readdirSync(folder).filter((name) => name.startsWith('bari'))).toEqual(['bari.json']);
    expect(statSync(file).mode & 0o777).toBe(0o600);
  });

  test('asks for the code in a terminal, which does not show it', async () => {
    const key = { PORTBRO_PRIVATE_KEY_FILE: join(folder, 'typed.json') };
    const code = codeIn(await nodes('enrol', 'node-graz'));
    const terminal = Object.assign(new PassThrough(), { isTTY: true });
    terminal.write(`${code}\r`);
    const done = await onNode(['vpn-key', 'enrol'], key, terminal);
    expect([done.err, done.code]).toEqual(['Enrolment code: \n', 0]);
    expect(done.out).toMatch(/^node-graz: enrolled\./);
  });

  test('that has a secret keeps it until it enrols, and may go back to one', async () => {
    const secret = /client_secret: (\S+)/.exec((await nodes('create', 'node-bonn')).out)?.[1] ?? '';
    const env = {
      PORTBRO_CLIENT_ID: 'node-bonn',
      PORTBRO_CLIENT_SECRET: secret,
      PORTBRO_PRIVATE_KEY_FILE: '',
    };
    const offered = documentOf(await nodes('enrol', 'node-bonn', '--json'));
    expect(offered).toMatchObject({ client_id: 'node-bonn', created: false });
    expect((await onNode(['vpn-check'], env)).code).toBe(0);
    const key = { PORTBRO_PRIVATE_KEY_FILE: join(folder, 'bonn.json') };
    const code = { PORTBRO_ENROLMENT_CODE: String(offered['enrolment_code']) };
    expect((await onNode(['vpn-key', 'enrol'], { ...key, ...code })).code).toBe(0);
    expect((await onNode(['vpn-check'], env)).err).toMatch(/invalid_client/);
    const back = await nodes('update', 'node-bonn', '--auth-method', 'client_secret_basic');
    expect(back.out).toMatch(/^node-bonn: updated\. The key [\w-]{43} is over, /);
    expect(back.out).toContain(`, ${ALL} by the secret.\nclient_secret: `);
    expect(await shown('node-bonn')).not.toHaveProperty('keys');
  });

  test('is made without one, and its code is ended', async () => {
    const made = await nodes('create', 'node-kiel', '--auth-method', 'private_key_jwt');
    expect([made.out, made.code]).toEqual(['node-kiel: created.\n', 0]);
    expect(made.err).toMatch(/^It has no key yet.*: portcullis vpn-nodes enrol node-kiel\n$/);
    const code = codeIn(await nodes('enrol', 'node-kiel'));
    expect((await nodes('update', 'node-kiel', '--revoke-code')).code).toBe(0);
    expect(await shown('node-kiel')).not.toHaveProperty('enrolment_code_until');
    const key = { PORTBRO_PRIVATE_KEY_FILE: join(folder, 'kiel.json'), PORTBRO_ENROLMENT_CODE: code };
    expect((await onNode(['vpn-key', 'enrol'], key)).err).toMatch(/unknown, used or expired/);
  });

  /** A node with a key, by a code: its environment, and the id of the key. */
  const enrol = async (id: string, ...options: readonly string[]) => {
    const env = { PORTBRO_PRIVATE_KEY_FILE: join(folder, `${id}.json`), PORTBRO_CLIENT_ID: id };
    const code = { PORTBRO_ENROLMENT_CODE: codeIn(await nodes('enrol', id)) };
    const enrolled = await onNode(['vpn-key', 'enrol', '--json', ...options], { ...env, ...code });
    return { env, kid: String(documentOf(enrolled)['kid']) };
  };

  test('that loses its last key, or a key with a secret’s, is told what ends by it', async () => {
    const { env, kid } = await enrol('node-linz');
    expect((await nodes('enrol', 'node-linz')).out).toMatch(
      /Every token that the node got by that ends then/,
    );
    const { out } = await nodes('update', 'node-linz', '--revoke-key', kid);
    expect(out).toMatch(new RegExp(`^node-linz: updated\\. The key ${kid} is over, and so is every token `));
    expect(out).toMatch(/\. The node has no key now: portcullis vpn-nodes enrol node-linz\n$/);
    const again = await nodes('update', 'node-linz', '--name', 'Linz');
    expect(again.out).toBe('node-linz: updated.\n');

    const lost = await onNode(['vpn-key', 'rotate'], env);
    expect([lost.code, lost.err]).toEqual([
      1,
      expect.stringMatching(
        /\/vpn\/keys knows no such key of node-linz \(invalid_token\): it was revoked.*`portcullis vpn-nodes enrol node-linz`/,
      ),
    ]);

    const { kid: first, env: others } = await enrol('node-jena');
    const second = documentOf(await onNode(['vpn-key', 'rotate', '--json'], others))['kid'];
    const both = await nodes(
      ...['update', 'node-jena', '--revoke-key', first, '--revoke-key', String(second), '--json'],
    );
    expect(documentOf(both)).toEqual({ client_id: 'node-jena', done: 'updated', tokens_ended: true });
  });

  test('whose other words are refused is told of the key that ended all the same', async () => {
    const { kid } = await enrol('node-trier');
    const half = await nodes('update', 'node-trier', '--revoke-key', kid, '--redirect-uri', 'javascript:x');
    expect([half.code, half.err]).toEqual([
      1,
      expect.stringMatching(new RegExp(`^--redirect-uri.*\\nThe key ${kid} is over, `)),
    ]);
  });

  test('that has five keys is told so, and keeps the sixth for later', async () => {
    const { env, kid } = await enrol('node-wien');
    for (let count = 1; count < 5; count += 1) {
      expect((await onNode(['vpn-key', 'rotate'], env)).code).toBe(0);
    }
    const full = await onNode(['vpn-key', 'rotate'], env);
    expect([full.code, full.err]).toEqual([
      1,
      expect.stringMatching(
        /A node has 5 keys at most: .*`portcullis vpn-nodes update ID --revoke-key KID`.*The new key waits in \S+node-wien\.json\.next/,
      ),
    ]);
    const waiting = readFileSync(join(folder, 'node-wien.json.next'), 'utf8');
    const other = await onNode(['vpn-key', 'rotate', '--alg', 'RS256'], env);
    expect([other.code, other.err]).toEqual([
      1,
      expect.stringMatching(
        /node-wien\.json\.next holds the ES256 key of an attempt that was cut off, .*without --alg/,
      ),
    ]);
    expect((await nodes('update', 'node-wien', '--revoke-key', kid)).out).toContain('by its other keys.');
    expect((await onNode(['vpn-key', 'rotate', '--alg', 'ES256'], env)).out).toMatch(/^node-wien: rotated\./);
    expect(readFileSync(join(folder, 'node-wien.json'), 'utf8')).toBe(waiting);
  });

  test('keeps its tokens when it rotates, and loses them with a key that is taken away', async () => {
    const { env, kid } = await enrol('node-metz');
    const settings = { clientId: 'node-metz', issuer: server.issuer };
    const at = (path: string): URL => new URL(path, server.issuer);
    const client = createOAuth2Client({
      ...{ ...settings, privateKeyFile: env.PORTBRO_PRIVATE_KEY_FILE, scope: 'read' },
      ...{ tokenUrl: at('/token'), vpnAuthUrl: at('/vpn/auth') },
    });
    const asker = await createVpnNode(server);
    const isGood = async (token: string): Promise<unknown> =>
      (await json(await server.request('/introspect', form({ token }, basic(asker)))))['active'];
    const jwt = await client.getVpnJwtToken();
    expect((await onNode(['vpn-key', 'rotate'], env)).code).toBe(0);
    const other = await client.getVpnJwtToken();
    expect([await isGood(jwt), await isGood(other)]).toEqual([true, true]);
    expect((await nodes('update', 'node-metz', '--revoke-key', kid)).out).toContain(ALL);
    expect([await isGood(jwt), await isGood(other)]).toEqual([false, false]);
    const wrong = await onNode(['vpn-check'], { ...env, PARENT_ISSUER: `${server.issuer}/` });
    expect([wrong.code, wrong.err]).toEqual([
      1,
      expect.stringMatching(
        /invalid_client.* The key signs for PARENT_ISSUER, which is "\S+\/": it has to be/,
      ),
    ]);
    const rotated = await onNode(['vpn-key', 'rotate'], { ...env, PARENT_ISSUER: `${server.issuer}/` });
    expect(rotated.err).toMatch(/Where the key is known there, the issuer is not exactly the server’s/);
  });

  test('does not use up the code of another node', async () => {
    const code = codeIn(await nodes('enrol', 'node-bern'));
    const env = { PORTBRO_ENROLMENT_CODE: code, PORTBRO_PRIVATE_KEY_FILE: join(folder, 'bern.json') };
    const wrong = await onNode(['vpn-key', 'enrol'], { ...env, PORTBRO_CLIENT_ID: 'node-berlin' });
    expect([wrong.code, wrong.err]).toEqual([
      1,
      expect.stringMatching(/^The code is for node-bern, and PORTBRO_CLIENT_ID is node-berlin: /),
    ]);
    expect(wrong.err).not.toContain(code);
    expect((await onNode(['vpn-key', 'enrol'], { ...env, PORTBRO_CLIENT_ID: 'node-bern' })).code).toBe(0);
  });

  test('is refused in words that help', async () => {
    const bad = await nodes('enrol', 'not an id');
    expect([bad.code, bad.err]).toEqual([1, expect.stringMatching(/^client_id: 1 to 128 letters/)]);
    expect((await nodes('enrol', 'node-kiel', '--lifetime', '5')).code).toBe(2);
    expect((await nodes('update', 'node-kiel')).code).toBe(2);
    expect((await nodes('update', 'node-kiel', '--revoke-key', 'x')).err).toMatch(/has no key "x"/);
    expect((await nodes('update', 'nobody', '--revoke-code')).err).toMatch(/There is no VPN node "nobody"/);
    expect((await nodes('enrol', '--help')).out).toMatch(/Example:\n {2}portcullis vpn-nodes enrol/);
    const none = { PARENT_ISSUER: '', PORTBRO_PRIVATE_KEY_FILE: '' };
    expect((await onNode(['vpn-key', 'rotate'], none)).err.trim().split('\n')).toEqual([
      'PARENT_ISSUER is not set: the node needs it.',
      'PORTBRO_PRIVATE_KEY_FILE is not set: the node needs it.',
      'PORTBRO_CLIENT_ID is not set: the node needs it.',
    ]);
    expect((await onNode(['vpn-key', 'enrol'], none)).code).toBe(1);
    const sentence = 'PARENT_ISSUER is no address that can be trusted: use https, or http on loopback.\n';
    for (const PARENT_ISSUER of ['localhost:8011', 'http://id.example.com', 'x']) {
      for (const verb of ['enrol', 'rotate']) {
        const wrong = await onNode(['vpn-key', verb], { PARENT_ISSUER, PORTBRO_CLIENT_ID: 'node-kiel' });
        expect([wrong.code, wrong.err]).toEqual([1, sentence]);
      }
    }
    expect((await onNode(['vpn-key', 'enrol'])).err).toMatch(/^There is no code/);
    expect((await onNode(['vpn-key', 'rotate', '--alg', 'HS256'])).code).toBe(2);
    expect((await onNode(['vpn-key', 'rotate', '--help'])).out).toMatch(
      /Example:\n {2}portcullis vpn-key rotate/,
    );
  });
});
