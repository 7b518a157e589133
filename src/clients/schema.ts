/** What an administrator may say of a client: RFC 7591 metadata, strictly; every fault is told with its path. */
import { z } from 'zod';

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

const RedirectUri = z
  .string()
  .max(2_000)
  .refine(
    (uri) => URL.canParse(uri) && !uri.includes('#') && !uri.includes('*'),
    'an absolute URI without fragment or wildcard',
  );

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

const Named = {
  client_id: ClientId,
  client_secret: ClientSecret.optional(),
  redirect_uris: z.array(RedirectUri).max(50).optional(),
};

export const ClientInput = z
  .strictObject({
    ...Named,
    client_name: Name.optional(),
    client_uri: HttpUrl.optional(),
    contacts: z.array(z.email()).max(10).optional(),
    grant_types: z.array(z.literal('client_credentials')).nonempty().default(['client_credentials']),
    jwks: z.strictObject({ keys: z.array(PublicJwk).min(1).max(20) }).optional(),
    scope: Scope,
    token_endpoint_auth_method: z
      .enum(['client_secret_basic', 'client_secret_post', 'private_key_jwt'])
      .default('client_secret_basic'),
  })
  .refine(
    (client) => (client.token_endpoint_auth_method === 'private_key_jwt') === (client.jwks !== undefined),
    {
      path: ['jwks'],
      message: 'the public keys of a client that uses private_key_jwt, and of no other',
    },
  )
  .refine((client) => client.jwks === undefined || client.client_secret === undefined, {
    path: ['client_secret'],
    message: 'a client that uses private_key_jwt has no secret',
  });

export const VpnNodeInput = z.strictObject({
  ...Named,
  name: Name.optional(),
});

export type ClientInput = z.infer<typeof ClientInput>;
export type VpnNodeInput = z.infer<typeof VpnNodeInput>;
