/**
 * A person's sessions: what is kept of each beside the engine's own, and how they end. A session that ended stays
 * ended although a request of its browser, under way at that moment, saves it again: see `ended-marks.ts`.
 */
import { Provider } from 'oidc-provider';
import type { Adapter, AdapterPayload } from 'oidc-provider';

import { digest } from '../digest.ts';
import type { Visit } from '../http/device.ts';
import { FIRST_PARTY_CLIENT } from '../names.ts';
import type { ArtifactStore, StoredArtifact } from '../storage/port.ts';
import { eachOfAccount } from './account-artifacts.ts';
import { artifactId } from './digest.ts';
import { createEndedMarks } from './ended-marks.ts';
import type { EndedMarks } from './ended-marks.ts';
import { sessionSeconds } from './lifetimes.ts';
import type { SessionLifetimes } from './lifetimes.ts';
import type { LogoutNotices } from './logout-notices.ts';
import { revokeGrant } from './revocation.ts';
import { translated } from './store-errors.ts';
import { currentVisit } from './visits.ts';

// A move of the end by less than this part of the whole is not worth a write.
const LEAST_STEP = 0.05;

export interface SessionOptions {
  readonly artifacts: ArtifactStore;
  readonly notices: Pick<LogoutNotices, 'queueFor'>;
  readonly lifetimes: SessionLifetimes;
  readonly now: () => number;
}

/** When somebody was there, and from where. */
export interface Seen extends Visit {
  readonly at: number;
}

/** A browser, or another program at the JSON API, that is signed in. */
export interface SessionView {
  /** Names the session; it does not open it. */
  readonly id: string;
  readonly signedInAt: number;
  readonly lastSeenAt: number;
  readonly expiresAt: number;
  /** Of the last visit. */
  readonly ip: string;
  readonly userAgent: string;
  readonly fingerprint: string;
  /** It is one of the JSON API. */
  readonly isOfApi: boolean;
  /** The last visit of another kind of device than the one that signed in; null where there was none. */
  readonly elsewhere: Seen | null;
  readonly amr: readonly string[];
}

export type Sessions = ReturnType<typeof createSessions>;

/** What is stored of a session: the engine's payload, and what we add. */
type Stored = AdapterPayload & {
  readonly uid: string;
  readonly reference: string;
  /** Without the fingerprint where it was written before there was one. */
  readonly seen?: Omit<Seen, 'fingerprint'> & Partial<Seen>;
  readonly state?: { readonly elsewhere?: Seen };
};

export function createSessions(options: SessionOptions) {
  const { artifacts, lifetimes, now } = options;
  const { find, pagesOf } = createReads(options);
  const marks = createEndedMarks(options);

  return {
    /** The browsers in which the account is signed in, the latest first. */
    list: async (accountId: string): Promise<readonly SessionView[]> => {
      const found: SessionView[] = [];
      for await (const page of pagesOf(accountId)) {
        const ended = await Promise.all(page.map((session) => hasEnded(session, marks, options)));
        found.push(...page.filter((_, index) => ended[index] !== true).map(toView));
      }
      return found.sort((a, b) => b.lastSeenAt - a.lastSeenAt);
    },

    /** Whether a session of the account that did not end has this grant for the client. */
    holdGrant: async (accountId: string, clientId: string, grantId: string): Promise<boolean> => {
      for await (const page of pagesOf(accountId)) {
        const holder = page.find(({ authorizations }) => authorizations?.[clientId]?.grantId === grantId);
        if (holder !== undefined) return !(await hasEnded(holder, marks, options));
      }
      return false;
    },

    ...createEndings(marks, options),

    /**
     * Lets a session live on whose application asks for new tokens: who uses an application is not idle, though no
     * page of this server is opened. It moves the end and nothing else, so a session that ends meanwhile stays ended.
     */
    prolong: async (accountId: string, uid: string): Promise<void> => {
      const session = await find(accountId, uid);
      if (session === null || isOfApi(session)) return; // `first-party.ts` has its own measure
      const seconds = sessionSeconds(lifetimes, session.transient !== true);
      if ((session.exp ?? 0) - now() > seconds * (1 - LEAST_STEP)) return;
      await artifacts.extend('Session', storedIdOf(session), now() + seconds, now());
    },

    /** The engine's adapter for sessions, with what this file adds. */
    decorate: (adapter: Adapter): Adapter => {
      const unlessEnded = async (found: Awaited<ReturnType<Adapter['find']>>) =>
        found === undefined || (await translated(hasEnded(found, marks, options))) ? undefined : found;
      return {
        ...adapter,
        upsert: (id, payload, expiresIn) => adapter.upsert(id, { ...payload, seen: seenNow(now) }, expiresIn),
        destroy: async (id) => {
          const uid = signedOutUid();
          if (uid !== null) await translated(marks.put(uid, null));
          await adapter.destroy(id);
        },
        find: async (id) => unlessEnded(await adapter.find(id)),
        findByUid: async (uid) => unlessEnded(await adapter.findByUid(uid)),
      };
    },
  };
}

