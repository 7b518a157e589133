/** An apply file and `rotate-secret`: a file that is older than a rotation does not undo it. */
import { beforeEach, describe, expect, test } from '@jest/globals';
import { randomBytes, randomUUID } from 'node:crypto';

import type { ApplyOutcome } from '../../src/composition/administration.ts';
import { basic, createVpnNode, form } from '../support/clients.ts';
import { describeOnBothStores, useTestServer } from '../support/server.ts';

const OVERLAP_SECONDS = 600;

const makeSecret = (): string => randomBytes(32).toString('base64url');

describeOnBothStores('a given secret and its rotation', (store) => {
  const server = useTestServer(store);
  let id: string;
  let old: string;

  /** Applies the node with a secret, or with none, and another node behind it. */
  const apply = (secret?: string, dryRun = false): Promise<ApplyOutcome> => {
    const node = { client_id: id, ...(secret !== undefined && { client_secret: secret }) };
    const file = { vpn_nodes: [{ client_id: `${id}-behind` }, node] };
    return server().administration.apply(JSON.stringify(file), {}, dryRun);
  };

  const rotate = async (overlapSeconds: number): Promise<string> =>
    (await server().administration.rotateSecret(id, true, overlapSeconds)) ?? '';

  const works = async (secret: string): Promise<boolean> => {
    const body = form({ grant_type: 'client_credentials', scope: 'read' }, basic({ id, secret }));
    const { status } = await server().request('/token', body);
    expect([200, 401]).toContain(status);
    return status === 200;
  };

  const actionOf = (outcome: ApplyOutcome): unknown => [
    outcome.ok,
    outcome.items.find((item) => item.id === id)?.action,
  ];

  const expectRefused = async (outcome: Promise<ApplyOutcome>, end: 'ends' | 'ended'): Promise<void> => {
    const message = expect.stringMatching(
      new RegExp(
        `^"${id}": a rotation replaced this client_secret, which ${end} at 20[\\dT:.-]+Z: give the newer one, or leave client_secret out`,
      ),
    );
    expect(await outcome).toEqual({
      ok: false,
      items: [],
      faults: [{ path: 'vpn_nodes[1]', line: 1, message }],
    });
    await expect(server().administration.showClient(`${id}-behind`, true)).rejects.toThrow(/There is no/);
  };

  beforeEach(async () => {
    id = `node-${randomUUID().slice(0, 8)}`;
    old = makeSecret();
    const outcome = await server().administration.apply(
      JSON.stringify({ vpn_nodes: [{ client_id: id, client_secret: old }] }),
      {},
      false,
    );
    expect(outcome.ok).toBe(true);
  });

  test('within the overlap the old one is refused, by a dry run too, and both go on working', async () => {
    const next = await rotate(OVERLAP_SECONDS);
    await expectRefused(apply(old), 'ends');
    await expectRefused(apply(old, true), 'ends');
    expect([await works(old), await works(next)]).toEqual([true, true]);
  });

  test('after it the old one is refused as well, and stays dead', async () => {
    const next = await rotate(0);
    await expectRefused(apply(old), 'ended');
    expect([await works(old), await works(next)]).toEqual([false, true]);
  });

  describe.each([
    ['within the overlap', OVERLAP_SECONDS],
    ['after it', 0],
  ])('%s', (_name, overlapSeconds) => {
    test('the new one, or none, changes nothing', async () => {
      const next = await rotate(overlapSeconds);
      expect(actionOf(await apply(next))).toEqual([true, 'none']);
      expect(actionOf(await apply())).toEqual([true, 'none']);
      expect([await works(old), await works(next)]).toEqual([overlapSeconds > 0, true]);
    });

    test('a third one takes the place of both at once', async () => {
      const next = await rotate(overlapSeconds);
      const third = makeSecret();
      expect(actionOf(await apply(third))).toEqual([true, 'update']);
      expect([await works(old), await works(next), await works(third)]).toEqual([false, false, true]);
    });
  });

  test('a change of another field keeps the overlap', async () => {
    const next = await rotate(OVERLAP_SECONDS);
    const saved = await server().administration.saveClient('update', id, true, { name: 'Berlin' });
    expect(saved).toEqual({ ok: true, secret: null });
    expect([await works(old), await works(next)]).toEqual([true, true]);
  });

  test('a secret of another client is just a secret', async () => {
    const { secret } = await createVpnNode(server());
    expect(actionOf(await apply(secret))).toEqual([true, 'update']);
    expect(await works(secret)).toBe(true);
  });
});
