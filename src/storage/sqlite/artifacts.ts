/** Artifacts in SQLite. */
import type { Artifact, ArtifactStore, StoredArtifact } from '../port.ts';
import type { Connection } from './connection.ts';
import { toPage } from './records.ts';

interface Row {
  readonly payload: string;
  readonly expires_at: number;
  readonly consumed_at: number | null;
}

const SELECT = 'SELECT id, payload, expires_at, consumed_at FROM artifacts WHERE model = ?';

export function createArtifactStore({ database, read, write }: Connection): ArtifactStore {
  const find = database.prepare(`${SELECT} AND id = ? AND expires_at > ?`);
  const findBy = {
    uid: database.prepare(`${SELECT} AND uid = ? AND expires_at > ?`),
    userCode: database.prepare(`${SELECT} AND user_code = ? AND expires_at > ?`),
  };
  const list = database.prepare(
    `${SELECT} AND account_id = ? AND expires_at > ? AND id > ? ORDER BY id LIMIT ?`,
  );
  const count = database.prepare(
    'SELECT count(*) AS count FROM artifacts WHERE expires_at > ? AND model = ?',
  );

  return {
    upsert: async (artifact) => {
      await write('upsertArtifact', ...values(artifact));
    },
    insert: async (artifact, now) => (await write('insertArtifact', ...values(artifact), now)).changes === 1,
    find: (model, id, now) => read(() => found(find.get(model, id, now))),
    findBy: (model, key, value, now) => read(() => found(findBy[key].get(model, value, now))),
    consume: async (model, id, now) => (await write('consumeArtifact', now, model, id, now)).changes === 1,
    extend: async (model, id, expiresAt, now) =>
      (await write('extendArtifact', expiresAt, model, id, now)).changes === 1,
    destroy: async (model, id) => {
      await write('destroyArtifact', model, id);
    },
    revokeGrant: async (grantId) => {
      await write('revokeGrant', grantId);
    },
    revokeAccount: async (accountId) => {
      await write('revokeArtifactsOfAccount', accountId);
    },
    listOfAccount: (model, accountId, { after = '', limit }, now) =>
      read(() => {
        const rows = list.all(model, accountId, now, after, limit + 1);
        const { items, next } = toPage(rows, limit, ({ id }) => id, toListed);
        return { items: items.map(({ artifact }) => artifact), next };
      }),
    count: (model, now) => read(() => Number(count.get(now, model)?.['count'])),
  };
}

const values = (artifact: Artifact) =>
  [
    artifact.model,
    artifact.id,
    JSON.stringify(artifact.payload),
    artifact.expiresAt,
    artifact.grantId ?? null,
    artifact.accountId ?? null,
    artifact.uid ?? null,
    artifact.userCode ?? null,
  ] as const;

const toListed = (row: Readonly<Record<string, unknown>>) => ({
  id: String(row['id']),
  artifact: toArtifact(row),
});

const found = (row: unknown): StoredArtifact | null => (row === undefined ? null : toArtifact(row));

function toArtifact(selected: unknown): StoredArtifact {
  const row = selected as Row; // the SELECT names exactly these columns of a STRICT table
  return {
    payload: JSON.parse(row.payload) as Artifact['payload'], // written by values() above
    expiresAt: row.expires_at,
    consumedAt: row.consumed_at,
  };
}
