/**
 * The answers to refreshes, kept for those who ask again: stored once for each refresh token, sealed under a key
 * that only the token gives.
 */
import { setTimeout as sleep } from 'node:timers/promises';

import type { AdapterPayload } from 'oidc-provider';

import type { ArtifactStore } from '../storage/port.ts';
import { eachOfAccount } from './account-artifacts.ts';
import { openAnswer, sealAnswer } from './answer-seal.ts';
import { artifactId } from './digest.ts';

const MODEL = 'RefreshAnswer';
// A request that comes while the first is at work waits for its answer so long, asking again and again.
const WAIT_MS = 2_000;
const FIRST_PAUSE_MS = 5;
const LONGEST_PAUSE_MS = 100;
/** A use that is held up must still find that another one took its place: see `refresh-window.ts`. */
export const ANSWER_OUTLIVES_WINDOW_SECONDS = 90;

export interface RefreshAnswersOptions {
  readonly artifacts: ArtifactStore;
  readonly windowSeconds: number;
  readonly now: () => number;
}

/** What a use gave: the body, and the ids by which its parts are known to the store. */
export interface RefreshAnswer {
  readonly body: unknown;
  /** The stored id of the refresh token in it. */
  readonly successorId: string;
  /** The key that the access token in it is bound to (DPoP). */
  readonly jkt: string | null;
}

/** A refresh token as it was presented, and what the store has of it. */
export interface PresentedToken {
  readonly value: string;
  readonly payload: AdapterPayload;
}

export type RefreshAnswers = ReturnType<typeof createRefreshAnswers>;

export function createRefreshAnswers({ artifacts, windowSeconds, now }: RefreshAnswersOptions) {
  const find = async (token: string): Promise<RefreshAnswer | null> => {
    const found = await artifacts.find(MODEL, artifactId(MODEL, token), now());
    if (found === null) return null;
    const { sealed, clientId } = found.payload;
    return openAnswer(String(sealed), token, String(clientId)) as RefreshAnswer; // sealed by store()
  };

  return {
    find,

    /** Null where the use that is at work does not finish in time. */
    await: async (token: string): Promise<RefreshAnswer | null> => {
      const until = performance.now() + WAIT_MS;
      for (let pauseMs = FIRST_PAUSE_MS; ; pauseMs = Math.min(2 * pauseMs, LONGEST_PAUSE_MS)) {
        const answer = await find(token);
        if (answer !== null || performance.now() > until) return answer;
        await sleep(pauseMs);
      }
    },

    /** Stores the answer of a use; false where another use was first. It ends with its family. */
    store: ({ value, payload }: PresentedToken, answer: RefreshAnswer): Promise<boolean> => {
      const { clientId = '', grantId, accountId } = payload;
      const artifact = {
        model: MODEL,
        id: artifactId(MODEL, value),
        payload: { sealed: sealAnswer(answer, value, clientId), clientId },
        expiresAt: now() + windowSeconds + ANSWER_OUTLIVES_WINDOW_SECONDS,
        ...(grantId !== undefined && { grantId }),
        ...(accountId !== undefined && { accountId }),
      };
      return artifacts.insert(artifact, now());
    },

    /** Deletes what uses left behind that never gave their answer: nobody has those refresh tokens. */
    dropOthers: async ({ payload }: PresentedToken, { successorId }: RefreshAnswer): Promise<void> => {
      const { accountId = '', grantId, rotations = 0 } = payload;
      for await (const page of eachOfAccount(artifacts, 'RefreshToken', accountId, now)) {
        for (const { payload: other, consumedAt } of page) {
          const id = String(other['reference']).slice(1); // the adapter stored it
          const isSibling = other['grantId'] === grantId && other['rotations'] === rotations + 1;
          if (isSibling && consumedAt === null && id !== successorId) {
            await artifacts.destroy('RefreshToken', id);
          }
        }
      }
    },

    /** True while nobody used the refresh token that the answer gave. */
    isFresh: async ({ successorId }: RefreshAnswer): Promise<boolean> => {
      const found = await artifacts.find('RefreshToken', successorId, now());
      return found?.consumedAt === null;
    },
  };
}
