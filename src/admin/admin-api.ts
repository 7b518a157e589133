/** The admin API, under `/api/v1/admin`: for the role `admin`, and for clients with the scope of that name. */
import type { Route } from '../api/route.ts';
import { auditRoutes } from './audit-routes.ts';
import type { AdminApiOptions } from './options.ts';
import { statsRoutes } from './stats-routes.ts';
import { userActionRoutes } from './user-action-routes.ts';
import { userRoutes } from './user-routes.ts';

/** Its routes, in the order in which the document tells them. */
export const createAdminApi = (options: AdminApiOptions): readonly Route[] => [
  ...statsRoutes(options),
  ...userRoutes(options),
  ...userActionRoutes(options),
  ...auditRoutes(options),
];
