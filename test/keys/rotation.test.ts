/** The life of signing keys as a pure function: what holds whatever happens, and what each state means. */
import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';

import { retire, rotate, successorOf, turnOfNew } from '../../src/keys/changes.ts';
import { algorithmsOf, MAX_PUBLISHED, planKeys, standingsOf } from '../../src/keys/rotation.ts';
import type { KeyPlan, RotationKey, RotationPolicy } from '../../src/keys/rotation.ts';

const HOUR = 3_600;
const DAY = 24 * HOUR;
const START = 1_800_000_000;

const POLICY: RotationPolicy = {
  publishSeconds: HOUR,
  keepSeconds: 30 * DAY,
  rotateEverySeconds: 90 * DAY,
  algorithms: ['RS256', 'ES256'],
};

/** A store's key set without a store: keys are made and sealed at no cost. */
function createModel(policy: RotationPolicy) {
  let made = 0;
  const model = {
    now: START,
    keys: [] as readonly RotationKey[],
    /** When each key signed last, by its kid. */
    signedAt: new Map<string, number>(),
    complete: (decided: KeyPlan<RotationKey>): void => {
      let keys = carryOut(decided);
      for (let plan = planKeys(keys, model.now, policy); plan; plan = planKeys(keys, model.now, policy))
        keys = carryOut(plan);
      model.keys = keys;
    },
    tick: (): void => model.complete({ keys: model.keys, make: [] }),
    add: (alg: string): void => {
      const signsFrom = turnOfNew(model.keys, alg, model.keys.length === 0, model.now, policy);
      model.complete({ keys: model.keys, make: [{ alg, signsFrom }] });
    },
    signer: (alg: string): RotationKey | undefined =>
      standingsOf(model.keys, model.now, policy).find((it) => it.state === 'active' && it.key.alg === alg)
        ?.key,
    of: (alg: string) => standingsOf(model.keys, model.now, policy).filter(({ key }) => key.alg === alg),
  };
  const carryOut = ({ keys, make }: KeyPlan<RotationKey>): readonly RotationKey[] => [
    ...keys,
    ...make.map(({ alg, signsFrom }) => ({ kid: `k${(made += 1)}`, alg, createdAt: model.now, signsFrom })),
  ];
  return model;
}

type Model = ReturnType<typeof createModel>;

/** What may happen to a set; `pick` chooses a key. */
type Step =
  | { readonly does: 'wait'; readonly seconds: number }
  | { readonly does: 'tick' }
  | { readonly does: 'rotate'; readonly alg: string | null }
  | { readonly does: 'add'; readonly alg: string }
  | { readonly does: 'retire'; readonly pick: number; readonly isEmergency: boolean };

const algorithm = fc.constantFrom('RS256', 'ES256', 'EdDSA');
const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 4, arbitrary: fc.record({ does: fc.constant('wait'), seconds: waits() }) },
  { weight: 3, arbitrary: fc.record({ does: fc.constant('tick') }) },
  { weight: 3, arbitrary: fc.record({ does: fc.constant('rotate'), alg: fc.option(algorithm) }) },
  { weight: 1, arbitrary: fc.record({ does: fc.constant('add'), alg: algorithm }) },
  {
    weight: 2,
    arbitrary: fc.record({ does: fc.constant('retire'), pick: fc.nat(40), isEmergency: fc.boolean() }),
  },
);

function waits(): fc.Arbitrary<number> {
  return fc.oneof(fc.integer({ min: 0, max: 2 * HOUR }), fc.integer({ min: 0, max: 200 * DAY }));
}

/** Does a step as an administrator or an instance would; what is refused changes nothing. */
function take(model: Model, it: Step, policy: RotationPolicy): void {
  const { keys, now } = model;
  if (it.does === 'wait') model.now += it.seconds;
  else if (it.does === 'tick') model.tick();
  else if (it.does === 'add') model.add(it.alg);
  else if (it.does === 'rotate')
    model.complete(rotate(keys, it.alg === null ? algorithmsOf(keys) : [it.alg], now, policy));
  else {
    const kid = keys[it.pick % keys.length]?.kid ?? '';
    model.complete(retire(keys, kid, it.isEmergency, now, policy));
  }
}

const isRefusal = (error: unknown): boolean => Error.isError(error) && error.name === 'AppError';

