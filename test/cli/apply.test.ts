/** `portcullis apply`: makes the store as a file says, or tells every fault by path and line and changes nothing. */
import { beforeEach, describe, expect, test } from '@jest/globals';
import { jwtVerify } from 'jose';
import { copyFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

import { createNameSide } from '../../src/names.ts';
import { openStorage } from '../../src/storage/open.ts';
import type { Storage } from '../../src/storage/port.ts';
import { basic, form, getToken } from '../support/clients.ts';
import { describeOnBothStores, useTestServer } from '../support/server.ts';
import { documentOf, environmentOf, portcullis } from './run.ts';
import type { Ran } from './run.ts';

const EXAMPLE = join(import.meta.dirname, '../../config/resources.example.yaml');
const GIVEN_SECRET = 'given-'.padEnd(48, 'x1y2z3');
const FILE = 'resources.yaml';

describeOnBothStores('apply', (store) => {
  const server = useTestServer(store);

  const apply = (text: string, options: readonly string[] = [], env: object = {}): Promise<Ran> => {
    writeFileSync(join(server().folder, FILE), text);
    return portcullis(['apply', FILE, ...options], {
      cwd: server().folder,
      env: { ...environmentOf(server()), ...env },
    });
  };

  const inStore = async <T>(look: (storage: Storage) => Promise<T>): Promise<T> => {
    const storage = await openStorage(server().secrets.databaseUrl);
    return look(storage).finally(() => storage.close());
  };

  /** Everything that apply could change. */
  const snapshot = (): Promise<unknown> =>
    inStore(async ({ clients, resourceServers }) => [
      await clients.list({ limit: 1_000 }),
      await resourceServers.list({ limit: 1_000 }),
    ]);

  const tokenStatus = async (id: string, secret: string): Promise<number> => {
    const body = form({ grant_type: 'client_credentials', scope: 'read' }, basic({ id, secret }));
    return (await server().request('/token', body)).status;
  };

  const secretOf = ({ out }: Ran): string =>
    /client_secret: ([\w-]{43}) \(shown this once\)/.exec(out)?.[1] ?? '';

  describe('what it does', () => {
    test('makes what the example file says, and the second time nothing', async () => {
      copyFileSync(EXAMPLE, join(server().folder, 'example.yaml'));
      const run = (...options: readonly string[]): Promise<Ran> =>
        portcullis(['apply', 'example.yaml', ...options], {
          cwd: server().folder,
          env: environmentOf(server()),
        });
      const before = await snapshot();
      const dry = await run('--dry-run');
      expect([dry.code, dry.err]).toEqual([0, '']);
      expect(dry.out).toMatch(
        /^\+ resource_servers .*\n\+ clients billing\n.*Dry run: 6 created, 0 updated/s,
      );
      expect(dry.out).not.toContain('client_secret');
      expect(await snapshot()).toEqual(before);

      const first = await run();
      expect([first.code, first.err]).toEqual([0, '']);
      expect(first.out).toMatch(/6 created, 0 updated, 0 unchanged\.\n$/);
      expect(first.out.match(/client_secret: [\w-]{43} \(shown this once\)/g)).toHaveLength(4);
      const after = await snapshot();

      const second = await run();
      expect([second.code, second.err]).toEqual([0, '']);
      expect(second.out).toMatch(/^= resource_servers .*0 created, 0 updated, 6 unchanged\.\n$/s);
      expect(second.out).not.toContain('client_secret');
      expect(await snapshot()).toEqual(after);
    });

    test('leaves alone what the file does not name, and an empty file does nothing', async () => {
      await apply('vpn_nodes: [{ client_id: stays }]');
      const before = await snapshot();
      for (const text of ['', '{}', '# nothing', 'clients: []'])
        expect((await apply(text)).out).toBe('0 created, 0 updated, 0 unchanged.\n');
      expect(await snapshot()).toEqual(before);
    });

    test('tells which fields change, by a dry run too', async () => {
      await apply('clients: [{ client_id: changing, scope: read, client_name: One }]');
      const changed = 'clients: [{ client_id: changing, scope: read write, client_name: Two }]';
      const line = '~ clients changing (client_name, scope)\n';
      expect((await apply(changed, ['--dry-run'])).out).toBe(
        `${line}Dry run: 0 created, 1 updated, 0 unchanged; nothing was changed.\n`,
      );
      expect((await apply(changed)).out).toBe(`${line}0 created, 1 updated, 0 unchanged.\n`);
      expect((await apply(changed)).out).toContain('= clients changing\n');
    });

    test('takes JSON, and answers with one JSON document', async () => {
      const text = JSON.stringify({ vpn_nodes: [{ client_id: 'json-node' }] });
      const dry = documentOf(await apply(text, ['--dry-run', '--json']));
      const item = { section: 'vpn_nodes', id: 'json-node', action: 'create', changes: [] };
      expect(dry).toEqual({ ok: true, dry_run: true, items: [item] });
      const real = await apply(text, ['--json']);
      expect([real.code, real.err]).toEqual([0, '']);
      expect(documentOf(real)).toEqual({
        ok: true,
        dry_run: false,
        items: [{ ...item, client_secret: expect.stringMatching(/^[\w-]{43}$/) }],
      });
    });
  });

  describe('secrets', () => {
    test('takes one from the environment, which works and is shown by nobody', async () => {
      const text = 'vpn_nodes: [{ client_id: from-env, client_secret: { env: NODE_SECRET } }]';
      const first = await apply(text, [], { NODE_SECRET: GIVEN_SECRET });
      expect(first).toEqual({
        out: '+ vpn_nodes from-env\n1 created, 0 updated, 0 unchanged.\n',
        err: '',
        code: 0,
      });
      expect(await tokenStatus('from-env', GIVEN_SECRET)).toBe(200);
      expect((await apply(text, [], { NODE_SECRET: GIVEN_SECRET })).out).toMatch(/^= vpn_nodes from-env\n/);
    });

    test('tells every variable that is missing, by path and line', async () => {
      const { out, err, code } = await apply(
        'vpn_nodes:\n  - client_id: a\n    client_secret: { env: NO_A }\n  - client_id: b\n    client_secret: { env: NO_B }\n',
      );
      expect([code, out]).toEqual([1, '']);
      expect(err).toBe(
        `${FILE}:3: vpn_nodes[0].client_secret: the environment has no NO_A: export it before you run this command\n` +
          `${FILE}:5: vpn_nodes[1].client_secret: the environment has no NO_B: export it before you run this command\n` +
          'Nothing was changed.\n',
      );
    });

    test('a made secret stays, another given one takes its place', async () => {
      const made = secretOf(await apply('vpn_nodes: [{ client_id: rotated }]'));
      expect((await apply('vpn_nodes: [{ client_id: rotated }]')).out).toMatch(/^= /);
      expect(await tokenStatus('rotated', made)).toBe(200);
      const given = `vpn_nodes: [{ client_id: rotated, client_secret: ${GIVEN_SECRET} }]`;
      expect((await apply(given)).out).toMatch(/^~ vpn_nodes rotated \(client_secret\)\n0 created/);
      expect([await tokenStatus('rotated', made), await tokenStatus('rotated', GIVEN_SECRET)]).toEqual([
        401, 200,
      ]);
      expect((await apply(given)).out).toMatch(/^= /);
    });

    test('a resource server by HS256 has its secret from the environment, and a new one replaces it', async () => {
      const text = `
resource_servers:
  - { identifier: 'urn:old', audience: old, signing_alg: HS256, secret: { env: OLD }, scopes: [api] }
clients: [{ client_id: old-client, scope: api }]`;
      const secret = secretOf(await apply(text, [], { OLD: GIVEN_SECRET }));
      const verify = async (key: string): Promise<unknown> => {
        const parameters = { scope: 'api', resource: 'urn:old' };
        const token = await getToken(server(), { id: 'old-client', secret }, parameters);
        const { payload } = await jwtVerify(token, Buffer.from(key), {
          algorithms: ['HS256'],
          audience: 'old',
        });
        return payload.sub;
      };
      expect(await verify(GIVEN_SECRET)).toBe('old-client');
      expect((await apply(text, [], { OLD: GIVEN_SECRET })).out).toMatch(/^= resource_servers urn:old\n/);
      const next = GIVEN_SECRET.replace('given', 'other');
      expect((await apply(text, [], { OLD: next })).out).toMatch(/^~ resource_servers urn:old \(secret\)\n/);
      expect(await verify(next)).toBe('old-client');
    });
  });

  describe('what it refuses, with nothing changed', () => {
    let before: unknown;

    beforeEach(async () => {
      before = await snapshot();
    });

    /** Each fault by its line, and no trace of the file in the store, by text and by JSON. */
    const expectFaults = async (text: string, faults: readonly (readonly [number, string, RegExp])[]) => {
      const ran = await apply(text);
      expect([ran.code, ran.out]).toEqual([1, '']);
      const lines = ran.err.split('\n');
      expect(lines.slice(-2)).toEqual(['Nothing was changed.', '']);
      expect(lines.slice(0, -2).map((line) => line.split(': ')[0])).toEqual(
        faults.map(([line]) => `${FILE}:${line}`),
      );
      const json = await apply(text, ['--json']);
      expect([json.code, json.err]).toEqual([1, '']);
      expect(documentOf(json)).toEqual({
        ok: false,
        dry_run: false,
        items: [],
        faults: faults.map(([line, path, message]) => ({
          line,
          path,
          message: expect.stringMatching(message),
        })),
      });
      expect(await snapshot()).toEqual(before);
    };

    test.each<[string, string, readonly (readonly [number, string, RegExp])[]]>([
      ['an unknown section', 'clients: []\nclusters: []\n', [[2, 'clusters', /no such field/]]],
      [
        'an unknown field',
        'vpn_nodes:\n  - client_id: a\n    nmae: x\n',
        [[3, 'vpn_nodes[0].nmae', /no such field/]],
      ],
      [
        'unknown fields and bad values, all at once',
        'clients:\n  - client_id: good\n    scope: read\n  - client_id: a b\n    scoep: read\nvpn_nodes:\n  - name: x\n',
        [
          [4, 'clients[1].client_id', /1 to 128 letters/],
          [5, 'clients[1].scoep', /no such field/],
          [7, 'vpn_nodes[0].client_id', /^this field is missing$/],
        ],
      ],
      ['a text in the place of a list', 'clients: x\n', [[1, 'clients', /^expected a list, found a text$/]]],
      [
        'a list in the place of the file',
        '- clients\n',
        [[1, '', /^expected a mapping of fields, found a list$/]],
      ],
      [
        'a short secret',
        'vpn_nodes:\n  - client_id: a\n    client_secret: short\n',
        [[3, 'vpn_nodes[0].client_secret', /32 to 256 random/]],
      ],
      [
        'a reference with more than a name',
        'vpn_nodes:\n  - client_id: a\n    client_secret: { env: HOME, default: x }\n',
        [[3, 'vpn_nodes[0].client_secret', /^expected a text, found a mapping of fields$/]],
      ],
      [
        'HS256 without a secret, and a secret without HS256',
        `resource_servers:\n  - identifier: urn:a\n    audience: a\n    scopes: [x]\n    signing_alg: HS256\n  - identifier: urn:b\n    audience: b\n    scopes: [x]\n    secret: ${GIVEN_SECRET}\n`,
        [
          [2, 'resource_servers[0].secret', /the shared secret of a resource server that uses HS256/],
          [9, 'resource_servers[1].secret', /and of no other/],
        ],
      ],
      [
        'a lifetime, an identifier and a default role that are none',
        'resource_servers:\n  - identifier: nowhere\n    audience: a\n    scopes: [openid]\n    access_token_lifetime: 59\n    default_role: boss\n',
        [
          [2, 'resource_servers[0].identifier', /absolute URI/],
          [4, 'resource_servers[0].scopes[0]', /a scope of the API itself/],
          [5, 'resource_servers[0].access_token_lifetime', /60/],
          [6, 'resource_servers[0].default_role', /one of the roles above/],
        ],
      ],
      [
        'a client whose keys hold a private member',
        'clients:\n  - client_id: a\n    scope: read\n    token_endpoint_auth_method: private_key_jwt\n    jwks:\n      keys:\n        - { kty: EC, crv: P-256, x: a, y: b, d: c }\n',
        [[7, 'clients[0].jwks.keys[0].d', /no such field/]],
      ],
      [
        'a duplicate key',
        'vpn_nodes:\n  - client_id: a\n    client_id: b\n',
        [[3, '', /stands there twice/]],
      ],
      ['YAML that is none', 'clients:\n  - { client_id: a\nvpn_nodes: []\n', [[3, '', /./]]],
      [
        'a text that is no YAML at all, once for each line',
        '{"a": 1}}} ]] }} , : [ - ]\n<html>: : : {{ ]] }}\n',
        [
          [1, '', /no valid YAML/],
          [2, '', /no valid YAML/],
        ],
      ],
      [
        'redirect URIs that are none',
        'clients:\n  - { client_id: a, scope: openid, redirect_uris: [foo] }\nvpn_nodes:\n  - { client_id: b, redirect_uris: [foo] }\n',
        [
          [2, 'clients[0].redirect_uris[0]', /an absolute URI/],
          [4, 'vpn_nodes[0].redirect_uris[0]', /an absolute URI/],
        ],
      ],
      [
        'one id twice',
        'clients:\n  - client_id: twin\n    scope: read\nvpn_nodes:\n  - client_id: other\n  - client_id: twin\n',
        [[6, 'vpn_nodes[1]', /"twin" stands already at clients\[0\]/]],
      ],
      [
        'audiences of the server itself',
        'resource_servers:\n  - { identifier: urn:a, audience: VPN-Node, scopes: [x] }\n  - { identifier: urn:b, audience: portcullis, scopes: [x] }\n  - { identifier: urn:c, audience: Petstore, scopes: [x] }\n  - { identifier: urn:d, audience: vpn-nodes, scopes: [x] }\n',
        [
          [2, 'resource_servers[0]', /"VPN-Node" is this server's own: choose another/],
          [3, 'resource_servers[1]', /"portcullis" is this server's own/],
          [4, 'resource_servers[2]', /"Petstore" is this server's own/],
          [5, 'resource_servers[3]', /"vpn-nodes" is this server's own/],
        ],
      ],
    ])('%s', async (_name, text, faults) => {
      await expectFaults(text, faults);
    });

    test('aliases that expand into each other, at once', async () => {
      const levels = Array.from({ length: 12 }, (_, i) =>
        i === 0
          ? 'l0: &l0 [x]'
          : `l${i}: &l${i} [${Array(10)
              .fill(`*l${i - 1}`)
              .join(', ')}]`,
      );
      await expectFaults(levels.join('\n'), [[1, '', /alias/i]]);
    });

    test('an audience that another resource server has', async () => {
      await apply("resource_servers: [{ identifier: 'urn:first', audience: shared, scopes: [x] }]");
      before = await snapshot();
      await expectFaults(
        'vpn_nodes:\n  - client_id: new\nresource_servers:\n  - identifier: urn:second\n    audience: shared\n    scopes: [x]\n',
        [[4, 'resource_servers[0]', /"shared" is that of urn:first/]],
      );
    });

    test('a client under the id of a VPN node', async () => {
      await apply('vpn_nodes: [{ client_id: is-node }]');
      before = await snapshot();
      await expectFaults('clients:\n  - client_id: is-node\n    scope: read\n', [
        [2, 'clients[0]', /registered as a VPN node: delete it first, or use another id/],
      ]);
    });

    test('an id and an audience that are an account’s name', async () => {
      await inStore(async ({ names }) => {
        await createNameSide(names, 'account', []).claim('Bob');
      });
      for (const text of [
        'vpn_nodes: [{ client_id: saved-too-early }, { client_id: bob }]',
        'resource_servers: [{ identifier: urn:x, audience: BOB, scopes: [x] }]',
      ]) {
        const { out, err, code } = await apply(text);
        expect([code, out]).toEqual([1, '']);
        expect(err).toMatch(/is, or was, the name of an account/);
        expect(await snapshot()).toEqual(before);
      }
    });

    test('one audience for two resource servers', async () => {
      const text =
        'resource_servers:\n  - { identifier: urn:a, audience: same, scopes: [x] }\n  - { identifier: urn:b, audience: same, scopes: [x] }\n';
      await expectFaults(text, [
        [3, 'resource_servers[1].audience', /is the audience of resource_servers\[0\] already/],
      ]);
    });

    test('a file that is not there, or is a folder', async () => {
      const run = (file: string): Promise<Ran> =>
        portcullis(['apply', file], { cwd: server().folder, env: environmentOf(server()) });
      expect(await run('absent.yaml')).toEqual({
        out: '',
        err: 'absent.yaml cannot be read (there is no such file): name a file that this user may read.\n',
        code: 1,
      });
      expect((await run('.')).err).toMatch(/^\. cannot be read \(it is a folder\)/);
    });

    test('no file, and an unknown option, as wrong usage', async () => {
      for (const argv of [['apply'], ['apply', FILE, '--force'], ['apply', 'a', 'b']]) {
        const { out, code } = await portcullis(argv, { cwd: server().folder, env: environmentOf(server()) });
        expect([code, out]).toEqual([2, '']);
      }
    });
  });
});
