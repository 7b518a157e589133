/** Who may do what at the JSON API: the permission of each request, and the table that the settings make of them. */
import { describe, expect, test } from '@jest/globals';
import { join } from 'node:path';

import { openStorage } from '../../src/storage/open.ts';
import { makeFolder, writeFile } from '../config/load.ts';
import { alone, makeKey, statusOf, UNLIMITED } from '../support/api-keys.ts';
import { createApiClient, enter } from '../support/api.ts';
import type { OpenApi } from '../support/api.ts';
import { describeOnBothStores, startTestServer } from '../support/server.ts';

const AUTH = '/api/v1/auth';

/** Open to everybody, or to whoever signed in: to sign out and to change a password nobody needs leave. */
const WITHOUT = [
  `POST ${AUTH}/register`,
  `POST ${AUTH}/login`,
  `POST ${AUTH}/refresh`,
  `POST ${AUTH}/logout`,
  `POST ${AUTH}/change-password`,
  `POST ${AUTH}/forgot-password`,
  `POST ${AUTH}/reset-password`,
  `POST ${AUTH}/verify-email`,
  `POST ${AUTH}/resend-verification`,
  'GET /api/v1/verify',
];

const OWN = {
  [`GET ${AUTH}/profile`]: 'profile:read',
  [`PATCH ${AUTH}/profile`]: 'profile:write',
  [`GET ${AUTH}/sessions`]: 'sessions:read',
  [`DELETE ${AUTH}/sessions/{id}`]: 'sessions:write',
  [`GET ${AUTH}/api-keys`]: 'api-keys:read',
  [`POST ${AUTH}/api-keys`]: 'api-keys:write',
  [`GET ${AUTH}/api-keys/{key_id}`]: 'api-keys:read',
  [`PATCH ${AUTH}/api-keys/{key_id}`]: 'api-keys:write',
  [`DELETE ${AUTH}/api-keys/{key_id}`]: 'api-keys:write',
  [`POST ${AUTH}/api-keys/{key_id}/rotate`]: 'api-keys:write',
};

/** Request → the permission that the document names; undefined where it names none. */
const permissionsOf = ({ paths }: OpenApi): Map<string, string | undefined> =>
  new Map(
    Object.entries(paths).flatMap(([path, operations]) =>
      Object.entries(operations).map(([method, operation]) => {
        const { description = '' } = operation as { readonly description?: string };
        return [
          `${method.toUpperCase()} ${path}`,
          /Needs the permission `([\w:-]+)`/.exec(description)?.[1],
        ] as const;
      }),
    ),
  );

describeOnBothStores('permissions', (store) => {
  test('each request names its own in the document, or is one of the few that need none', async () => {
    await alone(store, UNLIMITED, async (_own, api) => {
      const named = permissionsOf(api.document);
      const none = [...named].flatMap(([request, permission]) => (permission === undefined ? [request] : []));
      expect(none.toSorted()).toEqual(WITHOUT.toSorted());
      for (const [request, permission] of Object.entries(OWN))
        expect([request, named.get(request)]).toEqual([request, permission]);
      const others = [...named].filter(
        ([request, permission]) => permission !== undefined && !(request in OWN),
      );
      for (const [request, permission] of others) {
        expect(request).toMatch(/ \/api\/v1\/(admin|customers)(\/|$)/);
        expect(permission).toMatch(/^admin:/);
      }
    });
  });

  test('are those of the role in the settings, for people and for their keys', async () => {
    const folder = makeFolder();
    writeFile(
      folder,
      'roles.yaml',
      'permissions:\n  developer: [profile:read, api-keys:write]\n  user: []\n',
    );
    await alone(store, { ...UNLIMITED, CONFIG_FILE: join(folder, 'roles.yaml') }, async (own, api) => {
      const me = await enter(api);
      const refused = await api.call('GET', `${AUTH}/profile`, { token: me.token });
      expect([refused.status, refused.body?.['detail']]).toEqual([
        403,
        'This needs the permission profile:read, which your role has not.',
      ]);
      await own.administration.users.update(me.username, { role: 'developer' });
      expect(await statusOf(api, me.token)).toBe(200);
      expect((await api.call('GET', `${AUTH}/sessions`, { token: me.token })).status).toBe(403);
      const { secret } = await makeKey(api, me);
      expect(await statusOf(api, secret)).toBe(200);
      await own.administration.users.update(me.username, { role: 'user' });
      expect(await statusOf(api, secret)).toBe(403);
      expect((await api.call('POST', `${AUTH}/logout`, { token: me.token })).status).toBe(204);
    });
  });

  test('of a role that there is none of are a guest’s', async () => {
    const own = await startTestServer(store, UNLIMITED, {
      open: async (url) => {
        const storage = await openStorage(url);
        const find: typeof storage.accounts.find = async (id) => {
          const account = await storage.accounts.find(id);
          return account && { ...account, roles: { portcullis: 'superuser' } };
        };
        return { ...storage, accounts: { ...storage.accounts, find } };
      },
    });
    const api = await createApiClient(own);
    const me = await enter(api);
    const answer = await api.call('GET', `${AUTH}/profile`, { token: me.token });
    expect(answer.body).toMatchObject({ role: 'guest' });
    expect(
      (await api.call('PATCH', `${AUTH}/profile`, { token: me.token, body: { full_name: 'x' } })).status,
    ).toBe(403);
    expect((await api.call('GET', '/api/v1/admin/stats', { token: me.token })).status).toBe(403);
    await own.stop();
  });
});

describe('what a person sends', () => {
  test('changes no role: no request of theirs has a field for one', async () => {
    await alone('SQLite', UNLIMITED, async (_own, api) => {
      const me = await enter(api);
      for (const fields of [
        { role: 'admin' },
        { roles: { portcullis: 'admin' } },
        { permissions: ['admin:users:write'] },
      ]) {
        const call = { token: me.token, body: { full_name: 'x', ...fields } };
        expect((await api.call('PATCH', `${AUTH}/profile`, call)).status).toBe(400);
      }
      expect((await api.call('GET', `${AUTH}/profile`, { token: me.token })).body).toMatchObject({
        role: 'user',
      });
    });
  });
});
