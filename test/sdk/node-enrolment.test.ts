/** A node that makes its own key by `portcullis/node`, at the real server: enrolment, tokens, rotation, lost answers. */
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { randomUUID } from 'node:crypto';

import {
  createNodeAuthentication,
  createOAuth2Client,
  createTokenValidator,
  enrol,
  isVpnClientError,
  readNodeSettings,
  rotateKey,
} from '../../src/sdk/node/node.ts';
import type { EnrolOptions, Fetch, NodeAlgorithm, RotateKeyOptions } from '../../src/sdk/node/node.ts';
import { findFreePort } from '../cli/serve-process.ts';
import { describeOnBothStores, startTestServer } from '../support/server.ts';
import type { TestServer } from '../support/server.ts';

// A hundred rotations, each recorded and written for good, beside a hundred tokens and more.
const TIMEOUT_MS = 60_000;

const refusalOf = async (work: Promise<unknown>): Promise<unknown> => {
  try {
    return await work;
  } catch (error) {
    if (isVpnClientError(error)) return `${error.status ?? '-'} ${error.code}: ${error.message}`;
    throw error;
  }
};

describeOnBothStores('a node with a key of its own', (store) => {
  let server: TestServer;
  let folder: string;
  let file: string;
  const losses: ('question' | 'answer' | number)[] = [];

  /** The network, which loses what it is told to lose. */
  const lossy: Fetch = async (url, init) => {
    const loss = losses.shift();
    if (loss === 'question') throw new TypeError('lost');
    if (typeof loss === 'number') return new Response('', { status: loss });
    const answer = await fetch(url, init);
    if (loss === 'answer') throw new TypeError('lost');
    return answer;
  };

  beforeAll(async () => {
    const port = String(await findFreePort());
    server = await startTestServer(store, {
      ...{ ISSUER: `http://localhost:${port}`, PORT: port, RATE_LIMITS: 'off', VPN_KEY_OVERLAP: '600' },
    });
  });
  afterAll(() => server.stop());
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'portcullis-node-'));
    file = join(folder, 'node-key.json');
    losses.length = 0;
  });
  afterEach(() => rmSync(folder, { recursive: true, force: true }));

  const offer = async (id = `node-${randomUUID().slice(0, 8)}`, at = server) => {
    const offered = await at.administration.nodes.enrol(id, 3_600, undefined);
    if (!offered.ok) throw new Error(JSON.stringify(offered.faults));
    return { id, code: offered.code };
  };
  const world = { fetch: lossy, sleep: async () => undefined };
  const enrolBy = (code: string, changes: Partial<EnrolOptions> = {}) =>
    enrol({ ...world, issuer: server.issuer, privateKeyFile: file, code, ...changes });
  const rotateBy = (clientId: string, changes: Partial<RotateKeyOptions> = {}) =>
    rotateKey({ ...world, issuer: server.issuer, privateKeyFile: file, clientId, ...changes });
  const settingsOf = (clientId: string, { issuer }: Pick<TestServer, 'issuer'> = server) =>
    readNodeSettings({
      PORTBRO_CLIENT_ID: clientId,
      PORTBRO_PRIVATE_KEY_FILE: file,
      PARENT_ISSUER: issuer,
    });
  const clientOf = (clientId: string) => createOAuth2Client({ ...settingsOf(clientId), ...world });
  const keysOf = async (id: string) =>
    ((await server.administration.showClient(id, true)).keys ?? []).map(({ kid }) => kid);

  test.each<NodeAlgorithm>(['ES256', 'EdDSA', 'RS256'])(
    'enrols by %s, and gets its JWT',
    async (algorithm) => {
      const { id, code } = await offer();
      const known = await enrolBy(code, { algorithm });
      expect(known).toEqual({
        ...{ clientId: id, kid: expect.any(String), algorithm },
        keys: [{ kid: known.kid, expiresAt: null }],
      });
      expect(await clientOf(id).getVpnJwtToken()).toMatch(/^eyJ/);
      expect(readdirSync(folder)).toEqual(['node-key.json']);
      expect(statSync(file).mode & 0o777).toBe(0o600);
      expect(JSON.parse(readFileSync(file, 'utf8'))).toMatchObject({ alg: algorithm, d: expect.any(String) });
    },
  );

  test('sends no part of its private key, and a new assertion each time', async () => {
    const { id, code } = await offer();
    const sent: string[] = [];
    const listening: Fetch = (url, init) => {
      sent.push(init?.body instanceof URLSearchParams ? init.body.toString() : JSON.stringify(init?.body));
      return fetch(url, init);
    };
    await enrolBy(code, { fetch: listening });
    const client = createOAuth2Client({ ...settingsOf(id), fetch: listening });
    await Promise.all([client.getOAuth2Token(), client.getOAuth2Token(), client.getOAuth2Token()]);
    const { d } = JSON.parse(readFileSync(file, 'utf8')) as { d: string };
    expect(sent).toHaveLength(4);
    expect(sent.join('')).not.toContain(d);
    expect(new Set(sent).size).toBe(4);
  });

  test('asks for a token again after a 503, and after a lost answer, by another assertion', async () => {
    const { id, code } = await offer();
    await enrolBy(code);
    losses.push(503, 'question', 'answer');
    expect(await clientOf(id).getOAuth2Token()).toEqual(expect.any(String));
    expect(losses).toEqual([]);
  });

  test('enrols when an answer gets lost, and when the first call ends without one', async () => {
    const { id, code } = await offer();
    losses.push('answer');
    expect(await enrolBy(code)).toMatchObject({ clientId: id });
    rmSync(file);
    const other = await offer();
    losses.push('answer', 'answer', 'answer', 'answer');
    expect(await refusalOf(enrolBy(other.code))).toMatch(/^- ERR_VPN_UNAVAILABLE/);
    expect([existsSync(file), existsSync(`${file}.next`)]).toEqual([false, true]);
    expect(await enrolBy(other.code)).toMatchObject({ clientId: other.id });
    expect(await clientOf(other.id).getOAuth2Token()).toEqual(expect.any(String));
    expect(existsSync(`${file}.next`)).toBe(false);
  });

  test('is refused with a bad code, and leaves nothing behind', async () => {
    const { id, code } = await offer();
    expect(await refusalOf(enrolBy(`${id}.${'a'.repeat(43)}`))).toMatch(
      /^400 ERR_VPN_NODE_REFUSED: .*expired/,
    );
    expect(readdirSync(folder)).toEqual([]);
    expect(await enrolBy(code)).toMatchObject({ clientId: id });
  });

  test('never writes over a key', async () => {
    const { code } = await offer();
    await enrolBy(code);
    const before = readFileSync(file, 'utf8');
    const { code: other } = await offer();
    expect(await refusalOf(enrolBy(other))).toMatch(/ERR_VPN_KEY_UNUSABLE: .*is there already/);
    expect(readFileSync(file, 'utf8')).toBe(before);
    expect(readdirSync(folder)).toEqual(['node-key.json']);
  });

  test('rotates its key, and a client that runs goes on with the new one', async () => {
    const { id, code } = await offer();
    const { kid } = await enrolBy(code);
    const client = clientOf(id);
    expect(await client.getOAuth2Token()).toEqual(expect.any(String));
    const rotated = await rotateBy(id);
    expect(rotated.keys).toEqual([
      { kid: rotated.kid, expiresAt: null },
      { kid, expiresAt: expect.any(Number) },
    ]);
    expect(rotated.kid).not.toBe(kid);
    await server.administration.nodes.revoke(id, [kid], false);
    expect(await client.getOAuth2Token()).toEqual(expect.any(String));
    expect(statSync(file).mode & 0o777).toBe(0o600);
    expect(readdirSync(folder)).toEqual(['node-key.json']);
    expect((await rotateBy(id, { algorithm: 'EdDSA' })).kid).not.toBe(rotated.kid);
    expect(await client.getOAuth2Token()).toEqual(expect.any(String));
  });

  test('rotates when answers get lost, also where the old key has ended since', async () => {
    const { id, code } = await offer();
    const { kid } = await enrolBy(code);
    losses.push('answer');
    expect((await rotateBy(id)).keys).toHaveLength(2);
    const before = await keysOf(id);
    losses.push('answer', 'answer', 'answer', 'answer');
    expect(await refusalOf(rotateBy(id))).toMatch(/^- ERR_VPN_UNAVAILABLE/);
    const [present = '', ...others] = await keysOf(id);
    expect([present === before[0], others]).toEqual([false, before]);
    expect(await clientOf(id).getOAuth2Token()).toEqual(expect.any(String)); // by the old one, which goes on
    await server.administration.nodes.revoke(id, [...before, ...(before.includes(kid) ? [] : [kid])], false);
    expect(await rotateBy(id)).toMatchObject({ kid: present, keys: [{ kid: present, expiresAt: null }] });
    expect(await clientOf(id).getOAuth2Token()).toEqual(expect.any(String));
  });

  test('goes on with the key of a rotation that did not reach the server', async () => {
    const { id, code } = await offer();
    await enrolBy(code);
    losses.push('question', 503, 'question', 500);
    expect(await refusalOf(rotateBy(id))).toMatch(/^500 ERR_VPN_UNAVAILABLE/);
    const waiting = readFileSync(`${file}.next`, 'utf8');
    await rotateBy(id);
    expect(readFileSync(file, 'utf8')).toBe(waiting);
    expect(await keysOf(id)).toHaveLength(2);
  });

  test('goes on with the key that waits, and with no other algorithm', async () => {
    const { id, code } = await offer();
    losses.push('question', 'question', 'question', 'question');
    expect(await refusalOf(enrolBy(code, { algorithm: 'EdDSA' }))).toMatch(/ERR_VPN_UNAVAILABLE/);
    const sentence = /^- ERR_VPN_KEY_UNUSABLE: \S+\.next holds the EdDSA key of an attempt that was cut off/;
    expect(await refusalOf(enrolBy(code, { algorithm: 'ES256' }))).toMatch(sentence);
    expect(await enrolBy(code)).toMatchObject({ algorithm: 'EdDSA' });
    losses.push('question', 'question', 'question', 'question');
    expect(await refusalOf(rotateBy(id))).toMatch(/ERR_VPN_UNAVAILABLE/);
    expect(await refusalOf(rotateBy(id, { algorithm: 'RS256' }))).toMatch(sentence);
    expect(await keysOf(id)).toHaveLength(1);
    expect(await rotateBy(id, { algorithm: 'EdDSA' })).toMatchObject({ algorithm: 'EdDSA' });
  });

  test('that rotates twice at once has one new key, and it is the one in the file', async () => {
    const { id, code } = await offer();
    await enrolBy(code);
    const done = await Promise.allSettled([rotateBy(id), rotateBy(id), rotateBy(id)]);
    expect(done.some(({ status }) => status === 'fulfilled')).toBe(true);
    expect(await clientOf(id).getOAuth2Token()).toEqual(expect.any(String));
    const [newest] = await keysOf(id);
    expect((await rotateBy(id)).keys[1]?.kid).toBe(newest);
  });

  test(
    'rotates a hundred times while it works, and nothing of it is refused',
    async () => {
      const port = String(await findFreePort());
      const own = await startTestServer(store, {
        ...{ ISSUER: `http://localhost:${port}`, PORT: port, RATE_LIMITS: 'off', VPN_KEY_OVERLAP: '3' },
      });
      try {
        const { id, code } = await offer(undefined, own);
        let offset = 0;
        const now = (): number => Math.floor(Date.now() / 1000) + offset;
        const shared = { issuer: own.issuer, privateKeyFile: file, now };
        await enrol({ ...shared, code });
        const client = createOAuth2Client({ ...settingsOf(id, own), now });
        const validator = createTokenValidator({ ...settingsOf(id, own), now });
        const kids = new Set<string>();
        let tokens = 0;
        const work = async (): Promise<void> => {
          while (kids.size < 100) {
            await validator.verify(await client.getVpnJwtToken());
            tokens += 1;
          }
        };
        const rotations = async (): Promise<void> => {
          while (kids.size < 100) {
            kids.add((await rotateKey({ ...shared, clientId: id })).kid);
            // The old one goes on for three of these seconds.
            offset += 1;
            own.advance(1);
          }
        };
        await Promise.all([rotations(), work(), work(), work()]);
        expect(tokens).toBeGreaterThan(50);
      } finally {
        await own.stop();
      }
    },
    TIMEOUT_MS,
  );

  test('whose key was taken away is told so, and leaves nothing behind', async () => {
    const { id, code } = await offer();
    const { kid } = await enrolBy(code);
    await server.administration.nodes.revoke(id, [kid], false);
    const refusal = String(await refusalOf(rotateBy(id)));
    expect(refusal).toMatch(/^401 ERR_VPN_NODE_REFUSED/);
    expect(refusal).toContain(
      `knows no such key of ${id} (invalid_token): it was revoked, or the node is gone`,
    );
    expect(await refusalOf(clientOf(id).getOAuth2Token())).toMatch(/^401 ERR_VPN_NODE_REFUSED/);
    expect(readdirSync(folder)).toEqual(['node-key.json']);
  });

  test('tells what is wrong with its file', async () => {
    const client = clientOf('node');
    expect(await refusalOf(client.getOAuth2Token())).toMatch(
      /^- ERR_VPN_KEY_UNUSABLE: .*there is no such file/,
    );
    expect(await refusalOf(rotateBy('node'))).toMatch(/there is no such file/);
    const secret = '{"kty":"oct","k":"SECRET","alg":"HS256"}';
    const wrong = [
      secret,
      'no JSON',
      '{}',
      '{"kty":"EC","alg":"ES256"}',
      'null',
      '-----BEGIN PRIVATE KEY-----',
    ];
    for (const text of wrong) {
      writeFileSync(file, text);
      const refused = String(await refusalOf(client.getOAuth2Token()));
      expect(refused).toMatch(/ERR_VPN_KEY_UNUSABLE: .*holds no private key as a JWK/);
      expect(refused).not.toContain('SECRET');
    }
    const { code } = await offer();
    const away = enrolBy(code, { privateKeyFile: join(folder, 'no', 'key.json') });
    expect(await refusalOf(away)).toMatch(/ERR_VPN_KEY_UNUSABLE: .*cannot be written \(ENOENT\)/);
    expect(await refusalOf(enrolBy(code, { privateKeyFile: folder }))).toMatch(/cannot be read \(EISDIR\)/);
  });

  test('tells what is no answer of a Portcullis server', async () => {
    const { code } = await offer();
    const answers = [{}, { client_id: 'x', kid: 'another', keys: [] }, { client_id: 'x', kid: 1, keys: [] }];
    for (const body of answers) {
      const strange: Fetch = async () => Response.json(body);
      expect(await refusalOf(enrolBy(code, { fetch: strange }))).toMatch(/^200 ERR_VPN_ANSWER_INVALID/);
    }
    const page: Fetch = async () => new Response('<h1>Hello</h1>', { status: 404 });
    expect(await refusalOf(enrolBy(code, { fetch: page }))).toMatch(/^404 ERR_VPN_ANSWER_INVALID/);
    expect(existsSync(file)).toBe(false);
  });
});

