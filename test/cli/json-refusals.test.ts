/** What is refused under `--json`: one document on standard output, the sentence on standard error, the same exit code. */
import { expect, test } from '@jest/globals';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';

import { describeOnBothStores, useTestServer } from '../support/server.ts';
import { documentOf, environmentOf, portcullis } from './run.ts';

describeOnBothStores('a refusal under --json', (store) => {
  const server = useTestServer(store);

  test.each([
    ['not_found', /^There is no client "absent"/, ['clients', 'show', 'absent']],
    ['not_found', /^There is no VPN node "absent"/, ['vpn-nodes', 'delete', 'absent']],
    ['not_found', /^There is no VPN node "absent"/, ['vpn-nodes', 'rotate-secret', 'absent']],
    ['not_found', /^There is no client "absent"/, ['clients', 'update', 'absent', '--name', 'x']],
    ['conflict', /exists already/, ['vpn-nodes', 'create', 'there']],
    ['conflict', /a name of this server’s own/, ['clients', 'create', 'Portcullis', '--scope', 'read']],
    ['conflict', /a name of this server’s own/, ['clients', 'create', 'VPN-Nodes', '--scope', 'read']],
    ['invalid_request', /^client_id: 1 to 128/, ['vpn-nodes', 'create', 'a b']],
    ['invalid_request', /^--scope: /, ['clients', 'create', 'x', '--scope', ' ']],
    [
      'invalid_request',
      /^absent\.json cannot be read/,
      ['clients', 'create', 'x', '--scope', 'read', '--jwks', 'absent.json'],
    ],
    ['invalid_request', /^absent\.yaml cannot be read/, ['apply', 'absent.yaml']],
    ['invalid_request', /is there already/, ['secrets', 'generate', '--output', 'there.env']],
  ] as const)('%s %s', async (code, sentence, argv) => {
    const surroundings = { cwd: server().folder, env: environmentOf(server()) };
    writeFileSync(join(server().folder, 'there.env'), '');
    await portcullis(['vpn-nodes', 'create', 'there'], surroundings);
    const asText = await portcullis(argv, surroundings);
    const ran = await portcullis([...argv, '--json'], surroundings);
    expect([asText.code, asText.out]).toEqual([1, '']);
    expect([ran.code, ran.err]).toEqual([1, asText.err]);
    expect(ran.err).toMatch(sentence);
    expect(documentOf(ran)).toEqual({ error: { code, message: ran.err.trimEnd() } });
  });

  test('wrong settings, and a store that cannot be used', async () => {
    const run = (env: Record<string, string>) =>
      portcullis(['clients', 'list', '--json'], {
        cwd: server().folder,
        env: { ...environmentOf(server()), ...env },
      });
    expect(documentOf(await run({ PORT: 'x' }))).toEqual({
      error: {
        code: 'invalid_configuration',
        message: expect.stringMatching(/^The configuration has one fault/),
      },
    });
    const url = 'mongodb://user:hunter2@127.0.0.1:1/x?serverSelectionTimeoutMS=50';
    const ran = await run({ DATABASE_URL: url });
    expect([ran.code, documentOf(ran)]).toEqual([
      1,
      {
        error: { code: 'store_unavailable', message: expect.stringMatching(/^The store .* cannot be used/) },
      },
    ]);
    expect(ran.out).not.toContain('hunter2');
  });

  test.each([
    [/^missing required argument 'client_id'/, ['clients', 'show', '--json']],
    [/^missing required argument/, ['clients', 'create', '--json']],
    [/^unknown option '--nope'/, ['clients', 'list', '--json', '--nope']],
    [/^unknown command 'nope'/, ['clients', 'nope', '--json']],
    [/argument 'nope' is invalid/, ['audit', 'list', '--json', '--action', 'nope']],
  ] as const)('wrong usage: %s', async (sentence, argv) => {
    const ran = await portcullis(argv, { cwd: server().folder });
    const message = expect.stringMatching(sentence);
    expect([ran.code, documentOf(ran)]).toEqual([2, { error: { code: 'wrong_usage', message } }]);
    expect(ran.err).not.toBe('');
  });

  test('wrong usage without --json is a text on standard error', async () => {
    for (const argv of [
      ['clients', 'show'],
      ['clients', 'nope'],
      ['clients', 'show', '--', 'a', '--json'],
    ])
      expect(await portcullis(argv, { cwd: server().folder })).toMatchObject({ code: 2, out: '' });
  });
});
