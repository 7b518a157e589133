/**
 * The retry window of refresh tokens (design, decision 2). A client whose answer was lost, or whose second tab asks
 * at the same moment, presents the same refresh token again: within the window it gets the very answer of the first
 * use. The engine makes every check as always; for such a request the adapter reads as it was before the first use
 * and writes nothing, and the stored answer takes the place of the one that the engine made.
 *
 * Storing an answer is the one thing that happens once: where the first use does not finish, a retry makes an
 * answer of its own, and of all that were made only the one that was stored is given away. So a family never has
 * two living heads.
 */
import { errors, Provider } from 'oidc-provider';
import type { Adapter, AdapterPayload } from 'oidc-provider';

import type { ArtifactStore } from '../storage/port.ts';
import { artifactId } from './digest.ts';
import type { EngineMiddleware, KoaContextWithOIDC } from './engine-middleware.ts';
import { ANSWER_OUTLIVES_WINDOW_SECONDS, createRefreshAnswers } from './refresh-answers.ts';
import type { PresentedToken, RefreshAnswer, RefreshAnswers } from './refresh-answers.ts';
import { revokeGrant } from './revocation.ts';
import { translated, translatedBack } from './store-errors.ts';

// A use that was held up for longer gives nothing: by then another one may have taken its place, and be forgotten.
const LONGEST_USE_MS = 30_000;

interface WindowOptions {
  readonly artifacts: ArtifactStore;
  /** 0 turns the window off. */
  readonly windowSeconds: number;
  readonly now: () => number;
}

/** One request that presents a refresh token. */
interface Attempt {
  readonly startedAt: number;
  token: PresentedToken;
  /** It uses the token up. */
  isUse: boolean;
  /** It took over from a use that did not finish. */
  isTakeover: boolean;
  /** The answer of an earlier use, to be given again. */
  answer: RefreshAnswer | null;
  /** What the engine saved for this request, so that it can be taken back. */
  saved: { readonly model: string; readonly id: string }[];
}

export interface RefreshWindow {
  /** Around the token endpoint. */
  readonly middleware: EngineMiddleware;
  /** The engine's adapters for refresh tokens and access tokens, with the window. */
  decorate(model: string, adapter: Adapter): Adapter;
}

export function createRefreshWindow(options: WindowOptions): RefreshWindow {
  const { artifacts, windowSeconds, now } = options;
  const answers = createRefreshAnswers(options);
  // The engine keeps the context of a request (AsyncLocalStorage), also for what its adapter is asked.
  const current = (): Attempt | undefined =>
    Provider.ctx === undefined ? undefined : attemptOf(Provider.ctx);
  /** For longer than the window: where the store was away, whoever asks again comes later, and no answer was given away. */
  const isDecidable = ({ consumed }: AdapterPayload): boolean =>
    consumed !== undefined && now() - Number(consumed) < windowSeconds + ANSWER_OUTLIVES_WINDOW_SECONDS;
  /** Of a token that was used; where it is none, the attempt is a retry, or a use in the place of an unfinished one. */
  const isReplay = async (attempt: Attempt, id: string, payload: AdapterPayload): Promise<boolean> => {
    if (!isDecidable(payload)) return true;
    const isInWindow = now() - Number(payload.consumed) < windowSeconds;
    return (await settle(attempt, id, { answers, isInWindow })) === 'replay';
  };

  const decorateRefreshToken = (adapter: Adapter): Adapter => ({
    ...adapter,
    find: async (id) => {
      const payload = await adapter.find(id);
      const { ctx } = Provider;
      if (ctx?.oidc.route !== 'token' || payload === undefined) return payload;
      const attempt = begin(ctx, { value: id, payload });
      const isOwn = Provider.ctx?.oidc.client?.clientId === payload.clientId;
      if (!isOwn || payload.consumed === undefined) return payload;
      return (await isReplay(attempt, id, payload)) ? payload : unused(payload);
    },
    consume: async (id) => {
      const attempt = current();
      if (attempt === undefined) return adapter.consume(id);
      if (attempt.isUse || attempt.answer !== null) return undefined;
      if (await translated(artifacts.consume('RefreshToken', artifactId('RefreshToken', id), now()))) {
        attempt.isUse = true;
        return undefined;
      }
      const payload = await adapter.find(id);
      if (payload === undefined) throw new errors.InvalidGrant('refresh token was revoked meanwhile');
      if (await isReplay(attempt, id, payload)) await adapter.consume(id); // refuses, and revokes the family
      return undefined;
    },
  });

  return {
    decorate: (model, adapter) => {
      if (windowSeconds === 0 || (model !== 'RefreshToken' && model !== 'AccessToken')) return adapter;
      const writing = decorateWrites(model, adapter, current);
      return model === 'RefreshToken' ? decorateRefreshToken(writing) : writing;
    },
    middleware: async (ctx, next) => {
      await next();
      const attempt = attemptOf(ctx);
      if (attempt !== undefined) await translatedBack(finish(ctx, attempt, artifacts, answers));
    },
  };
}

