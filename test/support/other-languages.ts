/**
 * What the examples in other languages need: Python with their packages, and Go with their modules. Found or installed
 * once, and kept between runs; where the language is not there, a sentence says so and the tests are told as skipped.
 */
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, renameSync, rmSync } from 'node:fs';
import { basename, join } from 'node:path';

import { ROOT } from '../cli/serve-process.ts';

const CACHE = join(ROOT, 'node_modules/.cache/portcullis');
const INSTALL_TIMEOUT_MS = 240_000;

/** The program, or why there is none. */
export type Found = { readonly program: string } | { readonly missing: string };

/** Python with the packages of a requirements file, in an environment of its own. */
export function preparePython(requirements: string): Found {
  if (!runs('python3', ['-c', 'import ensurepip, sys, venv; assert sys.version_info >= (3, 10)'])) {
    return unavailable(
      'Python with its packages',
      new Error('install Python 3.10 or newer, and python3-venv'),
    );
  }
  const [, version = ''] = output('python3', ['--version']).split(' ');
  const digest = createHash('sha256').update(readFileSync(requirements)).digest('hex').slice(0, 12);
  const home = join(CACHE, `python-${version}-${digest}`);
  const program = join(home, 'bin/python');
  if (existsSync(program)) return { program };
  mkdirSync(CACHE, { recursive: true });
  // Moved to its place whole, so that two runs at once do not meet. Its python finds its packages wherever it is.
  const work = mkdtempSync(join(CACHE, 'python-'));
  try {
    install('python3', ['-m', 'venv', work]);
    install(join(work, 'bin/python'), ['-m', 'pip', 'install', '--quiet', '-r', requirements]);
    if (!existsSync(home)) renameSync(work, home);
    return { program };
  } catch (error) {
    return unavailable('the Python packages', error);
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
}

/** A Go program, built from a folder. Go keeps its modules and what it compiled by itself. */
export function prepareGo(folder: string): Found {
  const [, needed = ''] = /^go (1\.\d+)/m.exec(readFileSync(join(folder, 'go.mod'), 'utf8')) ?? [];
  const [, found = ''] = /go(1\.\d+)/.exec(output('go', ['env', 'GOVERSION'])) ?? [];
  if (Number(found.slice(2)) < Number(needed.slice(2)) || found === '') {
    return { missing: `there is no Go ${needed}${found === '' ? '' : `, only ${found}`}` };
  }
  const program = join(CACHE, basename(folder));
  try {
    install('go', ['build', '-o', program, '.'], folder);
    return { program };
  } catch (error) {
    return unavailable('the Go modules', error);
  }
}

/** A machine without a network is no fault; CI has one, and there a wrong version must not go unseen. */
function unavailable(what: string, error: unknown): Found {
  if (process.env['CI'] !== undefined) throw error;
  return { missing: `${what} are not to be had: ${String(error).split('\n')[0] ?? ''}` };
}

function install(command: string, argv: readonly string[], cwd = ROOT): void {
  const { status, stderr, error } = spawn(command, argv, cwd);
  if (status !== 0) throw new Error(`${command} ${argv.join(' ')}: ${stderr}`, { cause: error });
}

const runs = (command: string, argv: readonly string[]): boolean => spawn(command, argv).status === 0;
/** Nothing where the command is not there. */
const output = (command: string, argv: readonly string[], cwd = ROOT): string => {
  const { status, stdout } = spawn(command, argv, cwd);
  return status === 0 ? stdout.trim() : '';
};

const spawn = (command: string, argv: readonly string[], cwd = ROOT) =>
  spawnSync(command, argv, {
    cwd,
    encoding: 'utf8',
    // No Go is fetched in the place of the one that is there, and the folder need not be a clone.
    env: { ...process.env, GOTOOLCHAIN: 'local', GOFLAGS: '-buildvcs=false' },
    timeout: INSTALL_TIMEOUT_MS,
  });
