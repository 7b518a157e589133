/**
 * `npm run examples`: declares the clients of the two examples at the server's store, by the command line as an
 * operator would, and starts both. The server itself runs elsewhere: `npm start`.
 */
import { spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import process from 'node:process';

import type { ExampleServer } from './listen.ts';
import { startSpa } from './spa/server.ts';
import { startWeb } from './web/server.ts';

const ROOT = join(import.meta.dirname, '..');
// The redirect URIs in clients.yaml name them.
const SPA_PORT = 8020;
const WEB_PORT = 8021;
const DISCOVERY_TIMEOUT_MS = 3_000;

/** An end that is nobody's bug: one sentence, and exit code 1. */
class Refusal extends Error {}

const env = process.env;
const issuer = env['ISSUER'] ?? `http://localhost:${env['PORT'] ?? '8011'}`;

try {
  await assertServerAnswers();
  const clientSecret = env['WEB_EXAMPLE_SECRET'] ?? keepSecret(env['VAR_DIR'] ?? join(ROOT, 'var'));
  await applyClients(clientSecret);
  const servers = await startBoth(clientSecret);
  const [spa, web] = servers.map(({ origin }) => origin);
  console.log(`\nSingle-page app:  ${spa ?? ''}\nWeb application:  ${web ?? ''}\n\nCtrl-C ends both.`);
  for (const signal of ['SIGINT', 'SIGTERM'] as const) {
    process.once(signal, () => void Promise.all(servers.map((server) => server.close())));
  }
} catch (error) {
  if (!(error instanceof Refusal)) throw error;
  console.error(error.message);
  process.exitCode = 1;
}

async function assertServerAnswers(): Promise<void> {
  const url = `${issuer}/.well-known/openid-configuration`;
  const hint = 'Start the server in another terminal by `npm start`, then run this again.';
  try {
    const answer = await fetch(url, { signal: AbortSignal.timeout(DISCOVERY_TIMEOUT_MS) });
    if (answer.ok) return;
    throw new Refusal(`Something else answers at ${issuer} (${answer.status}). ${hint}`);
  } catch (error) {
    if (error instanceof Refusal) throw error;
    throw new Refusal(`Portcullis does not answer at ${issuer}. ${hint}`, { cause: error });
  }
}

/** The web application's secret: made once, readable by this user alone. */
function keepSecret(folder: string): string {
  const file = join(folder, 'web-example-secret');
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  try {
    writeFileSync(file, randomBytes(32).toString('base64url'), { flag: 'wx', mode: 0o600 });
  } catch (error) {
    if (codeOf(error) !== 'EEXIST') throw error;
  }
  return readFileSync(file, 'utf8').trim();
}

async function applyClients(clientSecret: string): Promise<void> {
  const argv = ['--disable-proto=throw', 'src/main.ts', 'apply', join(import.meta.dirname, 'clients.yaml')];
  const apply = spawn(process.execPath, argv, {
    cwd: ROOT,
    env: { ...env, WEB_EXAMPLE_SECRET: clientSecret },
    stdio: ['ignore', 'inherit', 'inherit'],
  });
  await once(apply, 'close');
  if (apply.exitCode !== 0)
    throw new Refusal('The clients of the examples could not be declared: see above.');
}

/** Both or none. */
async function startBoth(clientSecret: string): Promise<readonly ExampleServer[]> {
  const spa = await orPortTaken(SPA_PORT, startSpa({ issuer, port: SPA_PORT }));
  try {
    return [spa, await orPortTaken(WEB_PORT, startWeb({ issuer, port: WEB_PORT, clientSecret }))];
  } catch (error) {
    await spa.close();
    throw error;
  }
}

async function orPortTaken(port: number, started: Promise<ExampleServer>): Promise<ExampleServer> {
  try {
    return await started;
  } catch (error) {
    if (codeOf(error) !== 'EADDRINUSE') throw error;
    throw new Refusal(`Port ${port} is taken: end what listens there, then run this again.`, {
      cause: error,
    });
  }
}

function codeOf(error: unknown): unknown {
  return Error.isError(error) && 'code' in error ? error.code : null;
}
