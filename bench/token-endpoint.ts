/**
 * What the product costs over the bare engine: bare oidc-provider, Portcullis on SQLite and Portcullis on MongoDB
 * (a real replica set of one member, where a mongod can be had), one Node process each, loaded in turns from this
 * one, so that the machine's noise meets all. Prints requests per second, their ratio to the bare engine, p50,
 * p99, memory and cold start, as a table with bars. `BENCH_SECONDS` a round (4), `BENCH_ROUNDS` rounds (3),
 * `BENCH_CONNECTIONS` (64), all bounded. The load competes for the cores with the writer thread and with mongod: autocannon
 * takes most of one, wrk a tenth.
 */
import { fork } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';

import autocannon from 'autocannon';

import { startReplicaSet } from '../test/support/mongod.ts';
import { BENCH_CLIENT, BENCH_RESOURCE } from './client.ts';
import { isWrkThere, loadByWrk } from './wrk.ts';
import type { Request, Sample } from './wrk.ts';

// Enough that a server always has the next request: with half of them MongoDB waits for its journal, idle.
const CONNECTIONS = bounded(process.env['BENCH_CONNECTIONS'], 64, 512);
const SECONDS = bounded(process.env['BENCH_SECONDS'], 4, 30);
const ROUNDS = bounded(process.env['BENCH_ROUNDS'], 3, 20);
const AUTHORIZATION = `Basic ${Buffer.from(`${BENCH_CLIENT.id}:${BENCH_CLIENT.secret}`).toString('base64')}`;
const FORM = { 'content-type': 'application/x-www-form-urlencoded', authorization: AUTHORIZATION };

interface Server {
  readonly name: string;
  readonly child: ChildProcess;
  readonly origin: string;
  readonly coldStartMs: number;
}

interface Load {
  readonly path: string;
  readonly method: 'GET' | 'POST';
  readonly body?: string;
}

const hasWrk = await isWrkThere();
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
  console.log(`${ROUNDS} rounds of ${SECONDS} s each in turns, ${CONNECTIONS} connections by ${by}\n`);
  console.log('load              server         per s  ratio                          p50 ms  p99 ms');
  for (const [name, load] of Object.entries(loads())) {
    const samples = new Map<Server, Sample[]>([bare, ...ours].map((server) => [server, []]));
    for (let round = 0; round < ROUNDS; round += 1) {
      for (const [server, taken] of samples) taken.push(await measure(server, load));
    }
    const yardstick = middle(samples.get(bare) ?? []).perSecond;
    for (const [server, taken] of samples) console.log(row(name, server.name, middle(taken), yardstick));
  }
  console.log();
  for (const server of [bare, ...ours]) {
    const [memoryMiB, coldStartMs] = [await memory(server), server.coldStartMs].map((value) =>
      value.toFixed(0),
    );
    console.log(`${server.name}: ${memoryMiB} MiB after the load, cold start ${coldStartMs} ms`);
  }
}

function loads(): Record<string, (server: Server) => Promise<Load>> {
  const token = { path: '/token', method: 'POST' } as const;
  const body = 'grant_type=client_credentials&scope=read';
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

/** One round: by wrk where it is on the path, since a light load leaves the cores to the servers, else by autocannon. */
async function measure(server: Server, load: (server: Server) => Promise<Load>): Promise<Sample> {
  const { path, method, body } = await load(server);
  const headers = method === 'POST' ? FORM : {};
  const request = { url: server.origin + path, method, headers, ...(body !== undefined && { body }) };
  const sample = hasWrk ? await loadByWrk(request, CONNECTIONS, SECONDS) : await loadByAutocannon(request);
  if (sample.failures > 0) throw new Error(`${server.name}: ${sample.failures} answers were not 2xx`);
  return sample;
}

async function loadByAutocannon(request: Request): Promise<Sample> {
  const result = await autocannon({ ...request, connections: CONNECTIONS, duration: SECONDS });
  const { requests, latency, non2xx, errors } = result;
  return { perSecond: requests.average, p50: latency.p50, p99: latency.p99, failures: non2xx + errors };
}

async function getToken(server: Server): Promise<string> {
  const body = 'grant_type=client_credentials&scope=read';
  const answer = await fetch(`${server.origin}/token`, { method: 'POST', headers: FORM, body });
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

function row(load: string, server: string, { perSecond, p50, p99 }: Sample, yardstick: number): string {
  const ratio = perSecond / yardstick;
  const bar = '█'.repeat(Math.round(Math.min(ratio, 1.2) * 20)).padEnd(24);
  const latency = [p50, p99].map((value) => String(value).padStart(7)).join(' ');
  return `${load.padEnd(17)} ${server.padEnd(12)} ${perSecond.toFixed(0).padStart(7)}   ${ratio.toFixed(2)} ${bar} ${latency}`;
}

async function start(
  name: string,
  file: string,
  env: Readonly<Record<string, string>> = {},
): Promise<Server> {
  const startedAt = performance.now();
  const child = fork(join(import.meta.dirname, file), {
    stdio: ['ignore', 'ignore', 'ignore', 'ipc'],
    env: { ...process.env, ...env },
  });
  const { port } = await message<{ port: number }>(child);
  return { name, child, origin: `http://127.0.0.1:${port}`, coldStartMs: performance.now() - startedAt };
}

async function memory({ child }: Server): Promise<number> {
  child.send('memory');
  return (await message<{ rssMiB: number }>(child)).rssMiB;
}

/** The next message; the children send what they are asked for and nothing else. */
async function message<T>(child: ChildProcess): Promise<T> {
  const [received] = (await once(child, 'message', { signal: AbortSignal.timeout(30_000) })) as [T];
  return received;
}

function bounded(text: string | undefined, fallback: number, most: number): number {
  const value = Number(text ?? fallback);
  if (!(value >= 1 && value <= most))
    throw new Error(`expected a number from 1 to ${most}, found ${text ?? ''}`);
  return value;
}
