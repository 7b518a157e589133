/** Signs access tokens of our own making with the ring's signer of an algorithm. */
import { importJWK, SignJWT } from 'jose';
import type { JWK, JWTPayload } from 'jose';

export type Sign = (claims: JWTPayload) => Promise<string>;

/** Makes the signer of one algorithm; the header is RFC 9068's (`typ: at+jwt`). */
export function createAccessTokenSigner(jwks: readonly JWK[], alg: string): Sign {
  const jwk = jwks.find((key) => key.alg === alg);
  if (jwk?.kid === undefined) throw new Error(`The key set has no key for ${alg}.`);
  const { kid } = jwk;
  const imported = importJWK(jwk, alg);
  return async (claims) =>
    new SignJWT(claims).setProtectedHeader({ alg, kid, typ: 'at+jwt' }).sign(await imported);
}
