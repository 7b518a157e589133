/** Key material: made here, or imported from PEM files whose name is the kid. Everything ends as a private JWK. */
import { createHash, createPrivateKey, createPublicKey, sign, verify } from 'node:crypto';
import type { KeyObject } from 'node:crypto';
import { readdirSync } from 'node:fs';
import { join } from 'node:path';

import { calculateJwkThumbprint, exportJWK, generateKeyPair } from 'jose';
import type { JWK } from 'jose';

import { readKeyFile } from './key-file.ts';
import { assertOnePrivateKey, unusable } from './pem-text.ts';

export const MIN_RSA_BITS = 2048;

/** The algorithms that keys can be made for. */
export const SIGNING_ALGORITHMS = ['RS256', 'ES256', 'EdDSA'] as const;

/** A private key in the clear: it lives in memory only. */
export interface PrivateKey {
  readonly kid: string;
  readonly alg: string;
  readonly jwk: JWK;
}

/** A key without its private members. */
export type PublicJwk = Readonly<Record<string, unknown>>;

/**
 * Makes a key; its kid is its RFC 7638 thumbprint. One in 64 thumbprints begins with a hyphen, and a command line would
 * take it for an option: then another key is made.
 */
export async function makeKey(alg: string): Promise<PrivateKey> {
  const options = { extractable: true, modulusLength: MIN_RSA_BITS };
  const { privateKey } = await generateKeyPair(alg, options);
  const jwk = await exportJWK(privateKey);
  const kid = await calculateJwkThumbprint(jwk);
  return kid.startsWith('-') ? makeKey(alg) : { kid, alg, jwk: { ...jwk, kid, alg, use: 'sig' } };
}

const IN_FOLDER = 'Put a private key in PEM form in its place that this user may read, or take it away.';

/** Reads every `*.pem` of the folder; a folder that is not there holds none. Throws a sentence per bad file. */
export function readPemKeys(folder: string): readonly PrivateKey[] {
  return pemFiles(folder).map((file) => {
    const path = join(folder, file);
    return readPemKey(readKeyFile(path, path, IN_FOLDER), path, file.slice(0, -'.pem'.length));
  });
}

function pemFiles(folder: string): readonly string[] {
  try {
    return readdirSync(folder)
      .filter((file) => file.endsWith('.pem'))
      .sort();
  } catch (error) {
    if (Error.isError(error) && 'code' in error && error.code === 'ENOENT') return [];
    const code = Error.isError(error) && 'code' in error ? String(error.code) : 'unknown';
    throw new Error(
      `The folder of keys ${folder} cannot be read (${code}): make it one that this user may read.`,
      {
        cause: error,
      },
    );
  }
}

// A command line would take a leading hyphen for an option, and dots alone are no name.
const KID = /^\w[\w.-]{0,63}$/;

const PROBE = Buffer.from('a key that signs');

/** Reads a private key; `path` is where it came from, for the sentence of a refusal. */
export function readPemKey(pem: string, path: string, kid: string): PrivateKey {
  if (!KID.test(kid)) {
    throw new Error(
      `${path}: its name is the kid, unless --kid gives one, and "${kid}" cannot be it: ` +
        'use 1 to 64 letters, digits, ".", "_" or "-", of which the first is no "." and no "-".',
    );
  }
  const key = parsePem(pem, path);
  const alg = algorithmOf(key, path);
  const jwk = { ...key.export({ format: 'jwk' }), kid, alg, use: 'sig' };
  if (isWhole(jwk)) return { kid, alg, jwk };
  throw new Error(
    `${path}: this key is damaged: what it signs does not verify by its own public key. ` +
      'Take it anew from where it was made, or make another.',
  );
}

/** Whether the public part, as others get it, verifies what the private part signs. */
export function isWhole(jwk: JWK): boolean {
  const digest = jwk.alg === 'EdDSA' ? null : 'sha256';
  try {
    const signature = sign(digest, PROBE, createPrivateKey({ key: jwk, format: 'jwk' }));
    return verify(digest, PROBE, createPublicKey({ key: toPublicJwk(jwk), format: 'jwk' }), signature);
  } catch {
    return false; // such a key does not even sign
  }
}

function parsePem(pem: string, path: string): KeyObject {
  assertOnePrivateKey(pem, path);
  try {
    return createPrivateKey(pem);
  } catch (cause) {
    throw new Error(`${path}: ${unusable(pem, path)}`, { cause });
  }
}

function algorithmOf(key: KeyObject, path: string): string {
  const { modulusLength = 0, namedCurve } = key.asymmetricKeyDetails ?? {};
  if (key.asymmetricKeyType === 'rsa' && modulusLength >= MIN_RSA_BITS) return 'RS256';
  if (key.asymmetricKeyType === 'ec' && namedCurve === 'prime256v1') return 'ES256';
  if (key.asymmetricKeyType === 'ed25519') return 'EdDSA';
  throw new Error(
    `${path}: found a key of type ${key.asymmetricKeyType ?? 'unknown'} ` +
      `(${namedCurve ?? `${modulusLength} bits`}); RSA of ${MIN_RSA_BITS} bits or more, EC P-256 or Ed25519 can sign here.`,
  );
}

/** Whether two keys are one, under whatever names. */
export const isSameKey = (a: JWK, b: JWK): boolean => thumbprintOf(a) === thumbprintOf(b);

/** RFC 7638: of the members that make a key, in this order; those that another type of key has are left out. */
export const thumbprintOf = ({ crv, e, kty, n, x, y }: JWK): string =>
  createHash('sha256').update(JSON.stringify({ crv, e, kty, n, x, y })).digest('base64url');

const PUBLIC_MEMBERS = ['kty', 'kid', 'alg', 'use', 'crv', 'x', 'y', 'n', 'e'] as const;

/** What relying parties may know of a key. */
export const toPublicJwk = (jwk: JWK): PublicJwk =>
  Object.fromEntries(PUBLIC_MEMBERS.flatMap((name) => (jwk[name] === undefined ? [] : [[name, jwk[name]]])));

export const toPublicPem = (jwk: JWK): string => toPem(createPublicKey({ key: jwk, format: 'jwk' }), 'spki');

export const toPrivatePem = (jwk: JWK): string =>
  toPem(createPrivateKey({ key: jwk, format: 'jwk' }), 'pkcs8');

const toPem = (key: KeyObject, type: 'spki' | 'pkcs8'): string =>
  key.export({ format: 'pem', type }).toString();
