/** How long what the engine issues lives, in seconds. */
import type { Configuration } from 'oidc-provider';

import { FIRST_PARTY_CLIENT } from '../names.ts';

export interface Lifetimes {
  /** Of opaque access tokens; a resource server has its own. */
  readonly accessTokenLifetimeSeconds: number;
  /** A refresh token that nobody uses for so long is over. */
  readonly refreshTokenIdleSeconds: number;
  /** So long after the first of a family all of it is over. */
  readonly refreshTokenAbsoluteSeconds: number;
  /** A session whose browser does not come for so long is over. */
  readonly sessionIdleSeconds: number;
  /** The same where the person asked to stay signed in. */
  readonly sessionRememberedSeconds: number;
  /** Of the access tokens of the JSON API. */
  readonly apiAccessTokenSeconds: number;
  /** The JSON API's session, and with it its refresh token, where the person asked to stay signed in. */
  readonly apiRememberedSeconds: number;
}

// Contracts 1; RFC 6749 4.1.2 allows ten minutes.
const CODE_SECONDS = 60;
// RFC 8628 3.2: long enough to fetch a second device and to sign in there.
const DEVICE_CODE_SECONDS = 600;
export const ID_TOKEN_SECONDS = 3_600;
// Registering and verifying an address may come in between.
const INTERACTION_SECONDS = 3_600;

const DAY_SECONDS = 86_400;

/** A grant outlives what was issued under it: see `grants.ts`, which extends one before its second half ends. */
export const grantSeconds = (lifetimes: Lifetimes): number =>
  2 * Math.max(apiFamilySeconds(lifetimes), lifetimes.sessionRememberedSeconds);

/** So long after the first of a family of the JSON API all of it is over. */
const apiFamilySeconds = ({ refreshTokenAbsoluteSeconds, apiRememberedSeconds }: Lifetimes): number =>
  Math.max(refreshTokenAbsoluteSeconds, apiRememberedSeconds);

/** The engine's table. `now` is our clock: a family's absolute end is an instant. */
export function toTtl(lifetimes: Lifetimes, now: () => number): NonNullable<Configuration['ttl']> {
  const { accessTokenLifetimeSeconds, apiAccessTokenSeconds } = lifetimes;
  return {
    AccessToken: (_ctx, token) =>
      isOfApi(token)
        ? apiAccessTokenSeconds
        : (token.resourceServer?.accessTokenTTL ?? accessTokenLifetimeSeconds),
    AuthorizationCode: CODE_SECONDS,
    ClientCredentials: (_ctx, token) => token.resourceServer?.accessTokenTTL ?? accessTokenLifetimeSeconds,
    DeviceCode: DEVICE_CODE_SECONDS,
    Grant: grantSeconds(lifetimes),
    IdToken: ID_TOKEN_SECONDS,
    Interaction: INTERACTION_SECONDS,
    // The engine wants a positive number; a family at its end is refused before it is rotated.
    RefreshToken: (_ctx, token) => {
      const { idle, absolute } = familySeconds(lifetimes, isOfApi(token));
      const bornAt = token.iiat ?? now();
      return Math.max(1, Math.min(idle, bornAt + absolute - now()));
    },
    Session: (_ctx, { transient }) => sessionSeconds(lifetimes, transient !== true),
  };
}

export const sessionSeconds = (
  { sessionIdleSeconds, sessionRememberedSeconds }: SessionLifetimes,
  isRemembered: boolean,
): number => (isRemembered ? sessionRememberedSeconds : sessionIdleSeconds);

/** Those of the JSON API end with their session, which is shorter where nobody asked to stay signed in. */
export const apiSessionSeconds = ({ apiRememberedSeconds }: Lifetimes, isRemembered: boolean): number =>
  isRemembered ? apiRememberedSeconds : Math.min(DAY_SECONDS, apiRememberedSeconds);

/** What the life of sessions follows from. */
export type SessionLifetimes = Pick<
  Lifetimes,
  'sessionIdleSeconds' | 'sessionRememberedSeconds' | 'apiRememberedSeconds'
>;

/** The longest life of any session. */
export const longestSessionSeconds = (lifetimes: SessionLifetimes): number =>
  Math.max(lifetimes.sessionIdleSeconds, lifetimes.sessionRememberedSeconds, lifetimes.apiRememberedSeconds);

const isOfApi = ({ clientId }: { readonly clientId?: string | undefined }): boolean =>
  clientId === FIRST_PARTY_CLIENT;

const familySeconds = (lifetimes: Lifetimes, ofApi: boolean) =>
  ofApi
    ? { idle: lifetimes.apiRememberedSeconds, absolute: apiFamilySeconds(lifetimes) }
    : { idle: lifetimes.refreshTokenIdleSeconds, absolute: lifetimes.refreshTokenAbsoluteSeconds };
