/** Which permissions a role can have: such as there are, and those of administration for administrators alone. */
import type { Config } from '../config.ts';
import { PERMISSIONS, isAdministrative } from '../permissions.ts';
import type { ConfigFault } from './faults.ts';
import { showValue } from './redact.ts';
import { settingFault } from './refusals.ts';
import type { Sources } from './resolve.ts';
import { nearest } from './spelling.ts';

const ROLES = [
  ['adminPermissions', 'admin'],
  ['userPermissions', 'user'],
  ['developerPermissions', 'developer'],
  ['guestPermissions', 'guest'],
  ['servicePermissions', 'service_account'],
] as const;

/** The faults of the table. */
export const permissionConflicts = (config: Config, sources: Sources): readonly ConfigFault[] =>
  ROLES.flatMap(([name, role]) => {
    const given = config.permissions[role];
    const fault = ({ found, expected, remedy }: Clauses): ConfigFault =>
      settingFault(name, sources[name], found, expected, remedy);
    return [
      ...given.filter((permission) => !isPermission(permission)).map(unknown),
      ...(role === 'admin'
        ? missing(given)
        : given.filter(isAdministrative).filter(isPermission).map(tooMuch)),
    ].map(fault);
  });

type Clauses = Pick<ConfigFault, 'found' | 'expected' | 'remedy'>;

const isPermission = (name: string): boolean => PERMISSIONS.some((permission) => permission === name);

function unknown(name: string): Clauses {
  const near = nearest(name, PERMISSIONS);
  return {
    found: `found ${showValue(name)}, which is no permission`,
    expected: `some of ${PERMISSIONS.join(', ')}`,
    remedy: near === null ? 'Remove it.' : `Did you mean ${near}?`,
  };
}

const tooMuch = (name: string): Clauses => ({
  found: `found ${name}`,
  expected: 'nothing that begins with admin: for any role but admin',
  remedy: 'Remove it, and give the role admin to those who administer.',
});

/** Who takes one from the administrators takes it from themselves, and nobody gives it back. */
function missing(given: readonly string[]): readonly Clauses[] {
  const lacking = PERMISSIONS.filter((name) => isAdministrative(name) && !given.includes(name));
  if (lacking.length === 0) return [];
  const found = `found none of ${lacking.join(', ')}`;
  const expected = 'all that begins with admin:, without which nobody administers';
  return [{ found, expected, remedy: `Add ${lacking.join(', ')}, or remove the line.` }];
}