// A field of the context, made by the first look at a refresh token: every token request passes here, and a WeakMap
// of all their contexts costs each of them a tenth of its time (measured).
const ATTEMPT = 'refreshAttempt';

const attemptOf = (ctx: KoaContextWithOIDC): Attempt | undefined => ctx.state[ATTEMPT] as Attempt | undefined; // written by begin()

function begin(ctx: KoaContextWithOIDC, token: PresentedToken): Attempt {
  const begun = attemptOf(ctx) ?? {
    startedAt: performance.now(),
    token,
    isUse: false,
    isTakeover: false,
    answer: null,
    saved: [],
  };
  begun.token = token;
  ctx.state[ATTEMPT] = begun;
  return begun;
}

/** As it was before its first use. */
function unused({ consumed, ...payload }: AdapterPayload): AdapterPayload {
  return payload;
}

/** Decides what an attempt with a used token is: a retry, a use in the place of an unfinished one, or a replay. */
async function settle(
  attempt: Attempt,
  token: string,
  { answers, isInWindow }: { readonly answers: RefreshAnswers; readonly isInWindow: boolean },
): Promise<'retry' | 'use' | 'replay'> {
  const answer = await translated(answers.await(token));
  if (answer === null) {
    attempt.isUse = attempt.isTakeover = true;
    return 'use';
  }
  if (!isInWindow || !(await translated(answers.isFresh(answer)))) return 'replay';
  attempt.answer = answer;
  return 'retry';
}

/** A retry writes nothing; what a use writes is remembered. */
const decorateWrites = (model: string, adapter: Adapter, current: () => Attempt | undefined): Adapter => ({
  ...adapter,
  upsert: async (id, payload, expiresIn) => {
    const attempt = current();
    if ((attempt?.answer ?? null) !== null) return;
    attempt?.saved.push({ model, id: artifactId(model, id) });
    await adapter.upsert(id, payload, expiresIn);
  },
});

/** Puts the one answer into the place of the engine's, and ends a family that somebody replays. */
async function finish(
  ctx: KoaContextWithOIDC,
  attempt: Attempt,
  artifacts: ArtifactStore,
  answers: RefreshAnswers,
): Promise<void> {
  const { token, isUse } = attempt;
  if (ctx.status !== 200) {
    if (isUse) await takeBack(attempt, artifacts);
    if (isOfAnother(ctx, token.payload)) await revokeFamily(token.payload, artifacts);
    return;
  }
  const jkt = ctx.oidc.accessToken?.jkt ?? null;
  let { answer } = attempt;
  if (isUse) {
    const own = { body: ctx.body, successorId: successorOf(attempt), jkt };
    const isLate = performance.now() - attempt.startedAt > LONGEST_USE_MS;
    if (!isLate && (await answers.store(token, own))) {
      if (attempt.isTakeover) await answers.dropOthers(token, own);
      return;
    }
    await takeBack(attempt, artifacts);
    answer = await answers.find(token.value);
  }
  const refuse = async (): Promise<void> => {
    await revokeFamily(token.payload, artifacts);
    ctx.status = 400;
    ctx.body = { error: 'invalid_grant', error_description: 'grant request is invalid' };
  };
  if (answer === null) return refuse();
  if (answer.jkt !== jkt) return refuse();
  ctx.body = answer.body;
}

/** A used token in another client's hands is a replay, also within the window. */
const isOfAnother = (
  { oidc: { client } }: KoaContextWithOIDC,
  { consumed, clientId }: AdapterPayload,
): boolean => consumed !== undefined && client !== undefined && client.clientId !== clientId;

const successorOf = ({ saved }: Attempt): string =>
  saved.find(({ model }) => model === 'RefreshToken')?.id ?? '';

/** Nobody was given what this request saved. */
async function takeBack({ saved }: Attempt, artifacts: ArtifactStore): Promise<void> {
  for (const { model, id } of saved) await artifacts.destroy(model, id);
}

async function revokeFamily({ grantId }: AdapterPayload, artifacts: ArtifactStore): Promise<void> {
  if (grantId !== undefined) await revokeGrant(artifacts, grantId);
}
