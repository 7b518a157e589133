/**
 * On behalf of a person: `subject_token` at POST /vpn/auth and RFC 8693 at /token, one exchange by two doors. What each
 * gives, for whom, and when no longer.
 */
import { beforeAll, describe, expect, test } from '@jest/globals';
import { decodeJwt, decodeProtectedHeader, generateKeyPair, SignJWT } from 'jose';

import { storeUnavailable } from '../../src/errors.ts';
import type { Account, Storage } from '../../src/storage/port.ts';
import { basic, createClient, form, json } from '../support/clients.ts';
import { signOut } from '../support/relying-party.ts';
import type { Session } from '../support/relying-party.ts';
import { describeOnBothStores } from '../support/server.ts';
import { startSignInServer, useSignInServer } from '../support/sign-in.ts';
import {
  ACCESS_TOKEN,
  claimsOf,
  createNode,
  DOOR_NAMES,
  DOORS,
  exchangeAtToken,
  ID_TOKEN,
  lasting,
  resourceOf,
  signInAt,
  subjectsOf,
  TOKEN_EXCHANGE,
  verified,
} from './world.ts';
import type { Door, Node, Subject } from './world.ts';

const EVERY_WAY = DOOR_NAMES.flatMap((door) => [
  [door, 'an ID token', 0] as const,
  [door, 'an access token', 1] as const,
]);

