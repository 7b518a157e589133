/**
 * The server's signing keys: made at the first start, joined by `keys/*.pem`, kept in the store encrypted under
 * SECRET_KEY, rotated by the schedule. Any number of instances do that at once and end with the same set.
 */
import type { JWK } from 'jose';

import type { KeySet, SealedKey } from '../storage/port.ts';
import { changeKeySet, keepKeys, openKey, openSet } from './key-set.ts';
import type { KeySetOptions, OpenSet } from './key-set.ts';
import { addKey } from './added-key.ts';
import { isSameKey, isWhole, readPemKeys } from './material.ts';
import type { PrivateKey } from './material.ts';
import { isRetiredKey } from './retired.ts';
import { ALWAYS, standingsOf } from './rotation.ts';
import type { KeyPlan, Standing } from './rotation.ts';
import type { Sealer } from './sealer.ts';

interface KeystoreOptions extends KeySetOptions {
  readonly keysFolder: string;
  /** Hears of a PEM file that is left alone, since its key was retired. */
  readonly onRetiredFile: (file: string) => void;
}

/** The keys as they are at one moment: private JWKs, the signer of each algorithm before the others of it. */
export interface KeyRing {
  readonly jwks: readonly JWK[];
  /** Algorithm → the kid that signs; an algorithm whose first key is only published yet is none. */
  readonly signers: Readonly<Record<string, string>>;
  /** Changes when the set or a signer does. */
  readonly fingerprint: string;
}

export interface Keystore {
  /** Makes what is missing, imports PEM files that are new, and gives the ring. */
  prepare(): Promise<KeyRing>;
  /** Reads the set that the store holds now, does what its time has come for, and gives the ring. */
  load(): Promise<KeyRing>;
}

/** Makes the keystore; nothing is read before its first call. */
export function createKeystore(options: KeystoreOptions): Keystore {
  const told = new Set<string>();
  const onRetiredFile = (file: string): void => {
    if (!told.has(file)) options.onRetiredFile(file);
    told.add(file);
  };
  return {
    prepare: async () => {
      const decide = (open: OpenSet): KeyPlan<SealedKey> => withPemFiles(open, { ...options, onRetiredFile });
      const ring = toRing(await changeKeySet(options, decide), options);
      assertSigns(ring);
      return ring;
    },
    load: async () => toRing(await changeKeySet(options, keepOurs), options),
  };
}

/** A set that is gone while the server runs is a fault of the store: new keys would hide it. */
function keepOurs(open: OpenSet): KeyPlan<SealedKey> {
  if (open.isNew)
    throw new Error('The store holds no signing keys any more: restore it, or start the server anew.');
  return keepKeys(open);
}

function withPemFiles(open: OpenSet, options: KeystoreOptions): KeyPlan<SealedKey> {
  const known = [...open.opened];
  let { keys } = open.set;
  for (const key of readPemKeys(options.keysFolder)) {
    if (!isNew(key, known, open.set, options)) continue;
    known.push(key.jwk);
    keys = [...keys, addKey(keys, key, open, options)];
  }
  return { keys, make: [] };
}

function isNew(
  { kid, jwk }: PrivateKey,
  known: readonly JWK[],
  { retired }: KeySet,
  options: KeystoreOptions,
): boolean {
  const file = `${options.keysFolder}/${kid}.pem`;
  const namesake = known.find((key) => key.kid === kid);
  if (namesake !== undefined && isSameKey(namesake, jwk)) return false;
  if (namesake !== undefined) {
    throw new Error(
      `${file} is not the key that the store knows by this name: ` +
        'a kid stands for one key for ever, so give the new file another name.',
    );
  }
  if (retired.includes(kid) || isRetiredKey(retired, jwk)) {
    options.onRetiredFile(file);
    return false;
  }
  const twin = known.find((key) => isSameKey(key, jwk));
  if (twin === undefined) return true;
  throw new Error(
    `${file} is a copy of the key that is there as "${twin.kid ?? ''}": a key has one name, so take this file away.`,
  );
}

function toRing(set: KeySet, options: KeySetOptions): KeyRing {
  const { opened, now } = openSet(set, options);
  const standings = standingsOf(set.keys, now, options.policy);
  const kids = standings.map(({ key }) => key.kid);
  const signers = Object.fromEntries(signersOf(standings));
  return {
    jwks: kids.flatMap((kid) => opened.find((jwk) => jwk.kid === kid) ?? []),
    signers,
    fingerprint: [...Object.values(signers), '/', ...kids].join(' '),
  };
}

/**
 * Of an algorithm that nothing goes without, the first key signs in any case: the clock of whoever gave it its turn
 * may be ahead of this one.
 */
const signersOf = (standings: readonly Standing<SealedKey>[]): (readonly [string, string])[] =>
  standings
    .filter(
      ({ key, state }, n) =>
        standings.findIndex((other) => other.key.alg === key.alg) === n &&
        (state === 'active' || ALWAYS.includes(key.alg)),
    )
    .map(({ key }) => [key.alg, key.kid] as const);

/** Throws a sentence where the set does not open with this SECRET_KEY; a store without keys fits every one. */
export function assertSealedBy(set: KeySet | null, sealer: Pick<Sealer, 'open'>): void {
  for (const key of set?.keys ?? []) openKey(key, sealer);
}

/** Throws a sentence where a signer makes what nobody can verify. */
export function assertSigns({ jwks, signers }: KeyRing): void {
  for (const [alg, kid] of Object.entries(signers)) {
    const jwk = jwks.find((key) => key.kid === kid);
    if (jwk !== undefined && isWhole(jwk)) continue;
    throw new Error(
      `The signing key "${kid}" (${alg}) is damaged: what it signs does not verify by its own public key. ` +
        `End it by: portcullis keys retire ${kid} --emergency`,
    );
  }
}
