// Where Portcullis sends the person back to: the code becomes tokens, and the address leaves the history.
/* global document, location */
import { finishSignIn } from './session.js';

try {
  await finishSignIn();
  location.replace('/');
} catch (error) {
  const problem = document.getElementById('problem');
  problem.textContent =
    error.error === 'access_denied'
      ? 'You did not allow it, so you are not signed in.'
      : `You are not signed in: ${error.message}`;
  problem.hidden = false;
}
