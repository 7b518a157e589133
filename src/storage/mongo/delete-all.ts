/** Deleting whatever matches, which the driver does not try again after a failover; twice does no harm. */
import type { Model, QueryFilter } from 'mongoose';

import { isAppError } from '../../errors.ts';
import type { Calls } from './calls.ts';

export async function deleteAll<Row>(
  model: Model<Row>,
  calls: Calls,
  filter: QueryFilter<Row>,
): Promise<void> {
  const since = performance.now();
  const attempt = () => calls.run((options) => model.deleteMany(filter, options).exec(), since);
  try {
    await attempt();
  } catch (error) {
    if (!isAppError(error, 'store_unavailable')) throw error;
    await attempt();
  }
}
