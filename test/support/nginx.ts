/**
 * A real nginx for the tests that need one: the one on the path, or the one that NGINX names. Where there is none, a
 * developer's tests are told as skipped; in CI they fail.
 */
import { describe } from '@jest/globals';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { accessSync, constants, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

import { cannotTest } from './missing.ts';

const START_TIMEOUT_MS = 25_000;

/** Debian puts it where only root's path leads. */
const FOLDERS = [...(process.env['PATH'] ?? '').split(delimiter), '/usr/sbin'];
const EXECUTABLE = process.env['NGINX'] ?? FOLDERS.map((folder) => join(folder, 'nginx')).find(isExecutable);

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

export interface Nginx {
  stop(): Promise<void>;
}

/** Describes facts that nginx shows; told as skipped where there is none, except in CI. */
export function describeWithNginx(name: string, facts: () => void): void {
  if (EXECUTABLE !== undefined) describe(name, facts);
  else cannotTest(name, 'there is no nginx: install nginx-light, or name it by NGINX');
}

/** Starts it with a configuration, in a folder of its own; resolves once `port` takes connections. */
export async function startNginx(configuration: string, port: number): Promise<Nginx> {
  if (EXECUTABLE === undefined) throw new Error('there is no nginx: install nginx-light');
  const folder = mkdtempSync(join(tmpdir(), 'portcullis-nginx-'));
  const file = join(folder, 'nginx.conf');
  writeFileSync(file, configuration);
  const argv = ['-p', folder, '-c', file, '-e', 'stderr', '-g', 'daemon off;'];
  const child = spawn(EXECUTABLE, argv, { stdio: ['ignore', 'ignore', 'pipe'] });
  let complaints = '';
  child.stderr.setEncoding('utf8').on('data', (text: string) => void (complaints += text));
  const ended = once(child, 'close');
  const until = Date.now() + START_TIMEOUT_MS;
  while (!(await takesConnections(port))) {
    if (child.exitCode !== null || Date.now() > until) throw new Error(`nginx does not start: ${complaints}`);
    await sleep(20);
  }
  return {
    stop: async () => {
      child.kill('SIGQUIT');
      await ended;
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

function takesConnections(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1');
    const answer = (takes: boolean) => () => {
      socket.destroy();
      resolve(takes);
    };
    socket.once('connect', answer(true)).once('error', answer(false));
  });
}
