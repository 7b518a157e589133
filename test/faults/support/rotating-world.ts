/**
 * Two instances on one store whose time runs 300 times as fast, clients that get tokens from both, and three relying
 * parties that verify them by a JWKS that they keep for 0 s, 60 s and 10 min. A relying party never asks again for a
 * key that it does not know: it refuses. Time may leap while nothing is about to change, as it does at night.
 *
 * The engine's tokens tell the time of the machine, so how long a token is good follows from when it came and from
 * how long it is meant to live.
 */
import { createLocalJWKSet, decodeJwt, decodeProtectedHeader, jwtVerify } from 'jose';
import type { JSONWebKeySet } from 'jose';
import { setTimeout as sleep } from 'node:timers/promises';

import { startServer } from '../../../src/app.ts';
import type { PortcullisServer } from '../../../src/app.ts';
import { loadConfig } from '../../../src/config.ts';
import { keyPolicyOf } from '../../../src/composition/key-policy.ts';
import { createKeyCommands } from '../../../src/keys/key-commands.ts';
import type { KeyCommands } from '../../../src/keys/key-commands.ts';
import { createSealer } from '../../../src/keys/sealer.ts';
import { openStorage } from '../../../src/storage/open.ts';
import type { Cleanup } from './cleanup.ts';
import { createHttpClient } from './http-client.ts';
import type { HttpClient } from './http-client.ts';
import { createInstallation, LOAD_CLIENT } from './installation.ts';
import { startClosedLoad } from './load.ts';
import type { Load } from './load.ts';
import { getToken, membersOf, requests } from './relying-party.ts';

const SCALE = 300;
const DAY = 86_400;
/** The longest that a token may live. */
const TOKEN_SECONDS = DAY;
const JWKS_SECONDS = 600;
/** 30 s of this time: within the minute that publishing ahead allows for. */
const RELOAD_MS = 20;
const LEAP_SECONDS = DAY / 3;
const CLIENTS = 3;
const MAX_RUNS = 100_000;
const LONG_API = { identifier: 'https://long.example', scope: 'long:read' };

const SETTINGS = {
  JWKS_MAX_AGE: String(JWKS_SECONDS),
  KEYS_PUBLISH_AHEAD: String(JWKS_SECONDS + 65),
  KEYS_ROTATION_INTERVAL: '1',
  VPN_TOKEN_LIFETIME: String(TOKEN_SECONDS),
  ACCESS_TOKEN_LIFETIME: String(DAY), // outlives a leap
  SESSION_IDLE: String(DAY),
  SESSION_REMEMBERED: String(DAY),
  PORT: '0',
};

interface Held {
  readonly jwt: string;
  readonly kid: string;
  readonly goodUntil: number;
}

export interface RotatingWorld {
  /** By command, of RS256; ES256 follows the schedule of a day. */
  rotate(): Promise<void>;
  /** Waits until what was scheduled signs, and every instance knows. */
  settle(): Promise<void>;
  /** A third of a token's life passes at once. */
  leap(): Promise<void>;
  startLoad(): Load;
  report(): Promise<Report>;
}

interface Report {
  readonly rotations: number;
  readonly gone: number;
  /** How many keys signed something. */
  readonly signers: number;
  readonly checks: number;
  readonly oldChecks: number;
  /** How often a JWKS was used again. */
  readonly kept: number;
  readonly refused: readonly string[];
  readonly failed: readonly string[];
}

export async function startRotatingWorld(
  databaseUrl: string | undefined,
  cleanup: Cleanup,
): Promise<RotatingWorld> {
  const clock = createClock();
  const installation = await createInstallation({ databaseUrl });
  cleanup.add(() => installation.remove());
  const loaded = loadConfig({ flags: {}, env: { ...installation.env, ...SETTINGS } });
  if (!loaded.ok) throw new Error(JSON.stringify(loaded.faults));
  const { config, secrets } = loaded;
  await installation.administer((administration) =>
    administration.apply(JSON.stringify(longLivedApi), {}, false),
  );

  const instances: HttpClient[] = [];
  for (let n = 0; n < 2; n += 1) {
    const logDestination = { write: () => undefined };
    const options = { config, secrets, logDestination, now: clock.now, keyReloadMs: RELOAD_MS };
    const server: PortcullisServer = await startServer(options);
    cleanup.add(() => server.stop());
    await server.ready;
    const http = createHttpClient(server.port, 8);
    cleanup.add(() => http.close());
    instances.push(http);
  }
  const storage = await openStorage(secrets.databaseUrl);
  cleanup.add(() => storage.close());
  const policy = keyPolicyOf(config);
  const store = storage.signingKeys;
  const keys = createKeyCommands({ store, sealer: createSealer(secrets.secretKey), policy, now: clock.now });
  const parties = [0, 60, JWKS_SECONDS].map((seconds) => createParty(seconds, instances, clock.now));
  const market = createMarket(instances, parties, clock.now);
  let rotations = 0;

  return {
    rotate: async () => {
      const turns = await keys.rotate('RS256');
      rotations += turns.filter(({ isNews }) => isNews).length;
      await sleep(5 * RELOAD_MS);
    },
    settle: () => untilSettled(keys),
    leap: async () => {
      await sleep(5 * RELOAD_MS);
      clock.leap(LEAP_SECONDS);
    },
    startLoad: market.start,
    report: async () => ({
      ...{ ...market.report(), rotations },
      gone: (await store.read())?.retired.length ?? 0,
    }),
  };
}

