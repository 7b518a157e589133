/** Somebody guesses. */
import { textAt } from '../expect.ts';
import { login, profile } from '../requests.ts';
import { newPassword } from '../tour.ts';
import type { Step } from '../tour.ts';

/** The fifth locks; the first is a step of its own. */
const MORE_GUESSES = ['second', 'third', 'fourth', 'fifth'];

export const wrongPassword: Step = {
  title: 'A wrong password',
  about:
    'A wrong password and a name that nobody has get the same answer in the same time, so that nobody learns by ' +
    'guessing who has an account.',
  play: async (tour) => {
    const { username } = tour.notes;
    const { body } = await tour.call(login(username, newPassword()), {
      status: 401,
      so: 'Refused: the name is right, the password is not.',
    });
    await tour.call(login(`nobody-${username}`, newPassword()), {
      status: 401,
      body: { detail: textAt(body, 'detail') },
      so: 'Nobody is called so, and the answer is the same.',
    });
  },
};

export const lockedOut: Step = {
  title: 'Lockout',
  about:
    'Five wrong passwords in a row lock the account for half an hour, under each of its names and at every door. They ' +
    'are counted before the password is looked at: a hundred guesses at once are five.',
  play: async (tour) => {
    const { username, password, accessToken: token } = tour.notes;
    for (const which of MORE_GUESSES) {
      await tour.callBriefly(login(username, newPassword()), { status: 401, so: `The ${which} wrong one.` });
    }
    await tour.call(login(username, password), {
      status: 423,
      headers: { 'Retry-After': /^\d+$/ },
      so: 'Now the right one is refused, too: a guess could not tell that it was right.',
    });
    await tour.callBriefly(profile({ token }), {
      status: 200,
      so: 'Whoever is signed in stays so: no stranger can throw a person out.',
    });
  },
};
