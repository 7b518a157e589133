/**
 * People who sign in at a VPN node that names the node's resource (RFC 8707): by code + PKCE, by a refresh, by a device
 * code. The access token is the VPN JWT, with the claims that the exchange gives.
 */
import { beforeAll, describe, expect, test } from '@jest/globals';
import { decodeJwt } from 'jose';
import * as openid from 'openid-client';

import type { Account } from '../../src/storage/port.ts';
import { apply, basic, createClient, createVpnNode, form, getToken, json } from '../support/clients.ts';
import { ask, createRelyingParty, fieldsOf, redeem } from '../support/relying-party.ts';
import { describeOnBothStores } from '../support/server.ts';
import { answer, startSignInServer, useSignInServer } from '../support/sign-in.ts';
import { claimsOf, createNode, DOORS, lasting, resourceOf, signInAt, subjectsOf, verified } from './world.ts';
import type { Node } from './world.ts';

const DEVICE_CODE = 'urn:ietf:params:oauth:grant-type:device_code';
const SCOPE = 'openid profile email read';

describeOnBothStores('signing in at a VPN node', (store) => {
  const server = useSignInServer(store);
  let node: Node;
  let bob: Account;

  beforeAll(async () => {
    node = await createNode(server());
    bob = await server().createAccount({ roles: { 'vpn-node': 'manager' } });
  });

  const withResource = () => ({ scope: SCOPE, resource: resourceOf(server()) });
  const refresh = async (token: string, more: object = {}): Promise<Record<string, unknown>> => {
    const parameters = { grant_type: 'refresh_token', refresh_token: token, ...more };
    return json(await server().request('/token', form(parameters, basic(node))));
  };

  test('by code + PKCE gives the very claims of the exchange', async () => {
    const { tokens, journey } = await signInAt(server(), node, bob, withResource());
    expect(journey.prompts).toEqual(['login', 'consent']);
    expect(tokens).toMatchObject({ token_type: 'bearer', expires_in: 3600, scope: 'read' });
    const claims = lasting(await verified(server(), tokens.access_token));
    expect(claims).toEqual(claimsOf(server(), node, bob, 'manager', 30));
    const [idToken] = subjectsOf({ tokens });
    const { body } = await DOORS['/vpn/auth'](server(), node, idToken);
    expect(lasting(await verified(server(), body['access_token']))).toEqual(claims);
    const line: unknown = JSON.parse(
      await server().logged('vpn_token_issued', decodeJwt(tokens.access_token).jti ?? ''),
    );
    expect(line).toMatchObject({
      clientId: node.id,
      accountId: bob.id,
      grantType: 'authorization_code',
    });
    const told: unknown = JSON.parse(await server().logged('"token_issued"', 'authorization_code', node.id));
    expect(told).toMatchObject({ scope: tokens.scope });
  });

  test('asks for each thing once on the page for consent', async () => {
    const { journey } = await signInAt(server(), node, await server().createAccount(), withResource());
    expect(journey.met.at(-1)?.asked).toEqual(['openid', 'profile', 'email', 'read']);
    expect(journey.met.at(-1)?.html).toContain(
      'use the VPN in your name, with your username, your email address and your role',
    );
  });

  test('names the VPN on that page whatever the node asks for, since any token of a person can be exchanged', async () => {
    const { journey } = await signInAt(server(), node, await server().createAccount(), { scope: 'openid' });
    expect(journey.met.at(-1)?.asked).toEqual(['openid', 'read']);
    expect(journey.met.at(-1)?.html).toContain('use the VPN in your name');
  });

  test('gives it where the resource is named again at the token endpoint, and a token for userinfo without one', async () => {
    const asked = await ask(node, withResource());
    const { left } = await answer(server().browser(), asked.url.href, { account: bob });
    const named = await redeem(node, asked, left, { resource: resourceOf(server()) });
    expect(await verified(server(), named.access_token)).toMatchObject({ level: 30 });
    const { tokens } = await signInAt(server(), node, bob, { scope: SCOPE });
    expect(tokens.access_token).not.toContain('.');
    const info = await openid.fetchUserInfo(node.config, tokens.access_token, bob.id);
    expect(info.preferred_username).toBe(bob.username);
  });

  test('its refresh tokens give the role of the moment, and nothing once the person is disabled', async () => {
    const account = await server().createAccount({ roles: { 'vpn-node': 'admin' } });
    const { tokens } = await signInAt(server(), node, account, withResource());
    await server().changeAccount(account, { roles: { 'vpn-node': 'basic' } });
    const { access_token, refresh_token } = await refresh(tokens.refresh_token ?? '');
    const claims = lasting(await verified(server(), access_token));
    expect(claims).toEqual(claimsOf(server(), node, account, 'basic', 10));
    await server().changeAccount({ ...account, version: 2 }, { status: 'disabled' });
    expect((await refresh(String(refresh_token)))['error']).toBe('invalid_grant');
  });

  test('gives nothing to a person who is disabled in the middle of the request', async () => {
    let finds = Infinity;
    const own = await startSignInServer(store, {}, (storage) => ({
      ...storage,
      accounts: {
        ...storage.accounts,
        find: async (id) => {
          const account = await storage.accounts.find(id);
          finds -= 1;
          return account === null || finds >= 0 ? account : { ...account, status: 'disabled' };
        },
      },
    }));
    try {
      const it = await createNode(own);
      const scope = { scope: SCOPE, resource: resourceOf(own) };
      const { tokens } = await signInAt(own, it, await own.createAccount(), scope);
      finds = 1; // the engine's own look at the account
      const parameters = { grant_type: 'refresh_token', refresh_token: tokens.refresh_token ?? '' };
      const answered = await own.request('/token', form(parameters, basic(it)));
      expect([answered.status, (await json(answered))['error']]).toEqual([400, 'invalid_grant']);
    } finally {
      await own.stop();
    }
  });

  test('refuses a refresh without the scope of VPN JWTs, and leaves the refresh token good', async () => {
    const { tokens } = await signInAt(server(), node, bob, withResource());
    const token = tokens.refresh_token ?? '';
    expect((await refresh(token, { scope: 'openid' }))['error']).toBe('invalid_scope');
    expect((await refresh(token, { resource: 'https://api.example.com' }))['error']).toBe('invalid_target');
    expect(await refresh(token, { scope: 'read' })).toMatchObject({ scope: 'read' });
  });

  test.each([
    ['without the scope of VPN JWTs', { scope: 'openid profile' }, 'invalid_scope'],
    ['with another resource', { resource: 'https://api.example.com' }, 'invalid_target'],
    ['with the audience for the resource', { resource: 'urn:vpn-node' }, 'invalid_target'],
  ])('refuses a request %s', async (_name, parameters, error) => {
    const asked = await ask(node, { ...withResource(), ...parameters });
    const { left } = await server().browser().open(asked.url.href);
    expect(left?.searchParams.get('error')).toBe(error);
  });

  describe('the resource of VPN nodes', () => {
    test('is for nobody else', async () => {
      const party = await createRelyingParty(server());
      const asked = await ask(party, withResource());
      const { left } = await server().browser().open(asked.url.href);
      expect(left?.searchParams.get('error')).toBe('invalid_target');
      const client = await createClient(server(), 'read');
      const parameters = { grant_type: 'client_credentials', scope: 'read', resource: resourceOf(server()) };
      const answered = await server().request('/token', form(parameters, basic(client)));
      expect([answered.status, (await json(answered))['error']]).toEqual([400, 'invalid_target']);
    });

    test('gives a node nothing for itself: that is what /vpn/auth is for', async () => {
      const parameters = { grant_type: 'client_credentials', scope: 'read', resource: resourceOf(server()) };
      const body = await json(await server().request('/token', form(parameters, basic(node))));
      expect(body['error']).toBe('invalid_target');
      expect(body['error_description']).toContain('/vpn/auth');
    });

    test('is no name for anything that is declared', async () => {
      const declare = (identifier: string) =>
        apply(server().administration, {
          resource_servers: [{ identifier, audience: 'stolen', scopes: ['x'] }],
        });
      for (const identifier of [resourceOf(server()), server().issuer, resourceOf(server()).toUpperCase()]) {
        await expect(declare(identifier)).rejects.toThrow(/this server's own/);
      }
    });
  });

  describe('by a device code', () => {
    const begin = (device: Node) => openid.initiateDeviceAuthorization(device.config, withResource());
    const poll = async (device: Node, device_code: string): Promise<Record<string, unknown>> =>
      json(await server().request('/token', form({ grant_type: DEVICE_CODE, device_code }, basic(device))));
    const connect = async (code: string, account: Account): Promise<void> => {
      const browser = server().browser();
      const page = await (await browser.send('/device')).text();
      const confirm = await browser.send('/device', form({ ...fieldsOf(page), user_code: code }));
      const fields = { ...fieldsOf(await confirm.text()), user_code: code, confirm: 'yes' };
      await answer(browser, '/device', { account }, form(fields));
    };

    test.each([
      ['a node with a browser', {}],
      ['a node without one', { redirect_uris: [], device_sign_in: true }],
    ])('gives it at %s', async (_name, fields) => {
      const device = await createNode(server(), fields);
      const { device_code, user_code } = await begin(device);
      await connect(user_code, bob);
      const tokens = await poll(device, device_code);
      const claims = lasting(await verified(server(), tokens['access_token']));
      expect(claims).toEqual(claimsOf(server(), device, bob, 'manager', 30));
      const subject = {
        token: String(tokens['id_token']),
        type: 'urn:ietf:params:oauth:token-type:id_token',
      };
      const { body } = await DOORS['/token'](server(), device, subject);
      expect(lasting(await verified(server(), body['access_token']))).toEqual(claims);
    });

    test('refuses a node that nobody signs in at, and a request without the scope', async () => {
      const plain = await createVpnNode(server());
      const start = async (by: { id: string; secret: string }, scope: string): Promise<unknown> => {
        const parameters = { scope, resource: resourceOf(server()) };
        return (await json(await server().request('/device/auth', form(parameters, basic(by)))))['error'];
      };
      expect(await start(plain, 'read')).toBe('invalid_request');
      expect(await start(node, 'openid')).toBe('invalid_scope');
    });
  });

  describe('introspection of a VPN JWT', () => {
    const introspect = async (token: string, by: { id: string; secret: string }) =>
      json(await server().request('/introspect', form({ token }, basic(by))));
    const isActive = async (token: string, by = node) => (await introspect(token, by))['active'];
    const jwtOf = async (account: Account): Promise<string> =>
      (await signInAt(server(), node, account, withResource())).tokens.access_token;

    test('tells every node of it, and nobody else', async () => {
      const token = await jwtOf(bob);
      const expected = { active: true, ...claimsOf(server(), node, bob, 'manager', 30) };
      expect(await introspect(token, node)).toMatchObject(expected);
      expect(await introspect(token, await createVpnNode(server()))).toMatchObject(expected);
      expect(await introspect(token, await createClient(server(), 'read'))).toEqual({ active: false });
    });

    test.each([
      ['is disabled', ({ ...it }: Account) => server().changeAccount(it, { status: 'disabled' })],
      [
        'has another role',
        ({ ...it }: Account) => server().changeAccount(it, { roles: { 'vpn-node': 'manager' } }),
      ],
      ['signed out everywhere', ({ id }: Account) => server().sessions.endAll(id, null)],
    ])('says that it is over when the person %s', async (_name, end) => {
      const account = await server().createAccount();
      const token = await jwtOf(account);
      expect(await isActive(token)).toBe(true);
      await end(account);
      expect(await isActive(token)).toBe(false);
    });

    test('says so once its node revoked it, was deleted, and not where another node tried to', async () => {
      const going = await createNode(server());
      const { tokens } = await signInAt(server(), going, bob, withResource());
      const [token, other] = [tokens.access_token, await jwtOf(bob)];
      await server().request('/revoke', form({ token }, basic(node)));
      await server().request('/revoke', form({ token: other }, basic(node)));
      expect([await isActive(token), await isActive(other)]).toEqual([true, false]);
      await server().administration.deleteClient(going.id, true);
      expect(await isActive(token)).toBe(false);
    });

    test('knows the JWT of a node itself, too', async () => {
      const bearer = await getToken(server(), node);
      const answered = await server().request('/vpn/auth', {
        method: 'POST',
        headers: { authorization: `Bearer ${bearer}` },
      });
      const token = String((await json(answered))['access_token']);
      expect(await introspect(token, node)).toMatchObject({ active: true, sub: node.id, role: 'node' });
    });
  });
});
