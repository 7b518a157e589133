/**
 * The life of a signing key, as a pure function of the key set, the time and the policy: next → active → retiring →
 * gone, in each algorithm by itself. All that is stored is since when a key is published and from when on it signs,
 * so every instance sees the same state at the same time, whichever of them wrote the set.
 */

/** What a key's life follows from. `signsFrom` null: it waits for its turn, a standby. */
export interface RotationKey {
  readonly kid: string;
  readonly alg: string;
  readonly createdAt: number;
  readonly signsFrom: number | null;
}

export interface RotationPolicy {
  /** So long a key is published before it signs: longer than anybody keeps the JWKS. */
  readonly publishSeconds: number;
  /** So long a key is published after its successor began: longer than anything lives that it signed. */
  readonly keepSeconds: number;
  /** Null: by command only. */
  readonly rotateEverySeconds: number | null;
  /** The algorithms that have a standby and rotate by themselves. */
  readonly algorithms: readonly string[];
}

export type KeyState = 'active' | 'next' | 'retiring';

export interface Standing<K> {
  readonly key: K;
  readonly state: KeyState;
  /** When the state began. */
  readonly since: number;
  /** When it ends; null where that is not decided. */
  readonly until: number | null;
}

/** A key that has to be made. */
export interface NewKey {
  readonly alg: string;
  readonly signsFrom: number | null;
}

/** What a set becomes: the keys that stay, some of them with their turn, and those that have to be made. */
export interface KeyPlan<K> {
  readonly keys: readonly K[];
  readonly make: readonly NewKey[];
}

/** Without these the server can issue nothing: one of each signs at all times. */
export const ALWAYS: readonly string[] = ['RS256', 'ES256'];

/** More keys of one algorithm are never published: every relying party reads all of them. */
export const MAX_PUBLISHED = 12;

/** Every key that is published now: of each algorithm first the one that signs, then those that will, then the others. */
export function standingsOf<K extends RotationKey>(
  keys: readonly K[],
  now: number,
  policy: RotationPolicy,
): readonly Standing<K>[] {
  return algorithmsOf(keys).flatMap((alg) => {
    const own = keys.filter((key) => key.alg === alg);
    const waiting = own.filter((key) => !hasBegun(key, now)).toSorted(soonestFirst);
    const begun = own.filter((key) => hasBegun(key, now)).toSorted(latestFirst);
    const next = waiting.map((key) => standing(key, 'next', key.createdAt, key.signsFrom));
    return [...activeOf(begun, waiting, policy), ...next, ...retiringOf(begun, now, policy)];
  });
}

const standing = <K>(key: K, state: KeyState, since: number, until: number | null): Standing<K> => ({
  key,
  state,
  since,
  until,
});

type Begun<K> = K & { readonly signsFrom: number };

function hasBegun<K extends RotationKey>(key: K, now: number): key is Begun<K> {
  return key.signsFrom !== null && key.signsFrom <= now;
}

function activeOf<K extends RotationKey>(
  [active]: readonly Begun<K>[],
  [next]: readonly K[],
  policy: RotationPolicy,
): readonly Standing<K>[] {
  if (active === undefined) return [];
  const until = next?.signsFrom ?? dueAt(active, policy);
  return [standing<K>(active, 'active', active.signsFrom, until)];
}

/** Each of them stopped signing when the one before it in this order began. */
const retiringOf = <K extends RotationKey>(
  begun: readonly Begun<K>[],
  now: number,
  { keepSeconds }: RotationPolicy,
): readonly Standing<K>[] =>
  begun
    .flatMap((successor, n) => {
      const key = begun[n + 1];
      if (key === undefined) return [];
      const { signsFrom } = successor;
      return [standing<K>(key, 'retiring', signsFrom, signsFrom + keepSeconds)];
    })
    .filter(({ until }) => until === null || until > now);

/** When the schedule gives the turn to the next key; null where it does not. */
const dueAt = <K extends RotationKey>({ alg, signsFrom }: Begun<K>, policy: RotationPolicy): number | null =>
  policy.rotateEverySeconds === null || !policy.algorithms.includes(alg)
    ? null
    : signsFrom + policy.rotateEverySeconds;

/** The algorithms of a set, each once. */
export const algorithmsOf = (keys: readonly Pick<RotationKey, 'alg'>[]): readonly string[] => [
  ...new Set(keys.map(({ alg }) => alg)),
];