function createReads({ artifacts, now }: Pick<SessionOptions, 'artifacts' | 'now'>) {
  return {
    pagesOf: async function* (accountId: string): AsyncGenerator<readonly Stored[]> {
      for await (const page of eachOfAccount(artifacts, 'Session', accountId, now)) yield page.map(toStored);
    },
    find: async (accountId: string, uid: string): Promise<Stored | null> => {
      const found = await artifacts.findBy('Session', 'uid', digest(uid), now());
      const session = found && toStored(found);
      return session?.accountId === accountId ? session : null;
    },
  };
}

/** In each of them the applications of a session are to be told before it is ended: see `logout-notices.ts`. */
function createEndings(marks: EndedMarks, options: SessionOptions) {
  const { artifacts, notices, now } = options;
  const { find, pagesOf } = createReads(options);

  const end = async (session: Stored): Promise<void> => {
    await marks.put(session.uid, null);
    await artifacts.destroy('Session', storedIdOf(session));
    for (const { grantId, persistsLogout } of Object.values(session.authorizations ?? {})) {
      if (grantId !== undefined && persistsLogout !== true) await revokeGrant(artifacts, grantId);
    }
  };
  const endOthers = async (accountId: string, kept: Stored): Promise<void> => {
    const keptGrants = Object.values(kept.authorizations ?? {}).map(({ grantId }) => grantId);
    for await (const page of pagesOf(accountId)) {
      for (const session of page) if (session.uid !== kept.uid) await end(session);
    }
    for await (const page of eachOfAccount(artifacts, 'Grant', accountId, now)) {
      const grantIds = page.map(({ payload }) => String(payload['selfId'])); // the adapter stored it
      for (const id of grantIds) if (!keptGrants.includes(id)) await revokeGrant(artifacts, id);
    }
  };

  return {
    /** Signs one browser out; false where the account has no such session. What has offline_access goes on. */
    end: async (accountId: string, id: string): Promise<boolean> => {
      const session = await find(accountId, id);
      if (session === null) return false;
      await notices.queueFor([session]);
      await end(session);
      return true;
    },

    /**
     * Signs the account out everywhere, and ends all that was issued to it, offline_access included; `exceptId`
     * is the session in which the person asks for it, which goes on with its own applications.
     */
    endAll: async (accountId: string, exceptId: string | null): Promise<void> => {
      const kept = exceptId === null ? null : await find(accountId, exceptId);
      for await (const page of pagesOf(accountId)) {
        await notices.queueFor(page.filter(({ uid }) => uid !== kept?.uid));
      }
      await marks.put(accountId, exceptId);
      if (kept === null) await artifacts.revokeAccount(accountId);
      else await endOthers(accountId, kept);
    },
  };
}

async function hasEnded(
  { accountId, loginTs = 0, uid = '', authorizations = {} }: AdapterPayload,
  marks: EndedMarks,
  { artifacts, now }: SessionOptions,
): Promise<boolean> {
  if (accountId === undefined) return false;
  const ended = await Promise.all([
    marks.hasSession(uid),
    marks.isBeforeEnd({ accountId, at: loginTs, sessionUid: uid }),
  ]);
  if (ended.includes(true)) return true;
  // Of the JSON API nothing is left of a session without its grant: a replayed refresh token ended it.
  const apiGrantId = authorizations[FIRST_PARTY_CLIENT]?.grantId;
  if (apiGrantId !== undefined) {
    const grant = await artifacts.find('Grant', artifactId('Grant', apiGrantId), now());
    if (grant === null) return true;
  }
  return false;
}

/** The session that this request of the engine signs out; null where it only gives one another id. */
function signedOutUid(): string | null {
  const { route, params, session } = Provider.ctx?.oidc ?? {};
  return route === 'end_session_confirm' && params?.['logout'] !== undefined ? (session?.uid ?? null) : null;
}

/** Whose request saves the session. */
const seenNow = (now: () => number): Seen => ({
  ip: '',
  userAgent: '',
  fingerprint: '',
  ...currentVisit(),
  at: now(),
});

/** Written by the adapter, from the engine's payload. */
const toStored = ({ payload, expiresAt }: StoredArtifact): Stored =>
  ({ ...payload, exp: expiresAt }) as unknown as Stored;

/** The adapter wrote it. */
const storedIdOf = ({ reference }: Stored): string => reference.slice(1);

const isOfApi = ({ authorizations = {} }: Pick<Stored, 'authorizations'>): boolean =>
  Object.hasOwn(authorizations, FIRST_PARTY_CLIENT);

const toView = ({ uid, loginTs, iat, exp, amr, seen, state, authorizations }: Stored): SessionView => ({
  id: uid,
  signedInAt: loginTs ?? iat ?? 0,
  lastSeenAt: seen?.at ?? iat ?? 0,
  expiresAt: exp ?? 0,
  ip: seen?.ip ?? '',
  userAgent: seen?.userAgent ?? '',
  fingerprint: seen?.fingerprint ?? '',
  isOfApi: isOfApi({ authorizations }),
  elsewhere: state?.elsewhere ?? null,
  amr: amr ?? [],
});
