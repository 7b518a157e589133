/** What an administrator may say of a client: RFC 7591 metadata, strictly; every fault is told with its path. */
import { z } from 'zod';

import { RedirectUri, redirectUriFault } from './redirect-uris.ts';

/** A client id stands in URLs, logs and `sub` claims, so it is kept to letters that need no escaping. */
const ClientId = z
  .string()
  .regex(
    /^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$/,
    '1 to 128 letters, digits, ".", "_" or "-", starting with a letter or digit',
  );

/** Given secrets come from elsewhere: long, and of characters that Basic authentication sends as they are. */
const ClientSecret = z
  .string()
  .regex(
    /^[A-Za-z0-9._~-]{32,256}$/,
    '32 to 256 random letters, digits, ".", "_", "~" or "-"; leave it out to have one made',
  );

/** RFC 6749 3.3 scope tokens, separated by single spaces. */
const Scope = z
  .string()
  .max(2_000)
  .regex(/^[!#-[\]-~]+( [!#-[\]-~]+)*$/, 'scope names separated by single spaces, such as "read"');

/** It is shown on pages and in terminals. */
const Name = z
  .string()
  .trim()
  .min(1)
  .max(200)
  .regex(/^\P{Cc}*$/u, 'a name without control characters');

const HttpUrl = z.url({ protocol: /^https?$/ }).max(2_000);

const Base64Url = z.string().regex(/^[\w-]{1,1400}$/, 'base64url');
const jwkOf = <Members extends z.core.$ZodLooseShape>(members: Members) =>
  z.strictObject(
    {
      ...members,
      kid: z.string().max(200).optional(),
      alg: z.string().max(20).optional(),
      use: z.literal('sig').optional(),
      key_ops: z.array(z.literal('verify')).max(1).optional(),
    },
    'a public key, without private members',
  );

/** A public key that can check a signature; a private or symmetric member is an unknown field. RSA has 2048 bits. */
const PublicJwk = z.discriminatedUnion('kty', [
  jwkOf({ kty: z.literal('RSA'), n: Base64Url.min(342, 'an RSA key of 2048 bits or more'), e: Base64Url }),
  jwkOf({ kty: z.literal('EC'), crv: z.literal('P-256'), x: Base64Url, y: Base64Url }),
  jwkOf({ kty: z.literal('OKP'), crv: z.literal('Ed25519'), x: Base64Url }),
]);

/** The token endpoint's grants that a client can be registered for. */
const GrantType = z.enum([
  'authorization_code',
  'refresh_token',
  'client_credentials',
  'urn:ietf:params:oauth:grant-type:device_code',
]);
type GrantType = z.infer<typeof GrantType>;

const WithPeople = {
  redirect_uris: z.array(RedirectUri).max(50).optional(),
  post_logout_redirect_uris: z.array(RedirectUri).max(50).optional(),
};

const Named = {
  client_id: ClientId,
  client_secret: ClientSecret.optional(),
  ...WithPeople,
};

const MAX_AGE_SECONDS = 366 * 86_400;

const ClientFields = z.strictObject({
  ...Named,
  application_type: z.enum(['web', 'native']).optional(),
  backchannel_logout_session_required: z.boolean().optional(),
  backchannel_logout_uri: HttpUrl.optional(),
  client_name: Name.optional(),
  client_uri: HttpUrl.optional(),
  contacts: z.array(z.email()).max(10).optional(),
  default_max_age: z.int().min(0).max(MAX_AGE_SECONDS).optional(),
  first_party: z.boolean().optional(),
  grant_types: z.array(GrantType).nonempty().optional(),
  id_token_signed_response_alg: z.enum(['RS256', 'ES256']).optional(),
  jwks: z.strictObject({ keys: z.array(PublicJwk).min(1).max(20) }).optional(),
  logo_uri: HttpUrl.optional(),
  policy_uri: HttpUrl.optional(),
  require_auth_time: z.boolean().optional(),
  require_pkce: z.boolean().optional(),
  scope: Scope,
  token_endpoint_auth_method: z
    .enum(['client_secret_basic', 'client_secret_post', 'private_key_jwt', 'none'])
    .default('client_secret_basic'),
  tos_uri: HttpUrl.optional(),
});

interface Rule {
  readonly path: string;
  readonly message: string;
  readonly isBroken: (client: Given) => boolean;
}

type Given = z.infer<typeof ClientFields> & { readonly grant_types: readonly GrantType[] };

const isPublic = (client: Given): boolean => client.token_endpoint_auth_method === 'none';
const uses = (client: Given, grant: GrantType): boolean => client.grant_types.includes(grant);
const hasScope = (client: Given, scope: string): boolean => client.scope.split(' ').includes(scope);
const DEVICE_CODE = 'urn:ietf:params:oauth:grant-type:device_code';

/** What fields may be together. Each is told with its path; they are about the grants that the client has. */
const RULES: readonly Rule[] = [
  {
    path: 'jwks',
    message: 'the public keys of a client that uses private_key_jwt, and of no other',
    isBroken: (client) =>
      (client.token_endpoint_auth_method === 'private_key_jwt') !== (client.jwks !== undefined),
  },
  {
    path: 'client_secret',
    message: 'a client that uses private_key_jwt has no secret',
    isBroken: (client) => client.jwks !== undefined && client.client_secret !== undefined,
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
    path: 'backchannel_logout_session_required',
    message: 'goes with a backchannel_logout_uri',
    isBroken: (client) =>
      client.backchannel_logout_session_required === true && client.backchannel_logout_uri === undefined,
  },
];

/** RFC 7591's default is authorization_code; a client that has nowhere to send a code acts for itself. */
const withGrants = (client: z.infer<typeof ClientFields>): Given => ({
  ...client,
  grant_types: client.grant_types ?? [
    (client.redirect_uris ?? []).length > 0 ? 'authorization_code' : 'client_credentials',
  ],
});

export const ClientInput = ClientFields.transform(withGrants).superRefine((client, context) => {
  for (const { path, message, isBroken } of RULES) {
    if (isBroken(client)) context.addIssue({ code: 'custom', path: [path], message });
  }
  refuseRedirectUris(client, context);
});

export const VpnNodeInput = z
  .strictObject({
    ...Named,
    name: Name.optional(),
  })
  .superRefine(refuseRedirectUris);

function refuseRedirectUris(
  client: {
    readonly application_type?: 'web' | 'native' | undefined;
    readonly redirect_uris?: readonly string[] | undefined;
    readonly post_logout_redirect_uris?: readonly string[] | undefined;
  },
  context: z.RefinementCtx,
): void {
  for (const field of ['redirect_uris', 'post_logout_redirect_uris'] as const) {
    for (const [index, uri] of (client[field] ?? []).entries()) {
      const message = redirectUriFault(uri, client.application_type ?? 'web');
      if (message !== null) context.addIssue({ code: 'custom', path: [field, index], message });
    }
  }
}

export type ClientInput = z.infer<typeof ClientInput>;
export type VpnNodeInput = z.infer<typeof VpnNodeInput>;
