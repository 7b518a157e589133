/** Statistics in MongoDB: one document a series and hour, added to by upsert. */
import mongoose from 'mongoose';
import type { Model } from 'mongoose';

import type { StatisticsStore } from '../port.ts';
import { dateOf } from './artifact-upserts.ts';
import type { Calls } from './calls.ts';
import { readOptions } from './finder.ts';
import type { StatisticsRow } from './rows.ts';

export function createStatisticsStore(model: Model<StatisticsRow>, calls: Calls): StatisticsStore {
  return {
    add: async (counts, expiresAt) => {
      if (counts.length === 0) return;
      const updates = counts.map(({ series, hourAt, count }) => ({
        updateOne: {
          filter: { _id: `${hourAt}:${series}` },
          update: {
            $inc: { count },
            $max: { expiresAt: dateOf(expiresAt) },
            $setOnInsert: { series, hourAt },
          },
          upsert: true,
        },
      }));
      await calls.run((options) => model.bulkWrite(updates, { ...options, ordered: false }));
    },
    read: async (fromAt) => {
      const rows = await calls.run((options) =>
        model
          .find({ hourAt: mongoose.trusted({ $gte: fromAt }) }, null, readOptions('local', options))
          .sort({ hourAt: 1, series: 1 })
          .lean<StatisticsRow[]>()
          .exec(),
      );
      return rows.map(({ series, hourAt, count }) => ({ series, hourAt, count }));
    },
  };
}
