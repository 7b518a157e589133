/**
 * The engine at the addresses that a browser visits: its cookies, signed under our key and bound to the issuer's
 * host, and a policy for the pages that it sends on by a form (OAuth 2.0 Form Post).
 */
import { hkdfSync } from 'node:crypto';
import type { IncomingMessage, ServerResponse } from 'node:http';

import type { Configuration, Provider } from 'oidc-provider';

import type { SigningSecrets } from '../http/cookies.ts';
import { visitOf } from '../http/device.ts';
import type { EndedMarks } from './ended-marks.ts';
import type { EngineMiddleware } from './engine-middleware.ts';
import type { SignedIn } from './interactions.ts';
import { sessionSeconds } from './lifetimes.ts';
import type { Lifetimes } from './lifetimes.ts';
import { ACR_PASSWORD } from './people.ts';
import type { Sessions } from './sessions.ts';
import { translatedBack } from './store-errors.ts';
import { during } from './visits.ts';

type Cookies = NonNullable<Configuration['cookies']>;

const LASTING = { httpOnly: true, sameSite: 'lax', path: '/', signed: true } as const;
const SHORT = { httpOnly: true, sameSite: 'lax', signed: true } as const;
// The engine adds the hash of its script to `script-src`, which has to be there; without hash it allows nothing.
const POLICY =
  "default-src 'none'; script-src 'none'; base-uri 'none'; object-src 'none'; frame-ancestors 'none'";

/**
 * `__Host-` keeps other hosts and paths from writing the session's cookie (RFC 6265bis 4.1.3); those of an
 * interaction have its path. A browser takes neither over http, where a development server is.
 */
export function engineCookies(issuer: string, secrets: SigningSecrets): Cookies {
  const isSecure = issuer.startsWith('https:');
  const [host, secure] = isSecure ? ['__Host-', '__Secure-'] : ['', ''];
  return {
    names: {
      session: `${host}portcullis_session`,
      interaction: `${secure}portcullis_interaction`,
      resume: `${secure}portcullis_resume`,
    },
    keys: secrets.map((secret) =>
      Buffer.from(hkdfSync('sha256', secret, '', 'portcullis engine cookies', 32)).toString('base64url'),
    ),
    long: LASTING,
    short: SHORT,
  };
}

/** Around the engine: the cookies of its context are the engine's, signed. */
export const withEngineCookies =
  (provider: Provider, engine: EngineMiddleware): EngineMiddleware =>
  async (ctx, next) => {
    ctx.cookies = provider.createContext(ctx.req, ctx.res).cookies;
    ctx.set('Content-Security-Policy', POLICY);
    await engine(ctx, next);
  };

/** The session of the browser that sent a request. */
export interface CurrentSession {
  /** As in the list of the account's sessions. */
  readonly id: string;
  readonly accountId: string;
  readonly signedInAt: number;
}

/** Sessions without an application: for this server's own pages. */
export interface BrowserSessions {
  /** Null where nobody is signed in; whether the account may be used is for the caller to ask. */
  current(req: IncomingMessage, res: ServerResponse): Promise<CurrentSession | null>;
  /** Signs the browser in under a new session id; another account's session there ends. */
  signIn(req: IncomingMessage, res: ServerResponse, person: SignedIn): Promise<void>;
}

export function createBrowserSessions(
  provider: Provider,
  sessions: Pick<Sessions, 'end'>,
  marks: Pick<EndedMarks, 'signInTime'>,
  lifetimes: Lifetimes,
): BrowserSessions {
  const load = (req: IncomingMessage, res: ServerResponse) =>
    translatedBack(provider.Session.get(provider.createContext(req, res)));

  return {
    current: async (req, res) => {
      const { uid, accountId, loginTs = 0 } = await load(req, res);
      return accountId === undefined ? null : { id: uid, accountId, signedInAt: loginTs };
    },
    signIn: async (req, res, { accountId, amr, remember }) => {
      let session = await load(req, res);
      if (session.accountId !== undefined && session.accountId !== accountId) {
        await translatedBack(sessions.end(session.accountId, session.uid));
        session = new provider.Session();
      }
      const seconds = sessionSeconds(lifetimes, remember);
      session.loginAccount({
        accountId,
        amr: [...amr],
        acr: ACR_PASSWORD,
        loginTs: await marks.signInTime(accountId),
        transient: !remember,
      });
      session.resetIdentifier();
      const ctx = provider.createContext(req, res);
      await translatedBack(during(visitOf(ctx), () => session.save(seconds)));
      ctx.cookies.set(provider.cookieName('session'), session.jti, {
        ...LASTING,
        ...(remember && { maxAge: seconds * 1_000 }),
      });
    },
  };
}
