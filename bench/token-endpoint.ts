/**
 * What the product costs over the bare engine: bare oidc-provider, Portcullis on SQLite and Portcullis on MongoDB
 * (a real replica set of one member, where a mongod can be had), one Node process each, loaded in turns from this
 * one, so that the machine's noise meets all. Prints requests per second, their ratio to the bare engine, p50,
 * p99, memory and cold start, as a table with bars. `BENCH_SECONDS` a round (4), `BENCH_ROUNDS` rounds (3),
 * `BENCH_CONNECTIONS` (64), all bounded. The load competes for the cores with the writer thread and with mongod: autocannon
 * takes most of one, wrk a tenth.
 */
import { startReplicaSet } from '../test/support/mongod.ts';
import { BENCH_RESOURCE } from './client.ts';
import { CLIENT_FORM, hasWrk, load, OPAQUE_TOKEN } from './load.ts';
import { bounded, memoryMiB, start } from './server-process.ts';
import type { Server } from './server-process.ts';
import type { Sample } from './wrk.ts';

// Enough that a server always has the next request: with half of them MongoDB waits for its journal, idle.
const CONNECTIONS = bounded(process.env['BENCH_CONNECTIONS'], 64, 512);
const SECONDS = bounded(process.env['BENCH_SECONDS'], 4, 30);
const ROUNDS = bounded(process.env['BENCH_ROUNDS'], 3, 20);

interface Load {
  readonly path: string;
  readonly method: 'GET' | 'POST';
  readonly body?: string;
}

const mongo = await startReplicaSet(1);
const bare = await start('bare engine', 'bare-server.ts');
const ours = [await start('SQLite', 'portcullis-server.ts')];
try {
  if (mongo.mongo === null) console.log(`MongoDB is not measured: ${mongo.reason}\n`);
  else ours.push(await start('MongoDB', 'portcullis-server.ts', { BENCH_DATABASE_URL: mongo.mongo.uri }));
  await compare();
} finally {
  for (const { child } of [bare, ...ours]) child.disconnect();
  await mongo.mongo?.stop();
}

async function compare(): Promise<void> {
  const by = hasWrk ? 'wrk' : 'autocannon (install wrk for a load that leaves the cores to the servers)';
  console.log(
    `${ROUNDS} rounds of ${SECONDS} s each in turns, after one to warm up, ${CONNECTIONS} connections by ${by}\n`,
  );
  console.log('load              server         per s  ratio                          p50 ms  p99 ms');
  for (const [name, loadOf] of Object.entries(loads())) {
    const samples = new Map<Server, Sample[]>([bare, ...ours].map((server) => [server, []]));
    // The first round does not count: in it the code is compiled, of which a product has more than an engine.
    for (let round = 0; round <= ROUNDS; round += 1) {
      for (const [server, taken] of samples) {
        const sample = await measure(server, loadOf);
        if (round > 0) taken.push(sample);
      }
    }
    const yardstick = middle(samples.get(bare) ?? []).perSecond;
    for (const [server, taken] of samples) console.log(row(name, server.name, middle(taken), yardstick));
  }
  console.log();
  for (const server of [bare, ...ours]) {
    const [memory, coldStartMs] = [await memoryMiB(server), server.coldStartMs].map((value) =>
      value.toFixed(0),
    );
    console.log(`${server.name}: ${memory} MiB after the load, cold start ${coldStartMs} ms`);
  }
}

function loads(): Record<string, (server: Server) => Promise<Load>> {
  const token = { path: '/token', method: 'POST' } as const;
  const body = OPAQUE_TOKEN;
  return {
    'token, opaque': async () => ({ ...token, body }),
    'token, JWT RS256': async () => ({
      ...token,
      body: `grant_type=client_credentials&scope=bench&resource=${encodeURIComponent(BENCH_RESOURCE)}`,
    }),
    introspection: async (server) => ({
      path: server.name === 'bare engine' ? '/token/introspection' : '/introspect',
      method: 'POST',
      body: `token=${await getToken(server)}`,
    }),
    JWKS: async () => ({ path: '/jwks', method: 'GET' }),
    discovery: async () => ({ path: '/.well-known/openid-configuration', method: 'GET' }),
  };
}

/** One round. */
async function measure(server: Server, loadOf: (server: Server) => Promise<Load>): Promise<Sample> {
  const { path, method, body } = await loadOf(server);
  const headers = method === 'POST' ? CLIENT_FORM : {};
  const request = { url: server.origin + path, method, headers, ...(body !== undefined && { body }) };
  const sample = await load(request, CONNECTIONS, SECONDS);
  if (sample.failures > 0) throw new Error(`${server.name}: ${sample.failures} answers were not 2xx`);
  return sample;
}

async function getToken(server: Server): Promise<string> {
  const init = { method: 'POST', headers: CLIENT_FORM, body: OPAQUE_TOKEN };
  const answer = await fetch(`${server.origin}/token`, init);
  const { access_token } = (await answer.json()) as { access_token: string }; // RFC 6749 5.1
  return access_token;
}

/** The round of the median throughput. */
function middle(samples: readonly Sample[]): Sample {
  const sorted = samples.toSorted((a, b) => a.perSecond - b.perSecond);
  const sample = sorted[Math.floor(sorted.length / 2)];
  if (sample === undefined) throw new Error('no round was measured');
  return sample;
}

function row(loadName: string, server: string, { perSecond, p50, p99 }: Sample, yardstick: number): string {
  const ratio = perSecond / yardstick;
  const bar = '█'.repeat(Math.round(Math.min(ratio, 1.2) * 20)).padEnd(24);
  const latency = [p50, p99].map((value) => String(value).padStart(7)).join(' ');
  return `${loadName.padEnd(17)} ${server.padEnd(12)} ${perSecond.toFixed(0).padStart(7)}   ${ratio.toFixed(2)} ${bar} ${latency}`;
}
