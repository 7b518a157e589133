/** Makes the collections and indexes where they are missing, and checks that they are what was meant. */
import mongoose from 'mongoose';
import type { Collection } from 'mongoose';

import { isAppError } from '../../errors.ts';
import type { CallOptions, Calls } from './calls.ts';
import { isDuplicateKey } from './errors.ts';
import { INDEXES } from './index-specs.ts';
import type { IndexSpec } from './index-specs.ts';
import type { Models } from './schemas.ts';

// A new index over a large collection takes minutes, once, at the start after an upgrade.
const BUILD_TIMEOUT_MS = 600_000;
// Nobody's request waits for it, and a set that was just made is slow to make its first collections.
const CREATE_TIMEOUT_MS = 15_000;
// CannotCreateIndex, IndexOptionsConflict, IndexKeySpecsConflict: waiting does not mend these.
const REFUSALS = new Set<unknown>([67, 85, 86]);

/**
 * Resolves when every collection is there with its indexes. A unique or expiry index that is missing or differs
 * breaks a promise silently, so it rejects with a sentence that names the index, what was expected and what to run.
 */
export async function prepareCollections(models: Models, calls: Calls): Promise<void> {
  const there = await listCollections(models, calls);
  const prepare = async (name: keyof Models): Promise<void> => {
    const model = models[name];
    const create = ({ maxTimeMS }: CallOptions) =>
      model.createCollection({ maxTimeMS, writeConcern: { w: 'majority', wtimeoutMS: CREATE_TIMEOUT_MS } });
    if (!there.has(model.collection.name)) await calls.attempt(create, performance.now(), CREATE_TIMEOUT_MS);
    await prepareIndexes(model.collection, INDEXES[name], calls);
  };
  // Object.keys does not tell that these are the keys of INDEXES and no others.
  await Promise.all((Object.keys(INDEXES) as (keyof Models)[]).map(prepare));
}

async function listCollections({ probes }: Models, calls: Calls): Promise<ReadonlySet<string>> {
  const found = await calls.run(
    async (options) => probes.db.db?.listCollections({}, { nameOnly: true, ...options }).toArray() ?? [],
  );
  return new Set(found.map(({ name }) => name));
}

async function prepareIndexes(collection: Collection, indexes: readonly IndexSpec[], calls: Calls) {
  if (indexes.length === 0) return;
  if ((await build(collection, indexes, calls)) !== null) {
    assertNoneDiffers(collection, indexes, await listIndexes(collection, calls));
    await buildEach(collection, indexes, calls); // the engine does not always tell which one it refuses
  }
  const found = await listIndexes(collection, calls);
  assertNoneDiffers(collection, indexes, found);
  const missing = indexes.find(({ name }) => !found.has(name));
  if (missing) throw refusal(collection, missing, 'is missing', createCommand(missing));
}

/** The shape of each index that is there, by its name. */
async function listIndexes(collection: Collection, calls: Calls): Promise<Map<unknown, string>> {
  const found = await calls.run((options) => collection.listIndexes(options).toArray());
  // The engine lists an index as it takes it.
  return new Map((found as IndexSpec[]).map((index) => [index.name, shape(index)]));
}

function assertNoneDiffers(
  collection: Collection,
  indexes: readonly IndexSpec[],
  found: ReadonlyMap<unknown, string>,
): void {
  for (const index of indexes) {
    const other = found.get(index.name);
    if (other === undefined || other === shape(index)) continue;
    throw refusal(collection, index, `is ${other}`, `dropIndex("${index.name}")`);
  }
}

/** Does nothing where they are there; waits where another process is making them. Gives why the engine refuses them. */
async function build(
  collection: Collection,
  indexes: readonly IndexSpec[],
  calls: Calls,
): Promise<Error | null> {
  try {
    const create = (options: CallOptions) => collection.createIndexes([...indexes], options);
    await calls.attempt(create, performance.now(), BUILD_TIMEOUT_MS);
    return null;
  } catch (error) {
    const cause = isAppError(error, 'store_unavailable') ? error.cause : error;
    if (!(cause instanceof mongoose.mongo.MongoServerError)) throw error;
    if (!REFUSALS.has(cause.code) && !isDuplicateKey(cause)) throw error;
    return cause;
  }
}

async function buildEach(collection: Collection, indexes: readonly IndexSpec[], calls: Calls): Promise<void> {
  for (const index of indexes) {
    const refused = await build(collection, [index], calls);
    if (refused !== null)
      throw refusal(collection, index, `cannot be made (${refused.message})`, createCommand(index));
  }
}

function refusal(collection: Collection, index: IndexSpec, what: string, command: string): Error {
  return new Error(
    `The index "${index.name}" of the collection "${collection.name}" ${what}, expected ${shape(index)}. ` +
      `In mongosh, on the database "${collection.conn.name}", run db.${collection.name}.${command} and start again.`,
  );
}

function createCommand({ key, ...options }: IndexSpec): string {
  return `createIndex(${JSON.stringify(key)}, ${JSON.stringify(options)})`;
}

/** What an index does, as text: the order of its keys matters, a number's type and a version do not. */
function shape(index: Omit<IndexSpec, 'name'>): string {
  const { key, unique, sparse, expireAfterSeconds, partialFilterExpression, collation } = index;
  return JSON.stringify({
    key,
    ...(unique === true && { unique }),
    ...(sparse === true && { sparse }),
    ...{ expireAfterSeconds, partialFilterExpression, collation },
  });
}
