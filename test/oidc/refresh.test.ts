/** RFC 6749 6 and RFC 9700 4.14: refresh tokens are used once, with a window in which an answer can be asked again. */
import { expect, test } from '@jest/globals';
import { createHash } from 'node:crypto';
import * as openid from 'openid-client';

import { storeUnavailable } from '../../src/errors.ts';
import type { Storage } from '../../src/storage/port.ts';
import { basic, form, json } from '../support/clients.ts';
import { askUntilServed } from '../support/held-up.ts';
import { withLatency } from '../support/latency.ts';
import { createRelyingParty, signIn, signOut } from '../support/relying-party.ts';
import type { RelyingParty } from '../support/relying-party.ts';
import { describeOnBothStores } from '../support/server.ts';
import { startSignInServer, useSignInServer } from '../support/sign-in.ts';
import type { SignInServer } from '../support/sign-in.ts';

// A thousand take three minutes a store: by RACE_ROUNDS.
const ROUNDS = Number(process.env['RACE_ROUNDS'] ?? 50);
const AT_ONCE = 20;
const ROUNDS_TIMEOUT_MS = 60_000 + ROUNDS * 1_000;
const DAY = 86_400;

const refreshing = ({ id, secret }: RelyingParty, refresh_token: string, fields: object = {}): RequestInit =>
  secret === ''
    ? form({ grant_type: 'refresh_token', refresh_token, client_id: id, ...fields })
    : form({ grant_type: 'refresh_token', refresh_token, ...fields }, basic({ id, secret }));

interface Answer {
  readonly status: number;
  readonly body: Record<string, unknown>;
}

const refresh = async (
  origin: string,
  party: RelyingParty,
  token: string,
  fields: object = {},
): Promise<Answer> => {
  const answered = await fetch(`${origin}/token`, refreshing(party, token, fields));
  return { status: answered.status, body: await json(answered) };
};

/** Within the window it does no harm to ask again. */
const refreshAgain = (origin: string, party: RelyingParty, token: string): Promise<Answer> =>
  askUntilServed(() => refresh(origin, party, token));

const tokenOf = ({ body }: Answer): string => String(body['refresh_token']);

