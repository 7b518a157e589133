/**
 * The server's signing keys: made at the first start, joined by `keys/*.pem`, kept in the store encrypted under
 * SECRET_KEY. The set changes by compare-and-set only, so any number of instances end with the same one.
 */
import type { JWK } from 'jose';

import type { KeySet, SealedKey, SigningKeyStore } from '../storage/port.ts';
import { makeKey, readPemKeys } from './material.ts';
import type { PrivateKey } from './material.ts';
import { signersFirst } from './rotation.ts';
import type { Sealer } from './sealer.ts';

const REQUIRED_ALGS = ['RS256', 'ES256'] as const;
// Each lost race means that another instance moved the set on, so a handful always suffices.
const MAX_ATTEMPTS = 20;

interface KeystoreOptions {
  readonly store: SigningKeyStore;
  readonly sealer: Sealer;
  readonly keysFolder: string;
  /** How long relying parties may keep our JWKS, in seconds: an imported key waits twice that before it signs. */
  readonly jwksMaxAgeSeconds: number;
  readonly now: () => number;
}

/** The keys as they are at one moment: private JWKs, the signer of each algorithm first. */
export interface KeyRing {
  readonly jwks: readonly JWK[];
  /** Changes when the set or a signer does. */
  readonly fingerprint: string;
}

export interface Keystore {
  /** Makes what is missing, imports PEM files that are new, and gives the ring. */
  prepare(): Promise<KeyRing>;
  /** Reads the set that the store holds now. */
  load(): Promise<KeyRing>;
}

/** Makes the keystore; nothing is read before its first call. */
export function createKeystore(options: KeystoreOptions): Keystore {
  const { store, sealer, now } = options;

  const toRing = (set: KeySet | null): KeyRing => {
    const keys = signersFirst(set?.keys ?? [], now());
    if (keys.length === 0)
      throw new Error('The store holds no signing keys: start the server once to make them.');
    return {
      jwks: keys.map((key) => openKey(key, sealer)),
      fingerprint: keys.map((key) => key.kid).join(' '),
    };
  };

  return {
    load: async () => toRing(await store.read()),
    prepare: async () => {
      for (let attempt = 0; attempt < MAX_ATTEMPTS; attempt += 1) {
        const set = await store.read();
        const ring = set === null ? null : toRing(set); // a wrong SECRET_KEY ends here, before anything is written
        const missing = await missingKeys(set?.keys ?? [], ring?.jwks ?? [], options);
        if (missing.length === 0 && ring !== null) return ring;
        await store.write(set?.version ?? 0, [...(set?.keys ?? []), ...missing]);
      }
      throw new Error('The key set kept changing while this instance started: start it again.');
    },
  };
}

async function missingKeys(
  present: readonly SealedKey[],
  ring: readonly JWK[],
  { keysFolder, sealer, jwksMaxAgeSeconds, now }: KeystoreOptions,
): Promise<readonly SealedKey[]> {
  const imported = readPemKeys(keysFolder).filter((key) => isNew(key, ring, keysFolder));
  const algs = new Set([...present, ...imported].map(({ alg }) => alg));
  const made = await Promise.all(REQUIRED_ALGS.filter((alg) => !algs.has(alg)).map(makeKey));
  return [...imported, ...made].map(({ kid, alg, jwk }) => {
    const delay = present.some((key) => key.alg === alg) ? 2 * jwksMaxAgeSeconds : 0;
    const sealedJwk = sealer.seal(JSON.stringify(jwk), kid);
    return { kid, alg, sealedJwk, createdAt: now(), signsFrom: now() + delay };
  });
}

function isNew(key: PrivateKey, ring: readonly JWK[], folder: string): boolean {
  const present = ring.find(({ kid }) => kid === key.kid);
  if (present === undefined) return true;
  if (present.n !== key.jwk.n || present.x !== key.jwk.x) {
    throw new Error(
      `${folder}/${key.kid}.pem is not the key that the store knows by this name: ` +
        'a kid stands for one key for ever, so give the new file another name.',
    );
  }
  return false;
}

/** Throws a sentence where the set does not open with this SECRET_KEY; a store without keys fits every one. */
export function assertSealedBy(set: KeySet | null, sealer: Sealer): void {
  for (const key of set?.keys ?? []) openKey(key, sealer);
}

function openKey(key: SealedKey, sealer: Sealer): JWK {
  try {
    return JSON.parse(sealer.open(key.sealedJwk, key.kid)) as JWK; // sealed from a JWK above
  } catch (cause) {
    throw new Error(
      `The signing key "${key.kid}" in the store does not open with this SECRET_KEY. ` +
        'Start with the SECRET_KEY that this store was made with; nothing was changed.',
      { cause },
    );
  }
}
