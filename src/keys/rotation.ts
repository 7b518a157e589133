/** Which keys are published and which one signs, as a pure function of the set and the time. */

interface Dated {
  readonly kid: string;
  readonly alg: string;
  readonly signsFrom: number;
}

/**
 * All keys, the one that signs for its algorithm before the others of it: the youngest whose time has come.
 * A key is published from the moment it is in the set, so relying parties know it before it signs.
 */
export function signersFirst<K extends Dated>(keys: readonly K[], now: number): readonly K[] {
  const rank = (key: K): number => (key.signsFrom <= now ? key.signsFrom : -Infinity);
  return keys.toSorted((a, b) => compare(rank(b), rank(a)) || compare(a.kid, b.kid));
}

const compare = <T extends string | number>(a: T, b: T): number => Number(a > b) - Number(a < b);
