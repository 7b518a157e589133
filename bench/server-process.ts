/** The processes of a measurement: each tells its port once it is there, and a server its memory when it is asked. */
import { fork } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';

export interface Server {
  readonly name: string;
  readonly child: ChildProcess;
  readonly origin: string;
  readonly coldStartMs: number;
}

/** Starts one; `child.disconnect()` ends it. */
export async function start(
  name: string,
  file: string,
  env: Readonly<Record<string, string>> = {},
  argv: readonly string[] = [],
): Promise<Server> {
  const startedAt = performance.now();
  const child = fork(join(import.meta.dirname, file), argv, {
    stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
    env: { ...process.env, ...env },
  });
  const { port } = await message<{ port: number }>(child);
  return { name, child, origin: `http://127.0.0.1:${port}`, coldStartMs: performance.now() - startedAt };
}

/** Resident memory. */
export async function memoryMiB({ child }: Server): Promise<number> {
  child.send('memory');
  return (await message<{ rssMiB: number }>(child)).rssMiB;
}

/** The next message; the children send what they are asked for and nothing else. */
async function message<T>(child: ChildProcess): Promise<T> {
  const [received] = (await once(child, 'message', { signal: AbortSignal.timeout(30_000) })) as [T];
  return received;
}

/** A number from the environment, from 1 to `most`. */
export function bounded(text: string | undefined, fallback: number, most: number): number {
  const value = Number(text ?? fallback);
  if (!(value >= 1 && value <= most))
    throw new Error(`expected a number from 1 to ${most}, found ${text ?? ''}`);
  return value;
}