describeOnBothStores('refresh_token', (store) => {
  const server = useSignInServer(store);

  /** A family: its first token, and the application that it belongs to. */
  const begin = async (own: SignInServer, fields: object = {}, scope = 'openid profile email') => {
    const account = await own.createAccount();
    const party = await createRelyingParty(own, { first_party: true, ...fields });
    const session = await signIn(own, party, account, { parameters: { scope, prompt: 'consent' } });
    return { ...session, account, party, token: session.tokens.refresh_token ?? '' };
  };

  test('gives new tokens, with the claims of the sign-in', async () => {
    const { party, token, account } = await begin(server());
    const tokens = await openid.refreshTokenGrant(party.config, token);
    expect(tokens.claims()).toMatchObject({ sub: account.id, acr: '1', amr: ['pwd'] });
    expect(tokens.refresh_token).not.toBe(token);
  });

  test('gives a public client new tokens', async () => {
    const { party, token } = await begin(server(), { token_endpoint_auth_method: 'none' });
    expect((await refresh(server().origin, party, token)).status).toBe(200);
  });

  test('gives the very answer again within the window, also by another instance', async () => {
    const second = await server().startAnother();
    const { party, token } = await begin(server());
    const first = await refresh(server().origin, party, token);
    expect(await refresh(server().origin, party, token)).toEqual(first);
    expect(await refresh(second, party, token)).toEqual(first);
    expect((await refresh(second, party, tokenOf(first))).status).toBe(200);
  });

  test('ends the family when a used token comes back after the window', async () => {
    const own = await startSignInServer(store);
    try {
      const { party, token, tokens } = await begin(own);
      const first = await refresh(own.origin, party, token);
      own.advance(11);
      expect((await refresh(own.origin, party, token)).body['error']).toBe('invalid_grant');
      expect((await refresh(own.origin, party, tokenOf(first))).body['error']).toBe('invalid_grant');
      expect((await openid.tokenIntrospection(party.config, tokens.access_token)).active).toBe(false);
    } finally {
      await own.stop();
    }
  });

  test('ends the family when a used token comes back whose successor was used', async () => {
    const { party, token } = await begin(server());
    const first = await refresh(server().origin, party, token);
    const second = await refresh(server().origin, party, tokenOf(first));
    expect((await refresh(server().origin, party, token)).body['error']).toBe('invalid_grant');
    expect((await refresh(server().origin, party, tokenOf(second))).body['error']).toBe('invalid_grant');
  });

  test('ends the family when another client presents a used token, within the window too', async () => {
    const { party, token } = await begin(server());
    const other = await createRelyingParty(server());
    const first = await refresh(server().origin, party, token);
    expect((await refresh(server().origin, other, token)).body['error']).toBe('invalid_grant');
    expect((await refresh(server().origin, party, token)).body['error']).toBe('invalid_grant');
    expect((await refresh(server().origin, party, tokenOf(first))).body['error']).toBe('invalid_grant');
  });

  test('refuses another client’s unused token, which stays good', async () => {
    const { party, token } = await begin(server());
    const other = await createRelyingParty(server());
    expect((await refresh(server().origin, other, token)).body['error']).toBe('invalid_grant');
    expect((await refresh(server().origin, party, token)).status).toBe(200);
  });

  test('asks a client to authenticate for an answer within the window', async () => {
    const { party, token } = await begin(server());
    await refresh(server().origin, party, token);
    const wrong = await refresh(server().origin, { ...party, secret: 'x'.repeat(43) }, token);
    expect(wrong.body['error']).toBe('invalid_client');
  });

  test('refuses every used token where the window is off', async () => {
    const own = await startSignInServer(store, { REFRESH_RETRY_WINDOW: '0' });
    try {
      const { party, token } = await begin(own);
      const first = await refresh(own.origin, party, token);
      expect((await refresh(own.origin, party, token)).body['error']).toBe('invalid_grant');
      expect((await refresh(own.origin, party, tokenOf(first))).body['error']).toBe('invalid_grant');
    } finally {
      await own.stop();
    }
  });

  test(
    'gives simultaneous requests one and the same answer: one living head, on two slow instances',
    async () => {
      const [slow, other] = [
        await server().startAnother(withLatency),
        await server().startAnother(withLatency),
      ];
      const begun = await begin(server());
      const { party } = begun;
      let { token } = begun;
      for (let round = 0; round < ROUNDS; round += 1) {
        const answers = await Promise.all(
          Array.from({ length: AT_ONCE }, (_, index) =>
            refreshAgain(index % 2 === 0 ? slow : other, party, token),
          ),
        );
        expect(answers.filter(({ status }) => status !== 200)).toEqual([]);
        expect(new Set(answers.map(({ body }) => JSON.stringify(body))).size).toBe(1);
        const [first] = answers;
        if (first === undefined) throw new Error('no answer');
        token = tokenOf(first);
      }
      expect(await countLiving(server().storage, begun.account.id)).toBe(1);
      expect((await refresh(slow, party, token)).status).toBe(200);
    },
    ROUNDS_TIMEOUT_MS,
  );

  test('gives the same answer where the first use never came to its end', async () => {
    const dying = await server().startAnother(withoutAnswers);
    const { party, token, account } = await begin(server());
    const lost = await refresh(dying, party, token);
    expect(lost.status).toBe(503);
    const answers = await Promise.all(
      Array.from({ length: 5 }, () => refresh(server().origin, party, token)),
    );
    expect(answers.map(({ status }) => status)).toEqual(Array<number>(5).fill(200));
    expect(new Set(answers.map(tokenOf)).size).toBe(1);
    expect(await countLiving(server().storage, account.id)).toBe(1);
  });

  test('gives an answer after an outage that outlasted the window, where nobody was given one', async () => {
    const own = await startSignInServer(store);
    try {
      const dying = await own.startAnother(withoutAnswers);
      const [soon, late] = [await begin(own), await begin(own)];
      for (const { party, token } of [soon, late])
        expect((await refresh(dying, party, token)).status).toBe(503);
      own.advance(60);
      const answered = await refresh(own.origin, soon.party, soon.token);
      expect(answered.status).toBe(200);
      expect(await countLiving(own.storage, soon.account.id)).toBe(1);
      own.advance(11); // given away, so it is a replay from now on
      expect((await refresh(own.origin, soon.party, soon.token)).body['error']).toBe('invalid_grant');
      expect((await refresh(own.origin, soon.party, tokenOf(answered))).body['error']).toBe('invalid_grant');
      own.advance(60);
      expect((await refresh(own.origin, late.party, late.token)).body['error']).toBe('invalid_grant');
    } finally {
      await own.stop();
    }
  });

  test('keeps no answer that a dump of the store could open', async () => {
    const { party, token, account } = await begin(server());
    const first = await refresh(server().origin, party, token);
    const { artifacts } = server().storage;
    const [stored] = (await artifacts.listOfAccount('RefreshAnswer', account.id, { limit: 10 }, now())).items;
    const text = JSON.stringify(stored);
    expect(text).toContain('sealed');
    for (const secret of [token, tokenOf(first), String(first.body['access_token'])]) {
      expect(text).not.toContain(secret);
      expect(text).not.toContain(createHash('sha256').update(secret).digest('base64url'));
    }
  });

  test('never widens a scope', async () => {
    const { party, token } = await begin(server(), {}, 'openid email');
    const wider = await refresh(server().origin, party, token, { scope: 'openid email phone' });
    expect(wider.body['error']).toBe('invalid_scope');
    const narrower = await refresh(server().origin, party, token, { scope: 'openid' });
    expect(narrower.body['scope']).toBe('openid');
  });

  test('leaves the token good where the resource that is asked for is not', async () => {
    const { party, token } = await begin(server());
    const refused = await refresh(server().origin, party, token, { resource: 'https://nowhere.example' });
    expect(refused.body['error']).toBe('invalid_target');
    expect((await refresh(server().origin, party, token)).status).toBe(200);
  });

  test('ends with the session at logout, and goes on with offline_access', async () => {
    const bound = await begin(server());
    const offline = await begin(server(), {}, 'openid offline_access');
    for (const { browser } of [bound, offline]) await signOut(browser);
    expect((await refresh(server().origin, bound.party, bound.token)).body['error']).toBe('invalid_grant');
    expect((await refresh(server().origin, offline.party, offline.token)).status).toBe(200);
  });

  test('has an idle end and an absolute end', async () => {
    const own = await startSignInServer(store, {
      REFRESH_TOKEN_IDLE: String(2 * DAY),
      REFRESH_TOKEN_ABSOLUTE: String(5 * DAY),
    });
    try {
      const idle = await begin(own, {}, 'openid offline_access');
      const used = await begin(own, {}, 'openid offline_access');
      let { token } = used;
      for (let day = 0; day < 4; day += 1) {
        own.advance(DAY);
        const answered = await refresh(own.origin, used.party, token);
        expect([day, answered.status]).toEqual([day, 200]);
        token = tokenOf(answered);
      }
      expect((await refresh(own.origin, idle.party, idle.token)).body['error']).toBe('invalid_grant');
      own.advance(DAY + 1);
      expect((await refresh(own.origin, used.party, token)).body['error']).toBe('invalid_grant');
    } finally {
      await own.stop();
    }
  });

  test('is refused for a disabled account, within the window too', async () => {
    const { party, token, account } = await begin(server());
    const first = await refresh(server().origin, party, token);
    await server().changeAccount(account, { status: 'disabled' });
    expect((await refresh(server().origin, party, token)).body['error']).toBe('invalid_grant');
    expect((await refresh(server().origin, party, tokenOf(first))).body['error']).toBe('invalid_grant');
  });

  test('is not given to a client without the grant', async () => {
    const account = await server().createAccount();
    const party = await createRelyingParty(server(), {
      grant_types: ['authorization_code'],
      scope: 'openid profile email',
    });
    expect((await signIn(server(), party, account)).tokens.refresh_token).toBeUndefined();
  });

  test('its own client revokes it, and with it what it gave', async () => {
    const { party, token, tokens } = await begin(server());
    await openid.tokenRevocation(party.config, token);
    expect((await refresh(server().origin, party, token)).body['error']).toBe('invalid_grant');
    expect((await openid.tokenIntrospection(party.config, tokens.access_token)).active).toBe(false);
  });
});

const now = (): number => Math.floor(Date.now() / 1000);

/** How many refresh tokens of an account nobody used yet. */
async function countLiving({ artifacts }: Storage, accountId: string): Promise<number> {
  const { items } = await artifacts.listOfAccount('RefreshToken', accountId, { limit: 2_000 }, now());
  return items.filter(({ consumedAt }) => consumedAt === null).length;
}

/** A store that goes away between the use of a refresh token and its answer. */
const withoutAnswers = (storage: Storage): Storage => ({
  ...storage,
  artifacts: {
    ...storage.artifacts,
    insert: async (artifact, at) => {
      if (artifact.model !== 'RefreshAnswer') return storage.artifacts.insert(artifact, at);
      throw storeUnavailable(new Error('the store is away'));
    },
  },
});
