/**
 * The upsert of artifacts, by far the most frequent write. Nearly all of them are new, and many inserts cost the
 * engine half of as many upserts; so an artifact goes out as an insert, until one of its model comes back under
 * the same id (a session, a grant, an interaction): from then on that model goes out as upserts.
 */
import type { Model } from 'mongoose';

import { storeUnavailable } from '../../errors.ts';
import type { Artifact, ArtifactStore } from '../port.ts';
import type { Calls } from './calls.ts';
import { isDuplicateKey, itemErrors } from './errors.ts';
import { createGroup } from './group-commit.ts';
import type { ArtifactRow } from './rows.ts';

// A second turn forms and goes out while the first one waits for the journals. Replacements keep their order: one.
const INSERTS_AT_ONCE = 2;

const LINKS = ['grantId', 'accountId', 'uid', 'userCode'] as const;

export function createUpsert(model: Model<ArtifactRow>, calls: Calls): ArtifactStore['upsert'] {
  /** False where the id is taken. */
  const insert = createGroup<Artifact, boolean>(
    calls,
    async (artifacts, options) => {
      const rows = [...artifacts].map(([id, artifact]) => ({ _id: id, ...fieldsOf(artifact) }));
      const write = model.insertMany(rows, { ...options, ordered: false, lean: true });
      const errors = await itemErrors(artifacts.keys(), write);
      return (key) => !isDuplicateKey(errors.get(key)) && isDone(errors.get(key));
    },
    INSERTS_AT_ONCE,
  );
  const replace = createGroup<Artifact, boolean>(calls, async (artifacts, options) => {
    const updates = [...artifacts].map(([id, artifact]) => ({
      updateOne: { filter: { _id: id }, update: changeTo(artifact), upsert: true },
    }));
    const write = model.bulkWrite(updates, { ...options, ordered: false });
    const errors = await itemErrors(artifacts.keys(), write);
    return (key) => isDone(errors.get(key));
  });
  const replacedModels = new Set<string>();

  return async (artifact) => {
    const since = performance.now();
    const { id } = artifact;
    if (!replacedModels.has(artifact.model) && (await insert(id, artifact, since))) return;
    replacedModels.add(artifact.model);
    await replace(id, artifact, since);
  };
}

export const dateOf = (seconds: number): Date => new Date(seconds * 1000);

function fieldsOf(artifact: Artifact): Omit<ArtifactRow, '_id'> {
  const given = LINKS.filter((name) => artifact[name] !== undefined);
  return {
    model: artifact.model,
    payload: JSON.stringify(artifact.payload),
    expiresAt: dateOf(artifact.expiresAt),
    ...Object.fromEntries(given.map((name) => [name, artifact[name]])),
  };
}

/** The update that makes a row hold this artifact; whether it was consumed stays as it is. */
export function changeTo(artifact: Artifact) {
  const absent = LINKS.filter((name) => artifact[name] === undefined);
  return { $set: fieldsOf(artifact), $unset: Object.fromEntries(absent.map((name) => [name, 1])) };
}

function isDone(error: unknown): true {
  if (error !== undefined) throw storeUnavailable(error);
  return true;
}
