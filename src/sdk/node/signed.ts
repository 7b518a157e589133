/** What a node signs by its key: who it is (RFC 7523), that it possesses a key, and that it wants a new one. */
import { createHash, randomUUID } from 'node:crypto';

import { SignJWT } from 'jose';
import type { JWTHeaderParameters } from 'jose';

import type { NodeKey } from './node-key.ts';

/** Each is sent at once, and good for no longer. */
const LIFE_SECONDS = 60;

/** The one who signs, and for whom. */
export interface Signing {
  /** The server. */
  readonly issuer: string;
  readonly now: () => number;
}

/** A client assertion: it authenticates the node at the token endpoint, once. */
export const signAssertion = (key: NodeKey, clientId: string, signing: Signing): Promise<string> =>
  sign(key, { kid: key.kid }, { iss: clientId, sub: clientId }, signing);

/** The proof that the node possesses `key`; `sentWith` is the code or the request that it goes with. */
export const signKeyProof = (key: NodeKey, sentWith: string, signing: Signing): Promise<string> => {
  const for_hash = createHash('sha256').update(sentWith).digest('base64url');
  return sign(key, { typ: 'vpn-key+jwt', jwk: key.publicJwk }, { for_hash }, signing);
};

/** The request of the present key for another one beside it. */
export const signRotation = (
  present: NodeKey,
  next: NodeKey,
  clientId: string,
  signing: Signing,
): Promise<string> =>
  sign(
    present,
    { typ: 'vpn-rotation+jwt', kid: present.kid },
    { iss: clientId, sub: clientId, cnf: { jkt: next.kid } },
    signing,
  );

function sign(
  { alg, privateKey }: NodeKey,
  header: Omit<JWTHeaderParameters, 'alg'>,
  claims: Readonly<Record<string, unknown>>,
  { issuer, now }: Signing,
): Promise<string> {
  const iat = now();
  return new SignJWT({ ...claims, aud: issuer, jti: randomUUID(), iat, exp: iat + LIFE_SECONDS })
    .setProtectedHeader({ alg, ...header })
    .sign(privateKey);
}
