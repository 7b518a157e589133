/**
 * What the product costs over the bare engine: both served by one Node process each, loaded in turns from this
 * one, so that the machine's noise meets both. Prints requests per second, their ratio, p50, p99, memory and
 * cold start, as a table with bars. `BENCH_SECONDS` a round (4), `BENCH_ROUNDS` rounds (3), both bounded;
 * `BENCH_DATABASE_URL` measures another store than SQLite.
 */
import { fork } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';

import autocannon from 'autocannon';

import { BENCH_CLIENT, BENCH_RESOURCE } from './client.ts';

const CONNECTIONS = 32;
const SECONDS = bounded(process.env['BENCH_SECONDS'], 4, 30);
const ROUNDS = bounded(process.env['BENCH_ROUNDS'], 3, 20);
const AUTHORIZATION = `Basic ${Buffer.from(`${BENCH_CLIENT.id}:${BENCH_CLIENT.secret}`).toString('base64')}`;
const FORM = {
  'content-type': 'application/x-www-form-urlencoded',
  authorization: AUTHORIZATION,
  host: 'localhost',
};
const STORE = process.env['BENCH_DATABASE_URL']?.startsWith('mongodb') === true ? 'MongoDB' : 'SQLite';

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

interface Sample {
  readonly perSecond: number;
  readonly p50: number;
  readonly p99: number;
}

const servers = [
  await start('bare engine', 'bare-server.ts'),
  await start(STORE, 'portcullis-server.ts'),
] as const;
try {
  await compare(servers);
} finally {
  for (const { child } of servers) child.disconnect();
}

async function compare([bare, ours]: readonly [Server, Server]): Promise<void> {
  console.log(
    `${ROUNDS} rounds of ${SECONDS} s each in turns, ${CONNECTIONS} connections, Portcullis on ${STORE}\n`,
  );
  console.log('load                     bare/s   ours/s  ratio                        p50 ms      p99 ms');
  for (const [name, load] of Object.entries(await loads())) {
    const samples: { bare: Sample[]; ours: Sample[] } = { bare: [], ours: [] };
    for (let round = 0; round < ROUNDS; round += 1) {
      samples.bare.push(await measure(bare, load));
      samples.ours.push(await measure(ours, load));
    }
    console.log(row(name, middle(samples.bare), middle(samples.ours)));
  }
  for (const server of [bare, ours]) {
    console.log(
      `${server.name}: ${(await memory(server)).toFixed(0)} MiB after the load, cold start ${server.coldStartMs.toFixed(0)} ms`,
    );
  }
}

async function loads(): Promise<Record<string, (server: Server) => Promise<Load>>> {
  const token = { path: '/token', method: 'POST' } as const;
  const body = 'grant_type=client_credentials&scope=read';
  return {
    'token, opaque': async () => ({ ...token, body }),
    'token, JWT RS256': async () => ({
      ...token,
      body: `${body}&resource=${encodeURIComponent(BENCH_RESOURCE)}`,
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

async function measure(server: Server, load: (server: Server) => Promise<Load>): Promise<Sample> {
  const { path, method, body } = await load(server);
  const result = await autocannon({
    url: server.origin + path,
    method,
    connections: CONNECTIONS,
    duration: SECONDS,
    headers: method === 'POST' ? FORM : { host: 'localhost' },
    ...(body !== undefined && { body }),
  });
  if (result.non2xx > 0 || result.errors > 0)
    throw new Error(`${server.name}: ${result.non2xx} answers were not 2xx`);
  return { perSecond: result.requests.average, p50: result.latency.p50, p99: result.latency.p99 };
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

function row(name: string, bare: Sample, ours: Sample): string {
  const ratio = ours.perSecond / bare.perSecond;
  const bar = '█'.repeat(Math.round(Math.min(ratio, 1.2) * 20)).padEnd(24);
  const [bareRate, oursRate] = [bare, ours].map(({ perSecond }) => perSecond.toFixed(0).padStart(8));
  const latency = (of: 'p50' | 'p99'): string => `${bare[of]} → ${ours[of]}`.padStart(11);
  return `${name.padEnd(22)} ${bareRate} ${oursRate}   ${ratio.toFixed(2)} ${bar} ${latency('p50')} ${latency('p99')}`;
}

async function start(name: string, file: string): Promise<Server> {
  const startedAt = performance.now();
  const child = fork(join(import.meta.dirname, file), { stdio: ['ignore', 'ignore', 'inherit', 'ipc'] });
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
