/**
 * A server of the tour's own: a process in a temporary folder, on a free port of loopback, with nothing of the
 * settings that stand in the environment or in a file. All of it goes when the tour ends.
 */
import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import process from 'node:process';
import { setTimeout as sleep } from 'node:timers/promises';

import { Refusal } from './endings.ts';
import { waitForLink } from './mailbox.ts';
import type { DemoServer } from './server.ts';

const MAIN = join(import.meta.dirname, '../../src/main.ts');
const START_MS = 30_000;
const STOP_MS = 5_000;
const MAX_PORTS = 3;

type Env = Readonly<Record<string, string | undefined>>;

export interface Credentials {
  readonly username: string;
  readonly password: string;
}

/** What the tour may do to the store of its own server, as an operator. */
export interface OwnStore {
  /** The link of the newest mail to an address that leads to that page. */
  mailedLink(to: string, page: string): Promise<string>;
  /** Makes the first administrator by the command line. */
  createAdministrator(): Promise<Credentials>;
}

/** Starts it and waits until it serves; throws a Refusal where it does not. */
export async function startOwnServer(env: Env, signal: AbortSignal): Promise<DemoServer> {
  const folder = mkdtempSync(join(tmpdir(), 'portcullis-demo-'));
  const remove = (): void => rmSync(folder, { recursive: true, force: true });
  try {
    writeFileSync(join(folder, 'settings.yaml'), '');
    const { child, origin, settings } = await startOnFreePort(folder, env, signal);
    return {
      origin,
      store: {
        mailedLink: (to, page) => waitForLink({ folder: join(folder, 'mail'), to, page, signal }),
        createAdministrator: () => createAdministrator(folder, settings, signal),
      },
      close: async () => {
        await stop(child);
        remove();
      },
    };
  } catch (error) {
    remove();
    throw error;
  }
}

interface Started {
  readonly child: ChildProcess;
  readonly origin: string;
  readonly settings: NodeJS.ProcessEnv;
}

/** Somebody else may take a port between the look and the start, so another one is tried then. */
async function startOnFreePort(folder: string, env: Env, signal: AbortSignal): Promise<Started> {
  for (let tried = 1; ; tried += 1) {
    const port = await findFreePort();
    const origin = `http://localhost:${port}`;
    const settings = settingsOf(folder, env, { ISSUER: origin, PORT: String(port) });
    const child = run(['serve'], folder, settings);
    try {
      await untilServing(child, signal);
      return { child, origin, settings };
    } catch (error) {
      await stop(child);
      const isTaken = Error.isError(error) && error.message.includes('EADDRINUSE');
      if (!isTaken || tried === MAX_PORTS) throw error;
    }
  }
}

/** What programs need to run, and every setting that could point out of the folder. */
function settingsOf(folder: string, env: Env, own: Readonly<Record<string, string>>): NodeJS.ProcessEnv {
  const kept = ['PATH', 'HOME', 'TMPDIR', 'TEMP', 'TMP', 'SystemRoot'].flatMap((name) =>
    env[name] === undefined ? [] : [[name, env[name]] as const],
  );
  return {
    ...Object.fromEntries(kept),
    NODE_ENV: 'development',
    HOST: '127.0.0.1',
    CONFIG_FILE: join(folder, 'settings.yaml'),
    DATABASE_URL: `sqlite:${join(folder, 'portcullis.db')}`,
    KEYS_DIR: join(folder, 'keys'),
    VAR_DIR: folder,
    METRICS_ADDRESS: 'off',
    LOG_LEVEL: 'silent',
    ...own,
  };
}

const run = (argv: readonly string[], cwd: string, env: NodeJS.ProcessEnv): ChildProcess =>
  spawn(process.execPath, ['--disable-proto=throw', MAIN, ...argv], {
    cwd,
    env,
    stdio: ['ignore', 'ignore', 'pipe'],
  });

/** Its standard error so far, whenever it is asked for. */
function listen(child: ChildProcess): () => string {
  let told = '';
  child.stderr?.setEncoding('utf8').on('data', (text: string) => void (told += text));
  return () => told;
}

async function untilServing(child: ChildProcess, signal: AbortSignal): Promise<void> {
  const told = listen(child);
  const serving = Promise.withResolvers<undefined>();
  const refuse = (): void =>
    serving.reject(new Refusal(`The server of the tour did not start:\n${told().trim()}`));
  const interrupt = (): void => serving.reject(signal.reason as Error);
  const limit = setTimeout(refuse, START_MS);
  child.stderr?.on('data', () => told().includes('Portcullis serves') && serving.resolve(undefined));
  child.once('close', refuse).once('error', refuse);
  signal.addEventListener('abort', interrupt, { once: true });
  if (signal.aborted) interrupt();
  try {
    await serving.promise;
  } finally {
    clearTimeout(limit);
    signal.removeEventListener('abort', interrupt);
  }
}

/** In order, so that its store is closed before the folder goes; by force where that takes too long. */
async function stop(child: ChildProcess): Promise<void> {
  if (child.pid === undefined || child.exitCode !== null || child.signalCode !== null) return;
  const ended = once(child, 'exit');
  child.kill('SIGTERM');
  const isOver = await Promise.race([ended.then(() => true), sleep(STOP_MS, false, { ref: false })]);
  if (isOver) return;
  child.kill('SIGKILL');
  await ended;
}

async function createAdministrator(
  folder: string,
  settings: NodeJS.ProcessEnv,
  signal: AbortSignal,
): Promise<Credentials> {
  const [username, password] = ['warden', randomBytes(12).toString('base64url')];
  const argv = ['users', 'create', username, '--email', 'warden@example.com', '--role', 'admin'];
  const child = run(argv, folder, { ...settings, PORTCULLIS_PASSWORD: password });
  const told = listen(child);
  await once(child, 'close', { signal });
  if (child.exitCode === 0) return { username, password };
  throw new Refusal(`The administrator could not be made:\n${told().trim()}`);
}

async function findFreePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  server.close();
  await once(server, 'close');
  if (typeof address !== 'object' || address === null) throw new Error('no port is free');
  return address.port;
}
