/** Figures of the installation: what there is now, and what happened in the last hours. */
import { z } from 'zod';

import { wholeNumberText } from '../api/input.ts';
import { defineRoute } from '../api/route.ts';
import type { Route } from '../api/route.ts';
import { FOR_ADMINISTRATORS } from './options.ts';
import type { AdminApiOptions } from './options.ts';
import { Stats, toStats } from './schemas.ts';

const DEFAULT_HOURS = 24;
/** So long figures are kept. */
const MAX_HOURS = 168;

const Hours = z.strictObject({
  hours: wholeNumberText(MAX_HOURS)
    .optional()
    .meta({ description: `How many hours back, 1 to ${MAX_HOURS}; ${DEFAULT_HOURS} where it is left out.` }),
});

export const statsRoutes = ({ count, figures }: AdminApiOptions): readonly Route[] => [
  defineRoute({
    ...FOR_ADMINISTRATORS,
    method: 'get',
    path: '/api/v1/admin/stats',
    summary: 'Read the figures of the installation',
    about: 'Other instances add what they counted within some seconds.',
    permission: 'admin:stats:read',
    query: Hours,
    answers: { 200: { about: 'The figures.', schema: Stats } },
    handle: async ({ query: { hours = DEFAULT_HOURS } }) => {
      const [totals, counted] = await Promise.all([count(), figures(hours)]);
      return { status: 200, body: toStats(totals, counted) };
    },
  }),
];
