/** The end of a key: what it changes in the set, and what there is to tell of it. */
import type { SealedKey } from '../storage/port.ts';
import { findStanding, retire } from './changes.ts';
import type { KeySetOptions, OpenSet } from './key-set.ts';
import { isSameKey } from './material.ts';
import { standingsOf } from './rotation.ts';
import type { KeyPlan, KeyState, RotationKey, Standing } from './rotation.ts';

/** A key that ends, and who signs after it. */
export interface Retirement {
  readonly ended: Standing<RotationKey>;
  /** Null where nobody has to follow, or nobody does. */
  readonly successor: RotationKey | null;
  readonly now: number;
}

/** A key that has ended, and those of its algorithm that are left. */
export interface Retired extends Retirement {
  readonly left: readonly Standing<RotationKey>[];
}

interface Decision {
  readonly plan: KeyPlan<SealedKey>;
  readonly end: Retirement;
}

/**
 * Decides it; throws what refuses it. In an emergency the key ends under every name that it has in the set, and what
 * is told is told of the name that signs or signed.
 */
export function decideRetirement(
  open: OpenSet,
  kid: string,
  isEmergency: boolean,
  { policy }: Pick<KeySetOptions, 'policy'>,
): Decision {
  const { set, now } = open;
  const asked = findStanding(set.keys, kid, now, policy);
  const names = isEmergency ? namesOf(open, kid) : [kid];
  const standings = standingsOf(set.keys, now, policy).filter(({ key }) => names.includes(key.kid));
  const found = standings.toSorted((a, b) => WEIGHT[a.state] - WEIGHT[b.state])[0] ?? asked;
  const keys = set.keys.filter((key) => key.kid === found.key.kid || !names.includes(key.kid));
  const plan = retire(keys, found.key.kid, isEmergency, now, policy);
  const signers = found.state === 'active' ? standingsOf(plan.keys, now, policy) : [];
  const successor =
    signers.find(({ key, state }) => key.alg === found.key.alg && state === 'active')?.key ?? null;
  return { plan, end: { ended: { ...found, key: { ...found.key, kid } }, successor, now } };
}

/** What breaks most comes first. */
const WEIGHT: Readonly<Record<KeyState, number>> = { active: 0, retiring: 1, next: 2 };

function namesOf({ opened }: OpenSet, kid: string): readonly string[] {
  const jwk = opened.find((key) => key.kid === kid);
  return opened.flatMap((other) =>
    jwk !== undefined && other.kid !== undefined && isSameKey(other, jwk) ? [other.kid] : [],
  );
}
