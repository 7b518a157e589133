/** `portcullis serve` as an operator runs it: a process of its own, in a folder of its own, watched from outside. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

export const ROOT = join(import.meta.dirname, '../..');

export interface Ended {
  readonly code: number | null;
  readonly out: string;
  readonly err: string;
}

export interface ServeProcess {
  readonly folder: string;
  readonly pid: number;
  readonly ended: Promise<Ended>;
  /** What it wrote to standard output so far. */
  out(): string;
  err(): string;
  /** Resolves once the text stands in one of the two; rejects when the process ends before. */
  printed(text: string): Promise<void>;
  signal(name: NodeJS.Signals): void;
}

/** An empty folder; the system clears its temporary files. */
export const makeFolder = (): string => mkdtempSync(join(tmpdir(), 'portcullis-serve-'));

/** Starts any command with nothing of this process's environment but what programs need to run. */
export function start(
  command: string,
  argv: readonly string[],
  { cwd, env = {} }: { readonly cwd: string; readonly env?: Readonly<Record<string, string>> },
): ServeProcess {
  const { PATH = '', HOME = '' } = process.env;
  const child = spawn(command, argv, { cwd, env: { PATH, HOME, ...env }, stdio: ['ignore', 'pipe', 'pipe'] });
  const texts = { out: '', err: '' };
  child.stdout.setEncoding('utf8').on('data', (text: string) => void (texts.out += text));
  child.stderr.setEncoding('utf8').on('data', (text: string) => void (texts.err += text));
  const ended = once(child, 'close').then((): Ended => ({ code: child.exitCode, ...texts }));
  return {
    folder: cwd,
    pid: child.pid ?? 0, // 0 only where it could not be started, and then `close` follows
    ended,
    out: () => texts.out,
    err: () => texts.err,
    printed: (text) =>
      new Promise((resolve, reject) => {
        const look = (): void => {
          if (texts.out.includes(text) || texts.err.includes(text)) resolve();
        };
        child.stdout.on('data', look);
        child.stderr.on('data', look);
        void ended.then(({ err }) => reject(new Error(`it ended without "${text}": ${err}`)));
        look();
      }),
    signal: (name) => void child.kill(name),
  };
}

/** Starts `serve` with metrics off; `env` adds settings. */
export const serve = (
  env: Readonly<Record<string, string>> = {},
  cwd = makeFolder(),
  argv: readonly string[] = [],
): ServeProcess =>
  start(process.execPath, ['--disable-proto=throw', join(ROOT, 'src/main.ts'), 'serve', ...argv], {
    cwd,
    env: { METRICS_ADDRESS: 'off', ...env },
  });

/** Runs one that ends by itself within `ms`: the best of three, since a busy machine may hold up any of them. */
export async function endsWithin(ms: number, launch: () => ServeProcess): Promise<Ended> {
  for (let left = 2; ; left -= 1) {
    const from = performance.now();
    const ended = await launch().ended;
    if (performance.now() - from < ms) return ended;
    if (left === 0) throw new Error(`none of three ended within ${ms} ms`);
  }
}

/** A port that was free just now. */
export async function findFreePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  server.close();
  await once(server, 'close');
  if (typeof address !== 'object' || address === null) throw new Error('no port is free');
  return address.port;
}