describe('whatever happens to a set,', () => {
  const history = fc.tuple(
    fc.array(step, { minLength: 1, maxLength: 60 }),
    fc.constantFrom<RotationPolicy>(
      POLICY,
      { ...POLICY, rotateEverySeconds: null },
      { ...POLICY, algorithms: ['RS256', 'ES256', 'EdDSA'] },
      { ...POLICY, publishSeconds: 7 * DAY, rotateEverySeconds: DAY, keepSeconds: DAY },
    ),
  );

  /** Plays a history; `look` sees the keys before and after each step that was not refused. */
  const play = (
    [steps, policy]: readonly [readonly Step[], RotationPolicy],
    look: (model: Model, before: readonly RotationKey[], it: Step, policy: RotationPolicy) => void,
  ): void => {
    const model = createModel(policy);
    model.tick();
    for (const it of steps) {
      const before = model.keys;
      try {
        take(model, it, policy);
      } catch (error) {
        if (!isRefusal(error)) throw error;
      }
      look(model, before, it, policy);
    }
  };
  const holds = (look: Parameters<typeof play>[1]): void =>
    fc.assert(
      fc.property(history, (played) => play(played, look)),
      { numRuns: 400 },
    );

  test('exactly one key of each algorithm signs, and one more is published beside it', () => {
    holds((model, _before, it, policy) => {
      for (const alg of ['RS256', 'ES256']) {
        const states = model.of(alg).map(({ state }) => state);
        expect(states.filter((state) => state === 'active')).toHaveLength(1);
        expect(states[0]).toBe('active');
        if (it.does !== 'wait') expect(model.of(alg).some(({ key }) => key.signsFrom === null)).toBe(true);
      }
      expect(planKeysAfterTick(model, policy)).toBeNull();
    });
  });

  test('a key signs only once it was published long enough, but for a first one and in an emergency', () => {
    holds((model, before, it, { publishSeconds }) => {
      for (const key of model.keys) {
        const known = before.find(({ kid }) => kid === key.kid);
        if (key.signsFrom === null || known?.signsFrom === key.signsFrom) continue;
        const isFirst = !before.some(({ alg, signsFrom }) => alg === key.alg && signsFrom !== null);
        if (isFirst || (it.does === 'retire' && it.isEmergency)) continue;
        expect(key.signsFrom).toBeGreaterThanOrEqual(key.createdAt + publishSeconds);
      }
    });
  });

  test('a key goes only when what it signed last has expired, but in an emergency', () => {
    holds((model, before, it, policy) => {
      const { now, signedAt } = model;
      for (const { kid } of before) {
        const isThere = model.keys.some((key) => key.kid === kid);
        if (isThere || (it.does === 'retire' && it.isEmergency)) continue;
        expect(now - (signedAt.get(kid) ?? -Infinity)).toBeGreaterThanOrEqual(policy.keepSeconds);
      }
      // Now, and in the last second before each hand-over that lies behind.
      const moments = model.keys.flatMap(({ signsFrom }) => (signsFrom === null ? [] : [signsFrom - 1]));
      for (const moment of [...moments.filter((at) => at < now).toSorted(), now]) {
        const signing = standingsOf(model.keys, moment, policy).filter(({ state }) => state === 'active');
        for (const { key } of signing)
          signedAt.set(key.kid, Math.max(moment, signedAt.get(key.kid) ?? -Infinity));
      }
    });
  });

  test(`at most ${MAX_PUBLISHED} keys of an algorithm are published`, () => {
    holds((model) => {
      for (const alg of algorithmsOf(model.keys))
        expect(model.of(alg).length).toBeLessThanOrEqual(MAX_PUBLISHED);
    });
  });

  /** What is left to do once everything was done. */
  function planKeysAfterTick(model: Model, policy: RotationPolicy) {
    const { keys } = model;
    model.tick();
    const left = planKeys(model.keys, model.now, policy);
    model.keys = keys;
    return left;
  }
});

