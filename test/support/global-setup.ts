/**
 * Before all tests: one MongoDB replica set for the whole run, or one line that says why there is none. It has one
 * member, since three cost as much as all the tests; what needs three starts its own.
 */
import { startReplicaSet } from './mongod.ts';
import type { TestMongo } from './mongod.ts';

/** Where the tests find the URI of the replica set; jest's workers inherit it. */
const URI_VARIABLE = 'PORTCULLIS_TEST_MONGODB_URI';

// Jest calls the teardown in this process, but from a module graph of its own.
const shared = globalThis as { portcullisTestMongo?: TestMongo };

export default async function setup(): Promise<void> {
  const given = process.env['MONGODB_TEST_URI'];
  if (given !== undefined && given !== '') {
    process.env[URI_VARIABLE] = given;
    return;
  }
  const started = await startReplicaSet();
  if (started.mongo === null) {
    console.log(`MongoDB tests skipped: ${started.reason}`);
    return;
  }
  shared.portcullisTestMongo = started.mongo;
  process.env[URI_VARIABLE] = started.mongo.uri;
}
