/** The two stores that a fault is tried on, each fresh; where no mongod can be had, that half is skipped and says so. */
import { describe } from '@jest/globals';

import { cannotTest } from '../../support/missing.ts';
import { findMongod } from '../../support/mongod-binary.ts';
import { startReplicaSet } from '../../support/mongod.ts';
import type { Cleanup } from './cleanup.ts';

export interface FreshStore {
  readonly name: 'SQLite' | 'MongoDB';
  /** Makes a new one; undefined stands for a file in the installation's folder. */
  readonly create: (cleanup: Cleanup) => Promise<string | undefined>;
}

const SQLITE: FreshStore = { name: 'SQLite', create: async () => undefined };

const MONGODB: FreshStore = {
  name: 'MongoDB',
  create: async (cleanup) => {
    const started = await startReplicaSet();
    if (started.mongo === null) throw new Error(started.reason);
    cleanup.add(() => started.mongo.stop());
    return started.mongo.uri;
  },
};

/** Describes the same facts on both. */
export async function describeOnEachStore(title: string, facts: (store: FreshStore) => void): Promise<void> {
  describe(`${title}, on ${SQLITE.name}`, () => facts(SQLITE));
  await describeWithMongod(`${title}, on ${MONGODB.name}`, () => facts(MONGODB));
}

/** Describes facts that need a mongod. */
export async function describeWithMongod(title: string, facts: () => void): Promise<void> {
  const found = await findMongod();
  if (found.mongod !== null) describe(title, facts);
  else cannotTest(title, found.reason);
}
