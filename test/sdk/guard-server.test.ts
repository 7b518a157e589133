/** The guard at the real server: its JWTs by its keys, and what only it can tell by introspection. */
import { afterAll, beforeAll, beforeEach, expect, test } from '@jest/globals';

import { createGuard, isGuardError } from '../../src/sdk/guard/guard.ts';
import type { Guard, GuardOptions, IntrospectionSettings } from '../../src/sdk/guard/guard.ts';
import { makeKey } from '../support/api-keys.ts';
import { createApiClient, enter } from '../support/api.ts';
import { apply, basic, createVpnNode, form, getToken, json } from '../support/clients.ts';
import type { Credentials } from '../support/clients.ts';
import { AUDIENCE, RESOURCE, startProtectedApiServer } from '../support/protected-api.ts';
import type { ProtectedApiServer } from '../support/protected-api.ts';
import { signIn } from '../support/relying-party.ts';
import { describeOnBothStores } from '../support/server.ts';

const INVALID = '401 ERR_GUARD_TOKEN_INVALID';
const AWAY = '503 ERR_GUARD_INTROSPECTION_UNAVAILABLE';

describeOnBothStores('the guard', (store) => {
  let it: ProtectedApiServer;
  /** The client by which the resource server asks: its audience is its id. */
  let own: Credentials;
  let guard: Guard;

  beforeAll(async () => {
    it = await startProtectedApiServer(store);
    const made = await apply(it.server.administration, {
      clients: [{ client_id: AUDIENCE, scope: 'read api:read' }],
    });
    own = { id: AUDIENCE, secret: made.get(AUDIENCE) ?? '' };
  });

  afterAll(async () => {
    await it.server.stop();
  });

  const use = (settings: Partial<IntrospectionSettings> = {}, options: Partial<GuardOptions> = {}): Guard =>
    createGuard({
      issuer: it.server.issuer,
      audience: AUDIENCE,
      introspection: { clientId: own.id, clientSecret: own.secret, cacheSeconds: 0, ...settings },
      ...options,
    });
  const outcome = async (token: string, by: Guard = guard): Promise<string> => {
    try {
      await by.verify(token);
      return 'taken';
    } catch (error) {
      if (!isGuardError(error)) throw error;
      return `${error.status} ${error.code}`;
    }
  };

  beforeEach(() => {
    guard = use();
  });

  test('tells a person at the API by their JWT', async () => {
    const { account, token } = await it.signIn('developer', 'api:read');
    expect(await guard.verify(token, { roles: ['developer'], scopes: ['api:read'] })).toMatchObject({
      subject: account.id,
      clientId: it.party.id,
      scopes: ['api:read'],
      role: 'developer',
    });
  });

  test('takes no other token of the same server', async () => {
    const account = await it.server.createAccount();
    const { tokens } = await signIn(it.server, it.party, account, { parameters: { scope: 'openid' } });
    const node = await createVpnNode(it.server);
    const exchanged = await it.server.request('/vpn/auth/', {
      method: 'POST',
      headers: { authorization: `Bearer ${await getToken(it.server, node)}` },
    });
    const vpn = String((await json(exchanged))['access_token']);
    const { access_token: opaque, id_token: idToken = '', refresh_token: refresh = '' } = tokens;
    for (const token of [opaque, idToken, refresh, vpn]) expect(await outcome(token)).toBe(INVALID);
  });

  test('takes an opaque token that concerns its own client, until it is revoked', async () => {
    const token = await getToken(it.server, own);
    expect(await guard.verify(token, { scopes: ['read'] })).toMatchObject({
      subject: own.id,
      clientId: own.id,
    });
    await it.server.request('/revoke', form({ token }, basic(own)));
    expect(await outcome(token)).toBe(INVALID);
  });

  test('refuses a revoked JWT, or one of a disabled account, where it asks about JWTs', async () => {
    const asking = use({ checkJwts: true });
    const { account, token } = await it.signIn('user');
    const other = await it.tokenFor(account);
    expect([await outcome(token, asking), await outcome(other, asking)]).toEqual(['taken', 'taken']);
    await it.server.request('/revoke', form({ token }, basic(it.party)));
    expect([await outcome(token, asking), await outcome(other, asking)]).toEqual([INVALID, 'taken']);
    await it.server.changeAccount(account, { status: 'disabled' });
    expect(await outcome(other, asking)).toBe(INVALID);
    expect(await outcome(other)).toBe('taken'); // by the keys alone, until it expires
  });

  test('takes an API key with the role of its owner there, until the key or the owner is no more', async () => {
    const api = await createApiClient(it.server);
    const me = await enter(api);
    const { secret: key } = await makeKey(api, me, { scopes: ['profile:read'] });
    const account = await it.server.storage.accounts.findByUsername(me.username);
    if (account === null) throw new Error(`there is no ${me.username}`);
    const auth = await guard.verify(key);
    expect(auth).toMatchObject({
      subject: account.id,
      clientId: null,
      role: 'guest',
      scopes: ['profile:read'],
    });
    await it.server.changeAccount(account, { roles: { ...account.roles, [AUDIENCE]: 'developer' } });
    expect((await guard.verify(key, { roles: ['developer'] })).role).toBe('developer');
    await it.server.changeAccount(account, { status: 'disabled' });
    expect(await outcome(key)).toBe(INVALID);
    expect(await outcome(`pcl_${'x'.repeat(49)}`)).toBe(INVALID);
  });

  test('an API key is told to resource servers, and to no other client', async () => {
    const api = await createApiClient(it.server);
    const { secret: token } = await makeKey(api, await enter(api));
    const answer = await it.server.request('/introspect', form({ token }, basic(it.party)));
    expect(await json(answer)).toEqual({ active: false });
  });

  test('takes the refusal of its own credentials for an outage, never for a bad token', async () => {
    const token = await getToken(it.server, own);
    const wrong = use({ clientSecret: 'x'.repeat(43) });
    expect(await outcome(token, wrong)).toBe(AWAY);
  });

  test('goes on with the keys that it has while the server is away', async () => {
    const token = await getToken(it.server, own, { scope: 'api:read', resource: RESOURCE });
    let isAway = false;
    const flaky: Partial<GuardOptions> = {
      fetch: async (...request) => {
        if (isAway) throw new TypeError('fetch failed');
        return fetch(...request);
      },
    };
    const [first, second] = [use({}, flaky), use({}, flaky)];
    expect(await outcome(token, first)).toBe('taken');
    isAway = true;
    expect(await outcome(token, first)).toBe('taken');
    expect(await outcome(token, second)).toBe('503 ERR_GUARD_KEYS_UNAVAILABLE');
    expect(await outcome(await getToken(it.server, own), first)).toBe(AWAY);
  });
});
