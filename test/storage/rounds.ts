/** Runs races, round after round, in this process or over two others; tells which rounds were unfair. */
import { fork } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { join } from 'node:path';

import type { Storage } from '../../src/storage/port.ts';
import type { Answer, Round } from './race-worker.ts';
import { RACES } from './races.ts';
import type { Outcome, Race, RaceName } from './races.ts';

const CALLERS = 20;
// Enough to catch a store that does not even try, which is what CI's twenty minutes have room for. A thousand run by
// RACE_ROUNDS=1000, and over HTTP, on real processes, in test/faults/single-use.fault.ts.
const ROUNDS = Number(process.env['RACE_ROUNDS'] ?? 40);
const ROUNDS_AT_ONCE = 10;
// A minute for a thousand rounds on two busy cores.
export const RACE_TIMEOUT_MS = 120_000;
const WORKER = join(import.meta.dirname, 'race-worker.ts');

// Object.entries does not tell that these are the keys of RACES and no others.
export const raceEntries = Object.entries(RACES) as [RaceName, Race][];

type Compete = (id: string, prepared: number) => Promise<readonly Outcome[]>;

/** Gives the outcomes of each unfair round: none, if the store keeps its promise. */
export async function raceInOneProcess(storage: Storage, name: RaceName): Promise<(readonly Outcome[])[]> {
  const { compete }: Race = RACES[name];
  return race(storage, name, (id, prepared) =>
    Promise.all(Array.from({ length: CALLERS }, (_, caller) => compete(storage, id, caller, prepared))),
  );
}

/** The same with half of the callers in each of two processes; `storage` only prepares. */
export async function raceInTwoProcesses(
  storage: Storage,
  name: RaceName,
  workers: readonly RaceWorker[],
): Promise<(readonly Outcome[])[]> {
  const share = CALLERS / workers.length;
  return race(storage, name, async (id, prepared) => {
    const answers = workers.map((worker, n) =>
      worker.compete({ race: name, id, prepared, from: n * share, to: (n + 1) * share }),
    );
    return (await Promise.all(answers)).flat();
  });
}

async function race(storage: Storage, name: RaceName, compete: Compete): Promise<(readonly Outcome[])[]> {
  const { prepare, isFair, isAlone }: Race = RACES[name];
  const unfair: (readonly Outcome[])[] = [];
  let begun = 0;
  const runRounds = async (): Promise<void> => {
    while (begun < ROUNDS) {
      begun += 1;
      const id = randomUUID();
      const outcomes = await compete(id, prepare ? await prepare(storage, id) : 0);
      if (!isFair(outcomes)) unfair.push(outcomes);
    }
  };
  await Promise.all(Array.from({ length: isAlone === true ? 1 : ROUNDS_AT_ONCE }, runRounds));
  return unfair;
}

export interface RaceWorker {
  compete(round: Round): Promise<readonly Outcome[]>;
  stop(): Promise<void>;
}

/** Starts race-worker.ts under this Node; resolves when it has opened its store. */
export async function startRaceWorker(...args: readonly string[]): Promise<RaceWorker> {
  const child = fork(WORKER, args, { execArgv: ['--disable-warning=ExperimentalWarning'] });
  const waiting = new Map<string, PromiseWithResolvers<readonly Outcome[]>>();
  await Promise.race([once(child, 'message'), failOnExit(child)]);
  child.on('message', (answer: Answer) => {
    const round = waiting.get(answer.id);
    waiting.delete(answer.id);
    if ('error' in answer) round?.reject(new Error(answer.error));
    else round?.resolve(answer.outcomes);
  });
  return {
    compete: (round) => {
      const outcomes = Promise.withResolvers<readonly Outcome[]>();
      waiting.set(round.id, outcomes);
      child.send(round);
      return outcomes.promise;
    },
    stop: async () => {
      const exit = once(child, 'exit');
      child.disconnect();
      await exit;
    },
  };
}

async function failOnExit(child: ChildProcess): Promise<never> {
  await once(child, 'exit');
  throw new Error(`a race worker ended with code ${String(child.exitCode)} before it was ready`);
}
