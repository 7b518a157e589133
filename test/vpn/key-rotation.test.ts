/** The rotation of a VPN node's key by the node itself, with an overlap, over HTTP. */
import { expect, test } from '@jest/globals';

import { createVpnNode, getToken } from '../support/clients.ts';
import { describeOnBothStores, startTestServer, useTestServer } from '../support/server.ts';
import {
  enrol,
  enrolled,
  makeNodeKey,
  offer,
  post,
  proofOf,
  records,
  rotate,
  rotationOf,
  tokenBy,
  tokenWith,
} from './node-keys.ts';

describeOnBothStores('rotation of a node’s key', (store) => {
  const server = useTestServer(store, { RATE_LIMITS: 'off' });

  test('adds a key beside the old one, which ends after the overlap', async () => {
    const own = await startTestServer(store, { RATE_LIMITS: 'off', VPN_KEY_OVERLAP: '600' });
    try {
      const { id, key } = await enrolled(own);
      const next = await makeNodeKey('EdDSA');
      const { status, body } = await rotate(own, id, key, next);
      const [newest, ending] = body['keys'] as { kid: string; expires_at: number | null }[];
      expect([status, body['kid'], newest]).toEqual([200, next.kid, { kid: next.kid, expires_at: null }]);
      expect(ending).toEqual({ kid: key.kid, expires_at: expect.any(Number) });
      expect([await tokenBy(own, id, key), await tokenBy(own, id, next)]).toEqual([200, 200]);
      own.advance(599);
      expect(await tokenBy(own, id, key, { exp: Math.floor(Date.now() / 1000) + 700 })).toBe(200);
      own.advance(2);
      expect(await tokenBy(own, id, key, { exp: Math.floor(Date.now() / 1000) + 800 })).toBe(401);
    } finally {
      await own.stop();
    }
  });

  test('with no overlap ends the old key at once', async () => {
    const own = await startTestServer(store, { RATE_LIMITS: 'off', VPN_KEY_OVERLAP: '0' });
    try {
      const { id, key } = await enrolled(own);
      const next = await makeNodeKey();
      expect((await rotate(own, id, key, next)).body['keys']).toEqual([{ kid: next.kid, expires_at: null }]);
      expect([await tokenBy(own, id, key), await tokenBy(own, id, next)]).toEqual([401, 200]);
    } finally {
      await own.stop();
    }
  });

  test('is told again to a node that lost the answer', async () => {
    const { id, key } = await enrolled(server());
    const next = await makeNodeKey();
    const request = await rotationOf(id, key, next, server());
    const body = { proof: await proofOf(next, server(), request) };
    const once = await post(server(), '/vpn/keys', body, request);
    const again = await post(server(), '/vpn/keys', body, request);
    expect([once.status, again.status, again.body]).toEqual([200, 200, once.body]);
    expect(await rotate(server(), id, key, next)).toMatchObject({ status: 200, body: once.body });
    expect(await rotate(server(), id, next, next)).toMatchObject({ status: 200, body: once.body });
    expect((await records(server(), id)).filter(({ action }) => action === 'vpn_node.add_key')).toHaveLength(
      1,
    );
  });

  test('does not bring back a key that was taken away, by a request that somebody kept', async () => {
    const { id, key } = await enrolled(server());
    const next = await makeNodeKey();
    const request = await rotationOf(id, key, next, server());
    const body = { proof: await proofOf(next, server(), request) };
    expect(await post(server(), '/vpn/keys', body, request)).toMatchObject({ status: 200 });
    await server().administration.nodes.revoke(id, [next.kid], false);
    expect(await post(server(), '/vpn/keys', body, request)).toMatchObject({
      status: 401,
      body: { error: 'invalid_token' },
    });
    expect(await tokenBy(server(), id, next)).toBe(401);
  });

  test('takes the word of the newest key alone, a key once, and five keys at most', async () => {
    const { id, key } = await enrolled(server());
    const keys = [key];
    for (let count = 1; count < 5; count += 1) {
      const next = await makeNodeKey();
      expect(await rotate(server(), id, keys[0] ?? key, next)).toMatchObject({ status: 200 });
      keys.unshift(next);
    }
    const [newest = key, older = key] = keys;
    const another = await makeNodeKey();
    const conflict = (sentence: RegExp) => ({
      status: 409,
      body: { error_description: expect.stringMatching(sentence) },
    });
    expect(await rotate(server(), id, older, another)).toMatchObject(conflict(/^A newer key/));
    expect(await rotate(server(), id, newest, older)).toMatchObject(conflict(/^This node has that key/));
    expect(await rotate(server(), id, newest, another)).toMatchObject(conflict(/^A node has 5 keys at most/));
    await server().administration.nodes.revoke(id, [older.kid], false);
    expect(await rotate(server(), id, newest, another)).toMatchObject({ status: 200 });
  });

  test('is refused to whoever is no such node', async () => {
    const { id, key } = await enrolled(server());
    const stranger = await enrolled(server());
    const next = await makeNodeKey();
    const node = await createVpnNode(server());
    const bearers: readonly [string, Promise<string>][] = [
      ['an access token', getToken(server(), node)],
      ['another node’s key', rotationOf(id, key, next, server(), { by: stranger.key })],
      ['another node’s key id', rotationOf(id, stranger.key, next, server())],
      ['a client assertion', rotationOf(id, key, next, server(), { header: { typ: 'JWT' } })],
      ['no key id', rotationOf(id, key, next, server(), { header: { kid: undefined } })],
      ['another subject', rotationOf(id, key, next, server(), { claims: { iss: stranger.id } })],
      ['no subject', rotationOf(id, key, next, server(), { claims: { sub: undefined } })],
      ['another audience', rotationOf(id, key, next, server(), { claims: { aud: 'x' } })],
      ['no id', rotationOf(id, key, next, server(), { claims: { jti: undefined } })],
      ['an old one', rotationOf(id, key, next, server(), { claims: { exp: 1 } })],
      ['no new key', rotationOf(id, key, next, server(), { claims: { cnf: undefined } })],
      ['a new key that is no text', rotationOf(id, key, next, server(), { claims: { cnf: { jkt: 1 } } })],
      ['a node without keys', rotationOf(node.id, key, next, server())],
      ['nobody', rotationOf('nobody', key, next, server())],
    ];
    for (const [_name, asked] of bearers) {
      const bearer = await asked;
      const body = { proof: await proofOf(next, server(), bearer) };
      const refused = await post(server(), '/vpn/keys', body, bearer);
      expect([_name, refused]).toMatchObject([_name, { status: 401, body: { error: 'invalid_token' } }]);
      expect(refused.headers.get('www-authenticate')).toMatch(/^Bearer error="invalid_token"/);
    }
    expect(await tokenBy(server(), id, next)).toBe(401);
  });

  test('wants the proof of the key that the request names, made for that request', async () => {
    const { id, key } = await enrolled(server());
    const [next, other] = [await makeNodeKey(), await makeNodeKey()];
    const request = await rotationOf(id, key, next, server());
    const proofs = [
      proofOf(other, server(), request),
      proofOf(next, server(), 'another request'),
      proofOf(next, server(), request, { by: other }),
    ];
    for (const proof of proofs) {
      const refused = await post(server(), '/vpn/keys', { proof: await proof }, request);
      expect(refused).toMatchObject({ status: 400, body: { error: 'invalid_request' } });
    }
    expect(await post(server(), '/vpn/keys', {}, request)).toMatchObject({ status: 400 });
    expect(await post(server(), '/vpn/keys', undefined, request)).toMatchObject({ status: 400 });
    // What one asked for, and did not get, is asked for once more.
    const proof = await proofOf(next, server(), request);
    expect(await post(server(), '/vpn/keys', { proof }, request)).toMatchObject({ status: 200 });
  });

  test('what a node signs for it authenticates nobody at the token endpoint', async () => {
    const { id, key } = await enrolled(server());
    const next = await makeNodeKey();
    expect((await tokenWith(server(), await proofOf(key, server(), 'x'))).status).toBe(401);
    const request = await rotationOf(id, key, next, server());
    expect((await tokenWith(server(), request)).status).toBe(401);
  });

  test('an administrator ends keys at once, and only those that there are', async () => {
    const { id, key } = await enrolled(server());
    const { nodes } = server().administration;
    await expect(nodes.revoke(id, ['no-such-key'], false)).rejects.toThrow(/has no key "no-such-key"/);
    await nodes.revoke(id, [key.kid], false);
    expect(await tokenBy(server(), id, key)).toBe(401);
    const next = await makeNodeKey();
    expect(await rotate(server(), id, key, next)).toMatchObject({ status: 401 });
    expect(await enrol(server(), (await offer(server(), id)).code, next)).toMatchObject({ status: 200 });
  });
});
