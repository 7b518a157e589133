/**
 * The node's own VPN JWT, kept until shortly before it expires: one request is on its way at a time, whoever asks, and a
 * server that is away for a moment takes nothing from a node whose token is still good.
 */
import { decodeJwt } from 'jose';

import { isGuardError } from '../guard/errors.ts';
import { isVpnClientError, VpnClientError } from './errors.ts';
import type { OAuth2Client } from './oauth2-client.ts';
import type { TokenValidator } from './token-validator.ts';

const DEFAULT_REFRESH_BEFORE_SECONDS = 60;
// Of a short life at most this part goes by unused.
const MAX_UNUSED_PART = 0.2;
// After an outage that was waited for, the token that is there serves this long before the next try.
const PAUSE_SECONDS = 5;

export interface JwtServiceOptions {
  readonly client: Pick<OAuth2Client, 'getVpnJwtToken'>;
  readonly validator: Pick<TokenValidator, 'verify'>;
  /** How long before its end a token is replaced; 60 s, if left out, and a fifth of its life at most. */
  readonly refreshBeforeSeconds?: number | undefined;
  /** Unix seconds; the system's clock, if left out. */
  readonly now?: (() => number) | undefined;
}

/** The token that the service holds, for a page that tells of it. */
export interface HeldToken {
  readonly token: string;
  /** `sub`: the node's client id. */
  readonly subject: string;
  /** By this machine's clock, Unix seconds. */
  readonly expiresAt: number;
}

export interface JwtService {
  /**
   * A VPN JWT of the node that is good now; `forceRefresh` gets a new one. Rejects with a VpnClientError where none is
   * to be had.
   */
  getJwtToken(options?: { readonly forceRefresh?: boolean | undefined }): Promise<string>;
  /**
   * Whether a VPN JWT, anybody's, is good now: by the server's keys, for this audience, not expired. Rejects with a
   * GuardError of status 503 where nobody can tell.
   */
  isTokenValid(jwt: string): Promise<boolean>;
  /** Forgets the token: the next call gets a new one, even where one is on its way. */
  clearCache(): void;
  /** What is held and has not expired; null where there is nothing. */
  held(): HeldToken | null;
}

interface Held extends HeldToken {
  readonly receivedAt: number;
  readonly lifetimeSeconds: number;
  /** From when on a new one is asked for. */
  readonly renewAt: number;
}

/** Makes the service. Nothing is fetched before the first call. */
export function createJwtService({
  client,
  validator,
  refreshBeforeSeconds = DEFAULT_REFRESH_BEFORE_SECONDS,
  now = systemTime,
}: JwtServiceOptions): JwtService {
  if (!(refreshBeforeSeconds >= 0)) throw new TypeError('refreshBeforeSeconds: 0 or more');
  let held: Held | null = null;
  let running: Promise<Held> | null = null;

  const begin = (): Promise<Held> => {
    const request: Promise<Held> = client
      .getVpnJwtToken()
      .then((token) => {
        const fresh = toHeld(token, refreshBeforeSeconds, now());
        // Not where the cache was cleared meanwhile: then this is one of those that were to be forgotten.
        if (running === request) held = fresh;
        return fresh;
      })
      .finally(() => {
        if (running === request) running = null;
      });
    return request;
  };
  const refresh = (): Promise<Held> => (running ??= begin());
  const goodUntilNow = (): Held | null => (held !== null && isWithinLife(held, now()) ? held : null);

  return {
    getJwtToken: async ({ forceRefresh = false } = {}) => {
      const known = forceRefresh ? null : goodUntilNow();
      if (known !== null && now() < known.renewAt) return known.token;
      try {
        return (await refresh()).token;
      } catch (error) {
        const still = forceRefresh || !isTemporary(error) ? null : goodUntilNow();
        if (still === null) throw error;
        held = { ...still, renewAt: now() + PAUSE_SECONDS };
        return still.token;
      }
    },
    isTokenValid: async (jwt) => {
      try {
        await validator.verify(jwt);
        return true;
      } catch (error) {
        if (isGuardError(error) && error.status !== 503) return false;
        throw error;
      }
    },
    clearCache: () => {
      held = null;
      running = null;
    },
    held: () => {
      const good = goodUntilNow();
      return good && { token: good.token, subject: good.subject, expiresAt: good.expiresAt };
    },
  };
}

const isTemporary = (error: unknown): boolean => isVpnClientError(error) && error.isTemporary;

/** A clock that was set back must not make the token live for as long as it was set back. */
const isWithinLife = ({ receivedAt, lifetimeSeconds }: Held, now: number): boolean =>
  Math.abs(now - receivedAt) < lifetimeSeconds;

/** How long it lives is told by its own two times, so that a node whose clock is wrong keeps it as long as others do. */
function toHeld(token: string, refreshBeforeSeconds: number, now: number): Held {
  const { sub, iat, exp } = decode(token);
  if (typeof sub !== 'string' || typeof iat !== 'number' || typeof exp !== 'number' || exp <= iat) {
    throw unreadable(null);
  }
  const lifetimeSeconds = exp - iat;
  const unused = Math.min(refreshBeforeSeconds, lifetimeSeconds * MAX_UNUSED_PART);
  const expiresAt = now + lifetimeSeconds;
  return { token, subject: sub, expiresAt, receivedAt: now, lifetimeSeconds, renewAt: expiresAt - unused };
}

function decode(token: string) {
  try {
    return decodeJwt(token);
  } catch (error) {
    throw unreadable(error);
  }
}

const unreadable = (cause: unknown): VpnClientError =>
  new VpnClientError(
    'ERR_VPN_ANSWER_INVALID',
    'The server answered with something else than a VPN JWT: check the address of the exchange.',
    { status: 200, cause },
  );

const systemTime = (): number => Math.floor(Date.now() / 1000);
