/** The scope `customer`: what an application, and a client for itself, is told of the customer that is tied to whom. */
import { beforeAll, describe, expect, test } from '@jest/globals';
import { decodeJwt } from 'jose';
import * as openid from 'openid-client';
import { randomUUID } from 'node:crypto';

import type { Account } from '../../src/storage/port.ts';
import { apply, basic, createClient, form, getToken, json } from '../support/clients.ts';
import type { Credentials } from '../support/clients.ts';
import { ask, createRelyingParty, redeem, signIn } from '../support/relying-party.ts';
import type { RelyingParty } from '../support/relying-party.ts';
import { describeOnBothStores } from '../support/server.ts';
import { answer, useSignInServer } from '../support/sign-in.ts';

const messageOf = (error: unknown): unknown => (Error.isError(error) ? error.message : error);
const API = 'https://pets.test/api';

describeOnBothStores('the scope customer', (store) => {
  const server = useSignInServer(store);
  let party: RelyingParty;

  beforeAll(async () => {
    await apply(server().administration, {
      resource_servers: [{ identifier: API, audience: 'pets', signing_alg: 'ES256', scopes: ['pets:read'] }],
    });
    party = await createRelyingParty(server(), { scope: 'openid profile customer pets:read' });
  });

  const createCustomer = async (tie: object): Promise<Record<string, unknown>> => {
    const username = `Cust-${randomUUID().slice(0, 8)}`;
    const fields = { username, customer_type: 'standard', additional_metadata: { region: 'eu' }, ...tie };
    await server().administration.customers.create(fields);
    return {
      username,
      customer_type: 'standard',
      customer: {
        ...{ username, customer_type: 'standard', rate_limit: 500, api_access_level: 'standard' },
        region: 'eu',
      },
    };
  };
  const enter = (account: Account, scope: string) =>
    signIn(server(), party, account, { parameters: { scope } });
  const nothing = { username: undefined, customer_type: undefined, customer: undefined };
  const claimsOf = ({ username, customer_type, customer }: Record<string, unknown>) => ({
    ...{ username, customer_type, customer },
  });

  describe('for a person', () => {
    test('is in the ID token and in userinfo, of whoever is tied to a customer', async () => {
      const account = await server().createAccount();
      const expected = await createCustomer({ account: account.username });
      const { tokens } = await enter(account, 'openid customer');
      expect(claimsOf({ ...tokens.claims() })).toEqual(expected);
      const info = await openid.fetchUserInfo(party.config, tokens.access_token, account.id);
      expect(claimsOf({ ...info })).toEqual(expected);
      expect(info.sub).toBe(account.id);
    });

    test('says nothing without the scope, and nothing of whoever is tied to none', async () => {
      const account = await server().createAccount();
      await createCustomer({ account: account.username });
      const other = await server().createAccount();
      for (const [who, scope] of [
        [account, 'openid profile'],
        [other, 'openid customer'],
      ] as const) {
        const { tokens } = await enter(who, scope);
        expect(claimsOf({ ...tokens.claims() })).toEqual(nothing);
        const info = await openid.fetchUserInfo(party.config, tokens.access_token, who.id);
        expect(claimsOf({ ...info })).toEqual(nothing);
      }
    });

    test('is in the JWT access token of an API, beside what that says by itself', async () => {
      const account = await server().createAccount();
      const expected = await createCustomer({ account: account.username });
      const asked = await ask(party, { scope: 'openid customer pets:read', resource: API });
      const { left } = await answer(server().browser(), asked.url.href, { account });
      const tokens = await redeem(party, asked, left, { resource: API });
      const claims = decodeJwt(tokens.access_token);
      expect(claimsOf(claims)).toEqual(expected);
      expect(claims).toMatchObject({ aud: 'pets', sub: account.id, client_id: party.id });
      expect(String(claims['scope']).split(' ').toSorted()).toEqual(['customer', 'pets:read']);
    });

    test('is refused to an application that was not registered for it', async () => {
      const plain = await createRelyingParty(server());
      const account = await server().createAccount();
      const parameters = { scope: 'openid customer' };
      await expect(signIn(server(), plain, account, { parameters })).rejects.toMatchObject({
        error: 'invalid_scope',
      });
    });

    test('tells userinfo of a change at once, and an application at its next token', async () => {
      const account = await server().createAccount();
      const { username } = await createCustomer({ account: account.username });
      const { tokens } = await enter(account, 'openid customer');
      await server().administration.customers.update(String(username), { customer_type: 'premium' });
      const info = await openid.fetchUserInfo(party.config, tokens.access_token, account.id);
      expect(info['customer']).toMatchObject({ rate_limit: 1_000 });
      await server().administration.customers.delete(String(username));
      const after = await openid.fetchUserInfo(party.config, tokens.access_token, account.id);
      expect(claimsOf({ ...after })).toEqual(nothing);
    });
  });

  describe('for a client that acts for itself', () => {
    const introspect = async (token: string, by: Credentials): Promise<Record<string, unknown>> =>
      json(await server().request('/introspect', form({ token }, basic(by))));

    test('is told by introspection of its token, and by its JWT for an API', async () => {
      const client = await createClient(server(), 'customer pets:read');
      const expected = await createCustomer({ client: client.id });
      const opaque = await getToken(server(), client, { scope: 'customer' });
      expect(await introspect(opaque, client)).toMatchObject({ active: true, ...expected });
      const jwt = await getToken(server(), client, { scope: 'customer pets:read', resource: API });
      expect(decodeJwt(jwt)).toMatchObject({ ...expected, aud: 'pets', sub: client.id });
    });

    test('is told of a customer that the client names, as several may', async () => {
      const expected = await createCustomer({});
      const username = String(expected['username']);
      for (const customer of [username, username.toLowerCase()]) {
        const client = await createClient(server(), 'customer pets:read', { customer });
        const jwt = await getToken(server(), client, { scope: 'customer', resource: API });
        expect(decodeJwt(jwt)).toMatchObject(expected);
        const other = { username: `x-${username}`, customer_type: 'free', client: client.id };
        await expect(server().administration.customers.create(other)).rejects.toMatchObject({
          errors: [
            { path: 'client', message: expect.stringContaining('the client itself names the customer') },
          ],
        });
      }
    });

    test('is refused of a customer that is not there, that is another one’s, or without the scope', async () => {
      const { administration } = server();
      const save = (fields: object, id: string = randomUUID()): Promise<unknown> =>
        administration.saveClient('create', id, false, { scope: 'customer', ...fields });
      const faults = async (saving: Promise<unknown>): Promise<string> =>
        JSON.stringify(await saving.catch(messageOf));
      const [{ username: one }, { username: two }] = [await createCustomer({}), await createCustomer({})];
      expect(await faults(save({ customer: 'nobody' }))).toContain('there is no customer');
      expect(await faults(save({ customer: 'a/b' }))).toContain('the username of a customer');
      expect(await faults(save({ customer: one, scope: 'read' }))).toContain(
        'only for a client that has the scope',
      );
      const { id } = await createClient(server(), 'customer');
      await administration.customers.update(String(one), { client: id });
      const named = administration.saveClient('update', id, false, { customer: two });
      expect(await faults(named)).toContain('is tied to this client');
      expect(await faults(administration.saveClient('update', id, false, { customer: one }))).toContain(
        '"ok":true',
      );
    });

    test('says nothing without the scope, or of a client that is tied to none', async () => {
      const client = await createClient(server(), 'customer pets:read');
      const untied = decodeJwt(await getToken(server(), client, { scope: 'customer', resource: API }));
      expect(claimsOf(untied)).toEqual(nothing);
      await createCustomer({ client: client.id });
      const jwt = decodeJwt(await getToken(server(), client, { scope: 'pets:read', resource: API }));
      expect(claimsOf(jwt)).toEqual(nothing);
    });

    test('is refused to a client that was not registered for it', async () => {
      const client = await createClient(server(), 'pets:read');
      const body = { grant_type: 'client_credentials', scope: 'customer' };
      for (const asked of [body, { ...body, resource: API }]) {
        const answer = await server().request('/token', form(asked, basic(client)));
        expect([answer.status, (await json(answer))['error']]).toEqual([400, 'invalid_scope']);
      }
    });
  });
});