describeOnBothStores('VPN JWTs on behalf of a person', (store) => {
  const server = useSignInServer(store);
  let node: Node;
  let alice: Account;
  let session: Session;

  beforeAll(async () => {
    node = await createNode(server());
    alice = await server().createAccount({ roles: { 'vpn-node': 'admin' } });
    session = await signInAt(server(), node, alice);
  });

  const ask = (door: Door, subject: Subject, by: Node = node) => DOORS[door](server(), by, subject);
  const expectRefused = async (door: Door, subject: Subject, by: Node = node): Promise<void> => {
    const { status, body } = await ask(door, subject, by);
    const found = [door, status, body['error'], body['access_token']];
    expect(found).toEqual([door, 400, 'invalid_request', undefined]);
  };

  describe('give the person’s claims as they are stored', () => {
    test.each(EVERY_WAY)('%s by %s', async (door, _name, kind) => {
      const { status, headers, body } = await ask(door, subjectsOf(session)[kind]);
      const { access_token, ...rest } = body;
      expect([status, headers.get('cache-control')]).toEqual([200, 'no-store']);
      expect(rest).toEqual({
        token_type: 'Bearer',
        expires_in: 3600,
        scope: 'read',
        issued_token_type: ACCESS_TOKEN,
      });
      const claims = lasting(await verified(server(), access_token));
      expect(claims).toEqual(claimsOf(server(), node, alice, 'admin', 50));
    });

    test.each([
      ['manager', { 'vpn-node': 'manager' }, 'manager', 30],
      ['basic', { 'vpn-node': 'basic' }, 'basic', 10],
      ['no role on VPN nodes', {}, 'basic', 10],
      ['a role that there is none of', { 'vpn-node': 'emperor' }, 'basic', 10],
      ['a role by the name of something else', { 'vpn-node': 'constructor' }, 'basic', 10],
      ['the role of nodes', { 'vpn-node': 'node' }, 'basic', 10],
      ['the role admin of this server', { portcullis: 'admin' }, 'basic', 10],
    ])('with %s', async (_name, roles, role, level) => {
      const account = await server().createAccount({ roles });
      const [idToken] = subjectsOf(await signInAt(server(), node, account));
      const { body } = await ask('/vpn/auth', idToken);
      expect(await verified(server(), body['access_token'])).toMatchObject({ role, level });
    });

    test('at the time of the exchange: a role and an address that changed count at the next one', async () => {
      const account = await server().createAccount({ roles: { 'vpn-node': 'admin' } });
      const [idToken] = subjectsOf(await signInAt(server(), node, account));
      const email = `new-${account.email}`;
      const changed = { ...account, email, emailKey: email };
      await server().changeAccount(account, { email, emailKey: email, roles: { 'vpn-node': 'manager' } });
      for (const door of DOOR_NAMES) {
        const { body } = await ask(door, idToken);
        const claims = lasting(await verified(server(), body['access_token']));
        expect(claims).toEqual(claimsOf(server(), node, changed, 'manager', 30));
      }
    });

    test('and each JWT has an id of its own', async () => {
      const [idToken] = subjectsOf(session);
      const answers = await Promise.all(
        DOOR_NAMES.flatMap((door) => [ask(door, idToken), ask(door, idToken)]),
      );
      const ids = answers.map(({ body }) => decodeJwt(String(body['access_token'])).jti);
      expect(new Set(ids).size).toBe(4);
    });
  });

  test('nothing else that a node sends changes a claim', async () => {
    const account = await server().createAccount({ roles: { 'vpn-node': 'basic' } });
    const [{ token, type }] = subjectsOf(await signInAt(server(), node, account));
    const wishes = { role: 'admin', level: '50', username: 'root', sub: 'root', aud: 'x', exp: '9999999999' };
    const { body } = await exchangeAtToken(server(), node, {
      ...{ subject_token: token, subject_token_type: type, ...wishes },
      ...{ claims: '{"role":"admin"}', expires_in: '999999', act: 'root', audience: 'vpn-node' },
      ...{ resource: resourceOf(server()), scope: 'read', requested_token_type: ACCESS_TOKEN },
    });
    const claims = lasting(await verified(server(), body['access_token']));
    expect(claims).toEqual(claimsOf(server(), node, account, 'basic', 10));
  });

  describe('refuse', () => {
    test.each(EVERY_WAY)('%s: %s that was issued to another node', async (door, _name, kind) => {
      const other = await createNode(server());
      await expectRefused(door, subjectsOf(session)[kind], other);
    });

    test.each(EVERY_WAY)('%s: %s of a person who was disabled', async (door, _name, kind) => {
      const account = await server().createAccount();
      const subject = subjectsOf(await signInAt(server(), node, account))[kind];
      expect((await ask(door, subject)).status).toBe(200);
      await server().changeAccount(account, { status: 'disabled' });
      await expectRefused(door, subject);
    });

    test.each([
      ['signed out', ({ browser }: Session): Promise<unknown> => signOut(browser)],
      [
        'took the node’s access back',
        (_session: Session, { id }: Account) => server().applications.revoke(id, node.id),
      ],
      [
        'signed out everywhere',
        async (_session: Session, { id }: Account) => server().sessions.endAll(id, null),
      ],
      [
        'ended that session elsewhere',
        async (_session: Session, { id }: Account) => {
          const [own] = await server().sessions.list(id);
          await server().sessions.end(id, own?.id ?? '');
        },
      ],
    ])('both tokens of a person who %s, and no other session’s', async (_name, end) => {
      const account = await server().createAccount();
      const ended = await signInAt(server(), node, account);
      for (const subject of subjectsOf(ended)) expect((await ask('/token', subject)).status).toBe(200);
      await end(ended, account);
      for (const subject of subjectsOf(ended)) {
        for (const door of DOOR_NAMES) await expectRefused(door, subject);
      }
      for (const subject of subjectsOf(await signInAt(server(), node, account))) {
        expect((await ask('/token', subject)).status).toBe(200);
      }
    });

    test('the tokens of the session that ended, and not of the one that lives on', async () => {
      const account = await server().createAccount();
      const [ended, living] = [
        await signInAt(server(), node, account),
        await signInAt(server(), node, account),
      ];
      await signOut(ended.browser);
      for (const subject of subjectsOf(ended)) await expectRefused('/vpn/auth', subject);
      for (const subject of subjectsOf(living)) expect((await ask('/vpn/auth', subject)).status).toBe(200);
    });

    test('an ID token whose session nobody came back to, and one that has expired', async () => {
      const own = await startSignInServer(store, { SESSION_IDLE: '600' });
      try {
        const it = await createNode(own);
        const account = await own.createAccount();
        const idle = await signInAt(own, it, account);
        own.advance(601);
        for (const subject of subjectsOf(idle)) {
          expect((await DOORS['/vpn/auth'](own, it, subject)).body['error']).toBe('invalid_request');
        }
      } finally {
        await own.stop();
      }
      const remembered = await startSignInServer(store);
      try {
        const it = await createNode(remembered);
        const [idToken] = subjectsOf(await signInAt(remembered, it, await remembered.createAccount()));
        remembered.advance(3_590);
        expect((await DOORS['/vpn/auth'](remembered, it, idToken)).status).toBe(200);
        remembered.advance(11);
        expect((await DOORS['/vpn/auth'](remembered, it, idToken)).body['error']).toBe('invalid_request');
      } finally {
        await remembered.stop();
      }
    });

    test('a token under the type of another', async () => {
      const [idToken, accessToken] = subjectsOf(session);
      const types = [
        'urn:ietf:params:oauth:token-type:jwt',
        'urn:ietf:params:oauth:token-type:refresh_token',
      ];
      for (const door of DOOR_NAMES) {
        await expectRefused(door, { ...idToken, type: ACCESS_TOKEN });
        await expectRefused(door, { ...accessToken, type: ID_TOKEN });
        for (const type of [...types, 'id_token', ' ']) await expectRefused(door, { ...idToken, type });
      }
    });

    test('an ID token that somebody else made of it', async () => {
      const [{ token }] = subjectsOf(session);
      const claims = decodeJwt(token);
      const [header = '', payload = '', signature = ''] = token.split('.');
      const encoded = (value: object): string => Buffer.from(JSON.stringify(value)).toString('base64url');
      const { privateKey } = await generateKeyPair('RS256');
      const { keys } = (await json(await server().request('/jwks'))) as {
        keys: { kty: string; n: string }[];
      };
      const modulus = keys.find(({ kty }) => kty === 'RSA')?.n ?? '';
      const { kid = '' } = decodeProtectedHeader(token);
      const forged = [
        `${encoded({ alg: 'none' })}.${payload}.`,
        `${header}.${encoded({ ...claims, sub: 'x' })}.${signature}`,
        `${header}.${payload}`,
        `${token}.x.y`,
        await new SignJWT(claims).setProtectedHeader({ alg: 'RS256', kid }).sign(privateKey),
        await new SignJWT(claims).setProtectedHeader({ alg: 'HS256', kid }).sign(Buffer.from(modulus)),
        'x'.repeat(15_000),
        'x',
      ];
      for (const one of forged) {
        for (const door of DOOR_NAMES) await expectRefused(door, { token: one, type: ID_TOKEN });
      }
    });

    test('a request that is more, or less, than can be honoured', async () => {
      const [{ token, type }] = subjectsOf(session);
      const whole = { subject_token: token, subject_token_type: type };
      const refused: readonly (readonly [string, object])[] = [
        ['invalid_request', { ...whole, actor_token: token, actor_token_type: type }],
        ['invalid_request', { ...whole, actor_token_type: type }],
        ['invalid_request', { ...whole, requested_token_type: ID_TOKEN }],
        [
          'invalid_request',
          { ...whole, requested_token_type: 'urn:ietf:params:oauth:token-type:refresh_token' },
        ],
        ['invalid_target', { ...whole, audience: 'portcullis' }],
        ['invalid_target', { ...whole, resource: 'https://api.example.com' }],
        ['invalid_target', { ...whole, resource: `${resourceOf(server())}/` }],
        ['invalid_scope', { ...whole, scope: 'read admin' }],
        ['invalid_scope', { ...whole, scope: 'openid' }],
        ['invalid_request', { subject_token: token }],
        ['invalid_request', { subject_token_type: type }],
        ['invalid_request', { ...whole, subject_token: '' }],
        ['invalid_request', {}],
      ];
      for (const [error, parameters] of refused) {
        const { status, body } = await exchangeAtToken(server(), node, parameters as Record<string, string>);
        expect([parameters, status, body['error']]).toEqual([parameters, 400, error]);
      }
    });

    test('a parameter that comes twice, but for targets that are all the same', async () => {
      const [{ token, type }] = subjectsOf(session);
      const whole = new URLSearchParams({ grant_type: TOKEN_EXCHANGE });
      whole.append('subject_token', token);
      whole.append('subject_token_type', type);
      const send = async (...more: readonly (readonly [string, string])[]): Promise<unknown> => {
        const body = new URLSearchParams(whole);
        for (const [name, value] of more) body.append(name, value);
        const init = { ...form({}, basic(node)), body: body.toString() };
        return (await json(await server().request('/token', init)))['error'];
      };
      expect(await send(['subject_token', token])).toBe('invalid_request');
      expect(await send(['scope', 'read'], ['scope', 'read'])).toBe('invalid_request');
      expect(await send(['audience', 'vpn-node'], ['audience', 'portcullis'])).toBe('invalid_target');
      expect(await send(['resource', resourceOf(server())], ['resource', 'urn:x'])).toBe('invalid_target');
      expect(await send(['audience', 'vpn-node'], ['audience', 'vpn-node'])).toBeUndefined();
    });

    test('whoever is no VPN node', async () => {
      const client = await createClient(server(), 'read');
      const [idToken] = subjectsOf(session);
      const parameters = { subject_token: idToken.token, subject_token_type: idToken.type };
      const { status, body } = await exchangeAtToken(server(), client, parameters);
      expect([status, body['error']]).toEqual([400, 'invalid_request']);
      expect(body['error_description']).toContain('grant type');
      const wrong = await exchangeAtToken(server(), { ...node, secret: 'x'.repeat(43) }, parameters);
      expect([wrong.status, wrong.body['error']]).toEqual([401, 'invalid_client']);
    });
  });

  test('count towards one limit by both doors', async () => {
    const own = await startSignInServer(store, { VPN_RATE_LIMIT: '2', RATE_LIMITS: 'on' });
    try {
      const it = await createNode(own);
      const [idToken] = subjectsOf(await signInAt(own, it, await own.createAccount()));
      const bad = { ...idToken, token: 'x' }; // a guess counts, too
      expect((await DOORS['/token'](own, it, idToken)).status).toBe(200);
      expect((await DOORS['/vpn/auth'](own, it, bad)).status).toBe(400);
      for (const door of DOOR_NAMES) {
        const { status, headers, body } = await DOORS[door](own, it, idToken);
        expect([door, status, body['error']]).toEqual([door, 429, 'temporarily_unavailable']);
        expect(Number(headers.get('retry-after'))).toBeGreaterThan(0);
      }
      own.advance(61);
      expect((await DOORS['/token'](own, it, idToken)).status).toBe(200);
    } finally {
      await own.stop();
    }
  });

  test('are told in the log: for whom, by which way, and what was refused', async () => {
    const [idToken] = subjectsOf(session);
    for (const [door, grantType] of [
      ['/vpn/auth', null],
      ['/token', TOKEN_EXCHANGE],
    ] as const) {
      const { body } = await ask(door, idToken);
      const { jti = '' } = decodeJwt(String(body['access_token']));
      const line: unknown = JSON.parse(await server().logged('vpn_token_issued', jti));
      expect(line).toMatchObject({ clientId: node.id, accountId: alice.id, grantType });
    }
    const other = await createNode(server());
    await expectRefused('/token', idToken, other);
    const line: unknown = JSON.parse(await server().logged('vpn_token_refused', other.id));
    expect(line).toMatchObject({ reason: 'invalid_request', ip: expect.any(String) });
  });

  test('are 503 where the store cannot answer, never a refusal that a node would act on', async () => {
    let isDown = false;
    const failing = (storage: Storage): Storage => ({
      ...storage,
      artifacts: {
        ...storage.artifacts,
        listOfAccount: (...page) =>
          isDown
            ? Promise.reject(storeUnavailable(new Error('down')))
            : storage.artifacts.listOfAccount(...page),
      },
    });
    const own = await startSignInServer(store, {}, failing);
    try {
      const it = await createNode(own);
      const [idToken] = subjectsOf(await signInAt(own, it, await own.createAccount()));
      isDown = true;
      for (const door of DOOR_NAMES) {
        const { status, headers, body } = await DOORS[door](own, it, idToken);
        expect([door, status, body['error']]).toEqual([door, 503, 'temporarily_unavailable']);
        expect(headers.get('retry-after')).toBe('2');
      }
    } finally {
      await own.stop();
    }
  });
});