describe('the schedule', () => {
  const newModel = (policy: RotationPolicy = POLICY): Model => {
    const model = createModel(policy);
    model.tick();
    return model;
  };
  const states = (model: Model, alg = 'RS256') => model.of(alg).map(({ key, state }) => [key.kid, state]);

  test('begins with a key that signs at once and a standby of each algorithm', () => {
    const model = newModel();
    expect(model.keys).toEqual([
      { kid: 'k1', alg: 'RS256', createdAt: START, signsFrom: START },
      { kid: 'k2', alg: 'RS256', createdAt: START, signsFrom: null },
      { kid: 'k3', alg: 'ES256', createdAt: START, signsFrom: START },
      { kid: 'k4', alg: 'ES256', createdAt: START, signsFrom: null },
    ]);
  });

  test('lets the standby sign when the time of the signer is over, and keeps that one for what it signed', () => {
    const model = newModel();
    model.now = START + 90 * DAY - 1;
    model.tick();
    expect(states(model)).toEqual([
      ['k1', 'active'],
      ['k2', 'next'],
    ]);
    model.now += 1;
    model.tick();
    expect(states(model)).toEqual([
      ['k2', 'active'],
      ['k5', 'next'],
      ['k1', 'retiring'],
    ]);
    model.now += 30 * DAY - 1;
    model.tick();
    expect(states(model)).toHaveLength(3);
    model.now += 1;
    expect(states(model)).toHaveLength(2); // not published any more, whether or not somebody dropped it yet
    expect(model.keys).toHaveLength(6);
    model.tick();
    expect(model.keys).toHaveLength(4);
  });

  test('tells since when a state lasts, and until when', () => {
    const model = newModel();
    const [active, next] = model.of('ES256');
    expect(active).toMatchObject({ since: START, until: START + 90 * DAY });
    expect(next).toMatchObject({ since: START, until: null });
    model.complete(rotate(model.keys, ['ES256'], START + 60, POLICY));
    expect(model.of('ES256').map(({ until }) => until)).toEqual([START + HOUR, START + HOUR, null]);
    model.now = START + HOUR;
    const last = model.of('ES256').at(-1);
    expect(last).toMatchObject({ state: 'retiring', since: START + HOUR, until: START + HOUR + 30 * DAY });
  });

  test('rests where rotation is by command, and for an algorithm that is not looked after', () => {
    const model = newModel({ ...POLICY, rotateEverySeconds: null });
    model.add('EdDSA');
    expect(model.of('EdDSA')).toHaveLength(1);
    model.now += 1_000 * DAY;
    expect(planKeys(model.keys, model.now, { ...POLICY, rotateEverySeconds: null })).toBeNull();
    expect(model.of('EdDSA')[0]?.until).toBeNull();
    const scheduled = newModel();
    scheduled.add('EdDSA');
    scheduled.now += 1_000 * DAY;
    scheduled.tick();
    expect(states(scheduled, 'EdDSA')).toEqual([['k5', 'active']]);
  });

  test('publishes the first key of a new algorithm before it signs, and gives it a standby', () => {
    const model = newModel();
    const policy = { ...POLICY, algorithms: [...POLICY.algorithms, 'EdDSA'] };
    const plan = planKeys(model.keys, START + 5, policy);
    expect(plan?.make).toEqual([
      { alg: 'EdDSA', signsFrom: START + 5 + HOUR },
      { alg: 'EdDSA', signsFrom: null },
    ]);
  });

  test('gives a standby to a set that has none, and a signer to one that has only a standby', () => {
    const old = [
      { kid: 'a', alg: 'RS256', createdAt: START, signsFrom: START },
      { kid: 'b', alg: 'ES256', createdAt: START, signsFrom: null },
    ];
    const plan = planKeys(old, START + 1, POLICY);
    expect(plan?.make).toEqual([
      { alg: 'RS256', signsFrom: null },
      { alg: 'ES256', signsFrom: null },
    ]);
    expect(plan?.keys).toContainEqual({ kid: 'b', alg: 'ES256', createdAt: START, signsFrom: START + 1 });
  });

  test('waits while there is no room', () => {
    const model = newModel({ ...POLICY, keepSeconds: 10_000 * DAY });
    for (let n = 0; n < 40; n += 1) {
      model.now += 100 * DAY;
      model.tick();
    }
    expect(model.of('RS256')).toHaveLength(MAX_PUBLISHED);
    expect(model.signer('RS256')).toBeDefined();
  });
});

