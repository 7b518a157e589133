/** The JSON API of accounts, under `/api/v1/auth`. */
import type { Route } from '../../api/route.ts';
import type { AccountApiOptions } from './options.ts';
import { profileRoutes } from './profile-routes.ts';
import { recoveryRoutes } from './recovery-routes.ts';
import { sessionRoutes } from './session-routes.ts';
import { signInRoutes } from './sign-in-routes.ts';

/** Its routes, in the order in which the document tells them. */
export const createAccountApi = (options: AccountApiOptions): readonly Route[] => [
  ...signInRoutes(options),
  ...profileRoutes(options),
  ...recoveryRoutes(options),
  ...sessionRoutes(options),
];
