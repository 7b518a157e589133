/** Getting back in, and going. */
import { mailedToken } from '../links.ts';
import { AUTH, login, OVER, profile, refreshBy } from '../requests.ts';
import { newPassword } from '../tour.ts';
import type { Step, Tour } from '../tour.ts';
import { keepTokens } from './entering.ts';

export const forgottenPassword: Step = {
  title: 'A forgotten password',
  about:
    'Whoever asks learns nothing of who has an account. The new password ends every session and every API key of the ' +
    'account: whoever had the old one is out.',
  play: async (tour) => {
    const path = `${AUTH}/forgot-password`;
    await tour.callBriefly(
      { method: 'POST', path, body: { email: `nobody-${tour.notes.username}@example.com` } },
      { status: 202, so: 'For an address that nobody has …' },
    );
    await tour.call(
      { method: 'POST', path, body: { email: tour.notes.email } },
      { status: 202, so: '… and for ours: the same answer, in the same time.' },
    );
    const token = await mailedToken(tour, 'reset', 'The new password');
    if (token !== null) await reset(tour, token);
  },
};

async function reset(tour: Tour, token: string): Promise<void> {
  const { notes } = tour;
  const ask = {
    method: 'POST',
    path: `${AUTH}/reset-password`,
    body: { token, new_password: newPassword() },
  } as const;
  await tour.call(ask, { status: 204, so: 'The new password is set.' });
  await tour.callBriefly(ask, { status: 400, so: 'The link was good once.' });
  await tour.callBriefly(profile({ token: notes.accessToken }), {
    ...OVER,
    so: 'The session of before is over.',
  });
  notes.password = ask.body.new_password;
  const { body } = await tour.callBriefly(login(notes.username, notes.password), {
    status: 200,
    so: 'The new password signs in.',
  });
  keepTokens(tour, body);
}

export const signOut: Step = {
  title: 'Sign out',
  about:
    'One request ends the session, or all of them. There is one graph of sessions: what ends here ends for OAuth ' +
    'clients, too.',
  play: async (tour) => {
    const { accessToken: token, refreshToken } = tour.notes;
    await tour.call(
      { method: 'POST', path: `${AUTH}/logout?all=true`, token },
      { status: 204, so: 'Signed out, everywhere.' },
    );
    await tour.call(profile({ token }), { ...OVER, so: 'The access token is over, long before it expires.' });
    await tour.callBriefly(refreshBy(refreshToken), { ...OVER, so: 'And no refresh brings it back.' });
  },
};