describe('the options of a node with a key', () => {
  const ENV = { PORTBRO_CLIENT_ID: 'n', PARENT_ISSUER: 'https://id.example.com' };

  test('are a secret or a key, from the environment, too', () => {
    const read = (env: Readonly<Record<string, string>>) => () => readNodeSettings({ ...ENV, ...env });
    expect(read({ PORTBRO_PRIVATE_KEY_FILE: '/k' })()).toMatchObject({ privateKeyFile: '/k' });
    expect(read({ PORTBRO_PRIVATE_KEY_FILE: '/k' })().clientSecret).toBeUndefined();
    expect(read({})).toThrow('PORTBRO_CLIENT_SECRET is not set: the node needs it.');
    expect(read({ PORTBRO_PRIVATE_KEY_FILE: '/k', PORTBRO_CLIENT_SECRET: 's' })).toThrow(/both set/);
  });

  test('without which it can do nothing are refused at once', async () => {
    const make = (options: object) => () => createNodeAuthentication({ clientId: 'n', ...options });
    expect(make({})).toThrow(TypeError);
    expect(make({ clientSecret: 's', privateKeyFile: '/k' })).toThrow(TypeError);
    expect(make({ privateKeyFile: '/k' })).toThrow(/needs the issuer/);
    expect(make({ clientId: '', clientSecret: 's' })).toThrow(TypeError);
    const insecure = { issuer: 'http://id.example.com', privateKeyFile: '/k', code: 'c', clientId: 'n' };
    await expect(enrol(insecure)).rejects.toThrow(/use https/);
    await expect(rotateKey(insecure)).rejects.toThrow(/use https/);
  });
});