/** No key of RS256 waits for a turn that is set. */
async function untilSettled(keys: KeyCommands): Promise<void> {
  const isWaiting = async (): Promise<boolean> =>
    (await keys.list()).some(({ state, until }) => state === 'next' && until !== null);
  while (await isWaiting()) await sleep(5 * RELOAD_MS);
  await sleep(5 * RELOAD_MS);
}

function createClock() {
  const startedAt = performance.now();
  const base = Math.floor(Date.now() / 1_000);
  let leapt = 0;
  return {
    now: () => base + leapt + Math.floor(((performance.now() - startedAt) * SCALE) / 1_000),
    leap: (seconds: number) => {
      leapt += seconds;
    },
  };
}

const longLivedApi = {
  resource_servers: [
    {
      identifier: LONG_API.identifier,
      audience: LONG_API.identifier,
      signing_alg: 'ES256',
      scopes: [LONG_API.scope],
      access_token_lifetime: TOKEN_SECONDS,
    },
  ],
  clients: [
    { client_id: LOAD_CLIENT.id, client_secret: LOAD_CLIENT.secret, scope: `read ${LONG_API.scope}` },
  ],
};

/** Verifies by a JWKS that it keeps; null where the token is good, otherwise why it is not. */
type Verify = (token: Held) => Promise<string | null>;

interface Party {
  readonly verify: Verify;
  readonly kept: () => number;
}

function createParty(seconds: number, instances: readonly HttpClient[], now: () => number): Party {
  let cached: { jwks: JSONWebKeySet; at: number } | null = null;
  let fetched = 0;
  let kept = 0;
  const read = async (): Promise<JSONWebKeySet> => {
    const at = now(); // what is fetched is as old as the question
    const http = instances[fetched % instances.length];
    fetched += 1;
    if (http === undefined) throw new Error('there is no instance');
    const jwks = membersOf(await http.send(requests.jwks())) as unknown as JSONWebKeySet; // RFC 7517 5
    cached = { jwks, at };
    return jwks;
  };
  return {
    kept: () => kept,
    verify: async ({ jwt }) => {
      const isFresh = cached !== null && seconds > 0 && now() - cached.at < seconds;
      if (isFresh) kept += 1;
      const jwks = isFresh && cached !== null ? cached.jwks : await read();
      try {
        const currentDate = new Date(Number(decodeJwt(jwt).iat) * 1_000);
        await jwtVerify(jwt, createLocalJWKSet(jwks), { algorithms: ['RS256', 'ES256'], currentDate });
        return null;
      } catch (error) {
        return `by keys kept for ${seconds} s: ${String(error)}`;
      }
    },
  };
}

/** Clients that get tokens, and hand them to every relying party until they expire. */
function createMarket(instances: readonly HttpClient[], parties: readonly Party[], now: () => number) {
  /** Of each key the token that it signed last: the one that is good for longest. */
  const held = new Map<string, Held>();
  const signers = new Map<string, string>();
  const newest = new Map<string, string>();
  const refused: string[] = [];
  const failed: string[] = [];
  let [checks, oldChecks] = [0, 0];

  const get = async (n: number): Promise<Held> => {
    const http = instances[n % instances.length];
    if (http === undefined) throw new Error('there is no instance');
    const cameAt = now();
    const jwt =
      n % 4 < 2
        ? await getToken(http, requests.exchange(await getToken(http, requests.nodeToken())))
        : await getToken(http, requests.jwtToken(LONG_API));
    const { kid = '', alg = '' } = decodeProtectedHeader(jwt);
    const { exp = 0, iat = 0 } = decodeJwt(jwt);
    signers.set(kid, alg);
    newest.set(alg, kid);
    return { jwt, kid, goodUntil: cameAt + exp - iat };
  };
  const check = async (token: Held): Promise<void> => {
    for (const { verify } of parties) {
      const isOld = ![...newest.values()].includes(token.kid);
      const fault = await verify(token);
      if (now() >= token.goodUntil) return; // it ended meanwhile
      checks += 1;
      oldChecks += Number(isOld);
      if (fault !== null) refused.push(`${token.kid}: ${fault}`);
    }
  };
  const run = async (n: number): Promise<void> => {
    try {
      const fresh = await get(n);
      await check(fresh);
      held.set(fresh.kid, fresh);
      const good = [...held.values()].filter(({ goodUntil }) => now() < goodUntil);
      const old = good[Math.floor(Math.random() * good.length)];
      if (old !== undefined) await check(old);
    } catch (error) {
      failed.push(String(error));
    }
  };
  return {
    start: (): Load => startClosedLoad({ atOnce: CLIENTS, maxRuns: MAX_RUNS, maxSeconds: 120, run }),
    report: () => ({
      ...{
        signers: signers.size,
        checks,
        oldChecks,
        refused: refused.slice(0, 5),
        failed: failed.slice(0, 5),
      },
      kept: parties.reduce((sum, party) => sum + party.kept(), 0),
    }),
  };
}
