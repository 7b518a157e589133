/** `portcullis vpn-nodes` for nodes that people sign in at: by a browser, by a device code, and no longer. */
import { expect, test } from '@jest/globals';

import { describeOnBothStores, useTestServer } from '../support/server.ts';
import { documentOf, environmentOf, portcullis } from './run.ts';
import type { Ran } from './run.ts';

const DEVICE_CODE = 'urn:ietf:params:oauth:grant-type:device_code';
const ALONE = ['client_credentials'];

describeOnBothStores('vpn-nodes of people', (store) => {
  const server = useTestServer(store);
  const nodes = (...argv: readonly string[]): Promise<Ran> =>
    portcullis(['vpn-nodes', ...argv], { cwd: server().folder, env: environmentOf(server()) });
  const save = async (...argv: readonly string[]): Promise<void> => {
    const { err, code } = await nodes(...argv);
    expect([err, code]).toEqual(['', 0]);
  };
  const shown = async (id: string) => {
    const { grant_types, redirect_uris, scope } = documentOf(await nodes('show', id, '--json'));
    return { grant_types, redirect_uris, scope };
  };

  test('has none by itself', async () => {
    await save('create', 'plain', '--name', 'Plain');
    expect(await shown('plain')).toEqual({ grant_types: ALONE, redirect_uris: [], scope: 'read' });
  });

  test('takes redirect URIs, one each time, and keeps them when something else is updated', async () => {
    const uris = ['https://one.example.com/cb', 'https://two.example.com/cb'];
    await save('create', '--redirect-uri', uris[0] ?? '', '--redirect-uri', uris[1] ?? '', 'browser');
    const expected = {
      grant_types: ['client_credentials', 'authorization_code', 'refresh_token', DEVICE_CODE],
      redirect_uris: uris,
      scope: 'read openid profile email',
    };
    expect(await shown('browser')).toEqual(expected);
    await save('update', 'browser', '--name', 'Another name');
    expect(await shown('browser')).toEqual(expected);
  });

  test('takes a node without a browser, and lets nobody sign in there any more', async () => {
    const device = ['client_credentials', 'refresh_token', DEVICE_CODE];
    await save('create', 'device', '--device-sign-in');
    expect(await shown('device')).toMatchObject({ grant_types: device, redirect_uris: [] });
    await save('update', 'device', '--name', 'Another name');
    expect(await shown('device')).toMatchObject({ grant_types: device });
    await save('update', 'device', '--no-device-sign-in');
    expect(await shown('device')).toEqual({ grant_types: ALONE, redirect_uris: [], scope: 'read' });
  });

  test('refuses a redirect URI by the option’s name', async () => {
    const { code, err } = await nodes('create', 'bad', '--redirect-uri', 'javascript:alert(1)');
    expect([code, err]).toEqual([1, expect.stringMatching(/^--redirect-uri/)]);
    await save('create', 'sound');
    const none = [
      await nodes('create', 'bad', '--redirect-uri', 'foo'),
      await nodes('update', 'sound', '--redirect-uri', 'foo'),
    ];
    for (const ran of none) {
      expect([ran.code, ran.err]).toEqual([1, expect.stringMatching(/^--redirect-uri.*an absolute URI/)]);
    }
  });
});
