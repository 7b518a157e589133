/** A backup that is taken while people's applications refresh their tokens, and the server that goes on from it. */
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { randomUUID } from 'node:crypto';
import { join } from 'node:path';
import { setImmediate } from 'node:timers/promises';

import { artifactId } from '../../src/oidc/digest.ts';
import { openStorage } from '../../src/storage/open.ts';
import { documentOf, environmentOf, portcullis } from '../cli/run.ts';
import { basic, createVpnNode, form, json } from '../support/clients.ts';
import { createRelyingParty, signIn } from '../support/relying-party.ts';
import type { RelyingParty } from '../support/relying-party.ts';
import { describeOnBothStores, dropDatabase, testConfig } from '../support/server.ts';
import { startSignInServer } from '../support/sign-in.ts';
import type { SignInServer } from '../support/sign-in.ts';

const BUSY = 6;
const IDLE = 2;
const TIMEOUT_MS = 60_000;
// So many refreshes of each before the backup begins.
const WARM_UP = 3;

interface Family {
  readonly party: RelyingParty;
  /** In the order in which they were given. */
  readonly tokens: string[];
}

const refresh = async (origin: string, { party }: Family, token: string) => {
  const request = form({ grant_type: 'refresh_token', refresh_token: token }, basic(party));
  const answer = await fetch(`${origin}/token`, request);
  return { status: answer.status, body: await json(answer) };
};

async function beginFamily(server: SignInServer): Promise<Family> {
  const account = await server.createAccount();
  await server.storage.names.claim(account.username, 'account'); // as a registration does
  const party = await createRelyingParty(server, { first_party: true });
  const parameters = { scope: 'openid profile email offline_access', prompt: 'consent' };
  const { tokens } = await signIn(server, party, account, { parameters });
  return { party, tokens: [tokens.refresh_token ?? ''] };
}

/** Lets it use its newest token again and again. */
async function keepRefreshing(origin: string, family: Family, signal: AbortSignal): Promise<void> {
  while (!signal.aborted) {
    const { status, body } = await refresh(origin, family, family.tokens.at(-1) ?? '');
    if (status !== 200) throw new Error(JSON.stringify(body));
    family.tokens.push(String(body['refresh_token']));
  }
}

describeOnBothStores('a backup under load', (store) => {
  let server: SignInServer;
  let restoredUrl = '';

  beforeAll(async () => {
    server = await startSignInServer(store);
  });

  afterAll(async () => {
    await server.stop();
    if (store === 'MongoDB' && restoredUrl !== '') await dropDatabase(restoredUrl);
  });

  test(
    'restores to a server on which every refresh token works that was live at its moment',
    async () => {
      const families = await Promise.all(Array.from({ length: BUSY + IDLE }, () => beginFamily(server)));
      const node = await createVpnNode(server);
      const stop = new AbortController();
      const load = families
        .slice(0, BUSY)
        .map((family) => keepRefreshing(server.origin, family, stop.signal));
      while (families.slice(0, BUSY).some(({ tokens }) => tokens.length <= WARM_UP)) await setImmediate();

      const surroundings = { cwd: server.folder, env: environmentOf(server) };
      const file = join(server.folder, `${randomUUID()}.age`);
      const taken = documentOf(await portcullis(['backup', '--output', file, '--json'], surroundings));
      const before = families.map(({ tokens }) => tokens.length);
      while (families.slice(0, BUSY).some(({ tokens }, index) => tokens.length <= (before[index] ?? 0)))
        await setImmediate();
      stop.abort();
      await Promise.all(load);
      expect(taken).toMatchObject({ faults: [], left_over: [] });

      restoredUrl =
        store === 'SQLite'
          ? `sqlite:${join(server.folder, 'restored.db')}`
          : testConfig(store, server.folder).secrets.databaseUrl;
      const there = { ...surroundings, env: { ...surroundings.env, DATABASE_URL: restoredUrl } };
      const restored = documentOf(await portcullis(['restore', file, '--json'], there));
      expect(restored).toMatchObject({ counts: taken['counts'], faults: [], left_over: [] });
      expect((await portcullis(['audit', 'verify'], there)).code).toBe(0);

      const heads = await liveTokens(restoredUrl, families);
      const { origin } = await server.startInstance({
        secrets: { ...server.secrets, databaseUrl: restoredUrl },
      });
      expect(await json(await fetch(`${origin}/jwks`))).toEqual(await json(await server.request('/jwks')));
      for (const [index, family] of families.entries()) {
        const [head, ...others] = heads[index] ?? [];
        expect(others).toEqual([]); // a family never has two
        // One whose use was under way at that moment has none: it was spent, and what it gave was not there yet.
        if (head === undefined && index < BUSY) continue;
        expect((await refresh(origin, family, head ?? '')).status).toBe(200);
      }
      const grant = { grant_type: 'client_credentials', scope: 'read' };
      expect((await fetch(`${origin}/token`, form(grant, basic(node)))).status).toBe(200);
      // What it was taken from has gone on meanwhile, and still does.
      for (const family of families)
        expect((await refresh(server.origin, family, family.tokens.at(-1) ?? '')).status).toBe(200);
    },
    TIMEOUT_MS,
  );
});

/** Of each family the tokens that nobody has used, as the store knows them. */
async function liveTokens(url: string, families: readonly Family[]): Promise<readonly (readonly string[])[]> {
  const storage = await openStorage(url);
  const live = new Set<string>();
  for await (const batch of storage.snapshot()) {
    for (const { store, record } of batch)
      if (store === 'artifacts' && record.model === 'RefreshToken' && record.consumedAt === null)
        live.add(record.id);
  }
  await storage.close();
  return families.map(({ tokens }) => tokens.filter((token) => live.has(artifactId('RefreshToken', token))));
}
