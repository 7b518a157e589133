/** The figures that administrators read, of two instances together. */
import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';

import { toFigures } from '../../src/statistics/figures.ts';
import { createStatistics } from '../../src/statistics/statistics.ts';
import { storeUnavailable } from '../../src/errors.ts';
import { createClient, getToken } from '../support/clients.ts';
import type { HourCount } from '../../src/storage/port.ts';
import { describeOnBothStores } from '../support/server.ts';
import { pathsOf, useAdminWorld, USERS } from './world.ts';

const STATS = '/api/v1/admin/stats';
const HOUR = 3_600;
const MAX_FAILURES = 5;

interface Shown {
  readonly users: {
    readonly total: number;
    readonly locked: number;
    readonly by_role_and_status: readonly { role: string; status: string; count: number }[];
  };
  readonly active_sessions: number;
  readonly api_keys: number;
  readonly hours: readonly Readonly<Record<string, number | string>>[];
  readonly tokens_by_grant: Readonly<Record<string, number>>;
  readonly top_clients: readonly { client_id: string; tokens: number }[];
}

describeOnBothStores('the figures of the admin API', (kind) => {
  const world = useAdminWorld(kind);
  const read = async (query = '', origin?: string): Promise<Shown> => {
    const answer = await world().call('GET', `${STATS}${query}`, { ...(origin !== undefined && { origin }) });
    expect(answer.status).toBe(200);
    return answer.body as unknown as Shown;
  };
  const countOf = ({ users }: Shown, role: string, status: string): number =>
    users.by_role_and_status.find((one) => one.role === role && one.status === status)?.count ?? 0;
  const sum = ({ hours }: Shown, name: string): number =>
    hours.reduce((total, hour) => total + Number(hour[name]), 0);

  test('count users by role and status, who is locked, sessions and keys', async () => {
    const before = await read();
    const developer = await world().newPerson('developer');
    const person = await world().newPerson();
    const { token } = await world().newPerson();
    await world().call('POST', `${USERS}/${developer.id}/lock`);
    const key = { token, body: { name: 'a key' } };
    expect((await world().api.call('POST', '/api/v1/auth/api-keys', key)).status).toBe(201);
    const body = { username: person.username, password: 'Wrong-Passw0rd' };
    for (let n = 0; n < MAX_FAILURES; n += 1) await world().api.call('POST', '/api/v1/auth/login', { body });

    const after = await read();
    expect(after.users.total - before.users.total).toBe(3);
    expect(countOf(after, 'developer', 'disabled') - countOf(before, 'developer', 'disabled')).toBe(1);
    expect(countOf(after, 'user', 'active') - countOf(before, 'user', 'active')).toBe(2);
    expect(after.users.locked - before.users.locked).toBe(1);
    // Each signed in once and the developer twice; the lock ended both of theirs.
    expect(after.active_sessions - before.active_sessions).toBe(2);
    expect(after.api_keys - before.api_keys).toBe(1);
    expect(sum(after, 'failures') - sum(before, 'failures')).toBe(MAX_FAILURES);
    expect(sum(after, 'lockouts') - sum(before, 'lockouts')).toBe(1);
    expect(sum(after, 'registrations') - sum(before, 'registrations')).toBe(3);
    expect(sum(after, 'sign_ins') - sum(before, 'sign_ins')).toBe(4);
  });

  test('count tokens by grant and by client, of this instance and of another', async () => {
    const { server } = world();
    const client = await createClient(server, 'read');
    const { origin } = await server.startInstance();
    const before = await read();
    for (let n = 0; n < 3; n += 1) await getToken(server, client);
    await getToken({ ...server, request: (path, init) => fetch(origin + path, init) }, client);
    await read('', origin); // writes down what that instance counted
    const after = await read();
    const granted = (shown: Shown): number => shown.tokens_by_grant['client_credentials'] ?? 0;
    expect(granted(after) - granted(before)).toBe(4);
    expect(after.top_clients).toContainEqual({ client_id: client.id, tokens: 4 });
    expect(after.top_clients.length).toBeLessThanOrEqual(10);
    expect(sum(after, 'tokens') - sum(before, 'tokens')).toBe(4);
  });

  test('go back as many hours as are asked for, the present one last', async () => {
    const { hours } = await read('?hours=3');
    const starts = hours.map(({ hour }) => Date.parse(String(hour)) / 1_000);
    expect(starts).toHaveLength(3);
    expect(starts[2]).toBe(Math.floor(Date.now() / 1_000 / HOUR) * HOUR);
    expect(starts[2]).toBe((starts[1] ?? 0) + HOUR);
    expect((await read()).hours).toHaveLength(24);
    expect((await read('?hours=168')).hours).toHaveLength(168);
  });

  test.each(['0', '169', '1.5', 'x', ''])('refuse %j hours', async (hours) => {
    const answer = await world().call('GET', `${STATS}?hours=${hours}`);
    expect([answer.status, pathsOf(answer)]).toEqual([400, ['hours']]);
  });
});

describe('counting', () => {
  const NOW = 1_800_000_000;

  test('adds up whatever comes, in any order', async () => {
    const series = fc.constantFrom(
      'sign_in',
      'token:refresh_token',
      'token:a',
      'client:x',
      'client:y',
      'client:',
    );
    await fc.assert(
      fc.asyncProperty(fc.array(series, { maxLength: 200 }), async (events) => {
        const kept: HourCount[] = [];
        const store = {
          add: async (counts: readonly HourCount[]) => void kept.push(...counts),
          read: async () => kept,
        };
        const statistics = createStatistics({ store, now: () => NOW });
        for (const event of events) {
          const [group = '', name] = event.split(':');
          statistics.count(group, name);
        }
        const figures = toFigures(await statistics.read(1), { hours: 1, clients: 10, now: NOW });
        const named = (prefix: string): number => events.filter((event) => event.startsWith(prefix)).length;
        expect(figures.hours[0]?.signIns).toBe(named('sign_in'));
        expect(figures.hours[0]?.tokens).toBe(named('token:'));
        expect(figures.topClients.reduce((total, { tokens }) => total + tokens, 0)).toBe(named('client:'));
      }),
    );
  });

  test('keeps what the store did not take, and keeps a bound where clients are many', async () => {
    const kept: HourCount[] = [];
    let isAway = true;
    const store = {
      add: async (counts: readonly HourCount[]) => {
        if (isAway) throw storeUnavailable(new Error('down'));
        kept.push(...counts);
      },
      read: async () => kept,
    };
    const statistics = createStatistics({ store, now: () => NOW });
    for (let n = 0; n < 2_000; n += 1) statistics.count('client', `c${n}`);
    await expect(statistics.flush()).rejects.toMatchObject({ code: 'store_unavailable' });
    statistics.count('client', 'c0');
    isAway = false;
    const counts = await statistics.read(1);
    expect(counts.length).toBeLessThanOrEqual(501);
    expect(counts.reduce((total, { count }) => total + count, 0)).toBe(2_001);
    expect(counts.find(({ series }) => series === 'client:c0')?.count).toBe(2);
  });
});
