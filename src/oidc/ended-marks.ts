/**
 * What is remembered of sessions that ended: a request that was under way at that moment, or a sign-in that was not
 * gone on with yet, brings none of it back. Instants are whole seconds, so what follows a mark is dated after it: a
 * sign-in in the second of the mark is the next second's, and which of the two came first is never in doubt.
 */
import type { Adapter, AdapterPayload } from 'oidc-provider';

import type { ArtifactStore } from '../storage/port.ts';
import { artifactId } from './digest.ts';
import { longestSessionSeconds } from './lifetimes.ts';
import type { SessionLifetimes } from './lifetimes.ts';
import { translated } from './store-errors.ts';

const MODEL = 'SessionsEnded';

interface EndedMarkOptions {
  readonly artifacts: Pick<ArtifactStore, 'find' | 'upsert'>;
  readonly lifetimes: SessionLifetimes;
  readonly now: () => number;
}

interface Mark {
  readonly at: number;
  /** The session that goes on. */
  readonly exceptId: string | null;
}

/** That a person signed in. */
export interface SignInInstant {
  readonly accountId: string;
  readonly at: number;
  /** The session that came of it, where it is known. */
  readonly sessionUid?: string | undefined;
}

export type EndedMarks = ReturnType<typeof createEndedMarks>;

export function createEndedMarks({ artifacts, lifetimes, now }: EndedMarkOptions) {
  const find = async (what: string): Promise<Mark | null> => {
    const found = await artifacts.find(MODEL, artifactId(MODEL, what), now());
    if (found === null) return null;
    const { at, exceptId } = found.payload;
    return { at: Number(at), exceptId: typeof exceptId === 'string' ? exceptId : null };
  };
  /** An instant that no mark so far is at or after. */
  const afterMark = async (what: string): Promise<number> =>
    Math.max(now(), ((await find(what))?.at ?? 0) + 1);
  const isBeforeEnd = async ({ accountId, at, sessionUid }: SignInInstant): Promise<boolean> => {
    const mark = await find(accountId);
    return mark !== null && at <= mark.at && (sessionUid === undefined || sessionUid !== mark.exceptId);
  };

  return {
    /** `what` is the uid of a session, or the account all of whose sessions end but one. */
    put: async (what: string, exceptId: string | null): Promise<void> =>
      artifacts.upsert({
        model: MODEL,
        id: artifactId(MODEL, what),
        payload: { at: await afterMark(what), exceptId },
        expiresAt: now() + longestSessionSeconds(lifetimes),
      }),

    /** Whether this one session was ended. */
    hasSession: async (uid: string): Promise<boolean> => (await find(uid)) !== null,

    /** Whether all that the account had at that sign-in was ended since. */
    isBeforeEnd,

    /** The instant to date a sign-in of now by. */
    signInTime: afterMark,

    /**
     * The engine's adapter for interactions: a sign-in that was ended before the browser went on with it is none,
     * so that the person is asked for it again.
     */
    decorate: (adapter: Adapter): Adapter => ({
      ...adapter,
      find: async (id) => {
        const found = await adapter.find(id);
        const login = found?.result?.login;
        if (found === undefined || login === undefined) return found;
        const signIn = { accountId: login.accountId, at: login.ts ?? 0 };
        return (await translated(isBeforeEnd(signIn))) ? withoutLogin(found) : found;
      },
    }),
  };
}

function withoutLogin(interaction: AdapterPayload): AdapterPayload {
  const { login: _ended, ...rest } = interaction.result ?? {};
  return { ...interaction, result: rest };
}
