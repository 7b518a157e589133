/** Enrolment of VPN nodes without a shared secret, and the rotation of their keys, over HTTP. */
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';

import type { Storage } from '../../src/storage/port.ts';
import { openStorage } from '../../src/storage/open.ts';
import { apply, basic, createClient, createVpnNode, form, getToken } from '../support/clients.ts';
import { askUntilServed } from '../support/held-up.ts';
import { withLatency } from '../support/latency.ts';
import { describeOnBothStores, startTestServer, useTestServer } from '../support/server.ts';
import type { TestServer } from '../support/server.ts';
import {
  assertionBy,
  enrol,
  enrolled,
  makeNodeKey,
  newId,
  offer,
  post,
  proofOf,
  records,
  rotate,
  tokenBy,
  tokenWith,
} from './node-keys.ts';
import type { Asked, Changes } from './node-keys.ts';

const HOUR = 3_600;
const DAY = 86_400;
const BAD_CODE = {
  error: 'invalid_request',
  error_description:
    'code: unknown, used or expired. An administrator makes a new one by portcullis vpn-nodes enrol.',
};

describeOnBothStores('enrolment', (store) => {
  const server = useTestServer(store, { RATE_LIMITS: 'off' });

  test.each(['ES256', 'EdDSA', 'RS256'])(
    'by a code and an %s key gives a node that needs no secret',
    async (alg) => {
      const { id, code, isNew } = await offer(server());
      expect(isNew).toBe(true);
      const key = await makeNodeKey(alg);
      const { status, body, headers } = await enrol(server(), code, key);
      const { issuer } = server();
      expect([status, headers.get('cache-control'), body]).toEqual([
        200,
        'no-store',
        {
          ...{ client_id: id, kid: key.kid, keys: [{ kid: key.kid, expires_at: null }], issuer },
          ...{ audience: 'vpn-node', token_endpoint: `${issuer}/token`, jwks_uri: `${issuer}/jwks` },
          ...{ vpn_auth_endpoint: `${issuer}/vpn/auth`, vpn_keys_endpoint: `${issuer}/vpn/keys` },
        },
      ]);
      expect(await tokenBy(server(), id, key)).toBe(200);
      expect(await tokenBy(server(), id, await makeNodeKey(alg))).toBe(401);
      const shown = await server().administration.showClient(id, true);
      expect(shown).toMatchObject({
        token_endpoint_auth_method: 'private_key_jwt',
        keys: [{ kid: key.kid, alg, added_at: expect.any(String), expires_at: null }],
      });
      expect(shown).not.toHaveProperty('enrolment_code_until');
    },
  );

  test('leads to the node’s VPN JWT', async () => {
    const { id, key } = await enrolled(server());
    const given = await tokenWith(server(), await assertionBy(server(), id, key));
    const { access_token } = (await given.json()) as { access_token: string };
    const answer = await post(server(), '/vpn/auth', {}, access_token);
    expect(answer).toMatchObject({ status: 200, body: { token_type: 'Bearer' } });
  });

  test('keeps only the digest of a code', async () => {
    const { code } = await offer(server());
    const storage = await openStorage(server().secrets.databaseUrl);
    try {
      const kept: unknown[] = [];
      for await (const batch of storage.snapshot()) kept.push(...batch);
      expect(JSON.stringify(kept)).not.toContain(code.slice(code.lastIndexOf('.') + 1));
    } finally {
      await storage.close();
    }
    expect(server().logs()).not.toContain(code);
  });

  test('ends the secret of a node that had one, at once and not before', async () => {
    const node = await createVpnNode(server());
    const { code, isNew } = await offer(server(), node.id);
    expect(isNew).toBe(false);
    expect(await getToken(server(), node)).toEqual(expect.any(String));
    const key = await makeNodeKey();
    expect(await enrol(server(), code, key)).toMatchObject({ status: 200 });
    const refused = await server().request('/token', form({ grant_type: 'client_credentials' }, basic(node)));
    expect(refused.status).toBe(401);
    expect(await tokenBy(server(), node.id, key)).toBe(200);
    await expect(server().administration.rotateSecret(node.id, true, 0)).rejects.toThrow(/has no secret/);
  });

  test('again, by another code, takes the place of the key', async () => {
    const { id, key } = await enrolled(server());
    const again = await makeNodeKey();
    expect(await enrol(server(), (await offer(server(), id)).code, again)).toMatchObject({ status: 200 });
    expect([await tokenBy(server(), id, key), await tokenBy(server(), id, again)]).toEqual([401, 200]);
  });

  test('is told again to a node that lost the answer, and to nobody else', async () => {
    const { id, code, key } = await enrolled(server());
    expect(await enrol(server(), code, key)).toMatchObject({ status: 200, body: { client_id: id } });
    expect(await enrol(server(), code, await makeNodeKey())).toMatchObject({ status: 400, body: BAD_CODE });
    await server().administration.nodes.revoke(id, [key.kid], false);
    expect(await enrol(server(), code, key)).toMatchObject({ status: 400, body: BAD_CODE });
  });

  test('by an unknown, a used, a replaced, an ended and an expired code is refused in the same words', async () => {
    const { code: used } = await enrolled(server());
    const replaced = await offer(server());
    await offer(server(), replaced.id);
    const ended = await offer(server());
    await server().administration.nodes.revoke(ended.id, [], true);
    const gone = await offer(server());
    await server().administration.deleteClient(gone.id, true);
    const unknown = `${used.slice(0, -1)}${used.endsWith('A') ? 'B' : 'A'}`;
    const nobody = `nobody.${'a'.repeat(43)}`;
    for (const code of [used, replaced.code, ended.code, gone.code, unknown, nobody, 'no code', '.']) {
      expect(await enrol(server(), code, await makeNodeKey())).toMatchObject({ status: 400, body: BAD_CODE });
    }
  });

  test.each<[string, Changes, RegExp]>([
    ['another audience', { claims: { aud: 'https://elsewhere.example' } }, /"?aud"?/],
    ['several audiences', { claims: { aud: ['AUD', 'b'] } }, /aud/],
    ['no id', { claims: { jti: undefined } }, /jti/],
    ['an empty id', { claims: { jti: '' } }, /jti must be a text/],
    ['no end', { claims: { exp: undefined } }, /exp/],
    ['an end that is over', { claims: { exp: 1 } }, /exp/],
    ['a long life', { claims: { exp: Math.floor(Date.now() / 1000) + 900 } }, /exp must be at most 300 s/],
    ['no time', { claims: { iat: undefined } }, /iat/],
    ['a time that is long ago', { claims: { iat: Math.floor(Date.now() / 1000) - 900 } }, /iat/],
    ['another type', { header: { typ: 'JWT' } }, /typ/],
    ['another code', { claims: { for_hash: 'x' } }, /for_hash is not/],
    ['no key', { header: { jwk: undefined } }, /its header has no jwk/],
  ])(
    'refuses a proof with %s, and the code stays good',
    async (_name, { claims = {}, ...rest }, sentence) => {
      const { code } = await offer(server());
      const aud = 'aud' in claims && Array.isArray(claims.aud) ? { aud: [server().issuer, 'b'] } : {};
      const key = await makeNodeKey();
      const refused = await enrol(server(), code, key, { claims: { ...claims, ...aud }, ...rest });
      expect(refused).toMatchObject({
        status: 400,
        body: { error: 'invalid_request', error_description: expect.stringMatching(sentence) },
      });
      expect(String(refused.body['error_description'])).toMatch(/^proof: /);
      expect(await enrol(server(), code, key)).toMatchObject({ status: 200 });
    },
  );

  test('refuses a key that another one proves, a private one, weak ones, and what is none', async () => {
    const { code } = await offer(server());
    const key = await makeNodeKey();
    const other = await makeNodeKey();
    const [p384, rsa] = [await makeNodeKey('ES384'), await makeNodeKey('RS256')];
    const jwks: readonly object[] = [
      { ...key.publicJwk, d: 'x'.repeat(43) },
      { ...key.publicJwk, x: 'A'.repeat(43) },
      { kty: 'oct', k: 'x'.repeat(43) },
      { ...rsa.publicJwk, n: String(rsa.publicJwk.n).slice(0, 171) },
      { ...rsa.publicJwk, e: 'AQ' },
      { ...key.publicJwk, use: 'enc' },
    ];
    for (const jwk of jwks) {
      const refused = await enrol(server(), code, key, { header: { jwk } });
      expect(refused).toMatchObject({ status: 400, body: { error: 'invalid_request' } });
    }
    expect(await enrol(server(), code, p384)).toMatchObject({ status: 400 });
    expect(await enrol(server(), code, key, { by: other })).toMatchObject({ status: 400 });
    expect(await enrol(server(), code, rsa, { by: key })).toMatchObject({ status: 400 });
    const none = [undefined, {}, { code }, { code, proof: 'a.b.c' }, { code, proof: 'x' }];
    for (const body of none) {
      expect(await post(server(), '/vpn/enrol', body)).toMatchObject({ status: 400 });
    }
    const extra = { code, proof: await proofOf(key, server(), code), scope: 'admin' };
    expect(await post(server(), '/vpn/enrol', extra)).toMatchObject({ status: 400 });
    const sent = await server().request('/vpn/enrol/', { method: 'POST', body: 'code=x' });
    expect(sent.status).toBe(415);
    expect((await server().request('/vpn/enrol')).status).toBe(405);
  });

  test('is in the audit log, change by change, without a code or a key', async () => {
    const { id, key, code } = await enrolled(server());
    const next = await makeNodeKey();
    await rotate(server(), id, key, next);
    await server().administration.nodes.revoke(id, [key.kid], false);
    const kept = await records(server(), id);
    expect(kept.map(({ actor, action, details }) => [actor, action, details])).toEqual([
      ['cli', 'vpn_node.create', expect.objectContaining({ before: null })],
      ['cli', 'vpn_node.enrol_code', { code_lifetime_seconds: HOUR }],
      [`client:${id}`, 'vpn_node.enrol', { kid: key.kid, alg: 'ES256', ended_secret: false, ended_keys: [] }],
      [
        `client:${id}`,
        'vpn_node.add_key',
        { kid: next.kid, alg: 'ES256', signed_by: key.kid, overlap_seconds: DAY },
      ],
      ['cli', 'vpn_node.revoke_key', { kids: [key.kid], ended_code: false }],
    ]);
    expect(kept[2]).toMatchObject({ ip: expect.any(String), requestId: expect.any(String) });
    expect(JSON.stringify(kept)).not.toContain(code);
    await server().logged('node_enrolled', id);
    await server().logged('node_key_added', id, next.kid);
  });

  test('a node keeps its key when an administrator changes it, or applies its file again', async () => {
    const { id, key } = await enrolled(server());
    await apply(server().administration, { vpn_nodes: [{ client_id: id, name: 'Berlin' }] });
    expect(await tokenBy(server(), id, key)).toBe(200);
    const withSecret = { vpn_nodes: [{ client_id: id, client_secret: 's'.repeat(40) }] };
    await expect(apply(server().administration, withSecret)).rejects.toThrow(
      /authenticates by a key of its own/,
    );
    const [node] = withSecret.vpn_nodes;
    const withBoth = { vpn_nodes: [{ ...node, token_endpoint_auth_method: 'private_key_jwt' }] };
    await expect(apply(server().administration, withBoth)).rejects.toThrow(/it enrols a key of its own/);
  });

  test('a node that goes back to a secret leaves its keys and its code behind', async () => {
    const { id, key } = await enrolled(server());
    const { code } = await offer(server(), id);
    const back = { token_endpoint_auth_method: 'client_secret_basic' };
    const saved = await server().administration.saveClient('update', id, true, back);
    if (!saved.ok || saved.secret === null) throw new Error('it has no secret');
    expect(await tokenBy(server(), id, key)).toBe(401);
    expect(await getToken(server(), { id, secret: saved.secret })).toEqual(expect.any(String));
    expect(await enrol(server(), code, await makeNodeKey())).toMatchObject({ status: 400, body: BAD_CODE });
  });

  test('is for VPN nodes alone', async () => {
    const { id } = await createClient(server(), 'read');
    await expect(offer(server(), id)).rejects.toThrow(/It is a client/);
    const { nodes } = server().administration;
    await expect(nodes.revoke('nobody', [], true)).rejects.toThrow(/There is no VPN node/);
    expect(await nodes.enrol('not an id', HOUR, undefined)).toMatchObject({ ok: false });
  });
});

