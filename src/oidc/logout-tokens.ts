/**
 * Back-channel logout in the engine: its metadata, discovery and logout tokens are used as they are; but it sends a
 * token while the person waits, once, and forgets a client that does not answer. So its sending is replaced by a
 * notice in the outbox, and a token is made at each try, by the keys of that moment.
 */
import { randomUUID } from 'node:crypto';

import type { Client as EngineClient, Provider } from 'oidc-provider';

import type { LogoutNotice, LogoutNotices } from './logout-notices.ts';
import { translated } from './store-errors.ts';

const EVENT = 'http://schemas.openid.net/event/backchannel-logout';

/** Replaces the engine's sending. A notice that cannot be kept keeps the session: the person can sign out again. */
export function queueLogouts(provider: Provider, notices: Pick<LogoutNotices, 'queue'>): void {
  Object.assign(provider.Client.prototype, {
    async backchannelLogout(this: EngineClient, sub: string, sid: string | undefined): Promise<void> {
      await translated(notices.queue([{ clientId: this.clientId, sub, sid }]));
    },
    /** Every ID token for a client that is told of logouts says by which name the session will be called then. */
    includeSid(this: EngineClient): boolean {
      return this.backchannelLogoutUri !== undefined;
    },
  });
  // The engine goes on with the logout after this event, unless its listener throws.
  provider.on('backchannel.error', (_ctx, error) => {
    throw error;
  });
}

/** What is sent, and where to. */
export interface LogoutRequest {
  readonly uri: string;
  readonly token: string;
}

/** Makes the logout token of a notice; null where the client is gone or wants none any more. */
export async function issueLogoutToken(
  provider: Provider,
  { clientId, sub, sid }: LogoutNotice,
): Promise<LogoutRequest | null> {
  const client = await provider.Client.find(clientId);
  const uri = client?.backchannelLogoutUri;
  if (client === undefined || uri === undefined) return null;
  const token = new provider.IdToken({}, { client });
  token.set('sub', sub);
  if (sid !== undefined) token.set('sid', sid);
  token.set('jti', randomUUID());
  token.set('events', { [EVENT]: {} });
  return { uri, token: await token.issue({ use: 'logout' }) };
}
