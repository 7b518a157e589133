/**
 * Whose request is at work when a session is saved: the engine's own context where it has one, else what the
 * caller says.
 */
import { AsyncLocalStorage } from 'node:async_hooks';

import { Provider } from 'oidc-provider';

import { visitOf } from '../http/device.ts';
import type { Visit } from '../http/device.ts';

const told = new AsyncLocalStorage<Visit>();

/** Runs `work` as part of that visit. */
export const during = <T>(visit: Visit, work: () => T): T => told.run(visit, work);

/** Null where nobody visits. */
export function currentVisit(): Visit | null {
  const visit = told.getStore();
  if (visit !== undefined) return visit;
  return Provider.ctx === undefined ? null : visitOf(Provider.ctx);
}
