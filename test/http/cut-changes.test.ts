/**
 * Changes that end access, where the store goes away right after the change itself: what somebody had before is dead when
 * the store is back, whether anybody asks again or not.
 */
import { afterAll, beforeAll, beforeEach, expect, test } from '@jest/globals';

import { storeUnavailable } from '../../src/errors.ts';
import { openStorage } from '../../src/storage/open.ts';
import type { Storage } from '../../src/storage/port.ts';
import { USERS } from '../admin/world.ts';
import { createApiClient, enter, login } from '../support/api.ts';
import type { ApiAnswer, ApiClient, SignedIn } from '../support/api.ts';
import { createVpnNode, getToken } from '../support/clients.ts';
import { lastMail } from '../support/mail.ts';
import { describeOnBothStores, startTestServer } from '../support/server.ts';
import type { TestServer } from '../support/server.ts';
import { wrapCalls } from '../support/wrapped-storage.ts';
import type { Around } from '../support/wrapped-storage.ts';
import { enrol, makeNodeKey, offer } from '../vpn/node-keys.ts';

const AUTH = '/api/v1/auth';
const NEXT_PASSWORD = 'green walrus typewriter stone';

/** The real store, which is away from the end of the next call by that name until it is given back. */
function createCut() {
  let last: string | null = null;
  let isAway = false;
  const around: Around = async (call, run) => {
    if (isAway) throw storeUnavailable(new Error('cut'));
    const result: unknown = await run();
    if (call === last) isAway = true;
    return result;
  };
  return {
    // Not its end, nor what is no promise.
    wrap: (storage: Storage): Storage => ({
      ...wrapCalls(storage, around),
      close: storage.close,
      snapshot: storage.snapshot,
    }),
    after: (call: string): void => {
      last = call;
    },
    /** True where it was away. */
    giveBack: (): boolean => {
      const wasAway = isAway;
      last = null;
      isAway = false;
      return wasAway;
    },
  };
}

describeOnBothStores('a change that is cut by its store', (kind) => {
  const cut = createCut();
  let server: TestServer;
  let api: ApiClient;
  let admin: SignedIn;
  let me: SignedIn;

  beforeAll(async () => {
    server = await startTestServer(
      kind,
      { RATE_LIMITS: 'off' },
      { open: async (...at) => cut.wrap(await openStorage(...at)) },
    );
    api = await createApiClient(server);
    const person = await enter(api);
    await server.administration.users.update(person.username, { role: 'admin' });
    admin = await login(api, person);
  });
  afterAll(() => server.stop());
  beforeEach(async () => {
    me = await enter(api);
  });

  const post = (path: string, body: object, token?: string): Promise<ApiAnswer> =>
    api.call('POST', `${AUTH}/${path}`, { body, ...(token !== undefined && { token }) });
  const change = async (fields: object): Promise<ApiAnswer> => {
    const { id } = await server.administration.users.show(me.username);
    return api.call('PATCH', `${USERS}/${id}`, { body: fields, token: admin.token });
  };
  const setPassword = async (): Promise<ApiAnswer> => {
    const { id } = await server.administration.users.show(me.username);
    const body = { password: NEXT_PASSWORD };
    return api.call('POST', `${USERS}/${id}/reset-password`, { body, token: admin.token });
  };
  const resetLink = async (): Promise<string> => {
    await post('forgot-password', { email: me.email });
    const { link } = await lastMail(server, me.email, 'Choose a new password');
    return new URL(link, server.issuer).searchParams.get('token') ?? '';
  };

  const WAYS: readonly (readonly [string, () => Promise<() => Promise<ApiAnswer>>])[] = [
    [
      'a password that is changed',
      async () => {
        const other = await login(api, me);
        return () =>
          post(
            'change-password',
            { current_password: me.password, new_password: NEXT_PASSWORD },
            other.token,
          );
      },
    ],
    [
      'a password that is set by a mailed link',
      async () => {
        const token = await resetLink();
        return () => post('reset-password', { token, new_password: NEXT_PASSWORD });
      },
    ],
    ['an administrator who sets a password', async () => setPassword],
    ['a person who becomes a service account', async () => () => change({ role: 'service_account' })],
    ['an account that is disabled', async () => () => change({ disabled: true })],
  ];

  test.each(WAYS)('ends what was there: %s', async (_name, prepare) => {
    const send = await prepare();
    cut.after('accounts.replace');
    expect((await send()).status).toBe(503);
    expect(cut.giveBack()).toBe(true);
    expect((await api.call('GET', `${AUTH}/profile`, { token: me.token })).status).toBe(401);
    expect((await post('refresh', { refresh_token: me.refreshToken })).status).toBe(401);
    const old = await post('login', { username: me.username, password: me.password });
    expect(old.status).toBe(401);
  });

  test('leaves no link to another address, by which whoever asked for it would come back', async () => {
    const stranger = 'stranger@example.net';
    await api.call('PATCH', `${AUTH}/profile`, { token: me.token, body: { email: stranger } });
    const { link } = await lastMail(server, stranger, '');
    const token = await resetLink();
    cut.after('accounts.replace');
    expect((await post('reset-password', { token, new_password: NEXT_PASSWORD })).status).toBe(503);
    expect(cut.giveBack()).toBe(true);
    const followed = new URL(link, server.issuer).searchParams.get('token');
    expect((await post('verify-email', { token: followed })).status).toBe(400);
    expect((await server.administration.users.show(me.username)).email).toBe(me.email);
  });

  test('ends the access tokens of a secret that a key takes the place of', async () => {
    const node = await createVpnNode(server);
    const authorization = `Bearer ${await getToken(server, node)}`;
    const { code } = await offer(server, node.id);
    const key = await makeNodeKey();
    cut.after('clients.replace');
    expect((await enrol(server, code, key)).status).toBe(503);
    expect(cut.giveBack()).toBe(true);
    const exchange = () => server.request('/vpn/auth', { method: 'POST', headers: { authorization } });
    expect((await exchange()).status).toBe(401);
    expect((await enrol(server, code, key)).status).toBe(200);
    expect((await exchange()).status).toBe(401);
  });
});
