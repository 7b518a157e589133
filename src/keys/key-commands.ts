/** What an administrator does with the key set in the store, while servers run or not. They see it within seconds. */
import type { JWK } from 'jose';

import { AppError } from '../errors.ts';
import type { SealedKey } from '../storage/port.ts';
import { addKey } from './added-key.ts';
import { assertNone, findStanding, rotate } from './changes.ts';
import { changeKeySet, openSet } from './key-set.ts';
import type { KeySetOptions, OpenSet } from './key-set.ts';
import { isSameKey, makeKey, readPemKey } from './material.ts';
import type { PrivateKey } from './material.ts';
import { isRetiredKey } from './retired.ts';
import { decideRetirement } from './retirement.ts';
import type { Retired, Retirement } from './retirement.ts';
import { algorithmsOf, standingsOf } from './rotation.ts';
import type { RotationKey, Standing } from './rotation.ts';

/** The next turn of an algorithm. */
export interface Turn {
  readonly alg: string;
  readonly kid: string;
  readonly signsFrom: number;
  /** False where the turn had been given before. */
  readonly isNews: boolean;
}

export interface KeyCommands {
  list(): Promise<readonly Standing<RotationKey>[]>;
  /** Gives the next key of one algorithm, or of each, its turn; does nothing where it has it already. */
  rotate(alg: string | null): Promise<readonly Turn[]>;
  /** What `retire` would end. */
  previewRetirement(kid: string, isEmergency: boolean): Promise<Retirement>;
  retire(kid: string, isEmergency: boolean): Promise<Retired>;
  /** Adds a key from outside under a kid that nobody had. */
  import(key: PrivateKey): Promise<Standing<RotationKey>>;
  /** Makes the first key of an algorithm. */
  create(alg: string): Promise<Standing<RotationKey>>;
  /** The private JWK. */
  open(kid: string): Promise<JWK>;
}

export function createKeyCommands(options: KeySetOptions): KeyCommands {
  const { store, policy } = options;
  const read = async (): Promise<OpenSet> => openSet(await store.read(), options);

  return {
    list: async () => {
      const { set, now } = await read();
      return standingsOf(set.keys, now, policy);
    },
    rotate: (alg) => rotateIn(options, alg),
    previewRetirement: async (kid, isEmergency) =>
      decideRetirement(await read(), kid, isEmergency, options).end,
    retire: async (kid, isEmergency) => {
      const ends: Retirement[] = [];
      const after = await changeKeySet(options, (open) => {
        const { plan, end } = decideRetirement(open, kid, isEmergency, options);
        ends.unshift(end);
        return plan;
      });
      const [end] = ends;
      if (end === undefined) throw new Error('the key set was changed without a decision');
      const left = standingsOf<RotationKey>(after.keys, end.now, policy).filter(
        ({ key }) => key.alg === end.ended.key.alg,
      );
      return { ...end, left, successor: end.ended.state === 'active' ? signerOf(after.keys, end) : null };
    },
    import: (key) => add(options, key, assertImportable),
    create: async (alg) =>
      add(options, await makeKey(alg), ({ set }) => {
        assertNone(set.keys, alg);
      }),
    open: async (kid) => {
      const { set, opened, now } = await read();
      findStanding(set.keys, kid, now, policy);
      const found = opened.find((jwk) => jwk.kid === kid);
      if (found === undefined) throw new Error(`the key ${kid} was not opened`);
      return found;
    },
  };
}

async function rotateIn(options: KeySetOptions, alg: string | null): Promise<readonly Turn[]> {
  let before: readonly SealedKey[] = [];
  const seen = new Map<string, string | undefined>();
  const { keys } = await changeKeySet(options, ({ set, now }) => {
    before = set.keys;
    const isFirstLook = seen.size === 0;
    for (const of of isFirstLook ? algorithmsToRotate(before, alg) : [])
      seen.set(of, latestOf(before, of)?.kid);
    // Who was quicker has rotated it: a second rotation is not what the two of them wanted.
    const due = [...seen].filter(([of, kid]) => latestOf(before, of)?.kid === kid);
    return rotate(
      before,
      due.map(([of]) => of),
      now,
      options.policy,
    );
  });
  return [...seen.keys()].map((of) => toTurn(of, before, keys));
}

/** RS256, so that the refusal says what to do, where the set has none. */
function algorithmsToRotate(keys: readonly RotationKey[], alg: string | null): readonly string[] {
  const algs = alg === null ? algorithmsOf(keys) : [alg];
  return algs.length === 0 ? ['RS256'] : algs;
}

function toTurn(alg: string, before: readonly RotationKey[], after: readonly RotationKey[]): Turn {
  const latest = latestOf(after, alg);
  if (latest === undefined) throw new Error(`no key for ${alg} has its turn after a rotation`);
  const known = before.find(({ kid }) => kid === latest.kid);
  return { alg, kid: latest.kid, signsFrom: latest.signsFrom, isNews: (known?.signsFrom ?? null) === null };
}

const latestOf = (keys: readonly RotationKey[], alg: string) => ofTurn(keys, alg)[0];

/** Those of an algorithm that have their turn, the latest first. */
const ofTurn = (keys: readonly RotationKey[], alg: string) =>
  keys
    .flatMap((key) =>
      key.alg === alg && key.signsFrom !== null ? [{ ...key, signsFrom: key.signsFrom }] : [],
    )
    .toSorted((a, b) => b.signsFrom - a.signsFrom);

/** Who signs after it; where nobody was there to follow, it was made with the same write. */
const signerOf = (keys: readonly RotationKey[], { ended, now }: Retirement): RotationKey | null =>
  ofTurn(keys, ended.key.alg).find(({ signsFrom }) => signsFrom <= now) ?? null;

async function add(
  options: KeySetOptions,
  key: PrivateKey,
  assertWelcome: (open: OpenSet, key: PrivateKey) => void,
): Promise<Standing<RotationKey>> {
  const { keys } = await changeKeySet(options, (open) => {
    assertWelcome(open, key);
    return { keys: [...open.set.keys, addKey(open.set.keys, key, open, options)], make: [] };
  });
  return findStanding<RotationKey>(keys, key.kid, options.now(), options.policy);
}

function assertImportable({ set, opened }: OpenSet, { kid, jwk }: PrivateKey): void {
  const same = opened.find((present) => isSameKey(present, jwk));
  if (same !== undefined)
    throw new AppError('conflict', `This key is there already, as "${same.kid ?? ''}": nothing was changed.`);
  if (isRetiredKey(set.retired, jwk))
    throw new AppError('conflict', 'This key was retired and comes back under no name: make another one.');
  if (!set.retired.includes(kid) && !opened.some((present) => present.kid === kid)) return;
  const was = set.retired.includes(kid) ? 'was retired' : 'is there';
  const sentence = `A key of the name "${kid}" ${was}, and a kid stands for one key for ever: choose another by --kid.`;
  throw new AppError('conflict', sentence);
}

/** Reads the key of a PEM file that somebody named; `source` is what it is called. Throws `invalid_request`. */
export function readNamedKey(pem: string, source: string, kid: string): PrivateKey {
  try {
    return readPemKey(pem, source, kid);
  } catch (cause) {
    if (!Error.isError(cause)) throw cause;
    throw new AppError('invalid_request', cause.message, { cause });
  }
}
