/** One after the other: what is done under one name waits for what was begun under it before, in this process. */

export type TakeTurn = <T>(name: string, work: () => Promise<T>) => Promise<T>;

/** Makes what hands out turns. Work that fails holds nobody up. */
export function createTurns(): TakeTurn {
  const last = new Map<string, Promise<unknown>>();
  return async (name, work) => {
    const mine = after(last.get(name), work);
    last.set(name, mine);
    try {
      return await mine;
    } finally {
      if (last.get(name) === mine) last.delete(name);
    }
  };
}

async function after<T>(before: Promise<unknown> | undefined, work: () => Promise<T>): Promise<T> {
  await Promise.allSettled([before]);
  return work();
}
