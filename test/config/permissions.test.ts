/** The permissions of roles in the settings file: what is refused, by its path, its line and its name. */
import { describe, expect, test } from '@jest/globals';

import { createPermissionsOf, OWN_PERMISSIONS, PERMISSIONS } from '../../src/permissions.ts';
import { faultsOf, load, STRONG } from './load.ts';

const refusals: readonly (readonly [string, string, string, string])[] = [
  ['no list', 'permissions: { user: profile:read }', 'permissions.user (', 'found "profile:read"'],
  ['a role that there is none of', 'permissions: { users: [] }', '"permissions.users"', 'permissions.user?'],
  ['a number', 'permissions: { guest: [1] }', 'permissions.guest (', 'found [1]'],
  [
    'a permission that there is none of',
    'permissions: { user: [profile:read, profile:reed] }',
    'permissions.user (',
    'found "profile:reed", which is no permission',
  ],
  [
    'a near miss',
    'permissions: { user: [profile:reed] }',
    'permissions.user (',
    'Did you mean profile:read?',
  ],
  [
    'administration for others than administrators',
    'permissions: { developer: [profile:read, admin:users:read] }',
    'permissions.developer (',
    'found admin:users:read; expected nothing that begins with admin: for any role but admin',
  ],
  [
    'administrators who cannot administer',
    'permissions: { admin: [profile:read, admin:stats:read, admin:users:read] }',
    'permissions.admin (',
    'found none of admin:users:write, admin:customers:read, admin:customers:write, admin:audit:read',
  ],
];

describe('the permissions of roles', () => {
  test.each(refusals)('refuse %s', (_name, yaml, path, text) => {
    const faults = faultsOf({ env: STRONG, yaml });
    expect(faults).toHaveLength(1);
    expect(faults[0]).toContain(path);
    expect(faults[0]).toContain('portcullis.yaml:1)');
    expect(faults[0]).toContain(text);
  });

  test('tell each unknown one, with its line', () => {
    const faults = faultsOf({ env: STRONG, yaml: 'permissions:\n  guest: []\n  user: [a:b, c:d]' });
    expect(faults.map((fault) => /portcullis\.yaml:3\): found "(\w:\w)"/.exec(fault)?.[1])).toEqual([
      'a:b',
      'c:d',
    ]);
  });

  test('are those of the file, and for the other roles the default', () => {
    const { config } = load({
      env: STRONG,
      yaml: 'permissions: { user: [sessions:read, profile:read], guest: [] }',
    });
    const permissionsOf = createPermissionsOf(config.permissions);
    expect(permissionsOf('user')).toEqual(['profile:read', 'sessions:read']);
    expect(permissionsOf('guest')).toEqual([]);
    expect(permissionsOf('admin')).toEqual(PERMISSIONS);
    expect(permissionsOf('developer')).toEqual(OWN_PERMISSIONS);
    expect(permissionsOf('service_account')).toEqual(['profile:read']);
  });
});
