/** What a node may have as a key: the public half of an ES256, EdDSA or RS256 key, and nothing that is weaker. */
import { z } from 'zod';

const text = (characters: RegExp) => z.string().regex(characters);
const COORDINATE = text(/^[\w-]{43}$/);
// What else is in a JWK is not read: the name of a key is its thumbprint, its algorithm follows from its kind.
const ignored = {
  kid: z.string().max(255).optional(),
  alg: z.string().max(20).optional(),
  use: z.literal('sig').optional(),
  key_ops: z.array(z.literal('verify')).max(1).optional(),
};

/** A private member is an unknown field. */
const PublicKey = z.discriminatedUnion('kty', [
  z.strictObject({ kty: z.literal('EC'), crv: z.literal('P-256'), x: COORDINATE, y: COORDINATE, ...ignored }),
  z.strictObject({ kty: z.literal('OKP'), crv: z.literal('Ed25519'), x: COORDINATE, ...ignored }),
  // 2048 to 4096 bits; with any other exponent it takes longer, or proves nothing.
  z.strictObject({ kty: z.literal('RSA'), n: text(/^[\w-]{342,683}$/), e: z.literal('AQAB'), ...ignored }),
]);

const ALGORITHMS = { EC: 'ES256', OKP: 'EdDSA', RSA: 'RS256' } as const;

export interface PublicKeyOfNode {
  readonly alg: (typeof ALGORITHMS)[keyof typeof ALGORITHMS];
  /** The members that are the key, `kty` among them. */
  readonly jwk: Readonly<Record<string, string>>;
}

/** Null for what is no such key. */
export function readPublicKey(value: unknown): PublicKeyOfNode | null {
  const read = PublicKey.safeParse(value);
  if (!read.success) return null;
  const { kid: _kid, alg: _alg, use: _use, key_ops: _operations, ...jwk } = read.data;
  return { alg: ALGORITHMS[jwk.kty], jwk: { ...jwk } };
}
