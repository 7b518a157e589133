/**
 * Tokens for the JSON API of this server: the engine's own session, grant, access token and refresh token, for a
 * client that is built in. So whatever ends an application's tokens ends these, too. All of them end with the
 * session, at once; a refresh goes through the engine's token endpoint like everybody's.
 */
import type { Provider } from 'oidc-provider';

import { storeUnavailable } from '../errors.ts';
import { describeDevice } from '../http/device.ts';
import type { Visit } from '../http/device.ts';
import { FIRST_PARTY_CLIENT } from '../names.ts';
import type { CounterStore } from '../storage/port.ts';
import { asOwnRequest } from './built-in-client.ts';
import type { EndedMarks } from './ended-marks.ts';
import type { EngineMiddleware } from './engine-middleware.ts';
import type { EngineEvents } from './event-bridge.ts';
import { apiSessionSeconds } from './lifetimes.ts';
import type { Lifetimes } from './lifetimes.ts';
import { createOwnRequest } from './own-request.ts';
import { ACR_PASSWORD } from './people.ts';
import type { Seen } from './sessions.ts';
import { translatedBack } from './store-errors.ts';
import { during } from './visits.ts';

type Session = InstanceType<Provider['Session']>;

/** Without `openid`: at the protocol's own endpoints these tokens open nothing. */
const SCOPE = 'account';
const GRANT_TYPE = 'first_party';

export interface FirstPartyOptions {
  readonly lifetimes: Lifetimes;
  readonly counters: Pick<CounterStore, 'hit'>;
  readonly events: Pick<EngineEvents, 'tokenIssued'>;
  readonly marks: Pick<EndedMarks, 'signInTime'>;
  readonly now: () => number;
}

/** The request that asks, as far as it is kept. */
export interface AskingRequest {
  readonly visit: Visit;
  readonly requestId: string;
}

export interface IssuedTokens {
  readonly accountId: string;
  /** As in the list of the account's sessions. */
  readonly sessionId: string;
  readonly accessToken: string;
  readonly refreshToken: string;
  readonly expiresInSeconds: number;
}

export interface RefreshedTokens extends IssuedTokens {
  /** Another kind of device than the one that signed in asked, for the first time. */
  readonly isFromElsewhere: boolean;
}

/** A live access token of a person who signed in at the JSON API. */
export interface PersonToken {
  readonly accountId: string;
  readonly sessionUid: string;
  readonly clientId: string;
  readonly scopes: readonly string[];
}

export interface FirstParty {
  /** A new session of a person who proved who they are, and its tokens. */
  signIn(
    person: { readonly accountId: string; readonly amr: readonly string[]; readonly remember: boolean },
    request: AskingRequest,
  ): Promise<IssuedTokens>;
  /** Rotates a refresh token. Null where it is unknown, used, over, or its account may not be used. */
  refresh(refreshToken: string, request: AskingRequest): Promise<RefreshedTokens | null>;
  /** Null for any value that is not a living access token of the JSON API. */
  findPersonToken(value: string): Promise<PersonToken | null>;
}

/** What a session of the JSON API keeps of its devices. */
interface SessionState {
  readonly signedInOn: Visit;
  readonly elsewhere?: Seen;
}

/** `token`: the engine's token endpoint, with all that stands around it. */
export function createFirstParty(
  provider: Provider,
  token: EngineMiddleware,
  options: FirstPartyOptions,
): FirstParty {
  return {
    signIn: (person, request) =>
      translatedBack(asOwnRequest(() => signIn(provider, person, request, options))),
    refresh: (refreshToken, request) =>
      translatedBack(asOwnRequest(() => refresh(provider, token, refreshToken, request, options))),
    findPersonToken: (value) => translatedBack(findPersonToken(provider, value)),
  };
}

