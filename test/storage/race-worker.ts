/**
 * One of two processes that compete for the same things: `race-worker.ts sqlite PATH` or `mongo URI DATABASE`.
 * Says `ready` when its store is open, then answers every round with the outcomes of its callers.
 */
import type { Storage } from '../../src/storage/port.ts';
import { withLatency } from '../support/latency.ts';
import { RACES } from './races.ts';
import type { Outcome, Race, RaceName } from './races.ts';

/** Callers `from` to `to` (exclusive) of the round `id`. */
export interface Round {
  readonly race: RaceName;
  readonly id: string;
  readonly prepared: number;
  readonly from: number;
  readonly to: number;
}

export type Answer =
  | { readonly id: string; readonly outcomes: readonly Outcome[] }
  | { readonly id: string; readonly error: string };

const [engine = '', location = '', databaseName = ''] = process.argv.slice(2);
const storage = withLatency(await open());

process.on('message', (round: Round) => {
  void answer(round).then((message) => process.send?.(message));
});
process.on('disconnect', () => {
  void storage.close();
});
process.send?.('ready');

async function open(): Promise<Storage> {
  if (engine === 'sqlite') {
    const { openSqliteStorage } = await import('../../src/storage/sqlite/storage.ts');
    return openSqliteStorage({ path: location });
  }
  const { openMongoStorage } = await import('../../src/storage/mongo/storage.ts');
  return openMongoStorage({ uri: location, databaseName });
}

async function answer({ race, id, prepared, from, to }: Round): Promise<Answer> {
  const { compete }: Race = RACES[race];
  const callers = Array.from({ length: to - from }, (_, n) => from + n);
  try {
    return {
      id,
      outcomes: await Promise.all(callers.map((caller) => compete(storage, id, caller, prepared))),
    };
  } catch (error) {
    return {
      id,
      error: Error.isError(error) ? `${error.message} (${String(error.cause)})` : String(error),
    };
  }
}
