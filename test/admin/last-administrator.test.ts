/** The last administrator stays, whoever asks and however many ask at once. */
import { afterAll, beforeAll, expect, test } from '@jest/globals';

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
  let server: TestServer;
  let api: ApiClient;
  /** At another instance. */
  let other: ApiClient;
  beforeAll(async () => {
    server = await startTestServer(kind, ENV, {
      open: async (...store) => withLatency(await openStorage(...store)),
    });
    api = await createApiClient(server);
    const { origin } = await server.startInstance();
    other = { ...api, call: (method, path, call) => api.call(method, path, { ...call, origin }) };
  });
  afterAll(() => server.stop());

  /** Somebody who administers, as they are named and by their token. */
  const newAdministrator = async () => {
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

  test('is neither deleted nor locked nor disabled nor given another role', async () => {
    const { id, token } = await newAdministrator();
    for (const [name, take] of WAYS) {
      const answer = await take(api, id, token);
      expect([name, answer.status]).toEqual([name, 409]);
    }
    const { body } = await api.call('GET', `${USERS}/${id}`, { token });
    expect(body).toMatchObject({ role: 'admin', disabled: false });
    const { items } = await server.administration.audit.list({ limit: 10 }, { target: `account:${id}` });
    // What the plan refuses is not begun; what another one may have made impossible meanwhile is, and fails.
    expect(items.filter(({ details }) => details['outcome'] === 'failed').length).toBeGreaterThan(0);
  });

  test.each(WAYS)('one is left where two are %s by each other at once', async (_name, take) => {
    for (let round = 0; round < ROUNDS; round += 1) {
      const [a, b]: [Administrator, Administrator] = [await newAdministrator(), await newAdministrator()];
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
  });
});
