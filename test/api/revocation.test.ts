/** Whatever ends an account’s access ends all of it: every ending against every kind of credential, without survivors. */
import { beforeAll, describe, expect, test } from '@jest/globals';

import { createApiClient, enter, login, PASSWORD } from '../support/api.ts';
import type { ApiClient, SignedIn } from '../support/api.ts';
import { KINDS } from '../support/credentials.ts';
import type { Held } from '../support/credentials.ts';
import { lastMail } from '../support/mail.ts';
import { describeOnBothStores, useTestServer } from '../support/server.ts';
import type { TestServer } from '../support/server.ts';
import { createVisitor } from '../support/visitor.ts';

const AUTH = '/api/v1/auth';
const NEXT_PASSWORD = 'An0ther-Secret!';
const TIMEOUT_MS = 120_000;

interface Ending {
  readonly server: TestServer;
  readonly api: ApiClient;
  /** In a session of their own, from which it is done. */
  readonly me: SignedIn;
}

/** Name → what is done. */
const ENDINGS: Readonly<Record<string, (ending: Ending) => Promise<unknown>>> = {
  'a change of the password by the API': ({ api, me }) => {
    const body = { current_password: PASSWORD, new_password: NEXT_PASSWORD };
    return api.call('POST', `${AUTH}/change-password`, { token: me.token, body });
  },

  'a change of the password at the account page': async ({ server, me }) => {
    const visitor = createVisitor(server);
    await visitor.send(await visitor.open('/account'), { login: me.username, password: PASSWORD });
    const page = await visitor.open('/account/password');
    const fields = { currentPassword: PASSWORD, newPassword: NEXT_PASSWORD };
    await visitor.send(page, fields, '/account/password');
  },

  'a reset of the password': async ({ server, api, me }) => {
    await api.call('POST', `${AUTH}/forgot-password`, { body: { email: me.email } });
    const { link } = await lastMail(server, me.email, 'Choose a new password');
    const token = new URL(link, server.issuer).searchParams.get('token');
    await api.call('POST', `${AUTH}/reset-password`, { body: { token, new_password: NEXT_PASSWORD } });
  },

  'a password set by an administrator': ({ server, me }) =>
    server.administration.users.setPassword(me.username, async () => NEXT_PASSWORD),

  'a lock by an administrator': ({ server, me }) => server.administration.users.lock(me.username),

  'a lock that is lifted again': async ({ server, me }) => {
    await server.administration.users.lock(me.username);
    await server.administration.users.unlock(me.username);
  },

  'the deletion by an administrator': ({ server, me }) => server.administration.users.delete(me.username),

  'the deletion at the account page': async ({ server, me }) => {
    const visitor = createVisitor(server);
    await visitor.send(await visitor.open('/account'), { login: me.username, password: PASSWORD });
    const page = await visitor.open('/account/data');
    await visitor.send(page, { confirmation: me.username, currentPassword: PASSWORD }, '/account/delete');
  },

  'a sign-out everywhere by the API': ({ api, me }) =>
    api.call('POST', `${AUTH}/logout?all=true`, { token: me.token }),

  'a sign-out of all others at the account page': async ({ server, me }) => {
    const visitor = createVisitor(server);
    await visitor.send(await visitor.open('/account'), { login: me.username, password: PASSWORD });
    await visitor.send(await visitor.open('/account/sessions'), {}, '/account/sessions/end-others');
  },
};

describeOnBothStores('what ends all that a person has', (store) => {
  const limits = { RATE_LIMIT_IP: '100000', RATE_LIMIT_USER: '100000' };
  const server = useTestServer(store, limits);
  let api: ApiClient;
  beforeAll(async () => {
    api = await createApiClient(server());
  });

  /** One after the other: each signs in, and of more than five at once some would count as guesses. */
  const makeAll = async (me: SignedIn) => {
    const all: { readonly name: string; readonly held: Held }[] = [];
    for (const [name, make] of Object.entries(KINDS)) {
      all.push({ name, held: await make({ server: server(), api, person: me }) });
    }
    return all;
  };
  const goodOf = async (all: Awaited<ReturnType<typeof makeAll>>): Promise<readonly string[]> => {
    const tried = await Promise.all(all.map(async ({ name, held }) => ((await held.isGood()) ? [name] : [])));
    return tried.flat();
  };

  test(
    'each kind of credential is good until then',
    async () => {
      expect(await goodOf(await makeAll(await enter(api)))).toEqual(Object.keys(KINDS));
    },
    TIMEOUT_MS,
  );

  describe('leaves no survivor:', () => {
    test.each(Object.entries(ENDINGS))(
      '%s',
      async (_name, end) => {
        const me = await enter(api);
        const all = await makeAll(me);
        await end({ server: server(), api, me });
        expect(await goodOf(all)).toEqual([]);
      },
      TIMEOUT_MS,
    );
  });

  test('the session that changes the password goes on, as does the page’s', async () => {
    const me = await enter(api);
    const body = { current_password: PASSWORD, new_password: NEXT_PASSWORD };
    await api.call('POST', `${AUTH}/change-password`, { token: me.token, body });
    expect((await api.call('GET', `${AUTH}/profile`, { token: me.token })).status).toBe(200);
    const other = await login(api, { ...me, password: NEXT_PASSWORD });
    expect((await api.call('GET', `${AUTH}/profile`, { token: other.token })).status).toBe(200);
  });
});
