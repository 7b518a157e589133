// The page of the app: shows who is signed in, and hands its buttons to session.js.
/* global document */
import { askUserinfo, callApi, manager, signOut } from './session.js';

const byId = (id) => document.getElementById(id);

function show(user) {
  byId('signed-out').hidden = user !== null;
  byId('signed-in').hidden = user === null;
  if (user === null) return;
  byId('name').textContent = user.profile.name ?? user.profile.preferred_username ?? user.profile.sub;
  byId('subject').textContent = user.profile.sub;
  const expiresAt = new Date(user.expires_at * 1000);
  byId('expires').dateTime = expiresAt.toISOString();
  byId('expires').textContent = expiresAt.toLocaleTimeString();
}

function showProblem(error) {
  byId('problem').textContent = error?.message ?? '';
  byId('problem').hidden = error === null;
}

/** Runs what a button stands for, with the button at rest meanwhile, and says what came of it. */
function onClick(id, run) {
  const button = byId(id);
  button.addEventListener('click', async () => {
    button.disabled = true;
    showProblem(null);
    try {
      const answer = await run();
      if (answer !== undefined) byId('answer').textContent = answer;
    } catch (error) {
      showProblem(error);
    } finally {
      button.disabled = false;
    }
  });
}

const pretty = (value) => JSON.stringify(value, null, 2);

onClick('sign-in', () => manager.signinRedirect());
onClick('who', async () => pretty(await askUserinfo()));
onClick('call', async () => pretty(await callApi()));
onClick('renew', async () => {
  const user = await manager.signinSilent();
  return user === null ? 'You were signed out in another tab.' : 'A new access token is here.';
});
onClick('sign-out', signOut);

let renewals = 0;
let accessToken = null;
manager.events.addUserLoaded((user) => {
  if (accessToken !== null && user.access_token !== accessToken) {
    renewals += 1;
    byId('renewals').textContent = String(renewals);
  }
  accessToken = user.access_token;
  show(user);
});
manager.events.addUserUnloaded(() => show(null));
manager.events.addSilentRenewError(showProblem);

const user = await manager.getUser();
accessToken = user?.access_token ?? null;
show(user);
// The timers of the library look forward only: a token that ended while no tab was open is renewed here.
if (user?.expired) await manager.signinSilent().catch(showProblem);
