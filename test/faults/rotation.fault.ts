/**
 * Rotation of signing keys where it is hard: by a process that is killed at each step, and under load on two instances
 * whose relying parties keep the JWKS for as long as they may.
 */
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { fork } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

import { createLocalJWKSet, jwtVerify } from 'jose';
import type { JSONWebKeySet } from 'jose';

import { standingsOf } from '../../src/keys/rotation.ts';
import { createSealer } from '../../src/keys/sealer.ts';
import { openStorage } from '../../src/storage/open.ts';
import type { KeySet, Storage } from '../../src/storage/port.ts';
import { createCleanup } from './support/cleanup.ts';
import { createHttpClient } from './support/http-client.ts';
import { createInstallation } from './support/installation.ts';
import type { Installation } from './support/installation.ts';
import { progress } from './support/progress.ts';
import { getToken, membersOf, requests } from './support/relying-party.ts';
import { startRotatingWorld } from './support/rotating-world.ts';
import { QUICK, STEPS, WAYS } from './support/rotation-steps.ts';
import { findFreePort, startServerProcess } from './support/server-process.ts';
import { describeOnEachStore } from './support/stores.ts';

const KILLS_OF_A_STEP = 3;
const READY_MS = 10_000;
// CI has twenty minutes for all; by hand it is longer, and a hundred rotations take LOAD_MS=150000.
const LOAD_MS = Number(process.env['LOAD_MS'] ?? (process.env['CI'] === undefined ? 40_000 : 8_000));
const LEAST_ROTATIONS = LOAD_MS / 4_000;

await describeOnEachStore('a rotation that is killed', ({ name, create }) => {
  const cleanup = createCleanup();
  let installation: Installation;
  let storage: Storage;
  let now = Math.floor(Date.now() / 1_000) - 3_600; // the server that starts afterwards finds it in the past

  beforeAll(async () => {
    installation = await createInstallation({ databaseUrl: await create(cleanup) });
    cleanup.add(() => installation.remove());
    const server = startServerProcess(installation.env, await findFreePort());
    cleanup.add(() => server.end());
    await server.ready(READY_MS);
    server.signal('SIGTERM');
    await server.exited;
    storage = await openStorage(installation.databaseUrl);
    cleanup.add(() => storage.close());
    now = Math.floor(Date.now() / 1_000);
  });
  afterAll(() => cleanup.run());

  const read = async (): Promise<KeySet> => {
    const set = await storage.signingKeys.read();
    if (set === null) throw new Error('the key set is gone');
    return set;
  };
  const expectConsistent = ({ keys, retired }: KeySet): void => {
    const sealer = createSealer(installation.env['SECRET_KEY'] ?? '');
    for (const key of keys) expect(sealer.open(key.sealedJwk, key.kid)).toContain(`"kid":"${key.kid}"`);
    const standings = standingsOf(keys, now, QUICK);
    for (const alg of ['RS256', 'ES256']) {
      const states = standings.filter(({ key }) => key.alg === alg).map(({ state }) => state);
      expect(states.filter((state) => state === 'active')).toHaveLength(1);
      expect(states.filter((state) => state === 'next')).toHaveLength(1);
    }
    const kids = [...keys.map(({ kid }) => kid), ...retired];
    expect(new Set(kids).size).toBe(kids.length);
  };
  const kill = async (way: string, step: string): Promise<void> => {
    const child = fork(join(import.meta.dirname, 'support/rotation-worker.ts'), [way, step, String(now)], {
      env: { ...installation.env, PORT: '0' },
      execArgv: ['--disable-warning=ExperimentalWarning'],
    });
    await once(child, 'exit');
    expect([child.exitCode, child.signalCode]).toEqual([null, 'SIGKILL']);
  };

  test.each(WAYS.flatMap((way) => STEPS.map((step) => [way, step] as const)))(
    'by %s, %s, leaves one consistent set',
    async (way, step) => {
      for (let n = 0; n < KILLS_OF_A_STEP; n += 1) {
        now += 2;
        const before = await read();
        await kill(way, step);
        const after = await read();
        expectConsistent(after);
        const written = { 'after reading': [0], 'before writing': [0], 'after writing': [1] };
        expect(step === 'while writing' ? [0, 1] : written[step]).toContain(after.version - before.version);
      }
    },
  );

  test('and a server that starts on it signs, and publishes what it signs by', async () => {
    const server = startServerProcess(installation.env, await findFreePort());
    cleanup.add(() => server.end());
    progress(`${name}: ready after ${(await server.ready(READY_MS)).toFixed(0)} ms`);
    const http = createHttpClient(server.port, 1);
    const nodeToken = await getToken(http, requests.nodeToken());
    const jwt = await getToken(http, requests.exchange(nodeToken));
    const jwks = membersOf(await http.send(requests.jwks())) as unknown as JSONWebKeySet; // RFC 7517 5
    http.close();
    await jwtVerify(jwt, createLocalJWKSet(jwks), { algorithms: ['RS256'], typ: 'at+jwt' });
  });
});

await describeOnEachStore('rotation under load, on two instances', ({ name, create }) => {
  const cleanup = createCleanup();
  afterAll(() => cleanup.run());

  test('refuses no token that is good, whoever keeps the JWKS for how long', async () => {
    const world = await startRotatingWorld(await create(cleanup), cleanup);
    const load = world.startLoad();
    const endsAt = performance.now() + LOAD_MS;
    while (performance.now() < endsAt) {
      await world.rotate(); // the standby has been known for long: it signs at once
      await world.rotate(); // the one after it has to be published first
      await world.settle();
      await world.leap(); // old tokens come close to their end, and old keys to theirs
      await sleep(200);
    }
    await load.stop();
    const seen = await world.report();
    progress(
      `${name}: ${seen.rotations} rotations, ${seen.gone} keys gone, ${seen.signers} keys seen to sign, ` +
        `${seen.checks} checks (${seen.oldChecks} of tokens whose key had stopped signing), ` +
        `JWKS kept ${seen.kept} times, ${seen.refused.length} refused`,
    );
    expect(seen.refused).toEqual([]);
    expect(seen.failed).toEqual([]);
    expect(seen.rotations).toBeGreaterThan(LEAST_ROTATIONS);
    expect(seen.gone).toBeGreaterThan(0);
    expect(seen.signers).toBeGreaterThan(LEAST_ROTATIONS);
    for (const count of [seen.checks, seen.oldChecks, seen.kept]) expect(count).toBeGreaterThan(500);
  });
});
