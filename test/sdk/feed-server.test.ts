/** Following the revocation feed at the real server, two instances of it: who is disabled is off every node, soon. */
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { setTimeout as sleep } from 'node:timers/promises';

import { createGuard } from '../../src/sdk/guard/guard.ts';
import {
  createOAuth2Client,
  createTokenValidator,
  followRevocations,
  isGuardError,
  readNodeSettings,
} from '../../src/sdk/node/node.ts';
import type {
  FollowedRevocations,
  NodeSettings,
  OAuth2Client,
  OutagePolicy,
  TokenValidator,
} from '../../src/sdk/node/node.ts';
import type { Account } from '../../src/storage/port.ts';
import { findFreePort } from '../cli/serve-process.ts';
import { basic, createVpnNode, form } from '../support/clients.ts';
import { describeOnBothStores } from '../support/server.ts';
import type { Instance } from '../support/server.ts';
import { startSignInServer } from '../support/sign-in.ts';
import type { SignInServer } from '../support/sign-in.ts';
import { createNode, signInAt } from '../vpn/world.ts';
import type { Node } from '../vpn/world.ts';

const TRIALS = Number(process.env['FEED_TRIALS'] ?? 10);
const MAX_LAG_MS = 2_000;
// What a busy machine makes of the longest.
const BUSY_LAG_MS = 10_000;
const LOOK_MS = 50;
const TIMEOUT_MS = 30_000 + TRIALS * 1_000;

