/** A VPN node by `portcullis/node` at the real server: its own JWT, one on behalf of a person, and everybody else's. */
import { afterAll, beforeAll, beforeEach, expect, test } from '@jest/globals';

import {
  createJwtService,
  createOAuth2Client,
  createTokenValidator,
  isGuardError,
  isVpnClientError,
  readNodeSettings,
} from '../../src/sdk/node/node.ts';
import type { Fetch, NodeSettings, OAuth2ClientOptions } from '../../src/sdk/node/node.ts';
import type { Account } from '../../src/storage/port.ts';
import { findFreePort } from '../cli/serve-process.ts';
import { apply, getToken } from '../support/clients.ts';
import type { Credentials } from '../support/clients.ts';
import { asRelyingParty, REDIRECT_URI, signIn } from '../support/relying-party.ts';
import type { RelyingParty } from '../support/relying-party.ts';
import { describeOnBothStores } from '../support/server.ts';
import { startSignInServer } from '../support/sign-in.ts';
import type { SignInServer } from '../support/sign-in.ts';

const REQUESTS_A_MINUTE = 60;

describeOnBothStores('a node', (store) => {
  let server: SignInServer;
  let node: Credentials;
  let party: RelyingParty;
  let settings: NodeSettings;
  /** Paths that the node asked for, and what is answered in the place of the server. */
  const asked: string[] = [];
  const outages: number[] = [];

  const counting: Fetch = async (url, init) => {
    asked.push(new URL(url instanceof Request ? url.url : url).pathname);
    const status = outages.shift();
    return status === undefined ? fetch(url, init) : new Response('', { status });
  };

  beforeAll(async () => {
    const port = String(await findFreePort());
    server = await startSignInServer(store, {
      ...{ ISSUER: `http://localhost:${port}`, PORT: port, RATE_LIMITS: 'on' },
      VPN_RATE_LIMIT: String(REQUESTS_A_MINUTE),
    });
    const made = await apply(server.administration, {
      vpn_nodes: [{ client_id: 'node-berlin', name: 'Berlin', redirect_uris: [REDIRECT_URI] }],
    });
    node = { id: 'node-berlin', secret: made.get('node-berlin') ?? '' };
    party = await asRelyingParty(server, node);
    settings = readNodeSettings({
      PORTBRO_CLIENT_ID: node.id,
      PORTBRO_CLIENT_SECRET: node.secret,
      PARENT_ISSUER: server.issuer,
    });
  });

  afterAll(async () => {
    await server.stop();
  });

  beforeEach(() => {
    asked.length = 0;
    outages.length = 0;
  });

  const clientOf = (changes: Partial<OAuth2ClientOptions> = {}) =>
    createOAuth2Client({ ...settings, fetch: counting, sleep: async () => undefined, ...changes });
  const serviceOf = (changes: Partial<OAuth2ClientOptions> = {}) => {
    const validator = createTokenValidator({ ...settings, fetch: counting });
    return createJwtService({ client: clientOf(changes), validator });
  };
  const failureOf = async (work: Promise<unknown>): Promise<unknown> => {
    try {
      return await work;
    } catch (error) {
      if (isVpnClientError(error) || isGuardError(error)) return `${error.status ?? ''} ${error.code}`;
      throw error;
    }
  };

  test('gets one JWT for a hundred calls at once, by one token request, and takes it', async () => {
    const service = serviceOf();
    const jwts = await Promise.all(Array.from({ length: 100 }, () => service.getJwtToken()));
    expect(new Set(jwts).size).toBe(1);
    expect(asked).toEqual(['/token', '/vpn/auth']);
    expect(await service.isTokenValid(jwts[0] ?? '')).toBe(true);
    expect(service.held()).toMatchObject({ subject: node.id });
  });

  test('asks again after a 503, and not after a 401', async () => {
    outages.push(503, 503);
    expect(await serviceOf().getJwtToken()).toMatch(/^eyJ/);
    expect(asked).toEqual(['/token', '/token', '/token', '/vpn/auth']);
    asked.length = 0;
    const wrong = serviceOf({ clientSecret: 'wrong' });
    expect(await failureOf(wrong.getJwtToken())).toBe('401 ERR_VPN_NODE_REFUSED');
    expect(asked).toEqual(['/token']);
  });

  test('that is none, or whose token was revoked, is told so', async () => {
    const made = await apply(server.administration, { clients: [{ client_id: 'plain', scope: 'read' }] });
    const plain = clientOf({ clientId: 'plain', clientSecret: made.get('plain') ?? '' });
    expect(await failureOf(plain.getVpnJwtToken())).toBe('403 ERR_VPN_NODE_REFUSED');
    expect(await failureOf(clientOf().getJwtToken('revoked'))).toBe('401 ERR_VPN_NODE_REFUSED');
  });

  const people: readonly (readonly [string, string | null, string, number])[] = [
    ['alice_admin', 'admin', 'admin', 50],
    ['bob_manager', 'manager', 'manager', 30],
    ['charlie_user', null, 'basic', 10],
  ];
  const personOf = (name: string, role: string | null): Promise<Account> =>
    server.createAccount({
      username: name,
      ...{ email: `${name}@example.com`, emailKey: `${name}@example.com` },
      roles: role === null ? {} : { 'vpn-node': role },
    });

  test.each(people)('acts for %s, whose role is %s', async (name, given, role, level) => {
    const account = await personOf(name, given);
    const { tokens } = await signIn(server, party, account, { parameters: { scope: 'openid' } });
    const client = clientOf();
    const validator = createTokenValidator(settings);
    const byIdToken = await client.getVpnJwtToken({ subjectToken: tokens.id_token ?? '' });
    const byAccessToken = await client.getVpnJwtToken({
      subjectToken: tokens.access_token,
      subjectTokenType: 'access_token',
    });
    for (const jwt of [byIdToken, byAccessToken]) {
      expect(await validator.verify(jwt)).toMatchObject({
        ...{ kind: 'person', issuer: server.issuer, username: name, email: `${name}@example.com` },
        ...{ role, level, actor: node.id, isTest: false },
      });
    }
    await server.changeAccount(account, { status: 'disabled' });
    const after = client.getVpnJwtToken({ subjectToken: tokens.id_token ?? '' });
    expect(await failureOf(after)).toBe('400 ERR_VPN_SUBJECT_REFUSED');
  });

  test('acts for nobody by a token that is none of theirs', async () => {
    const client = clientOf();
    const jwt = await client.getVpnJwtToken();
    for (const subjectToken of [jwt, '', 'x.y.z', await getToken(server, node)]) {
      const asking = client.getVpnJwtToken({ subjectToken });
      expect(await failureOf(asking)).toBe('400 ERR_VPN_SUBJECT_REFUSED');
    }
  });

  test('takes no other token of the server for a VPN JWT', async () => {
    const account = await server.createAccount();
    const { tokens } = await signIn(server, party, account, { parameters: { scope: 'openid' } });
    const validator = createTokenValidator(settings);
    for (const token of [tokens.id_token ?? '', tokens.access_token, await getToken(server, node)]) {
      expect(await failureOf(validator.verify(token))).toBe('401 ERR_GUARD_TOKEN_INVALID');
    }
  });

  test('that asks too often is told when to come back, and goes on with what it has', async () => {
    const made = await apply(server.administration, { vpn_nodes: [{ client_id: 'node-busy' }] });
    const busy = { clientId: 'node-busy', clientSecret: made.get('node-busy') ?? '' };
    const service = serviceOf(busy);
    const first = await service.getJwtToken();
    const client = clientOf(busy);
    const oauth2Token = await client.getOAuth2Token();
    await Promise.all(Array.from({ length: REQUESTS_A_MINUTE - 1 }, () => client.getJwtToken(oauth2Token)));
    const error: unknown = await service.getJwtToken({ forceRefresh: true }).catch((it: unknown) => it);
    expect(error).toMatchObject({ code: 'ERR_VPN_UNAVAILABLE', status: 429 });
    expect(isVpnClientError(error) ? error.retryAfterSeconds : null).toBeGreaterThan(0);
    expect(await service.getJwtToken()).toBe(first);
  });
});
