/** From nobody to a first call. */
import { Refusal } from '../endings.ts';
import { textAt } from '../expect.ts';
import { mailedToken } from '../links.ts';
import { AUTH, login, profile } from '../requests.ts';
import type { Step, Tour } from '../tour.ts';

const CREATED = 201;
const FORBIDDEN = 403;

export const register: Step = {
  title: 'Register',
  about:
    'People make their own accounts. What is wrong with the input is told field by field, as a Problem (RFC 9457), ' +
    'so that a form can show each sentence where it belongs.',
  play: async (tour) => {
    const { username, email, password } = tour.notes;
    const person = { username, email, full_name: 'Demo Person' };
    const path = `${AUTH}/register`;
    const refused = await tour.call(
      { method: 'POST', path, body: { ...person, password: 'password' } },
      { status: [400, FORBIDDEN], so: 'Refused, with the reason. Nothing was made.' },
    );
    if (refused.status === FORBIDDEN) throw registrationIsOff();
    const answer = await tour.call(
      { method: 'POST', path, body: { ...person, password } },
      {
        status: [CREATED, 202],
        so: 'The account is there. The password is stored as an argon2id hash alone.',
      },
    );
    // 202: the server tells nobody but the owner of the address what came of it.
    if (answer.status === CREATED) tour.notes.userId = textAt(answer.body, 'id');
  },
};

const registrationIsOff = (): Refusal =>
  new Refusal(
    'People do not register themselves at this server (registration.enabled is off), and the tour needs an account ' +
      'of its own: leave --server out for a server of its own.',
  );

export const verify: Step = {
  title: 'Verify the address',
  about:
    'A link of one use proves that whoever registered reads the mails of that address. The store has its digest only, ' +
    'so that nobody who reads the store can use it.',
  play: async (tour) => {
    const token = await mailedToken(tour, 'verify', 'Verifying the address');
    if (token === null) {
      if (tour.notes.userId === '') throw mustBeProven();
      return;
    }
    const ask = { method: 'POST', path: `${AUTH}/verify-email`, body: { token } } as const;
    await tour.call(ask, { status: 204, so: 'The address is proven.' });
    await tour.call(ask, { status: 400, body: { 'errors.0.path': 'token' }, so: 'The link was good once.' });
  },
};

const mustBeProven = (): Refusal =>
  new Refusal(
    'Nobody signs in at this server before the address is proven (registration.conceal is on): run the tour without ' +
      '--yes and paste the link, or leave --server out.',
  );

export const signIn: Step = {
  title: 'Sign in',
  about:
    'The password is exchanged for two tokens: one to call with, which lives an hour, and one to get new ones, which ' +
    'is good once. So the password is typed once, and kept nowhere.',
  play: async (tour) => {
    const { username, password } = tour.notes;
    const { body } = await tour.call(login(username, password), {
      status: 200,
      body: {
        ...{ access_token: /^[\w-]{20,}$/, refresh_token: /^[\w-]{20,}$/, token_type: 'bearer' },
        ...{ expires_in: /^\d+$/, 'user.username': username, 'user.role': 'user' },
      },
      so: 'Signed in, as a user: that is what everybody who registers is.',
    });
    keepTokens(tour, body);
  },
};

export function keepTokens({ notes }: Tour, body: unknown): void {
  notes.accessToken = textAt(body, 'access_token');
  notes.refreshToken = textAt(body, 'refresh_token');
}

export const call: Step = {
  title: 'Call the API',
  about:
    'The access token goes with each request. The server looks it up each time, so that a token whose session is over ' +
    'is refused at once, and not when it expires.',
  play: async (tour) => {
    const { username, accessToken: token } = tour.notes;
    await tour.call(profile(), {
      status: 401,
      headers: { 'WWW-Authenticate': /^Bearer/ },
      so: 'Without a token nobody is let in.',
    });
    await tour.call(profile({ token }), {
      status: 200,
      body: { username },
      so: 'With it, the account answers.',
    });
  },
};
