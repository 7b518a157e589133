/**
 * The replica set of test/support/mongod.ts, to be hung, killed and started again on the same files and ports. The
 * command line of a member comes from /proc, so this needs Linux.
 */
import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';

import mongoose from 'mongoose';

import { startReplicaSet } from '../../support/mongod.ts';
import { waitUntil } from './load.ts';

const HELLO_TIMEOUT_MS = 500;
const EXIT_MS = 5_000;
const POLL_MS = 25;

export interface ReplicaSet {
  readonly uri: string;
  /** The ports of its members; a port stands for a member. */
  readonly ports: readonly number[];
  /** To those of these members that run. */
  signal(ports: readonly number[], name: 'SIGSTOP' | 'SIGCONT'): void;
  kill(ports: readonly number[]): Promise<void>;
  /** Starts those of them that were killed, as they were started before. */
  restart(ports: readonly number[]): void;
  /** Waits until a member, other than this one, says that it is the primary; gives its port. */
  waitForPrimary(maxMs: number, otherThan?: number): Promise<number>;
  /** Waits until so many members are primary or secondary. */
  waitForMembers(count: number, maxMs: number): Promise<void>;
  stop(): Promise<void>;
}

interface Member {
  readonly port: number;
  readonly command: readonly string[];
  readonly hello: () => Promise<Readonly<Record<string, unknown>>>;
  readonly close: () => Promise<void>;
  pid: number | null;
  restarted: ChildProcess | null;
}

/** Starts one; throws where it cannot. */
export async function startBreakableReplicaSet(count: number): Promise<ReplicaSet> {
  const started = await startReplicaSet(count);
  if (started.mongo === null) throw new Error(started.reason);
  const { mongo } = started;
  const members = mongo.members.map(({ pid, port }): Member => {
    const command = readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0').slice(0, -1);
    return { port, command, ...createProbe(port), pid, restarted: null };
  });
  const findPrimaries = async (): Promise<number[]> => {
    const hellos = await Promise.all(members.map(({ hello }) => hello()));
    return members.filter((_, n) => hellos[n]?.['isWritablePrimary'] === true).map(({ port }) => port);
  };

  return {
    uri: mongo.uri,
    ports: members.map(({ port }) => port),
    signal: (ports, name) => {
      for (const { port, pid } of members) if (pid !== null && ports.includes(port)) process.kill(pid, name);
    },
    kill: (ports) => killAll(members.filter(({ port }) => ports.includes(port))),
    restart: (ports) =>
      members.filter(({ port, pid }) => pid === null && ports.includes(port)).forEach(restart),
    waitForPrimary: async (maxMs, otherThan) => {
      const found: number[] = [];
      const isThere = async (): Promise<boolean> => {
        const primaries = await findPrimaries();
        return found.push(...primaries.filter((port) => port !== otherThan)) > 0;
      };
      await waitUntil('a primary', isThere, maxMs, POLL_MS);
      const [primary = 0] = found; // waitUntil throws where there is none
      return primary;
    },
    waitForMembers: async (wanted, maxMs) => {
      await waitUntil(
        `${wanted} members`,
        async () => (await countMembers(members)) >= wanted,
        maxMs,
        POLL_MS,
      );
    },
    stop: async () => {
      await Promise.all(members.map(({ close }) => close()));
      await killAll(members.filter(({ restarted }) => restarted !== null));
      await mongo.stop();
    },
  };
}

/** Asks one member what it is, on a connection of its own; {} where it does not say so in time. */
function createProbe(port: number): Pick<Member, 'hello' | 'close'> {
  const client = new mongoose.mongo.MongoClient(`mongodb://127.0.0.1:${port}/?directConnection=true`, {
    serverSelectionTimeoutMS: HELLO_TIMEOUT_MS,
    connectTimeoutMS: HELLO_TIMEOUT_MS,
    socketTimeoutMS: HELLO_TIMEOUT_MS,
  });
  const ask = (): Promise<Readonly<Record<string, unknown>>> => client.db('admin').command({ hello: 1 });
  return {
    // A hung member keeps the driver busy for longer than any of its time-outs.
    hello: () => Promise.race([ask().catch(() => ({})), sleep(HELLO_TIMEOUT_MS, {}, { ref: false })]),
    close: () => client.close(true),
  };
}

async function countMembers(members: readonly Member[]): Promise<number> {
  const hellos = await Promise.all(members.map(({ hello }) => hello()));
  return hellos.filter((hello) => hello['isWritablePrimary'] === true || hello['secondary'] === true).length;
}

async function killAll(members: readonly Member[]): Promise<void> {
  await Promise.all(
    members.map(async (member) => {
      const { pid } = member;
      if (pid === null) return;
      member.pid = null;
      process.kill(pid, 'SIGKILL');
      await waitUntil(`the end of ${pid}`, async () => !isAlive(pid), EXIT_MS);
    }),
  );
}

function restart(member: Member): void {
  const [program = '', ...args] = member.command;
  const child = spawn(program, args, { stdio: 'ignore' });
  child.once('error', () => undefined); // then it never becomes a member, which is waited for
  member.restarted = child;
  member.pid = child.pid ?? null;
  void once(child, 'exit').catch(() => undefined);
}

/** False once its parent, this process, has taken note of its end. */
function isAlive(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch {
    return false;
  }
}
