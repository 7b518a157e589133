/**
 * The key set in the store: opened, changed by compare-and-set, sealed. Whoever changes it does what the plan asks for
 * in the same write, so that no reader ever finds a set without a signer or a standby.
 */
import type { JWK } from 'jose';

import type { KeySet, SealedKey, SigningKeyStore } from '../storage/port.ts';
import { makeKey } from './material.ts';
import type { PrivateKey } from './material.ts';
import { marksOf } from './retired.ts';
import { planKeys } from './rotation.ts';
import type { KeyPlan, RotationPolicy } from './rotation.ts';
import type { Sealer } from './sealer.ts';

// Each lost race means that another instance moved the set on, so a handful always suffices.
const MAX_ATTEMPTS = 20;

export interface KeySetOptions {
  readonly store: SigningKeyStore;
  readonly sealer: Pick<Sealer, 'seal' | 'open'>;
  readonly policy: RotationPolicy;
  readonly now: () => number;
}

/** The set as it is, opened: what a change is decided on. */
export interface OpenSet {
  readonly set: KeySet;
  /** Private JWKs. */
  readonly opened: readonly JWK[];
  readonly isNew: boolean;
  readonly now: number;
}

const EMPTY: KeySet = { version: 0, keys: [], retired: [] };

/**
 * Changes the set to what `decide` makes of it, and then to what the plan makes of that; gives it as it is afterwards.
 * `decide` is asked again where another instance was quicker, and what it throws ends the attempt.
 */
export async function changeKeySet(
  options: KeySetOptions,
  decide: (open: OpenSet) => KeyPlan<SealedKey>,
): Promise<KeySet> {
  const { store } = options;
  for (let attempt = 0; attempt < MAX_ATTEMPTS; attempt += 1) {
    const open = openSet(await store.read(), options); // a wrong SECRET_KEY ends here, before anything is written
    const { version, keys, retired } = open.set;
    const next = await complete(decide(open), open.now, options);
    if (next.length === keys.length && next.every((key) => keys.includes(key))) return open.set;
    const gone = open.opened.filter(({ kid }) => !next.some((key) => key.kid === kid)).flatMap(marksOf);
    const content = { keys: next, retired: [...new Set([...retired, ...gone])] };
    if (await store.write(version, content)) return { version: version + 1, ...content };
  }
  throw new Error('The key set kept changing meanwhile: try again.');
}

/** Leaves the keys as they are: what the plan asks for is done all the same. */
export const keepKeys = ({ set }: OpenSet): KeyPlan<SealedKey> => ({ keys: set.keys, make: [] });

/** Opens the set; throws a sentence where it does not open with this SECRET_KEY. */
export function openSet(set: KeySet | null, { sealer, now }: Pick<KeySetOptions, 'sealer' | 'now'>): OpenSet {
  const { keys } = set ?? EMPTY;
  return {
    set: set ?? EMPTY,
    opened: keys.map((key) => openKey(key, sealer)),
    isNew: set === null,
    now: now(),
  };
}

async function complete(
  decided: KeyPlan<SealedKey>,
  now: number,
  { policy, sealer }: KeySetOptions,
): Promise<readonly SealedKey[]> {
  const carryOut = async ({ keys, make }: KeyPlan<SealedKey>): Promise<readonly SealedKey[]> => {
    const made = make.map(async ({ alg, signsFrom }) =>
      sealKey(await makeKey(alg), { createdAt: now, signsFrom }, sealer),
    );
    return [...keys, ...(await Promise.all(made))];
  };
  let keys = await carryOut(decided);
  for (let plan = planKeys(keys, now, policy); plan !== null; plan = planKeys(keys, now, policy))
    keys = await carryOut(plan);
  return keys;
}

/** A key as it is kept. */
export const sealKey = (
  { kid, alg, jwk }: PrivateKey,
  times: Pick<SealedKey, 'createdAt' | 'signsFrom'>,
  sealer: Pick<Sealer, 'seal'>,
): SealedKey => ({ kid, alg, sealedJwk: sealer.seal(JSON.stringify(jwk), kid), ...times });

export function openKey(key: SealedKey, sealer: Pick<Sealer, 'open'>): JWK {
  try {
    return JSON.parse(sealer.open(key.sealedJwk, key.kid)) as JWK; // sealed from a JWK above
  } catch (cause) {
    throw new Error(
      `The signing key "${key.kid}" in the store does not open with this SECRET_KEY. ` +
        'Start with the SECRET_KEY that this store was made with, or with that one as SECRET_KEY_PREVIOUS where ' +
        'SECRET_KEY is a new one; nothing was changed.',
      { cause },
    );
  }
}
