/**
 * The application as a client of Portcullis, by openid-client: code + PKCE with state and nonce, refresh,
 * userinfo, and signing out. The library checks what comes back: state, `iss` (RFC 9207), nonce, and the ID token.
 */
import * as openid from 'openid-client';

export interface RelyingPartyOptions {
  readonly issuer: string;
  readonly clientId: string;
  readonly clientSecret: string;
  readonly redirectUri: string;
  readonly postLogoutRedirectUri: string;
}

/** What must be remembered until the browser comes back. */
export interface PendingSignIn {
  readonly state: string;
  readonly nonce: string;
  readonly codeVerifier: string;
}

export interface Person {
  readonly subject: string;
  readonly idToken: string;
  /** Of the ID token. */
  readonly claims: Readonly<Record<string, unknown>>;
  readonly userinfo: Readonly<Record<string, unknown>>;
  readonly refreshToken: string | null;
  readonly accessTokenExpiresAt: number;
  readonly renewals: number;
}

export interface RelyingParty {
  begin(): Promise<{ readonly url: URL; readonly pending: PendingSignIn }>;
  /** Throws where the answer is an error, or not the one to that question. */
  finish(currentUrl: URL, pending: PendingSignIn): Promise<Person>;
  renew(person: Person): Promise<Person>;
  /** Ends what the server gave, and tells where the browser ends its session there. */
  end(person: Person): Promise<URL>;
}

const SCOPE = 'openid profile email offline_access';
const TIMEOUT_SECONDS = 5;

/** Discovery waits for the first request, so that the application starts without the server. */
export function createRelyingParty(options: RelyingPartyOptions, now: () => number): RelyingParty {
  const { redirectUri, postLogoutRedirectUri } = options;
  let discovered: openid.Configuration | null = null;
  const discover = async (): Promise<openid.Configuration> => (discovered ??= await discovery(options));

  return {
    begin: async () => {
      const config = await discover();
      const codeVerifier = openid.randomPKCECodeVerifier();
      const pending = { state: openid.randomState(), nonce: openid.randomNonce(), codeVerifier };
      const url = openid.buildAuthorizationUrl(config, {
        redirect_uri: redirectUri,
        scope: SCOPE,
        // OpenID Connect Core 11: who asks for offline access asks the person.
        prompt: 'consent',
        state: pending.state,
        nonce: pending.nonce,
        code_challenge: await openid.calculatePKCECodeChallenge(codeVerifier),
        code_challenge_method: 'S256',
      });
      return { url, pending };
    },
    finish: async (currentUrl, { state, nonce, codeVerifier }) => {
      const config = await discover();
      const tokens = await openid.authorizationCodeGrant(config, currentUrl, {
        expectedState: state,
        expectedNonce: nonce,
        pkceCodeVerifier: codeVerifier,
        idTokenExpected: true,
      });
      const claims = tokens.claims();
      if (claims === undefined || tokens.id_token === undefined) throw new Error('there is no ID token');
      const first = { subject: claims.sub, idToken: tokens.id_token, claims, refreshToken: null };
      return received(config, { ...first, renewals: 0 }, tokens, now);
    },
    renew: async (person) => {
      const config = await discover();
      if (person.refreshToken === null) throw new Error('there is no refresh token');
      const tokens = await openid.refreshTokenGrant(config, person.refreshToken);
      return received(config, { ...person, renewals: person.renewals + 1 }, tokens, now);
    },
    end: async ({ idToken, refreshToken }) => {
      const config = await discover();
      if (refreshToken !== null) await openid.tokenRevocation(config, refreshToken);
      return openid.buildEndSessionUrl(config, {
        id_token_hint: idToken,
        post_logout_redirect_uri: postLogoutRedirectUri,
      });
    },
  };
}

async function discovery({ issuer, clientId, clientSecret }: RelyingPartyOptions) {
  // The library marks this as deprecated so that nobody uses it beyond loopback.
  // eslint-disable-next-line @typescript-eslint/no-deprecated
  const execute = issuer.startsWith('http:') ? [openid.allowInsecureRequests] : [];
  const authentication = openid.ClientSecretBasic(clientSecret);
  return openid.discovery(new URL(issuer), clientId, {}, authentication, {
    execute,
    timeout: TIMEOUT_SECONDS,
  });
}

type Tokens = Awaited<ReturnType<typeof openid.refreshTokenGrant>>;
type Known = Omit<Person, 'userinfo' | 'accessTokenExpiresAt'>;

/** Uses the new access token at once: userinfo must speak of the same person. */
async function received(
  config: openid.Configuration,
  person: Known,
  tokens: Tokens,
  now: () => number,
): Promise<Person> {
  return {
    ...person,
    idToken: tokens.id_token ?? person.idToken,
    refreshToken: tokens.refresh_token ?? person.refreshToken,
    userinfo: await openid.fetchUserInfo(config, tokens.access_token, person.subject),
    accessTokenExpiresAt: now() + (tokens.expiresIn() ?? 0),
  };
}
