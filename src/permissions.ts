/**
 * What may be done at the JSON API, by name. Which role has which permission is configuration; a route names the one
 * that it needs, and the scopes of an API key are some of them.
 */
import type { ServerRole } from './accounts/server-role.ts';

export const PERMISSIONS = [
  'profile:read',
  'profile:write',
  'sessions:read',
  'sessions:write',
  'api-keys:read',
  'api-keys:write',
  'admin:stats:read',
  'admin:users:read',
  'admin:users:write',
  'admin:customers:read',
  'admin:customers:write',
  'admin:audit:read',
] as const;

export type Permission = (typeof PERMISSIONS)[number];

/** What each role may, as it is configured. */
export type PermissionTable = Readonly<Record<ServerRole, readonly string[]>>;

export type PermissionsOf = (role: ServerRole) => readonly Permission[];

/** Tells what a role may do now. */
export const createPermissionsOf =
  (table: PermissionTable): PermissionsOf =>
  (role) =>
    PERMISSIONS.filter((permission) => table[role].includes(permission));

/** It is for administrators, whatever the table says. */
export function isAdministrative(permission: string): boolean {
  return permission.startsWith('admin:');
}

/** What there is to do with what is one's own. */
export const OWN_PERMISSIONS: readonly Permission[] = PERMISSIONS.filter((it) => !isAdministrative(it));

/** What an API key may have: none makes another one, or it would outlive its own deletion. */
export const KEY_PERMISSIONS: readonly Permission[] = PERMISSIONS.filter(
  (permission) => !permission.startsWith('api-keys:'),
);