describeOnBothStores('a code that is used by many at once', (store) => {
  let first: TestServer;
  let instances: readonly Pick<TestServer, 'issuer' | 'request'>[] = [];

  beforeAll(async () => {
    const open: typeof openStorage = async (...at) => withLatency(await openStorage(...at));
    first = await startTestServer(store, { RATE_LIMITS: 'off' }, { open });
    const { origin } = await first.startInstance();
    const request: TestServer['request'] = (path, init) => fetch(origin + path, init);
    instances = [first, { issuer: first.issuer, request }];
  });

  afterAll(() => first.stop());

  test('enrols one node, at two instances, in each of ten rounds', async () => {
    for (let round = 0; round < 10; round += 1) {
      const { id, code } = await offer(first);
      const keys = await Promise.all(Array.from({ length: 8 }, () => makeNodeKey()));
      const asked = await Promise.all(
        keys.map((key, index) => askUntilServed(() => enrol(instances[index % 2] ?? first, code, key))),
      );
      const winners = keys.filter((_key, index) => asked[index]?.status === 200);
      expect(winners).toHaveLength(1);
      const refused = asked.filter(({ status }) => status !== 200);
      expect(refused.map(({ status, body }) => [status, body])).toEqual(refused.map(() => [400, BAD_CODE]));
      const works = await Promise.all(keys.map((key) => tokenBy(first, id, key)));
      expect(works.filter((status) => status === 200)).toHaveLength(1);
      expect(winners[0] && (await tokenBy(first, id, winners[0]))).toBe(200);
    }
  });

  test('rotates to one key, and loses none that it told of, when a node asks twice at once', async () => {
    const { id, key } = await enrolled(first);
    const nexts = await Promise.all(Array.from({ length: 6 }, () => makeNodeKey()));
    const asked: readonly Asked[] = await Promise.all(
      nexts.map((next, index) => rotate(instances[index % 2] ?? first, id, key, next)),
    );
    expect(asked.map(({ status }) => status).toSorted()).toEqual([200, 409, 409, 409, 409, 409]);
    const works = await Promise.all(nexts.map((next) => tokenBy(first, id, next)));
    expect(works).toEqual(asked.map(({ status }) => (status === 200 ? 200 : 401)));
  });
});

