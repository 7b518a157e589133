/** Counters in MongoDB: a fixed window that starts at its first hit, counted in one write. */
import type { Model } from 'mongoose';

import type { CounterStore } from '../port.ts';
import { dateOf } from './artifact-upserts.ts';
import type { Calls } from './calls.ts';
import type { CounterRow } from './schemas.ts';

export function createCounterStore(model: Model<CounterRow>, calls: Calls): CounterStore {
  return {
    hit: async (key, windowSeconds, now) => {
      const row = await calls.run((options) =>
        model
          .findOneAndUpdate({ _id: key }, oneMore(now, now + windowSeconds), {
            ...options,
            upsert: true,
            returnDocument: 'after',
            updatePipeline: true,
          })
          .lean<CounterRow>()
          .exec(),
      );
      return { count: row.count, resetsAt: row.resetsAt.getTime() / 1000 };
    },
  };
}

/** Both fields are computed from the document as it was; where there is none the window is over. */
function oneMore(now: number, end: number) {
  const isOpen = { $gt: ['$resetsAt', dateOf(now)] };
  return [
    {
      $set: {
        count: { $cond: [isOpen, { $add: ['$count', 1] }, 1] },
        resetsAt: { $cond: [isOpen, '$resetsAt', dateOf(end)] },
      },
    },
  ];
}
