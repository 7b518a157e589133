/** examples/go-node at the real server, built by the Go that is there. */
import { expect, test } from '@jest/globals';
import { join } from 'node:path';

import { ROOT, start } from '../cli/serve-process.ts';
import { describeOtherNode, describeShown } from '../support/other-node.ts';
import type { Launch } from '../support/other-node.ts';
import { prepareGo } from '../support/other-languages.ts';

const FOLDER = join(ROOT, 'examples/go-node');
const GO = { GOTOOLCHAIN: 'local', GOFLAGS: '-buildvcs=false' };
// What the tests need beside the program may not be compiled yet.
const COMPILE_TIMEOUT_MS = 120_000;
const found = prepareGo(FOLDER);

const launch: Launch = async (program, port, env) =>
  start(program, [], { cwd: FOLDER, env: { ...env, NODE_ADDRESS: `127.0.0.1:${port}` } });

describeOtherNode('examples/go-node', found, launch, (it, program) => {
  test(
    'is formatted, and has nothing that go vet sees',
    async () => {
      expect(await start('gofmt', ['-l', '.'], { cwd: FOLDER }).ended).toEqual({ code: 0, out: '', err: '' });
      expect(await start('go', ['vet', './...'], { cwd: FOLDER, env: GO }).ended).toMatchObject({
        code: 0,
      });
    },
    COMPILE_TIMEOUT_MS,
  );

  test(
    'keeps keys and its JWT for as long as it should',
    async () => {
      const ended = await start('go', ['test', './...'], { cwd: FOLDER, env: GO }).ended;
      expect([ended.code, ended.out]).toEqual([0, expect.stringMatching(/^ok\s+portcullis-go-node\/node/m)]);
    },
    COMPILE_TIMEOUT_MS,
  );

  test('says which settings are wrong, and does not start', async () => {
    const { env } = it();
    const without = await start(program, [], { cwd: FOLDER, env: { PORTBRO_CLIENT_ID: 'x' } }).ended;
    expect(without.code).toBe(1);
    expect(without.err).toMatch(/PORTBRO_CLIENT_SECRET is not set.*\nPARENT_ISSUER is not set/);
    const inTheClear = { ...env, PARENT_ISSUER: 'http://id.example.com', PARENT_JWKS_URL: '' };
    expect((await start(program, [], { cwd: FOLDER, env: inTheClear }).ended).err).toMatch(
      /PARENT_ISSUER is no address .*\nPORTBRO_TOKEN_URL is .*\nPORTBRO_VPN_AUTH_URL is .*\nPARENT_JWKS_URL is /,
    );
  });
});

describeShown('go-node', 'go');
