/**
 * Real MongoDB for the tests: a replica set of `members` processes on loopback, whose process ids let a test kill
 * or stop them. mongodb-memory-server ends them with this process in any case.
 */
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';

import { MongoMemoryReplSet, MongoMemoryServer } from 'mongodb-memory-server-core';

import { findMongod } from './mongod-binary.ts';
import type { Mongod } from './mongod-binary.ts';

interface Member {
  readonly pid: number;
  /** On 127.0.0.1; tells which one `hello` calls the primary. */
  readonly port: number;
}

export interface TestMongo {
  readonly uri: string;
  readonly members: readonly Member[];
  /** Ends the processes, also those that are stopped, and deletes their files. */
  stop(): Promise<void>;
}

type Started = { readonly mongo: TestMongo } | { readonly mongo: null; readonly reason: string };

// Flushes the journal every 2 ms where nobody asks for it: a linearizable read on one member waits for that.
const ARGUMENTS = [
  ...['--journalCommitInterval', '2', '--wiredTigerCacheSizeGB', '0.25'],
  ...['--setParameter', 'diagnosticDataCollectionEnabled=false'],
];

/**
 * Starts a replica set; `more` are further arguments of each member. Gives null and the reason where no mongod can be
 * had or it does not start.
 */
export async function startReplicaSet(members = 1, more: readonly string[] = []): Promise<Started> {
  return start(async ({ path, version }) => {
    const set = await MongoMemoryReplSet.create({
      binary: { systemBinary: path, version },
      replSet: { count: members, storageEngine: 'wiredTiger', args: [...ARGUMENTS, ...more] },
    });
    return toTestMongo(set.getUri(), set.servers, async () => {
      await set.stop();
    });
  });
}

/** Starts a server that is no replica set. */
export async function startStandalone(): Promise<Started> {
  return start(async ({ path, version }) => {
    const server = await MongoMemoryServer.create({
      binary: { systemBinary: path, version },
      instance: { storageEngine: 'wiredTiger', args: ARGUMENTS },
    });
    return toTestMongo(server.getUri(), [server], async () => {
      await server.stop();
    });
  });
}

async function start(launch: (mongod: Mongod) => Promise<TestMongo>): Promise<Started> {
  const found = await findMongod();
  if (found.mongod === null) return { mongo: null, reason: found.reason };
  try {
    return { mongo: await launch(found.mongod) };
  } catch (error) {
    return { mongo: null, reason: `${found.mongod.path} does not start: ${String(error)}` };
  }
}

function toTestMongo(
  uri: string,
  servers: readonly MongoMemoryServer[],
  stop: () => Promise<void>,
): TestMongo {
  const processes = servers.map(({ instanceInfo }) => {
    const child = instanceInfo?.instance.mongodProcess;
    if (instanceInfo === undefined || child?.pid === undefined)
      throw new Error('a member ended as it started');
    return { child, member: { pid: child.pid, port: instanceInfo.port } };
  });
  return {
    uri,
    members: processes.map(({ member }) => member),
    stop: async () => {
      await Promise.all(processes.map(({ child }) => kill(child)));
      await stop();
    },
  };
}

/** Nothing in there is worth an orderly shutdown, which a stopped process would not answer. */
async function kill(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const exit = once(child, 'exit');
  child.kill('SIGKILL');
  await exit;
}
