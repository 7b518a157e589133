/** What fields of a client may be together. Each fault is told with its path; they are about the grants it has. */
import { isDeepStrictEqual } from 'node:util';

import type { ClientFields, GrantType } from './schema.ts';

export const DEVICE_CODE = 'urn:ietf:params:oauth:grant-type:device_code';

interface Rule {
  readonly path: string;
  readonly message: string;
  readonly isBroken: (client: GrantedClient) => boolean;
}

/** A client whose grants and scopes are said; no scope is an empty text. */
export type GrantedClient = ClientFields & {
  readonly grant_types: readonly GrantType[];
  readonly scope: string;
};

/** What the grants imply (RFC 7591 2.1). */
export const responseTypes = (grantTypes: readonly string[]): readonly string[] =>
  grantTypes.includes('authorization_code') ? ['code'] : [];

const isPublic = (client: GrantedClient): boolean => client.token_endpoint_auth_method === 'none';
const usesKeys = (client: GrantedClient): boolean => client.token_endpoint_auth_method === 'private_key_jwt';
const hasKeys = (client: GrantedClient): boolean => (client.jwks ?? client.jwks_uri) !== undefined;
const uses = (client: GrantedClient, grant: GrantType): boolean => client.grant_types.includes(grant);
const hasScope = (client: GrantedClient, scope: string): boolean => client.scope.split(' ').includes(scope);

export const CLIENT_RULES: readonly Rule[] = [
  {
    path: 'service_account',
    message: 'only for a client that has the grant client_credentials, by which it acts for the account',
    isBroken: (client) => client.service_account !== undefined && !uses(client, 'client_credentials'),
  },
  {
    path: 'service_account',
    message: 'a client acts for a service account, or administers by the scope admin, and not both',
    isBroken: (client) => client.service_account !== undefined && hasScope(client, 'admin'),
  },
  {
    path: 'customer',
    message: 'only for a client that has the scope customer, by which its tokens tell of the customer',
    isBroken: (client) => client.customer !== undefined && !hasScope(client, 'customer'),
  },
  {
    path: 'jwks',
    message:
      'the public keys of a client that uses private_key_jwt, and of no other; or jwks_uri for where they are',
    isBroken: (client) => usesKeys(client) !== hasKeys(client),
  },
  {
    path: 'jwks_uri',
    message: 'in the place of jwks, not beside it',
    isBroken: (client) => client.jwks !== undefined && client.jwks_uri !== undefined,
  },
  {
    path: 'client_secret',
    message: 'a client that uses private_key_jwt has no secret',
    isBroken: (client) => hasKeys(client) && client.client_secret !== undefined,
  },
  {
    path: 'client_secret',
    message: 'a public client (token_endpoint_auth_method none) has no secret',
    isBroken: (client) => isPublic(client) && client.client_secret !== undefined,
  },
  {
    path: 'grant_types',
    message: 'client_credentials needs a client that can authenticate: a public one gets nothing for itself',
    isBroken: (client) => isPublic(client) && uses(client, 'client_credentials'),
  },
  {
    path: 'redirect_uris',
    message: 'at least one, where people sign in by authorization_code',
    isBroken: (client) => uses(client, 'authorization_code') && (client.redirect_uris ?? []).length === 0,
  },
  {
    path: 'redirect_uris',
    message: 'only for a client that has the grant authorization_code',
    isBroken: (client) => !uses(client, 'authorization_code') && (client.redirect_uris ?? []).length > 0,
  },
  {
    path: 'response_types',
    message:
      '["code"] where the client has the grant authorization_code, else []; left out, it is what it has to be',
    isBroken: ({ response_types: given, grant_types: grants }) =>
      given !== undefined && !isDeepStrictEqual(given, responseTypes(grants)),
  },
  {
    path: 'grant_types',
    message: 'refresh_token comes with authorization_code or the device code, which give the first one',
    isBroken: (client) =>
      uses(client, 'refresh_token') && !uses(client, 'authorization_code') && !uses(client, DEVICE_CODE),
  },
  {
    path: 'scope',
    message: 'offline_access is for a client that has the grant refresh_token',
    isBroken: (client) => hasScope(client, 'offline_access') && !uses(client, 'refresh_token'),
  },
  {
    path: 'scope',
    message: 'admin is for a client that acts for itself: client_credentials is its only grant',
    isBroken: (client) =>
      hasScope(client, 'admin') && client.grant_types.some((grant) => grant !== 'client_credentials'),
  },
  {
    path: 'require_pkce',
    message: 'may be false for a confidential client only, which then sends a nonce (RFC 9700 2.1.1)',
    isBroken: (client) => client.require_pkce === false && isPublic(client),
  },
  {
    path: 'scope',
    message: 'without PKCE a client needs openid, since its nonce protects the code (RFC 9700 2.1.1)',
    isBroken: (client) => client.require_pkce === false && !hasScope(client, 'openid'),
  },
  {
    path: 'default_max_age',
    message: 'speaks of an ID token, so the client needs the scope openid',
    isBroken: (client) => client.default_max_age !== undefined && !hasScope(client, 'openid'),
  },
  {
    path: 'require_auth_time',
    message: 'speaks of an ID token, so the client needs the scope openid',
    isBroken: (client) => client.require_auth_time === true && !hasScope(client, 'openid'),
  },
  {
    path: 'backchannel_logout_uri',
    message: 'is told when people sign out, so the client needs the scope openid',
    isBroken: (client) => client.backchannel_logout_uri !== undefined && !hasScope(client, 'openid'),
  },
  {
    path: 'backchannel_logout_session_required',
    message: 'goes with a backchannel_logout_uri',
    isBroken: (client) =>
      client.backchannel_logout_session_required === true && client.backchannel_logout_uri === undefined,
  },
];
