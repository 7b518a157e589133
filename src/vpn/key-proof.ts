/**
 * What a node signs about its keys: that it possesses the private half of a new one (as DPoP does, RFC 9449 4.2, the
 * public half stands in the header), and, by its present key, that it wants that new one. Each says what it goes with,
 * lives for minutes and is of a type of its own: neither stands for the other, nor for a client assertion.
 */
import { hash } from 'node:crypto';

import {
  calculateJwkThumbprint,
  decodeJwt,
  decodeProtectedHeader,
  errors as joseErrors,
  exportJWK,
  importJWK,
  jwtVerify,
} from 'jose';
import type { JWTPayload } from 'jose';

import { AppError } from '../errors.ts';
import type { ClientKey } from '../storage/port.ts';
import { readPublicKey } from './public-key.ts';

const PROOF_TYPE = 'vpn-key+jwt';
const ROTATION_TYPE = 'vpn-rotation+jwt';
const REQUIRED = ['aud', 'iat', 'exp', 'jti'];
// As of client assertions: a longer life makes it a password.
const MAX_LIFE_SECONDS = 300;
const LEEWAY_SECONDS = 30;
const MAX_ID_CHARACTERS = 255;

export interface ProofOptions {
  readonly issuer: string;
  readonly now: () => number;
}

/** A new key, proven. */
export type ProvenKey = Pick<ClientKey, 'kid' | 'jwk'>;

/**
 * The key that a proof proves; `sentWith` is the code, or the request for a rotation, that it goes with. Throws
 * `invalid_request` with what is wrong.
 */
export async function verifyKeyProof(
  proof: string,
  sentWith: string,
  options: ProofOptions,
): Promise<ProvenKey> {
  const found = readPublicKey(headerOf(proof)['jwk']);
  if (found === null) {
    throw badProof('its header has no jwk that is a public key of P-256, Ed25519 or RSA (2048 to 4096 bits)');
  }
  const { alg, jwk } = found;
  const key = await imported(jwk, alg);
  const claims = await verify(proof, { jwk: key, alg, typ: PROOF_TYPE }, options).catch((error: unknown) => {
    throw badProof(reasonOf(error));
  });
  if (claims['for_hash'] !== hash('sha256', sentWith, 'base64url')) {
    throw badProof('for_hash is not the SHA-256 (base64url) of what it was sent with');
  }
  return { kid: await calculateJwkThumbprint(key), jwk: { ...key, alg } };
}

/** What a request for a rotation says of itself, of which nothing is verified yet; null where it is none. */
export function readRotationRequest(
  request: string,
): { readonly clientId: string; readonly kid: string } | null {
  try {
    const { sub } = decodeJwt(request);
    const { kid } = decodeProtectedHeader(request);
    return typeof sub === 'string' && typeof kid === 'string' ? { clientId: sub, kid } : null;
  } catch {
    return null;
  }
}

export interface RotationRequest {
  readonly jti: string;
  readonly expiresAt: number;
  /** The thumbprint of the key that it wants (RFC 7800 3.1, by RFC 9449 6.1). */
  readonly wantedKid: string;
}

/** The request of a node, signed by a key of it; null for anything else. */
export async function verifyRotationRequest(
  request: string,
  clientId: string,
  { jwk }: ClientKey,
  options: ProofOptions,
): Promise<RotationRequest | null> {
  try {
    const claims = await verify(request, { jwk, alg: String(jwk['alg']), typ: ROTATION_TYPE }, options);
    const { iss, sub, jti, exp, cnf } = claims;
    const wantedKid = jktOf(cnf);
    if (iss !== clientId || sub !== clientId || wantedKid === null) return null;
    return { jti: String(jti), expiresAt: Number(exp) + LEEWAY_SECONDS, wantedKid };
  } catch (error) {
    if (error instanceof joseErrors.JOSEError || error instanceof TypeError) return null;
    throw error;
  }
}

function jktOf(cnf: unknown): string | null {
  if (typeof cnf !== 'object' || cnf === null || !('jkt' in cnf)) return null;
  return typeof cnf.jkt === 'string' ? cnf.jkt : null;
}

interface Expected {
  readonly jwk: Readonly<Record<string, string>>;
  readonly alg: string;
  readonly typ: string;
}

/** The claims of a JWS that is good now; throws an error of jose for any other one. */
async function verify(
  token: string,
  { jwk, alg, typ }: Expected,
  options: ProofOptions,
): Promise<JWTPayload> {
  const now = options.now();
  const { payload } = await jwtVerify(token, await importJWK({ ...jwk }, alg), {
    typ,
    algorithms: [alg],
    audience: options.issuer,
    requiredClaims: REQUIRED,
    clockTolerance: LEEWAY_SECONDS,
    maxTokenAge: MAX_LIFE_SECONDS,
    currentDate: new Date(now * 1_000),
  });
  const { aud, exp = 0, jti } = payload;
  // An audience among others would be a proof that somebody else was given, too.
  if (aud !== options.issuer) throw invalid('aud must be the issuer, alone and as a string', payload, 'aud');
  if (exp > now + MAX_LIFE_SECONDS) {
    throw invalid(`exp must be at most ${MAX_LIFE_SECONDS} s ahead`, payload, 'exp');
  }
  if (typeof jti !== 'string' || jti === '' || jti.length > MAX_ID_CHARACTERS) {
    throw invalid(`jti must be a text of 1 to ${MAX_ID_CHARACTERS} characters`, payload, 'jti');
  }
  return payload;
}

const invalid = (reason: string, payload: JWTPayload, claim: string): Error =>
  new joseErrors.JWTClaimValidationFailed(reason, payload, claim);

function headerOf(proof: string): Readonly<Record<string, unknown>> {
  try {
    return { ...decodeProtectedHeader(proof) };
  } catch {
    throw badProof('it is no JWS in compact form');
  }
}

/** The key as jose writes it: two spellings of one key have one thumbprint. */
async function imported(
  jwk: Readonly<Record<string, string>>,
  alg: string,
): Promise<Readonly<Record<string, string>>> {
  try {
    const key = await importJWK({ ...jwk }, alg, { extractable: true });
    // The members of a public key are texts.
    return (await exportJWK(key)) as Readonly<Record<string, string>>;
  } catch {
    throw badProof('its header has a jwk that is no point of its curve');
  }
}

/** Of jose's errors the message says what is wrong with the token, and nothing of ours. */
const reasonOf = (error: unknown): string =>
  Error.isError(error) ? error.message.replaceAll('"', '') : 'it is no good';

const badProof = (reason: string): AppError =>
  new AppError('invalid_request', `proof: ${reason}. See POST /vpn/enrol in the documentation.`);
