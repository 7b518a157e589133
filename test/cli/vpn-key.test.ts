/** `vpn-nodes enrol`, `vpn-key` and `vpn-check`: a node that never has a secret, by the command line alone. */
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { mkdtempSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { PassThrough, Readable } from 'node:stream';

import { describeOnBothStores, startTestServer } from '../support/server.ts';
import type { TestServer } from '../support/server.ts';
import { documentOf, environmentOf, portcullis } from './run.ts';
import type { Ran } from './run.ts';
import { findFreePort } from './serve-process.ts';

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
    expect(enrolled.out).toMatch(/^node-oslo: enrolled\. Its key [\w-]{43} is in \S+key\.json\.\n$/);
    expect(statSync(file).mode & 0o777).toBe(0o600);

    const env = { PORTBRO_CLIENT_ID: 'node-oslo' };
    const checked = await onNode(['vpn-check', '--force-refresh'], env);
    expect([checked.err, checked.code]).toEqual(['', 0]);
    expect(checked.out).toContain('node-oslo is a VPN node of');

    const rotated = await onNode(['vpn-key', 'rotate', '--alg', 'EdDSA', '--json'], env);
    expect([rotated.err, rotated.code]).toEqual(['', 0]);
    const { kid, keys, done } = documentOf(rotated) as { kid: string; keys: { kid: string }[]; done: string };
    expect([done, keys.length, keys[0]?.kid]).toEqual(['rotated', 2, kid]);
    const old = keys[1]?.kid ?? '';
    expect(await shown('node-oslo')).toMatchObject({
      keys: [
        { kid, alg: 'EdDSA', expires_at: null },
        { kid: old, alg: 'ES256', expires_at: expect.stringMatching(/^\d{4}-/) },
      ],
    });
    expect(await nodes('update', 'node-oslo', '--revoke-key', old, '--name', 'Oslo 2')).toMatchObject({
      ...{ code: 0, err: '', out: 'node-oslo: updated.\n' },
    });
    expect(await shown('node-oslo')).toMatchObject({ client_name: 'Oslo 2', keys: [{ kid }] });
    const again = await onNode(['vpn-key', 'rotate'], env);
    expect(again.out).toMatch(/^node-oslo: rotated\..*\nThe key \S+ goes on until \d{4}-.*Z\.\n$/);
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
    const done = await onNode(['vpn-key', 'enrol', '--json'], key, Readable.from([`${code}\n`]));
    expect(documentOf(done)).toMatchObject({ client_id: 'node-rome', done: 'enrolled' });
    const twice = await onNode(['vpn-key', 'enrol'], key, Readable.from([code]));
    expect([twice.code, twice.err]).toEqual([1, expect.stringMatching(/piped\.json is there already/)]);
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
    expect(back.out).toMatch(/^node-bonn: updated\.\nclient_secret: /);
    expect(await shown('node-bonn')).not.toHaveProperty('keys');
  });

  test('is made without one, and its code is ended', async () => {
    const made = await nodes('create', 'node-kiel', '--auth-method', 'private_key_jwt');
    expect([made.out, made.code]).toEqual(['node-kiel: created.\n', 0]);
    const code = codeIn(await nodes('enrol', 'node-kiel'));
    expect((await nodes('update', 'node-kiel', '--revoke-code')).code).toBe(0);
    expect(await shown('node-kiel')).not.toHaveProperty('enrolment_code_until');
    const key = { PORTBRO_PRIVATE_KEY_FILE: join(folder, 'kiel.json'), PORTBRO_ENROLMENT_CODE: code };
    expect((await onNode(['vpn-key', 'enrol'], key)).err).toMatch(/unknown, used or expired/);
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
    expect((await onNode(['vpn-key', 'enrol'])).err).toMatch(/^There is no code/);
    expect((await onNode(['vpn-key', 'rotate', '--alg', 'HS256'])).code).toBe(2);
    expect((await onNode(['vpn-key', 'rotate', '--help'])).out).toMatch(
      /Example:\n {2}portcullis vpn-key rotate/,
    );
  });
});
