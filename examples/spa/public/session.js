/**
 * Who is signed in: one person for all tabs of this origin, in localStorage, by oidc-client-ts. A refresh token
 * is used once, so the tabs take turns to renew. Where a browser has no locks the server's retry window gives
 * two tabs that ask at once the same answer, and nobody is signed out.
 */
/* global URL, fetch, location, localStorage, navigator, window, oidc */
import { settings } from './settings.js';

const { ErrorResponse, OidcClient, UserManager, WebStorageStateStore } = oidc;

const LOCK = 'spa-example.renewal';
const USER_KEY = 'oidc.user:';
// An API token that ends sooner may end on its way.
const MIN_REMAINING_SECONDS = 30;

class SharedUserManager extends UserManager {
  /** Renews, or takes over what another tab has renewed meanwhile; the timer of the library calls it, too. */
  async signinSilent(args) {
    const before = await this.getUser();
    return inTurn(async () => {
      const user = await this.getUser();
      if (user === null) return null; // signed out in another tab
      if (user.refresh_token !== before?.refresh_token) {
        await this.events.load(user);
        return user;
      }
      return withRefreshToken(user, () => super.signinSilent(args));
    });
  }
}

const configuration = {
  authority: settings.issuer,
  client_id: 'spa-example',
  redirect_uri: `${location.origin}/callback.html`,
  post_logout_redirect_uri: `${location.origin}/`,
  scope: `openid profile email offline_access ${settings.apiScope}`,
  resource: settings.resource,
  // OpenID Connect Core 11: who asks for offline access asks the person.
  prompt: 'consent',
  userStore: new WebStorageStateStore({ store: localStorage }),
  automaticSilentRenew: true,
};

// The name of a person is at userinfo: an ID token of the code flow says who they are, no more (Core 5.4).
export const manager = new SharedUserManager({ ...configuration, loadUserInfo: true });
// Renews for the API, whose tokens are no concern of the manager's.
const client = new OidcClient(configuration);

/** One tab at a time; where there are no locks, at once. */
const inTurn = (renew) => navigator.locks?.request(LOCK, renew) ?? renew();

/**
 * Sends the user's refresh token by `send`. An answer that was lost on its way is asked for again, which the
 * server allows for some seconds. When the server says that the token is over, so is this sign-in.
 */
async function withRefreshToken(user, send) {
  try {
    return await send().catch((error) => {
      if (error instanceof ErrorResponse) throw error;
      return send();
    });
  } catch (error) {
    if (error instanceof ErrorResponse && error.error === 'invalid_grant') await forget(user);
    throw error;
  }
}

/** Only what was refused: another tab may have signed in anew. */
async function forget({ refresh_token }) {
  const stored = await manager.getUser();
  if (stored?.refresh_token === refresh_token) await manager.removeUser();
}

/** Ends the sign-in that callback.html is the end of. */
export async function finishSignIn() {
  // RFC 9207: an answer of another server than the one that was asked is none.
  const issuer = new URL(location.href).searchParams.get('iss');
  if (issuer !== settings.issuer) throw new Error('the answer is not from the server that was asked.');
  return manager.signinCallback();
}

/** Ends the sign-in here and at the server, which sends the browser back. */
export async function signOut() {
  // A refresh token for offline access outlives the session at the server, so it is ended by name. Who wants out
  // gets out, even where that could not be answered.
  await manager.revokeTokens(['refresh_token']).catch(() => undefined);
  await manager.signoutRedirect();
}

/** What the server tells of the person. */
export async function askUserinfo() {
  const endpoint = await manager.metadataService.getUserInfoEndpoint();
  return ask(endpoint, async (isRetry) => (await currentUser(isRetry)).access_token);
}

/** What the API says; it takes tokens of its own. */
export const callApi = () => ask('/api/greeting', getApiToken);

async function currentUser(mustRenew) {
  const user = mustRenew ? await manager.signinSilent() : await manager.getUser();
  if (user === null) throw new Error('You are signed out.');
  return user;
}

let apiToken = null;

/** A living token for the API, kept for this tab; made by the refresh token when there is none. */
async function getApiToken(mustRenew) {
  const nowSeconds = Date.now() / 1000;
  if (!mustRenew && apiToken !== null && apiToken.expires_at > nowSeconds + MIN_REMAINING_SECONDS) {
    return apiToken.access_token;
  }
  return inTurn(async () => {
    const user = await currentUser(false);
    const state = { ...user, scope: settings.apiScope };
    apiToken = await withRefreshToken(user, () =>
      client.useRefreshToken({ state, resource: settings.resource }),
    );
    const { refresh_token = user.refresh_token } = apiToken;
    await manager.storeUser(Object.assign(user, { refresh_token }));
    return apiToken.access_token;
  });
}

/** A refused token is renewed once: it may have been revoked, or be the answer to another tab's question. */
async function ask(url, getToken) {
  let answer = await send(url, await getToken(false));
  if (answer.status === 401) answer = await send(url, await getToken(true));
  const body = await answer.json();
  if (answer.ok) return body;
  throw new Error(body.error_description ?? body.error ?? `The answer was ${answer.status}.`);
}

const send = (url, token) => fetch(url, { headers: { Authorization: `Bearer ${token}` } });

// What another tab stores, this tab takes over: its timers, and what it shows.
window.addEventListener('storage', ({ key }) => {
  if (key === null || key.startsWith(USER_KEY)) void takeOver();
});

async function takeOver() {
  const user = await manager.getUser();
  if (user !== null) return manager.events.load(user);
  apiToken = null;
  return manager.events.unload();
}

manager.events.addUserUnloaded(() => {
  apiToken = null;
});
