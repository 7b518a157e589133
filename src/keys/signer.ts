/** Signs access tokens of our own making with the ring's signer of an algorithm. */
import { importJWK, SignJWT } from 'jose';
import type { JWK, JWTPayload } from 'jose';

export type Sign = (claims: JWTPayload) => Promise<string>;

/** Makes the signer of one algorithm; the header is RFC 9068's (`typ: at+jwt`). */
export const createAccessTokenSigner = (jwks: readonly JWK[], alg: string): Sign =>
  createSigner(jwks, alg, 'at+jwt');

/** Makes the signer of customers' tokens, of a type that every gateway takes and no door of this server does. */
export const createCustomerTokenSigner = (jwks: readonly JWK[]): Sign => createSigner(jwks, 'ES256', 'JWT');

/** Makes the signer of what is revoked; of a type of its own, so that no token is ever taken for it, nor it for one. */
export const createRevocationSigner = (jwks: readonly JWK[], of: 'vpn' | 'customer'): Sign =>
  createSigner(jwks, 'RS256', `${of}-revocations+jwt`);

/** Makes the signer of status lists (Token Status List 5.1). */
export const createStatusListSigner = (jwks: readonly JWK[]): Sign =>
  createSigner(jwks, 'RS256', 'statuslist+jwt');

function createSigner(jwks: readonly JWK[], alg: string, typ: string): Sign {
  const jwk = jwks.find((key) => key.alg === alg);
  if (jwk?.kid === undefined) throw new Error(`The key set has no key for ${alg}.`);
  const { kid } = jwk;
  const imported = importJWK(jwk, alg);
  imported.catch(() => undefined); // whoever signs hears of it; unheard it would end the process
  return async (claims) => new SignJWT(claims).setProtectedHeader({ alg, typ, kid }).sign(await imported);
}
