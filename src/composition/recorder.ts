/** Whose change a request of the JSON API is, as the audit log tells it. A part of the composition root. */
import { actorOf } from '../api/caller.ts';
import type { Asking } from '../api/caller.ts';
import type { Audit } from '../audit/audit.ts';
import type { Recorder } from '../audit/entry.ts';

/** Records what an administrator asks for; by an API key, with its id. */
export const createRecorderOf =
  (audit: Pick<Audit, 'as'>) =>
  ({ caller, visit, requestId }: Asking): Recorder => {
    const record = audit.as({ actor: actorOf(caller), ip: visit.ip, requestId });
    if (caller.kind !== 'api-key') return record;
    return (change, work) =>
      record({ ...change, details: { ...change.details, api_key: caller.keyId } }, work);
  };