describe('the limits of enrolment', () => {
  test('are those of a network, for enrolment and rotation together', async () => {
    const server = await startTestServer('SQLite', { RATE_LIMITS: 'on', RATE_LIMIT_IP: '3' });
    try {
      const ask = async (path: string) => (await post(server, path, {})).status;
      expect([await ask('/vpn/enrol'), await ask('/vpn/enrol/'), await ask('/vpn/keys')]).toEqual([
        400, 400, 401,
      ]);
      const { status, headers } = await post(server, '/vpn/enrol', {});
      expect([status, headers.get('retry-after')]).toEqual([429, expect.stringMatching(/^\d+$/)]);
      expect(headers.get('ratelimit')).toMatch(/^"ip";r=0/);
    } finally {
      await server.stop();
    }
  });

  test('every code that is not good costs the same: one look at the store', async () => {
    const calls: string[] = [];
    const open = async (url: string): Promise<Storage> => {
      const storage = await openStorage(url);
      const clients = {
        ...storage.clients,
        find: (id: string) => {
          calls.push('find');
          return storage.clients.find(id);
        },
        replace: (client: Parameters<Storage['clients']['replace']>[0]) => {
          calls.push('replace');
          return storage.clients.replace(client);
        },
      };
      return { ...storage, clients };
    };
    const server = await startTestServer('SQLite', { RATE_LIMITS: 'off' }, { open });
    try {
      const { code: used } = await enrolled(server);
      const old = await offer(server, newId(), 60);
      server.advance(61);
      const key = await makeNodeKey();
      const later = { iat: Math.floor(Date.now() / 1000) + 61, exp: Math.floor(Date.now() / 1000) + 90 };
      for (const code of [used, old.code, `nobody.${'a'.repeat(43)}`]) {
        calls.length = 0;
        expect(await enrol(server, code, key, { claims: later })).toMatchObject({
          status: 400,
          body: BAD_CODE,
        });
        expect(calls).toEqual(['find']);
      }
    } finally {
      await server.stop();
    }
  });
});
