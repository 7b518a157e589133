/** Client ids that differ in upper and lower case only: there is one, whoever comes first, in a race too. */
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { randomUUID } from 'node:crypto';

import { openAdministration } from '../../src/composition/administration.ts';
import type { Administration } from '../../src/composition/administration.ts';
import { basic, form } from '../support/clients.ts';
import { describeOnBothStores, useTestServer } from '../support/server.ts';

const ROUNDS = 10;
const SPELLINGS = ['node', 'Node', 'nOde', 'NODE', 'noDE'] as const;

describeOnBothStores('client ids that differ in case only', (store) => {
  const server = useTestServer(store);
  /** Each on a connection of its own, as processes are. */
  let administrations: readonly Administration[] = [];

  beforeAll(async () => {
    const { config, secrets } = server();
    administrations = await Promise.all(SPELLINGS.map(() => openAdministration(config, secrets)));
  });
  afterAll(() => Promise.all(administrations.map((administration) => administration.close())));

  const unique = (spelling: string): string => `${spelling}-${randomUUID().slice(0, 8)}`;

  const create = (id: string, isVpnNode = true, administration = server().administration) =>
    administration.saveClient('create', id, isVpnNode, isVpnNode ? {} : { scope: 'read' });

  const apply = (file: object, dryRun = false) =>
    server().administration.apply(JSON.stringify(file), {}, dryRun);

  const status = async (id: string, secret: string): Promise<number> => {
    const body = form({ grant_type: 'client_credentials', scope: 'read' }, basic({ id, secret }));
    return (await server().request('/token', body)).status;
  };

  test('the second is refused under both nouns, and the first goes on by its own spelling alone', async () => {
    const id = unique('Berlin');
    const { ok, secret } = { secret: null, ...(await create(id)) };
    expect(ok).toBe(true);
    for (const other of [id.toLowerCase(), id.toUpperCase()]) {
      for (const isVpnNode of [true, false]) {
        await expect(create(other, isVpnNode)).rejects.toMatchObject({
          code: 'conflict',
          message: `"${other}" differs from "${id}", which is registered, in upper and lower case only: choose another client id.`,
        });
      }
      expect(await status(other, String(secret))).toBe(401);
    }
    expect(await status(id, String(secret))).toBe(200);
  });

  test('a deleted one makes room for another spelling', async () => {
    const id = unique('Oslo');
    await create(id);
    await server().administration.deleteClient(id, true);
    expect(await create(id.toLowerCase())).toMatchObject({ ok: true });
    await expect(create(id)).rejects.toMatchObject({ code: 'conflict' });
  });

  test('apply tells it, by a dry run too, before anything is saved', async () => {
    const id = unique('Paris');
    await create(id);
    const before = unique('before');
    const file = { vpn_nodes: [{ client_id: before }, { client_id: id.toLowerCase() }] };
    for (const dryRun of [true, false]) {
      expect(await apply(file, dryRun)).toMatchObject({
        ok: false,
        items: [],
        faults: [{ path: 'vpn_nodes[1]', message: expect.stringMatching(/in upper and lower case only/) }],
      });
    }
    await expect(server().administration.showClient(before, true)).rejects.toThrow(/There is no/);
  });

  test('apply tells two spellings in one file', async () => {
    const id = unique('Rome');
    const file = {
      clients: [{ client_id: id, scope: 'read' }],
      vpn_nodes: [{ client_id: id.toUpperCase() }],
    };
    expect(await apply(file)).toMatchObject({
      ok: false,
      items: [],
      faults: [{ path: 'vpn_nodes[0]', message: `"${id.toUpperCase()}" stands already at clients[0]` }],
    });
  });

  test('of five spellings at once exactly one is registered', async () => {
    for (let round = 0; round < ROUNDS; round += 1) {
      const suffix = unique('');
      const ids = SPELLINGS.map((spelling) => spelling + suffix);
      const outcomes = await Promise.allSettled(
        administrations.map((administration, index) => create(ids[index] ?? '', true, administration)),
      );
      const refusals = outcomes.filter((outcome) => outcome.status === 'rejected');
      expect(refusals).toHaveLength(SPELLINGS.length - 1);
      for (const { reason } of refusals) expect(reason).toMatchObject({ code: 'conflict' });
      const { items } = await server().administration.listClients({ limit: 1_000 }, true);
      expect(items.filter(({ client_id }) => client_id.endsWith(suffix))).toHaveLength(1);
    }
  });
});