describe('an administrator', () => {
  const newModel = (): Model => {
    const model = createModel(POLICY);
    model.tick();
    return model;
  };

  test('who rotates gets the next key as soon as everybody knows it, and twice the same one', () => {
    const model = newModel();
    model.now += 10;
    model.complete(rotate(model.keys, ['RS256'], model.now, POLICY));
    const scheduled = model.keys;
    expect(scheduled.find(({ kid }) => kid === 'k2')?.signsFrom).toBe(START + HOUR);
    model.now += 10;
    expect(rotate(scheduled, ['RS256'], model.now, POLICY)).toEqual({ keys: scheduled, make: [] });
    model.now = START + 2 * HOUR;
    model.complete(rotate(model.keys, ['ES256'], model.now, POLICY));
    expect(model.signer('ES256')?.kid).toBe('k4'); // a standby that was known long enough signs at once
  });

  test.each([
    [
      'rotate an algorithm that has no keys',
      (model: Model) => rotate(model.keys, ['EdDSA'], START, POLICY),
      /no key for EdDSA/,
    ],
    ['rotate an empty set', () => rotate([], ['RS256'], START, POLICY), /start the server once/],
    ['retire a key that is not there', (model: Model) => retireOf(model, 'x', true), /no signing key "x"/],
    [
      'retire the signer',
      (model: Model) => retireOf(model, 'k1', false),
      /"k1" signs now.*keys rotate.*--emergency/,
    ],
  ])('cannot %s', (_name, does, sentence) => {
    expect(() => does(newModel())).toThrow(sentence);
  });

  const retireOf = (model: Model, kid: string, isEmergency: boolean): KeyPlan<RotationKey> =>
    retire(model.keys, kid, isEmergency, model.now, POLICY);

  test('cannot retire a key that still verifies, but in an emergency', () => {
    const model = newModel();
    model.now += 90 * DAY;
    model.tick();
    expect(() => retireOf(model, 'k1', false)).toThrow(/"k1" still verifies what it signed.*--emergency/);
    model.complete(retireOf(model, 'k1', true));
    expect(model.of('RS256').map(({ state }) => state)).toEqual(['active', 'next']);
  });

  test('cannot rotate or add where there is no room, and is told when there is', () => {
    const model = newModel();
    for (let n = 0; n < MAX_PUBLISHED - 2; n += 1) {
      model.now += HOUR;
      model.complete(rotate(model.keys, ['RS256'], model.now, POLICY));
    }
    expect(model.of('RS256')).toHaveLength(MAX_PUBLISHED);
    model.now += HOUR;
    const full = /12 published keys for RS256.*Wait until the next one has gone, at 20\d\d-/;
    expect(() => rotate(model.keys, ['RS256'], model.now, POLICY)).toThrow(full);
    expect(() => turnOfNew(model.keys, 'RS256', false, model.now, POLICY)).toThrow(full);
    model.now += 31 * DAY;
    model.tick();
    expect(rotate(model.keys, ['RS256'], model.now, POLICY).keys).toHaveLength(model.keys.length);
  });

  test('who drops the signer in an emergency has the key sign that is published longest', () => {
    const model = newModel();
    model.now += 10;
    model.complete(rotate(model.keys, ['RS256'], model.now, POLICY));
    const [signer] = model.keys;
    if (signer === undefined) throw new Error('there is no key');
    expect(successorOf(model.keys, signer, model.now, POLICY)?.kid).toBe('k2');
    model.complete(retireOf(model, 'k1', true));
    expect(model.signer('RS256')).toMatchObject({ kid: 'k2', signsFrom: model.now });
  });

  test('who drops a key that waits gets another standby, and a rotation that was scheduled is off', () => {
    const model = newModel();
    model.complete(rotate(model.keys, ['RS256'], model.now, POLICY));
    model.complete(retireOf(model, 'k2', false));
    expect(model.of('RS256').map(({ key, until }) => [key.kid, until])).toEqual([
      ['k1', START + 90 * DAY],
      ['k5', null],
    ]);
    model.complete(retireOf(model, 'k5', false));
    expect(model.of('RS256')[1]?.key.signsFrom).toBeNull();
  });

  test('who drops the only key of an algorithm that is not looked after ends the algorithm', () => {
    const model = newModel();
    model.add('EdDSA');
    model.now += 2 * HOUR;
    model.complete(retireOf(model, 'k5', true));
    expect(model.of('EdDSA')).toEqual([]);
  });

  test('who drops the only key of one that is gets a new signer at once', () => {
    const only = [{ kid: 'a', alg: 'RS256', createdAt: START, signsFrom: START }];
    const plan = retire(only, 'a', true, START + 5, POLICY);
    expect(plan).toEqual({ keys: [], make: [{ alg: 'RS256', signsFrom: START + 5 }] });
  });
});
