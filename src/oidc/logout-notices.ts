/**
 * Who is told that a session ends (OpenID Connect Back-Channel Logout 1.0): each client that took part in it and has
 * a `backchannel_logout_uri`. The notice is in the durable outbox before the session is ended, so that whatever
 * happens in between nobody is forgotten; one that goes out twice does no harm. `logout-delivery.ts` sends them.
 */
import { randomUUID } from 'node:crypto';

import type { ClientStore, OutboxMessage, OutboxStore } from '../storage/port.ts';

/** A client that is down for longer than this has lost the person's local session by itself, or will not hear. */
export const DELIVERY_SECONDS = 86_400;
// What was given up stays to be seen by whoever looks after the client.
const SHOWN_SECONDS = 7 * 86_400;

export interface LogoutNoticeOptions {
  readonly outbox: Pick<OutboxStore, 'put'>;
  readonly clients: Pick<ClientStore, 'find'>;
  /** Something is due now. */
  readonly onQueued: () => void;
  readonly now: () => number;
}

/** What is told: whose session it was, and what the client knows it by. */
export interface LogoutNotice {
  readonly clientId: string;
  readonly sub: string;
  readonly sid: string | undefined;
}

/** A session as far as it matters here. */
interface EndingSession {
  readonly accountId?: string | undefined;
  readonly authorizations?: Readonly<Record<string, { readonly sid?: string | undefined }>> | undefined;
}

export type LogoutNotices = ReturnType<typeof createLogoutNotices>;

export function createLogoutNotices({ outbox, clients, onQueued, now }: LogoutNoticeOptions) {
  const queue = async (notices: readonly LogoutNotice[]): Promise<void> => {
    if (notices.length === 0) return;
    await outbox.put(notices.map((notice) => toMessage(notice, now())));
    onQueued();
  };
  const wants = async (clientId: string): Promise<boolean> =>
    (await clients.find(clientId))?.metadata['backchannel_logout_uri'] !== undefined;

  return {
    queue,

    /** Notes all that has to be told when these sessions end. */
    queueFor: async (sessions: readonly EndingSession[]): Promise<void> => {
      const notices = sessions.flatMap(noticesOf);
      const asked = [...new Set(notices.map(({ clientId }) => clientId))];
      const found = await Promise.all(asked.map(async (id) => ((await wants(id)) ? [id] : [])));
      const wanting = new Set(found.flat());
      await queue(notices.filter(({ clientId }) => wanting.has(clientId)));
    },
  };
}

const noticesOf = ({ accountId: sub, authorizations = {} }: EndingSession): readonly LogoutNotice[] =>
  sub === undefined
    ? []
    : Object.entries(authorizations).map(([clientId, { sid }]) => ({ clientId, sub, sid }));

const toMessage = ({ clientId, sub, sid }: LogoutNotice, now: number): OutboxMessage => ({
  id: randomUUID(),
  clientId,
  payload: { sub, ...(sid !== undefined && { sid }) },
  createdAt: now,
  attempts: 0,
  dueAt: now,
  lastError: null,
  failedAt: null,
  expiresAt: now + DELIVERY_SECONDS + SHOWN_SECONDS,
});
