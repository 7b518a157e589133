/**
 * A person's sessions: what is kept of each beside the engine's own, and how they end. A session that ended stays
 * ended although a request of its browser, under way at that moment, saves it again: the instant is remembered, and
 * what was signed in before it does not count.
 */
import { Provider } from 'oidc-provider';
import type { Adapter, AdapterPayload } from 'oidc-provider';

import type { ArtifactStore, StoredArtifact } from '../storage/port.ts';
import { artifactId } from './digest.ts';
import { revokeGrant } from './revocation.ts';
import { translated } from './store-errors.ts';

const ENDED = 'SessionsEnded';
const MAX_SESSIONS = 1_000;
const MAX_USER_AGENT = 300;

export interface SessionOptions {
  readonly artifacts: ArtifactStore;
  /** The longest life of a session. */
  readonly sessionSeconds: number;
  readonly now: () => number;
}

/** A browser that is signed in. */
export interface SessionView {
  /** Names the session; it does not open it. */
  readonly id: string;
  readonly signedInAt: number;
  readonly lastSeenAt: number;
  readonly expiresAt: number;
  /** Of the browser's last visit. */
  readonly ip: string;
  readonly userAgent: string;
  readonly amr: readonly string[];
}

export type Sessions = ReturnType<typeof createSessions>;

/** What is stored of a session: the engine's payload, and what we add. */
type Stored = AdapterPayload & {
  readonly uid: string;
  readonly reference: string;
  readonly seen?: { readonly ip: string; readonly userAgent: string; readonly at: number };
};

export function createSessions({ artifacts, sessionSeconds, now }: SessionOptions) {
  const list = async (accountId: string): Promise<readonly Stored[]> =>
    (await artifacts.listOfAccount('Session', accountId, MAX_SESSIONS, now())).map(toStored);

  const end = async (session: Stored): Promise<void> => {
    await artifacts.destroy('Session', session.reference.slice(1));
    for (const { grantId, persistsLogout } of Object.values(session.authorizations ?? {})) {
      if (grantId !== undefined && persistsLogout !== true) await revokeGrant(artifacts, grantId);
    }
  };

  return {
    /** The browsers in which the account is signed in, the latest first. */
    list: async (accountId: string): Promise<readonly SessionView[]> =>
      (await list(accountId)).map(toView).sort((a, b) => b.lastSeenAt - a.lastSeenAt),

    /** Signs one browser out; false where the account has no such session. What has offline_access goes on. */
    end: async (accountId: string, id: string): Promise<boolean> => {
      const session = (await list(accountId)).find(({ uid }) => uid === id);
      if (session === undefined) return false;
      await end(session);
      return true;
    },

    /**
     * Signs the account out everywhere, and ends all that was issued to it, offline_access included; `exceptId`
     * is the session in which the person asks for it, which goes on with its own applications.
     */
    endAll: async (accountId: string, exceptId: string | null): Promise<void> => {
      await artifacts.upsert({
        model: ENDED,
        id: artifactId(ENDED, accountId),
        payload: { at: now(), exceptId },
        expiresAt: now() + sessionSeconds,
      });
      const kept = (await list(accountId)).find(({ uid }) => uid === exceptId);
      if (kept === undefined) {
        await artifacts.revokeAccount(accountId);
        return;
      }
      const keptGrants = Object.values(kept.authorizations ?? {}).map(({ grantId }) => grantId);
      for (const session of await list(accountId)) if (session.uid !== exceptId) await end(session);
      for (const { payload } of await artifacts.listOfAccount('Grant', accountId, MAX_SESSIONS, now())) {
        const grantId = String(payload['selfId']); // the adapter stored it
        if (!keptGrants.includes(grantId)) await revokeGrant(artifacts, grantId);
      }
    },

    /** The engine's adapter for sessions, with what this file adds. */
    decorate: (adapter: Adapter): Adapter => {
      const unlessEnded = async (found: Awaited<ReturnType<Adapter['find']>>) =>
        found === undefined || (await hasEnded(found)) ? undefined : found;
      return {
        ...adapter,
        upsert: (id, payload, expiresIn) => adapter.upsert(id, { ...payload, seen: seenNow(now) }, expiresIn),
        find: async (id) => unlessEnded(await adapter.find(id)),
        findByUid: async (uid) => unlessEnded(await adapter.findByUid(uid)),
      };
    },
  };

  async function hasEnded({ accountId, loginTs = 0, uid }: AdapterPayload): Promise<boolean> {
    if (accountId === undefined) return false;
    const ended = await translated(artifacts.find(ENDED, artifactId(ENDED, accountId), now()));
    return ended !== null && loginTs < Number(ended.payload['at']) && ended.payload['exceptId'] !== uid;
  }
}

/** Whose request saves the session. */
function seenNow(now: () => number): Stored['seen'] {
  const ctx = Provider.ctx;
  return {
    ip: ctx?.ip ?? '',
    userAgent: ctx?.get('User-Agent').slice(0, MAX_USER_AGENT) ?? '',
    at: now(),
  };
}

/** Written by the adapter, from the engine's payload. */
const toStored = ({ payload }: StoredArtifact): Stored => payload as unknown as Stored;

const toView = ({ uid, loginTs, iat, exp, amr, seen }: Stored): SessionView => ({
  id: uid,
  signedInAt: loginTs ?? iat ?? 0,
  lastSeenAt: seen?.at ?? iat ?? 0,
  expiresAt: exp ?? 0,
  ip: seen?.ip ?? '',
  userAgent: seen?.userAgent ?? '',
  amr: amr ?? [],
});