/**
 * What has to be done to a set by itself: drop what is gone, make the standbys and the first keys that are missing,
 * give a standby its turn where the time of the key that signs is over. Null where there is nothing to do.
 */
export function planKeys<K extends RotationKey>(
  keys: readonly K[],
  now: number,
  policy: RotationPolicy,
): KeyPlan<K> | null {
  const standings = standingsOf(keys, now, policy);
  const isManaged = ({ key }: Standing<K>): boolean => policy.algorithms.includes(key.alg);
  const plans = policy.algorithms.map((alg) => {
    const own = standings.filter(({ key }) => key.alg === alg);
    return own.length === 0 ? firstKeys(alg, keys, now, policy) : planOne(alg, own, now, policy);
  });
  const others = standings.filter((it) => !isManaged(it)).map(({ key }) => key);
  const planned = [...plans.flatMap((plan) => plan.keys), ...others];
  const make = plans.flatMap((plan) => plan.make);
  const isSame = planned.length === keys.length && planned.every((key) => keys.includes(key));
  return isSame && make.length === 0 ? null : { keys: planned, make };
}

/** A first key, and its standby. */
const firstKeys = <K extends RotationKey>(
  alg: string,
  keys: readonly K[],
  now: number,
  policy: RotationPolicy,
): KeyPlan<K> => ({
  keys: [],
  make: [
    { alg, signsFrom: firstTurn(alg, keys.length === 0, now, policy) },
    { alg, signsFrom: null },
  ],
});

/** On a new store nobody has read the keys yet; an algorithm that is added later is published first. */
export const firstTurn = (alg: string, isNewStore: boolean, now: number, policy: RotationPolicy): number =>
  isNewStore || ALWAYS.includes(alg) ? now : now + policy.publishSeconds;

function planOne<K extends RotationKey>(
  alg: string,
  standings: readonly Standing<K>[],
  now: number,
  policy: RotationPolicy,
): KeyPlan<K> {
  const keys = standings.map(({ key }) => key);
  const standby = standbyOf(standings);
  if (standby === undefined) return { keys, make: [{ alg, signsFrom: null }] };
  if (turnIsSet(standings) || !isOver(standings, now, policy)) return { keys, make: [] };
  const isUrgent = ALWAYS.includes(alg) && !standings.some(({ state }) => state === 'active');
  const signsFrom = isUrgent ? now : earliestTurn(standby, now, policy);
  return { keys: withTurn(keys, standby, signsFrom), make: [{ alg, signsFrom: null }] };
}

/** The time of the key that signs is over, or nobody signs. */
function isOver<K extends RotationKey>(
  standings: readonly Standing<K>[],
  now: number,
  { rotateEverySeconds }: RotationPolicy,
): boolean {
  const active = standings.find(({ state }) => state === 'active');
  if (active === undefined) return true;
  const hasRoom = standings.length < MAX_PUBLISHED;
  return hasRoom && rotateEverySeconds !== null && active.since + rotateEverySeconds <= now;
}

/** The key of an algorithm that waits for its turn; the one that waits longest. */
export const standbyOf = <K extends RotationKey>(standings: readonly Standing<K>[]): K | undefined =>
  standings.find(({ key }) => key.signsFrom === null)?.key;

/** A successor has its turn already. */
const turnIsSet = (standings: readonly Standing<RotationKey>[]): boolean =>
  standings.some(({ state, until }) => state === 'next' && until !== null);

/** Never before everybody has read it. */
export const earliestTurn = (
  { createdAt }: RotationKey,
  now: number,
  { publishSeconds }: RotationPolicy,
): number => Math.max(now, createdAt + publishSeconds);

/** The keys with `signsFrom` set for one of them. */
export const withTurn = <K extends RotationKey>(
  keys: readonly K[],
  chosen: K,
  signsFrom: number,
): readonly K[] => keys.map((key) => (key === chosen ? { ...key, signsFrom } : key));

const latestFirst = <K extends RotationKey>(a: Begun<K>, b: Begun<K>): number =>
  compare(b.signsFrom, a.signsFrom) || compare(a.kid, b.kid);

const soonestFirst = (a: RotationKey, b: RotationKey): number =>
  compare(a.signsFrom ?? Infinity, b.signsFrom ?? Infinity) ||
  compare(a.createdAt, b.createdAt) ||
  compare(a.kid, b.kid);

const compare = <T extends string | number>(a: T, b: T): number => Number(a > b) - Number(a < b);
