/** Scopes of this server itself; those of an API are declared with its resource server, and are none of these. */
export const SERVER_SCOPES = [
  'openid',
  'profile',
  'email',
  'phone',
  'address',
  'offline_access',
  'read',
  'customer',
  'admin',
] as const;
