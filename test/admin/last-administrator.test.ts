/** The last administrator stays, whoever asks and however many ask at once. */
import { expect, test } from '@jest/globals';

import { openStorage } from '../../src/storage/open.ts';
import { createApiClient, enter, login } from '../support/api.ts';
import type { ApiAnswer, ApiClient } from '../support/api.ts';
import { withLatency } from '../support/latency.ts';
import { describeOnBothStores, startTestServer } from '../support/server.ts';
import type { TestServer } from '../support/server.ts';
import { USERS } from './world.ts';

const ENV = { RATE_LIMIT_IP: '100000', RATE_LIMIT_ADMIN: '100000' };
const ROUNDS = 5;

describeOnBothStores('the last administrator', (kind) => {
  const withServer = async (work: (server: TestServer, api: ApiClient) => Promise<void>): Promise<void> => {
    const server = await startTestServer(kind, ENV, {
      open: async (url) => withLatency(await openStorage(url)),
    });
    try {
      await work(server, await createApiClient(server));
    } finally {
      await server.stop();
    }
  };
  /** Somebody who administers, as they are named and by their token. */
  const newAdministrator = async (server: TestServer, api: ApiClient) => {
    const person = await enter(api);
    const { id } = (await server.administration.users.update(person.username, { role: 'admin' })).user;
    const { token } = await login(api, person);
    return { id, token };
  };
  type Administrator = Awaited<ReturnType<typeof newAdministrator>>;

  const WAYS: readonly (readonly [
    string,
    (api: ApiClient, of: string, token: string) => Promise<ApiAnswer>,
  ])[] = [
    ['deleted', (api, of, token) => api.call('DELETE', `${USERS}/${of}`, { token })],
    ['locked', (api, of, token) => api.call('POST', `${USERS}/${of}/lock`, { token })],
    [
      'disabled',
      (api, of, token) => api.call('PATCH', `${USERS}/${of}`, { token, body: { disabled: true } }),
    ],
    [
      'made a user',
      (api, of, token) => api.call('PATCH', `${USERS}/${of}`, { token, body: { role: 'user' } }),
    ],
  ];

  test('is neither deleted nor locked nor disabled nor given another role', () =>
    withServer(async (server, api) => {
      const { id, token } = await newAdministrator(server, api);
      for (const [name, take] of WAYS) {
        const answer = await take(api, id, token);
        expect([name, answer.status]).toEqual([name, 409]);
      }
      const { body } = await api.call('GET', `${USERS}/${id}`, { token });
      expect(body).toMatchObject({ role: 'admin', disabled: false });
      const { items } = await server.administration.audit.list({ limit: 10 }, { target: `account:${id}` });
      // What the plan refuses is not begun; what another one may have made impossible meanwhile is, and fails.
      expect(items.filter(({ details }) => details['outcome'] === 'failed').length).toBeGreaterThan(0);
    }));

  test.each(WAYS)('one is left where two are %s by each other at once', (_name, take) =>
    withServer(async (server, api) => {
      const origin = (await server.startInstance()).origin;
      const other: ApiClient = {
        ...api,
        call: (method, path, call) => api.call(method, path, { ...call, origin }),
      };
      for (let round = 0; round < ROUNDS; round += 1) {
        const [a, b]: [Administrator, Administrator] = [
          await newAdministrator(server, api),
          await newAdministrator(server, api),
        ];
        for (const { id } of (await server.administration.users.list({ limit: 200 }, { role: 'admin' }))
          .items) {
          if (id !== a.id && id !== b.id) await api.call('DELETE', `${USERS}/${id}`, { token: a.token });
        }
        await Promise.all([take(api, b.id, a.token), take(other, a.id, b.token)]);
        const left = await server.administration.users.list(
          { limit: 200 },
          { role: 'admin', status: 'active' },
        );
        expect(left.items.length).toBeGreaterThan(0);
      }
      expect(await server.administration.audit.verify(null)).toMatchObject({ ok: true });
    }),
  );
});
