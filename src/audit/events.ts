/**
 * What happens to accounts by the people themselves, as records. Who changed their own account is its actor; what a
 * stranger did not manage to do is nobody's.
 */
import type { AccountEvents } from '../accounts/events.ts';
import type { ApiKeyEvents } from '../apikeys/events.ts';
import type { AccessEvents } from '../events.ts';
import { accountOf } from './entry.ts';
import type { AuditEntry } from './entry.ts';
import type { RefusalCounts } from './refusals.ts';

type Note = (entry: AuditEntry) => void;

/** Hears the events of one process. Changes by administrators are recorded where they are made (see `Audit.as`). */
export function createAuditListener(
  note: Note,
  refusals: Pick<RefusalCounts, 'add'>,
): AccountEvents & AccessEvents & ApiKeyEvents {
  const own = (
    accountId: string,
    action: string,
    details: object = {},
    { ip = null, target = accountOf(accountId) }: { ip?: string | null; target?: string } = {},
  ): void => {
    const by = { actor: accountOf(accountId), ip, requestId: null };
    note({ by, action, target, details: { ...details } });
  };
  const ofKey = (accountId: string, verb: string, keyId: string, details: object = {}): void =>
    own(accountId, `api_key.${verb}`, details, { target: `api-key:${keyId}` });

  return {
    signedIn: ({ accountId, ip }) => own(accountId, 'account.sign_in', {}, { ip }),
    signInRefused: (refused) => refusals.add(refused),
    accountLocked: ({ accountId, ip }) => {
      if (accountId === null) return; // a name that is nobody's: counted among the refused
      const by = { actor: 'anonymous', ip, requestId: null };
      note({ by, action: 'account.lockout', target: accountOf(accountId), details: {} });
    },
    accountRegistered: ({ accountId }) => own(accountId, 'account.register'),
    passwordChanged: ({ accountId, by, ip = null }) => own(accountId, 'account.password', { by }, { ip }),
    emailChanged: ({ accountId }) => own(accountId, 'account.email'),
    accountStatusChanged: ({ accountId, status }) => own(accountId, 'account.status', { status }),
    accountDeleted: ({ accountId }) => own(accountId, 'account.delete'),
    sessionEnded: ({ accountId, sessionId }) => own(accountId, 'account.session_end', { session: sessionId }),
    sessionsEnded: ({ accountId, exceptId }) =>
      own(accountId, 'account.sessions_end', exceptId === null ? {} : { except: exceptId }),
    consentGranted: ({ accountId, clientId, scopes }) =>
      own(accountId, 'consent.grant', { client_id: clientId, scopes }),
    consentRevoked: ({ accountId, clientId }) => own(accountId, 'consent.revoke', { client_id: clientId }),
    apiKeyCreated: ({ accountId, keyId, scopes }) => ofKey(accountId, 'create', keyId, { scopes }),
    apiKeyChanged: ({ accountId, keyId, changes }) => ofKey(accountId, 'update', keyId, { changes }),
    apiKeyRotated: ({ accountId, keyId, overlapSeconds }) =>
      ofKey(accountId, 'rotate', keyId, { overlap_seconds: overlapSeconds }),
    apiKeyDeleted: ({ accountId, keyId }) => ofKey(accountId, 'delete', keyId),
  };
}
