/** An API key, from its making to its end. */
import { textAt } from '../expect.ts';
import { AUTH, OVER, profile } from '../requests.ts';
import type { Step } from '../tour.ts';

const KEYS = `${AUTH}/api-keys`;
const SECRET = /^pcl_/;

export const useApiKey: Step = {
  title: 'An API key',
  about:
    'A program calls by a key of its own, so that no password lies in a script. A key may do what its scopes say, and ' +
    'never more than its owner may at that moment.',
  play: async (tour) => {
    const { accessToken: token, username } = tour.notes;
    const { body } = await tour.call(
      { method: 'POST', path: KEYS, token, body: { name: 'Nightly build', scopes: ['profile:read'] } },
      {
        status: 201,
        body: { secret: SECRET },
        so: 'The secret is shown this once; the store has its digest only.',
      },
    );
    const apiKey = textAt(body, 'secret');
    tour.notes.apiKey = apiKey;
    tour.notes.keyId = textAt(body, 'key_id');
    await tour.call(profile({ apiKey }), {
      status: 200,
      body: { username },
      so: 'It reads, as its scope says.',
    });
    await tour.call(
      { method: 'PATCH', path: `${AUTH}/profile`, apiKey, body: { full_name: 'Somebody Else' } },
      {
        status: 403,
        headers: { 'WWW-Authenticate': /insufficient_scope/ },
        so: 'It cannot write: that would be another scope.',
      },
    );
  },
};

export const rotateAndDelete: Step = {
  title: 'The end of a key',
  about:
    'A secret that has been about for long is replaced without a new key: at once, or with an overlap while programs ' +
    'learn the new one. A deleted key is refused by the next request.',
  play: async (tour) => {
    const { accessToken: token, apiKey, keyId } = tour.notes;
    const path = `${KEYS}/${encodeURIComponent(keyId)}`;
    const { body } = await tour.call(
      { method: 'POST', path: `${path}/rotate`, token, body: { overlap: 0 } },
      { status: 200, body: { key_id: keyId, secret: SECRET }, so: 'The same key, with a new secret.' },
    );
    const successor = textAt(body, 'secret');
    await tour.callBriefly(profile({ apiKey }), { ...OVER, so: 'The old secret is over.' });
    await tour.callBriefly(profile({ apiKey: successor }), { status: 200, so: 'The new one works.' });
    await tour.callBriefly({ method: 'DELETE', path, token }, { status: 204, so: 'The key is deleted.' });
    await tour.callBriefly(profile({ apiKey: successor }), { ...OVER, so: 'And refused.' });
  },
};
