/** Artifacts in SQLite. */
import type { Artifact, ArtifactStore, StoredArtifact } from '../port.ts';
import type { Connection } from './connection.ts';

interface Row {
  readonly payload: string;
  readonly expires_at: number;
  readonly consumed_at: number | null;
}

const SELECT = 'SELECT payload, expires_at, consumed_at FROM artifacts WHERE model = ?';

export function createArtifactStore({ database, read, write }: Connection): ArtifactStore {
  const find = database.prepare(`${SELECT} AND id = ? AND expires_at > ?`);
  const findBy = {
    uid: database.prepare(`${SELECT} AND uid = ? AND expires_at > ?`),
    userCode: database.prepare(`${SELECT} AND user_code = ? AND expires_at > ?`),
  };

  return {
    upsert: async (artifact) => {
      await write('upsertArtifact', ...values(artifact));
    },
    insert: async (artifact, now) => (await write('insertArtifact', ...values(artifact), now)).changes === 1,
    find: (model, id, now) => read(() => toArtifact(find.get(model, id, now))),
    findBy: (model, key, value, now) => read(() => toArtifact(findBy[key].get(model, value, now))),
    consume: async (model, id, now) => (await write('consumeArtifact', now, model, id, now)).changes === 1,
    destroy: async (model, id) => {
      await write('destroyArtifact', model, id);
    },
    revokeGrant: async (grantId) => {
      await write('revokeGrant', grantId);
    },
  };
}

const values = (artifact: Artifact) =>
  [
    artifact.model,
    artifact.id,
    JSON.stringify(artifact.payload),
    artifact.expiresAt,
    artifact.grantId ?? null,
    artifact.uid ?? null,
    artifact.userCode ?? null,
  ] as const;

function toArtifact(found: unknown): StoredArtifact | null {
  if (found === undefined) return null;
  const row = found as Row; // the SELECT names exactly these columns of a STRICT table
  return {
    payload: JSON.parse(row.payload) as Artifact['payload'], // written by values() above
    expiresAt: row.expires_at,
    consumedAt: row.consumed_at,
  };
}
