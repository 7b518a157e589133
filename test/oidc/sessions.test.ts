/** How long a session lives: by visits of its browser, and by its applications' refreshes. */
import { expect, test } from '@jest/globals';
import * as openid from 'openid-client';

import { ask, createRelyingParty, signIn } from '../support/relying-party.ts';
import { describeOnBothStores } from '../support/server.ts';
import { useSignInServer } from '../support/sign-in.ts';

const IDLE = 600;

describeOnBothStores('a session', (store) => {
  const server = useSignInServer(store, { SESSION_IDLE: String(IDLE) });

  const begin = async (scope = 'openid') => {
    const account = await server().createAccount();
    const party = await createRelyingParty(server(), { first_party: true });
    const parameters = { scope, prompt: 'consent' };
    return { account, party, ...(await signIn(server(), party, account, { parameters })) };
  };
  type Begun = Awaited<ReturnType<typeof begin>>;
  const isSignedIn = async ({ browser, party }: Begun): Promise<boolean> => {
    const { left } = await browser.open((await ask(party, { prompt: 'none' })).url.href);
    return left?.searchParams.has('code') === true;
  };

  test('that nobody uses ends, and its applications with it', async () => {
    const begun = await begin();
    server().advance(IDLE);
    await expect(
      openid.refreshTokenGrant(begun.party.config, begun.tokens.refresh_token ?? ''),
    ).rejects.toThrow();
    expect(await isSignedIn(begun)).toBe(false);
  });

  test('lives on while one of its applications asks for new tokens', async () => {
    const begun = await begin();
    let token = begun.tokens.refresh_token ?? '';
    for (let visits = 0; visits < 4; visits += 1) {
      server().advance(IDLE / 2);
      const tokens = await openid.refreshTokenGrant(begun.party.config, token);
      token = tokens.refresh_token ?? '';
      expect((await openid.tokenIntrospection(begun.party.config, tokens.access_token)).active).toBe(true);
    }
    expect(await isSignedIn(begun)).toBe(true);
    server().advance(IDLE);
    await expect(openid.refreshTokenGrant(begun.party.config, token)).rejects.toThrow();
  });

  test('is not moved by an application that goes on without it', async () => {
    const begun = await begin('openid offline_access');
    server().advance(IDLE / 2);
    await openid.refreshTokenGrant(begun.party.config, begun.tokens.refresh_token ?? '');
    server().advance(IDLE / 2);
    expect(await isSignedIn(begun)).toBe(false);
  });

  test('that ended is not brought back by a refresh', async () => {
    const begun = await begin();
    const [session] = await server().sessions.list(begun.account.id);
    server().advance(IDLE / 2);
    await server().sessions.end(begun.account.id, session?.id ?? '');
    await expect(
      openid.refreshTokenGrant(begun.party.config, begun.tokens.refresh_token ?? ''),
    ).rejects.toThrow();
    await server().sessions.prolong(begun.account.id, session?.id ?? '');
    expect(await server().sessions.list(begun.account.id)).toEqual([]);
  });
});
