/**
 * The server as an operator runs it: a process of its own, started by the same command, watched from outside.
 * PORTCULLIS_FAULTS_ROOT names another copy of the sources, to see these tests fail on a server that was broken
 * on purpose.
 */
import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';

import { createHttpClient } from './http-client.ts';
import type { Answer } from './http-client.ts';
import { waitUntil } from './load.ts';

const ROOT = process.env['PORTCULLIS_FAULTS_ROOT'] ?? join(import.meta.dirname, '../../..');
const PAGE_BYTES = 4096;
const OUTPUT_CHARACTERS = 4_000;
const PROBE_CONNECTIONS = 8;

export interface Exit {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
}

export interface ServerProcess {
  readonly port: number;
  readonly pid: number;
  readonly exited: Promise<Exit>;
  readonly isRunning: () => boolean;
  /** /healthz or /readyz, on connections that no load uses. */
  probe(path: '/healthz' | '/readyz'): Promise<Answer>;
  /** Waits for /readyz to say 200; gives the milliseconds since the start of the process. */
  ready(maxMs: number): Promise<number>;
  signal(name: NodeJS.Signals): void;
  /** Resident memory; 0 where the system does not tell. */
  memoryMiB(): number;
  /** The end of what it printed. */
  output(): string;
  /** Kills it if it still runs. */
  end(): Promise<void>;
}

/** Starts `serve`; it may take a while to listen. */
export function startServerProcess(env: Readonly<Record<string, string>>, port: number): ServerProcess {
  const startedAt = performance.now();
  const child = spawn(process.execPath, ['--disable-proto=throw', 'src/main.ts', 'serve'], {
    cwd: ROOT,
    env: { ...env, PORT: String(port) },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const exited = once(child, 'exit').then((): Exit => ({ code: child.exitCode, signal: child.signalCode }));
  const output = collectOutput(child);
  const probes = createHttpClient(port, PROBE_CONNECTIONS);
  const isRunning = (): boolean => child.exitCode === null && child.signalCode === null;
  const probe = (path: string): Promise<Answer> => probes.send({ method: 'GET', path });

  return {
    port,
    pid: child.pid ?? 0, // 0 only where it could not be started, and then it is never ready
    exited,
    isRunning,
    probe,
    ready: async (maxMs) => {
      const isReady = async (): Promise<boolean> => {
        if (!isRunning()) throw new Error(`the server ended as it started: ${output()}`);
        return (await probe('/readyz')).status === 200;
      };
      await waitUntil('/readyz says 200', isReady, maxMs);
      return performance.now() - startedAt;
    },
    signal: (name) => void child.kill(name),
    memoryMiB: () => memoryMiB(child.pid),
    output,
    end: async () => {
      probes.close();
      if (isRunning()) child.kill('SIGKILL');
      await exited;
    },
  };
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

function collectOutput(child: ChildProcess): () => string {
  let collected = '';
  const collect = (chunk: Buffer): void => {
    collected = (collected + chunk.toString()).slice(-OUTPUT_CHARACTERS);
  };
  child.stdout?.on('data', collect);
  child.stderr?.on('data', collect);
  return () => collected;
}

/** The second number of statm is the resident set, in pages. */
function memoryMiB(pid: number | undefined): number {
  try {
    const pages = Number(readFileSync(`/proc/${String(pid)}/statm`, 'utf8').split(' ')[1]);
    return (pages * PAGE_BYTES) / 1024 / 1024;
  } catch {
    return 0;
  }
}
