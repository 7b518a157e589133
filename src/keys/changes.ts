/**
 * What an administrator may do to the key set, as pure decisions on the set, the time and the policy. Each gives
 * what the set becomes or throws a sentence; standbys that are missing afterwards are the plan's to make.
 */
import { AppError } from '../errors.ts';
import { toInstant } from '../instant.ts';
import {
  ALWAYS,
  algorithmsOf,
  earliestTurn,
  firstTurn,
  MAX_PUBLISHED,
  standbyOf,
  standingsOf,
  withTurn,
} from './rotation.ts';
import type { KeyPlan, RotationKey, RotationPolicy, Standing } from './rotation.ts';

/** Gives the next key of each algorithm its turn, as soon as everybody knows it. One that has its turn keeps it. */
export function rotate<K extends RotationKey>(
  keys: readonly K[],
  algs: readonly string[],
  now: number,
  policy: RotationPolicy,
): KeyPlan<K> {
  return algs.reduce<KeyPlan<K>>((plan, alg) => rotateOne(plan, alg, now, policy), { keys, make: [] });
}

function rotateOne<K extends RotationKey>(
  { keys, make }: KeyPlan<K>,
  alg: string,
  now: number,
  policy: RotationPolicy,
): KeyPlan<K> {
  const own = standingsOf(keys, now, policy).filter(({ key }) => key.alg === alg);
  if (own.length === 0) throw noKeys(alg);
  if (own.some(({ state, until }) => state === 'next' && until !== null)) return { keys, make };
  const standby = standbyOf(own);
  // A key takes the turn, and another one the place of the standby.
  if (own.length >= MAX_PUBLISHED) throw full(alg, own);
  if (standby !== undefined)
    return { keys: withTurn(keys, standby, earliestTurn(standby, now, policy)), make };
  return { keys, make: [...make, { alg, signsFrom: now + policy.publishSeconds }] };
}

/** Ends a key. One that verifies what is alive only goes in an emergency; whoever signs hands over at once. */
export function retire<K extends RotationKey>(
  keys: readonly K[],
  kid: string,
  isEmergency: boolean,
  now: number,
  policy: RotationPolicy,
): KeyPlan<K> {
  const found = findStanding(keys, kid, now, policy);
  const rest = keys.filter((key) => key.kid !== kid);
  if (found.state === 'next') return { keys: rest, make: [] };
  if (!isEmergency) throw needed(kid, found.state);
  if (found.state === 'retiring') return { keys: rest, make: [] };
  const successor = successorOf(keys, found.key, now, policy);
  if (successor !== null) return { keys: withTurn(rest, successor, now), make: [] };
  const { alg } = found.key;
  return { keys: rest, make: isLookedAfter(alg, policy) ? [{ alg, signsFrom: now }] : [] };
}

/** Who signs once the key that signs is dropped: of those that wait the one that is published longest. */
export function successorOf<K extends RotationKey>(
  keys: readonly K[],
  { alg }: K,
  now: number,
  policy: RotationPolicy,
): K | null {
  const waiting = standingsOf(keys, now, policy).filter(
    ({ key, state }) => key.alg === alg && state === 'next',
  );
  return waiting.toSorted((a, b) => a.since - b.since)[0]?.key ?? null;
}

const isLookedAfter = (alg: string, { algorithms }: RotationPolicy): boolean =>
  ALWAYS.includes(alg) || algorithms.includes(alg);

/** From when on a key signs that comes from outside, or is the first of its algorithm. Throws where there is no room. */
export function turnOfNew<K extends RotationKey>(
  keys: readonly K[],
  alg: string,
  isNewStore: boolean,
  now: number,
  policy: RotationPolicy,
): number {
  const own = standingsOf(keys, now, policy).filter(({ key }) => key.alg === alg);
  const isStandbyMissing = isLookedAfter(alg, policy) && standbyOf(own) === undefined;
  if (own.length + Number(isStandbyMissing) >= MAX_PUBLISHED) throw full(alg, own);
  return own.some(({ key }) => key.signsFrom !== null)
    ? now + policy.publishSeconds
    : firstTurn(alg, isNewStore, now, policy);
}

/** The first key of an algorithm that has none; where it has one, a rotation is what is meant. */
export function assertNone(keys: readonly RotationKey[], alg: string): void {
  if (!algorithmsOf(keys).includes(alg)) return;
  const sentence = `There are keys for ${alg}: portcullis keys rotate --alg ${alg} brings in the next one.`;
  throw new AppError('conflict', sentence);
}

/** The standing of a key; throws `not_found`. */
export function findStanding<K extends RotationKey>(
  keys: readonly K[],
  kid: string,
  now: number,
  policy: RotationPolicy,
): Standing<K> {
  const found = standingsOf(keys, now, policy).find(({ key }) => key.kid === kid);
  if (found !== undefined) return found;
  throw new AppError('not_found', `There is no signing key "${kid}": portcullis keys list shows them.`);
}

const noKeys = (alg: string): AppError =>
  new AppError(
    'not_found',
    ALWAYS.includes(alg)
      ? 'The store holds no signing keys: start the server once to make them.'
      : `There is no key for ${alg}: make one by portcullis keys create --alg ${alg}.`,
  );

function full<K extends RotationKey>(alg: string, own: readonly Standing<K>[]): AppError {
  const ends = own.flatMap(({ state, until }) => (state === 'retiring' && until !== null ? [until] : []));
  const when = ends.length === 0 ? '' : `, at ${toInstant(Math.min(...ends))}`;
  const sentence =
    `There are ${own.length} published keys for ${alg}, and ${MAX_PUBLISHED} may be, a standby among them. ` +
    `Wait until the next one has gone${when}, or retire one.`;
  return new AppError('conflict', sentence);
}

const NEEDED_FOR = {
  active: 'signs now: portcullis keys rotate puts another one in its place without breaking anything',
  retiring: 'still verifies what it signed, and goes by itself after that',
} as const;

const needed = (kid: string, state: keyof typeof NEEDED_FOR): AppError =>
  new AppError('conflict', `The key "${kid}" ${NEEDED_FOR[state]}. Where it is stolen, add --emergency.`);
