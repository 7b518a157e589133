/**
 * Ways to make a file refuse writes under a running server: a lock that another process holds, a small disk that is
 * full, a file that became read-only, a process that may not write. Not every machine allows each of them.
 */
import { execFile, fork } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, openSync, writeSync } from 'node:fs';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';

const run = promisify(execFile);

const LOCK_HOLDER = join(import.meta.dirname, 'lock-holder.ts');
const DISK_MIB = 24;
const FILLER = 'filler';

export interface HeldLock {
  release(): Promise<void>;
}

/** Takes the write lock of the SQLite file. */
export async function holdLock(path: string): Promise<HeldLock> {
  const holder = fork(LOCK_HOLDER, [path], { execArgv: ['--disable-warning=ExperimentalWarning'] });
  const exit = once(holder, 'exit');
  await once(holder, 'message');
  return {
    release: async () => {
      if (holder.connected) holder.send('release');
      await exit;
    },
  };
}

export interface Abilities {
  readonly mount: boolean;
  readonly readOnly: boolean;
  readonly limit: boolean;
}

/** Tries each on a folder of its own. */
export async function findAbilities(): Promise<Abilities> {
  const folder = await mkdtemp(join(tmpdir(), 'portcullis-disk-'));
  const file = join(folder, 'file');
  try {
    await Promise.all([file, `${file}-wal`].map((path) => writeFile(path, '')));
    const readOnly = (await setReadOnly(file, true)) && (await setReadOnly(file, false));
    const mount = await mountSmallDisk(folder);
    if (mount) await unmount(folder);
    return { mount, readOnly, limit: await limitFileSize(process.pid, null) };
  } finally {
    await rm(folder, { recursive: true });
  }
}

/** Mounts a small disk over the folder; false where this user may not. */
export function mountSmallDisk(folder: string): Promise<boolean> {
  return succeeds('mount', '-t', 'tmpfs', '-o', `size=${DISK_MIB}m,mode=700`, 'tmpfs', folder);
}

export async function unmount(folder: string): Promise<void> {
  await run('umount', ['--lazy', folder]);
}

/** Writes until the disk takes no more. */
export function fillDisk(folder: string): void {
  const file = openSync(join(folder, FILLER), 'w');
  try {
    for (let size = 1024 * 1024; size >= 512;) size = writes(file, size) ? size : size / 2;
  } finally {
    closeSync(file);
  }
}

export async function emptyDisk(folder: string): Promise<void> {
  await rm(join(folder, FILLER));
}

function writes(file: number, bytes: number): boolean {
  try {
    return writeSync(file, Buffer.alloc(bytes)) === bytes;
  } catch {
    return false; // ENOSPC
  }
}

/**
 * Makes an SQLite file and its log read-only or writable again, also for root and for handles that are open; false
 * where the disk knows no such thing. Not its shared memory: a mapping that turns read-only kills any process.
 */
export function setReadOnly(path: string, isReadOnly: boolean): Promise<boolean> {
  return succeeds('chattr', isReadOnly ? '+i' : '-i', path, `${path}-wal`);
}

/** Limits the size to which a process may write files: 0 stops it from writing any; null takes the limit away. */
export function limitFileSize(pid: number, bytes: number | null): Promise<boolean> {
  return succeeds('prlimit', '--pid', String(pid), `--fsize=${bytes ?? 'unlimited'}:`);
}

async function succeeds(program: string, ...args: readonly string[]): Promise<boolean> {
  return run(program, args).then(
    () => true,
    () => false,
  );
}
