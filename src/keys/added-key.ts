/** A key that comes to the set from outside: a PEM file, or the first one of an algorithm. */
import type { SealedKey } from '../storage/port.ts';
import { turnOfNew } from './changes.ts';
import { sealKey } from './key-set.ts';
import type { KeySetOptions, OpenSet } from './key-set.ts';
import type { PrivateKey } from './material.ts';

/** Seals it, with the turn that it gets among `keys`. */
export function addKey(
  keys: readonly SealedKey[],
  key: PrivateKey,
  { isNew, now }: Pick<OpenSet, 'isNew' | 'now'>,
  { policy, sealer }: Pick<KeySetOptions, 'policy' | 'sealer'>,
): SealedKey {
  const signsFrom = turnOfNew(keys, key.alg, isNew, now, policy);
  return sealKey(key, { createdAt: now, signsFrom }, sealer);
}
