/** What is wrong with an input, over HTTP: each fault at its path, in our words, never in the validator's. */
import { expect, test } from '@jest/globals';

import { newPerson } from '../support/api.ts';
import { itemsOf, USERS, useAdminWorld } from '../admin/world.ts';
import { describeOnBothStores } from '../support/server.ts';

const AUDIT = '/api/v1/admin/audit';
const LONG = 'x'.repeat(1_001);

describeOnBothStores('the words for faults of an input', (kind) => {
  const world = useAdminWorld(kind);

  test.each([
    ['a missing field', { username: 'ada' }, 'password', 'this field is missing'],
    ['a wrong type', { username: 3, password: 'x' }, 'username', 'expected a text, found a number'],
    ['null', { username: null, password: 'x' }, 'username', 'expected a text, found null'],
    ['a list', { username: [], password: 'x' }, 'username', 'expected a text, found a list'],
    ['too short', { username: '', password: 'x' }, 'username', 'expected at least 1 character, found none'],
    [
      'too long',
      { username: 'x'.repeat(321), password: 'x' },
      'username',
      'expected at most 320 characters, found 321',
    ],
    ['an unknown key', { username: 'a', password: 'x', nope: 1 }, 'nope', 'there is no such field'],
    ['no object', [], 'body', 'expected a mapping of fields, found a list'],
    ['a number', 3, 'body', 'expected a mapping of fields, found a number'],
  ])('in a body: %s', async (_name, body, path, message) => {
    const answer = await world().api.call('POST', '/api/v1/auth/login', { body });
    expect([answer.status, answer.body?.['errors']]).toEqual([400, [{ path, message }]]);
    expect(answer.body?.['detail']).toBe(`${path}: ${message}`);
  });

  test('each fault is told', async () => {
    const { body } = await world().call('POST', USERS, {
      body: { ...newPerson(), email: 1, disabled: 'no' },
    });
    expect(body?.['errors']).toEqual(
      expect.arrayContaining([{ path: 'email', message: 'expected a text, found a number' }]),
    );
    expect(JSON.stringify(body)).not.toMatch(/Invalid|Too (small|big)|received|undefined/);
  });

  test.each([
    [`${AUDIT}?order=up`, 'order', /^expected one of "newest", "oldest", found "up"$/],
    [`${AUDIT}?action=nope`, 'action', /^expected one of "account\.create", .*, found "nope"$/],
    [`${AUDIT}?target=ada`, 'target', /^expected one of account:ID, api-key:ID/],
    [`${AUDIT}?actor=nobody`, 'actor', /^expected one of cli, server, anonymous, account:ID/],
    [`${AUDIT}?nope=1`, 'nope', /^there is no such field$/],
    [`${AUDIT}?from=yesterday`, 'from', /^a date and time with its zone/],
    [`${AUDIT}?after=${LONG}`, 'after', /^expected at most 1000 characters, found 1001$/],
  ])('in a query: %#', async (address, path, message) => {
    const answer = await world().call('GET', address);
    expect([answer.status, answer.body?.['errors']]).toEqual([
      400,
      [{ path, message: expect.stringMatching(message) }],
    ]);
  });

  test('filters that there are find what they name', async () => {
    const { id } = world().admin;
    const asked = `${AUDIT}?action=account.update&actor=cli&target=account:${id}`;
    expect(itemsOf(await world().call('GET', asked))).toEqual([
      expect.objectContaining({ action: 'account.update', actor: 'cli', target: `account:${id}` }),
    ]);
  });
});
