/** What an administrator may say of a client: RFC 7591 metadata, strictly; every fault is told with its path. */
import { z } from 'zod';

import { RedirectUri, redirectUriFault, serverUriFault } from './redirect-uris.ts';
import { CLIENT_RULES, DEVICE_CODE } from './rules.ts';
import type { GrantedClient } from './rules.ts';

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

/** As it is stored; whose it is, is looked for by whoever knows accounts. */
const Username = z
  .string()
  .regex(/^[a-z0-9][a-z0-9._-]{0,63}$/, 'the username of a service account, in lower case');

/** A customer’s name, in any case; whether there is one, is looked for by whoever knows customers. */
const CustomerName = z
  .string()
  .regex(/^[A-Za-z0-9._-]{1,64}$/, 'the username of a customer: 1 to 64 letters, digits, ".", "_" or "-"');

const HttpUrl = z.url({ protocol: /^https?$/ }).max(2_000);

/** An address that this server itself sends requests to. */
const ServerUrl = z
  .url()
  .max(2_000)
  .superRefine((uri, context) => {
    const message = URL.canParse(uri) ? serverUriFault(uri) : null;
    if (message !== null) context.addIssue({ code: 'custom', message });
  });

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
    {
      error: ({ code }) =>
        code === 'unrecognized_keys'
          ? 'there is no such field: give a public key, without private members'
          : 'a public key, without private members',
    },
  );

/** A public key that can check a signature; a private or symmetric member is an unknown field. RSA has 2048 bits. */
const PublicJwk = z.discriminatedUnion('kty', [
  jwkOf({ kty: z.literal('RSA'), n: Base64Url.min(342, 'an RSA key of 2048 bits or more'), e: Base64Url }),
  jwkOf({ kty: z.literal('EC'), crv: z.literal('P-256'), x: Base64Url, y: Base64Url }),
  jwkOf({ kty: z.literal('OKP'), crv: z.literal('Ed25519'), x: Base64Url }),
]);

/** The token endpoint's grants that a client can be registered for. */
const GrantType = z.enum(['authorization_code', 'refresh_token', 'client_credentials', DEVICE_CODE]);
export type GrantType = z.infer<typeof GrantType>;

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
  backchannel_logout_uri: ServerUrl.optional(),
  client_name: Name.optional(),
  client_uri: HttpUrl.optional(),
  customer: CustomerName.optional(),
  contacts: z.array(z.email()).max(10).optional(),
  default_max_age: z.int().min(0).max(MAX_AGE_SECONDS).optional(),
  first_party: z.boolean().optional(),
  grant_types: z.array(GrantType).nonempty().optional(),
  id_token_signed_response_alg: z.enum(['RS256', 'ES256']).optional(),
  jwks: z.strictObject({ keys: z.array(PublicJwk).min(1).max(20) }).optional(),
  jwks_uri: ServerUrl.optional(),
  logo_uri: HttpUrl.optional(),
  policy_uri: HttpUrl.optional(),
  require_auth_time: z.boolean().optional(),
  require_pkce: z.boolean().optional(),
  response_types: z.array(z.string().max(100)).max(10).optional(),
  scope: Scope.optional(),
  service_account: Username.optional(),
  software_id: Name.optional(),
  software_version: Name.optional(),
  token_endpoint_auth_method: z
    .enum(['client_secret_basic', 'client_secret_post', 'private_key_jwt', 'none'])
    .default('client_secret_basic'),
  tos_uri: HttpUrl.optional(),
});

export type ClientFields = z.infer<typeof ClientFields>;

/**
 * RFC 7591's default is authorization_code; a client that has nowhere to send a code acts for itself. Without `scope` it
 * learns who signed in, where people do, and may ask for nothing else.
 */
function withDefaults(client: ClientFields): GrantedClient {
  const hasRedirect = (client.redirect_uris ?? []).length > 0;
  const grant_types = client.grant_types ?? [hasRedirect ? 'authorization_code' : 'client_credentials'];
  const scope = client.scope ?? (grant_types.includes('authorization_code') ? 'openid' : '');
  return { ...client, grant_types, scope };
}

export const ClientInput = ClientFields.transform(withDefaults).superRefine((client, context) => {
  for (const { path, message, isBroken } of CLIENT_RULES) {
    if (isBroken(client)) context.addIssue({ code: 'custom', path: [path], message });
  }
  refuseRedirectUris(client, context);
});

export const VpnNodeInput = z
  .strictObject({
    ...Named,
    device_sign_in: z.boolean().optional(),
    name: Name.optional(),
    token_endpoint_auth_method: z.enum(['client_secret_basic', 'private_key_jwt']).optional(),
  })
  .superRefine((node, context) => {
    if (node.token_endpoint_auth_method === 'private_key_jwt' && node.client_secret !== undefined) {
      const message = 'a node that uses private_key_jwt has no secret: it enrols a key of its own';
      context.addIssue({ code: 'custom', path: ['client_secret'], message });
    }
    refuseRedirectUris(node, context);
  });

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