async function signIn(
  provider: Provider,
  { accountId, amr, remember }: Parameters<FirstParty['signIn']>[0],
  { visit, requestId }: AskingRequest,
  { lifetimes, events, marks }: FirstPartyOptions,
): Promise<IssuedTokens> {
  const client = await provider.Client.find(FIRST_PARTY_CLIENT);
  if (client === undefined) throw new Error('the engine does not find the client of the JSON API');
  const authTime = await marks.signInTime(accountId);
  const session = new provider.Session();
  session.loginAccount({
    accountId,
    amr: [...amr],
    acr: ACR_PASSWORD,
    loginTs: authTime,
    transient: !remember,
  });
  const grant = new provider.Grant({ accountId, clientId: FIRST_PARTY_CLIENT });
  grant.addOIDCScope(SCOPE);
  const grantId = await grant.save();
  session.ensureClientContainer(FIRST_PARTY_CLIENT);
  session.grantIdFor(FIRST_PARTY_CLIENT, grantId);
  session.state = { signedInOn: visit } satisfies SessionState;
  await during(visit, () => session.save(apiSessionSeconds(lifetimes, remember)));

  const shared = {
    ...{ client, accountId, grantId, gty: GRANT_TYPE, scope: SCOPE },
    ...{ sessionUid: session.uid, sid: session.sidFor(FIRST_PARTY_CLIENT), expiresWithSession: true },
  };
  const access = new provider.AccessToken(shared);
  const accessToken = await access.save();
  const family = { amr: [...amr], acr: ACR_PASSWORD, authTime, rotations: 0 };
  const refreshToken = await new provider.RefreshToken({ ...shared, ...family }).save();
  events.tokenIssued({ requestId, clientId: FIRST_PARTY_CLIENT, grantType: GRANT_TYPE, scope: SCOPE });
  return {
    accountId,
    sessionId: session.uid,
    accessToken,
    refreshToken,
    expiresInSeconds: access.expiration,
  };
}

/** What the token endpoint answers to a refresh (RFC 6749 5.1). */
interface TokenAnswer {
  readonly access_token: string;
  readonly refresh_token: string;
  readonly expires_in: number;
}

async function refresh(
  provider: Provider,
  token: EngineMiddleware,
  refreshToken: string,
  request: AskingRequest,
  options: FirstPartyOptions,
): Promise<RefreshedTokens | null> {
  const ctx = createOwnRequest(provider, request.visit.ip, request.requestId, {
    grant_type: 'refresh_token',
    refresh_token: refreshToken,
    client_id: FIRST_PARTY_CLIENT,
  });
  await token(ctx, async () => undefined);
  if (ctx.status === 503) throw storeUnavailable(new Error('the token endpoint says so'));
  if (ctx.status === 400) return null;
  if (ctx.status !== 200) throw new Error(`the token endpoint answered ${ctx.status} to a refresh`);
  const answer = ctx.body as TokenAnswer; // by the status
  const live = await findPersonToken(provider, answer.access_token);
  const session = live && (await provider.Session.findByUid(live.sessionUid));
  if (live === null || session === undefined || session === null) return null; // it ended meanwhile
  return {
    accountId: live.accountId,
    sessionId: live.sessionUid,
    accessToken: answer.access_token,
    refreshToken: answer.refresh_token,
    expiresInSeconds: answer.expires_in,
    isFromElsewhere: await goOn(provider, session, request.visit, options),
  };
}

/**
 * The session lives on, seen just now. A visit from another kind of device is noted beside the device that signed
 * in, and never takes its place; true where it is news.
 */
async function goOn(
  provider: Provider,
  session: Session,
  visit: Visit,
  { lifetimes, counters, now }: FirstPartyOptions,
): Promise<boolean> {
  const seconds = apiSessionSeconds(lifetimes, session.transient !== true);
  const { signedInOn, elsewhere } = session.state as unknown as SessionState; // by signIn() above
  const device = describeDevice(visit.userAgent);
  const isFamiliar = device === describeDevice(signedInOn.userAgent);
  const strange = isFamiliar ? elsewhere : { ...visit, at: now() };
  session.state = { signedInOn, ...(strange && { elsewhere: strange }) } satisfies SessionState;
  await during(isFamiliar ? visit : signedInOn, () => session.save(seconds));
  // It was ended while it was saved: its grant went after it.
  const grantId = session.grantIdFor(FIRST_PARTY_CLIENT) ?? '';
  if ((await provider.Grant.find(grantId)) === undefined) await session.destroy();
  if (isFamiliar) return false;
  const { count } = await counters.hit(`elsewhere:${session.uid}:${device ?? ''}`, seconds, now());
  return count === 1;
}

/** The token, its session and its grant are there; the engine looks for the session itself. */
async function findPersonToken(provider: Provider, value: string): Promise<PersonToken | null> {
  const token = await provider.AccessToken.find(value);
  if (token?.isValid !== true || token.clientId !== FIRST_PARTY_CLIENT) return null;
  const { accountId, grantId, sessionUid, clientId, scopes } = token;
  const grant = await provider.Grant.find(grantId);
  if (grant?.accountId !== accountId || sessionUid === undefined) return null;
  return { accountId, sessionUid, clientId, scopes: [...scopes] };
}
