/** Key material: made here, or imported from PEM files whose name is the kid. Everything ends as a private JWK. */
import { createPrivateKey } from 'node:crypto';
import type { KeyObject } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

import { calculateJwkThumbprint, exportJWK, generateKeyPair } from 'jose';
import type { JWK } from 'jose';

export const MIN_RSA_BITS = 2048;

/** A private key in the clear: it lives in memory only. */
export interface PrivateKey {
  readonly kid: string;
  readonly alg: string;
  readonly jwk: JWK;
}

/** Makes a key; its kid is its RFC 7638 thumbprint. */
export async function makeKey(alg: 'RS256' | 'ES256'): Promise<PrivateKey> {
  const { privateKey } = await generateKeyPair(alg, { extractable: true, modulusLength: MIN_RSA_BITS });
  const jwk = await exportJWK(privateKey);
  const kid = await calculateJwkThumbprint(jwk);
  return { kid, alg, jwk: { ...jwk, kid, alg, use: 'sig' } };
}

/** Reads every `*.pem` of the folder; a folder that is not there holds none. Throws a sentence per bad file. */
export function readPemKeys(folder: string): readonly PrivateKey[] {
  return pemFiles(folder).map((file) => readPemKey(join(folder, file), file.slice(0, -'.pem'.length)));
}

function pemFiles(folder: string): readonly string[] {
  try {
    return readdirSync(folder)
      .filter((file) => file.endsWith('.pem'))
      .sort();
  } catch (error) {
    if (Error.isError(error) && 'code' in error && error.code === 'ENOENT') return [];
    throw error;
  }
}

function readPemKey(path: string, kid: string): PrivateKey {
  if (!/^[\w.-]{1,64}$/.test(kid)) {
    throw new Error(`${path}: its name is the kid, so use 1 to 64 letters, digits, ".", "_" or "-".`);
  }
  const key = parsePem(path);
  const alg = algorithmOf(key, path);
  return { kid, alg, jwk: { ...key.export({ format: 'jwk' }), kid, alg, use: 'sig' } };
}

function parsePem(path: string): KeyObject {
  try {
    return createPrivateKey(readFileSync(path));
  } catch (cause) {
    throw new Error(
      `${path}: this is no private key in PEM form without a passphrase. Make one by: ` +
        `openssl genpkey -algorithm RSA -pkeyopt rsa_keygen_bits:2048 -out ${path}`,
      { cause },
    );
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
