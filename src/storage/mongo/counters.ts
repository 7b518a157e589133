/** Counters in MongoDB: a fixed window that starts at its first hit, counted in one write. */
import type { Model } from 'mongoose';

import type { CounterStore } from '../port.ts';
import { dateOf } from './artifact-upserts.ts';
import type { Calls } from './calls.ts';
import { createFinder } from './finder.ts';
import type { CounterRow } from './rows.ts';

export function createCounterStore(model: Model<CounterRow>, calls: Calls): CounterStore {
  const find = createFinder(model, calls);

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
      return toCount(row);
    },
    find: async (key, now) => {
      const isOpen = (row: CounterRow): boolean => row.resetsAt > dateOf(now);
      const row = await find(key, isOpen);
      return row !== null && isOpen(row) ? toCount(row) : null;
    },
    clear: async (key) => {
      await calls.run((options) => model.deleteOne({ _id: key }, options).exec());
    },
  };
}

const toCount = ({ count, resetsAt }: CounterRow) => ({ count, resetsAt: resetsAt.getTime() / 1000 });

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
