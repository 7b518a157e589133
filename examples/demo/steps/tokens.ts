/** Tokens that follow each other, and the sessions that they belong to. */
import { textAt, valueAt } from '../expect.ts';
import { AUTH, login, OVER, profile, refreshBy } from '../requests.ts';
import type { Step } from '../tour.ts';
import { keepTokens } from './entering.ts';

const PHONE = { device: 'phone' } as const;

export const refresh: Step = {
  title: 'Refresh',
  about:
    'A refresh token is good once: each use gives the next one. When the answer is lost on the way, asking again ' +
    'within ten seconds gives the very same answer, so that a bad connection signs nobody out.',
  play: async (tour) => {
    const ask = refreshBy(tour.notes.refreshToken);
    const { body } = await tour.call(ask, {
      status: 200,
      body: { access_token: /./, refresh_token: /./ },
      so: 'New tokens, of the same session.',
    });
    keepTokens(tour, body);
    if (tour.store === null) {
      tour.leaveOut('the same request again, since how long a server gives its answer again is a setting.');
      return;
    }
    const { accessToken, refreshToken } = tour.notes;
    await tour.call(ask, {
      status: 200,
      body: { access_token: accessToken, refresh_token: refreshToken },
      so: 'The same request again: the very same tokens.',
    });
  },
};

export const sessions: Step = {
  title: 'Sessions',
  about:
    'People see where they are signed in, by devices that they know again, and end what is not theirs. The tokens of ' +
    'an ended session stop at once.',
  play: async (tour) => {
    const { username, password, accessToken: token } = tour.notes;
    const phone = await tour.callBriefly(login(username, password, PHONE), {
      status: 200,
      so: 'The same person, on a phone.',
    });
    const { body } = await tour.call(
      { method: 'GET', path: `${AUTH}/sessions`, token },
      {
        status: 200,
        body: { 'sessions.length': 2 },
        so: 'Two sessions: the one that asks, and the phone.',
      },
    );
    const id = idOfPhone(valueAt(body, 'sessions'));
    await tour.call(
      { method: 'DELETE', path: `${AUTH}/sessions/${encodeURIComponent(id)}`, token },
      { status: 204, so: 'The phone is signed out, from here.' },
    );
    await tour.callBriefly(profile({ token: textAt(phone.body, 'access_token'), ...PHONE }), {
      ...OVER,
      so: 'Its token is refused by the next request.',
    });
  },
};

export const stolenToken: Step = {
  title: 'A stolen refresh token',
  about:
    'Somebody copied a refresh token from a phone, and uses it after its owner did. The server cannot tell who is ' +
    'who, so it ends all that came of that token: the thief has nothing, and the owner signs in anew.',
  play: async (tour) => {
    const { username, password } = tour.notes;
    const first = await tour.callBriefly(login(username, password, PHONE), {
      status: 200,
      so: 'The phone signs in again.',
    });
    const stolen = textAt(first.body, 'refresh_token');
    const second = await tour.callBriefly(refreshBy(stolen, PHONE), { status: 200, so: 'It refreshes …' });
    const successor = textAt(second.body, 'refresh_token');
    const third = await tour.callBriefly(refreshBy(successor, PHONE), {
      status: 200,
      so: '… and once more.',
    });
    await tour.call(refreshBy(stolen), {
      ...OVER,
      so: 'The thief comes with the first one, and is refused.',
    });
    await tour.callBriefly(profile({ token: textAt(third.body, 'access_token'), ...PHONE }), {
      ...OVER,
      so: 'And what the phone had is over, too.',
    });
  },
};

/** Empty where there is none, which is nobody's session. */
function idOfPhone(list: unknown): string {
  const found: unknown = Array.isArray(list)
    ? list.find((it) => valueAt(it, 'device') === 'Safari, iOS' && valueAt(it, 'current') === false)
    : undefined;
  return textAt(found, 'id');
}