describeOnBothStores('a node that follows the feed', (store) => {
  let server: SignInServer;
  let other: Instance;
  let party: Node;
  let settings: NodeSettings;
  let client: OAuth2Client;
  const feeds: FollowedRevocations[] = [];

  const followAt = async (origin: string, whenUnreachable?: OutagePolicy, skip?: () => number) => {
    const url = new URL('/vpn/revocations', origin);
    const getToken = (): Promise<string> => client.getOAuth2Token();
    const now = skip && ((): number => Math.floor(Date.now() / 1000) + skip());
    const feed = followRevocations({ ...settings, url, getToken, whenUnreachable, now });
    feeds.push(feed);
    await feed.ready();
    return feed;
  };
  const validatorOf = (revocations: FollowedRevocations): TokenValidator =>
    createTokenValidator({ ...settings, revocations });
  const verdictOf = async (validator: Pick<TokenValidator, 'verify'>, token: string): Promise<string> => {
    try {
      await validator.verify(token);
      return 'good';
    } catch (error) {
      if (isGuardError(error)) return error.code;
      throw error;
    }
  };
  const jwtOf = async (account: Account): Promise<string> => {
    const { tokens } = await signInAt(server, party, account, { scope: 'openid' });
    return client.getVpnJwtToken({ subjectToken: tokens.id_token ?? '' });
  };
  /** Milliseconds until the verdict is that. */
  const waitFor = async (validator: TokenValidator, token: string, verdict: string): Promise<number> => {
    const begun = performance.now();
    while ((await verdictOf(validator, token)) !== verdict) {
      if (performance.now() - begun > TIMEOUT_MS) throw new Error(`it never was ${verdict}`);
      await sleep(LOOK_MS);
    }
    return performance.now() - begun;
  };

  beforeAll(async () => {
    const port = await findFreePort();
    server = await startSignInServer(store, { ISSUER: `http://localhost:${port}`, PORT: String(port) });
    other = await server.startInstance({ config: { ...server.config, port: 0 } });
    party = await createNode(server);
    settings = readNodeSettings({
      PORTBRO_CLIENT_ID: party.id,
      PORTBRO_CLIENT_SECRET: party.secret,
      PARENT_ISSUER: server.issuer,
    });
    client = createOAuth2Client(settings);
  });

  afterAll(async () => {
    await Promise.all(feeds.map((feed) => feed.close()));
    await server.stop();
  });

  test(
    `refuses who is disabled at another instance, within two seconds: ${TRIALS} times`,
    async () => {
      const validator = validatorOf(await followAt(other.origin));
      const lags: number[] = [];
      for (let trial = 0; trial < TRIALS; trial += 1) {
        const account = await server.createAccount();
        const jwt = await jwtOf(account);
        expect(await verdictOf(validator, jwt)).toBe('good');
        const disabled = server.administration.users.lock(account.username);
        lags.push(await waitFor(validator, jwt, 'ERR_GUARD_TOKEN_REVOKED'));
        await disabled;
      }
      const sorted = lags.toSorted((one, another) => one - another).map(Math.round);
      const at = (part: number): number => sorted[Math.ceil(part * sorted.length) - 1] ?? 0;
      if (process.env['FEED_TRIALS'] !== undefined)
        process.stderr.write(
          `${store}: disabled to refused, ms: p50 ${at(0.5)}, p99 ${at(0.99)}, max ${at(1)}\n`,
        );
      expect(at(0.5)).toBeLessThan(MAX_LAG_MS);
      expect(at(1)).toBeLessThan(BUSY_LAG_MS);
    },
    TIMEOUT_MS,
  );

  test('refuses the JWT of an old role, takes that of the new one, and refuses the JWT that is revoked', async () => {
    const validator = validatorOf(await followAt(other.origin));
    const account = await server.createAccount();
    const old = await jwtOf(account);
    await server.administration.users.update(account.username, { roles: { 'vpn-node': 'manager' } });
    await waitFor(validator, old, 'ERR_GUARD_TOKEN_REVOKED');
    const fresh = await jwtOf(account);
    expect(await validator.verify(fresh)).toMatchObject({ role: 'manager', level: 30 });
    await server.request('/revoke', form({ token: fresh }, basic(party)));
    await waitFor(validator, fresh, 'ERR_GUARD_TOKEN_REVOKED');
  });

  test('refuses what a deleted node had', async () => {
    const { id, secret } = await createVpnNode(server);
    const own = createOAuth2Client({ ...settings, clientId: id, clientSecret: secret });
    const validator = validatorOf(await followAt(other.origin));
    const jwt = await own.getVpnJwtToken();
    expect(await verdictOf(validator, jwt)).toBe('good');
    await server.administration.deleteClient(id, true);
    await waitFor(validator, jwt, 'ERR_GUARD_TOKEN_REVOKED');
  });

  test('may be a guard', async () => {
    const revocations = await followAt(server.origin);
    const guard = createGuard({ issuer: settings.issuer, audience: settings.audience, revocations });
    const account = await server.createAccount();
    const jwt = await jwtOf(account);
    await guard.verify(jwt);
    await server.administration.users.endSessions(account.username);
    await waitFor({ verify: (token) => guard.verify(token) as never }, jwt, 'ERR_GUARD_TOKEN_REVOKED');
  });

  test('goes on as its policy says when its instance goes away, and follows again when it is back', async () => {
    const port = await findFreePort();
    const start = (): Promise<Instance> => server.startInstance({ config: { ...server.config, port } });
    let skipped = 0;
    const skip = (): number => skipped;
    const origin = `http://127.0.0.1:${port}`;
    const first = await start();
    const allows = validatorOf(await followAt(origin, { allowMinutes: 10 }, skip));
    const refuses = validatorOf(await followAt(origin, 'refuse', skip));
    const account = await server.createAccount();
    const jwt = await jwtOf(account);
    await first.server.stop();
    skipped = 16;
    expect(await verdictOf(allows, jwt)).toBe('good');
    expect(await verdictOf(refuses, jwt)).toBe('ERR_GUARD_REVOCATIONS_UNAVAILABLE');
    skipped = 10 * 60 + 16;
    expect(await verdictOf(allows, jwt)).toBe('ERR_GUARD_REVOCATIONS_UNAVAILABLE');
    skipped = 0;
    await server.administration.users.lock(account.username);
    await start();
    await waitFor(allows, jwt, 'ERR_GUARD_TOKEN_REVOKED');
    await waitFor(refuses, jwt, 'ERR_GUARD_TOKEN_REVOKED');
  }, 60_000);
});
