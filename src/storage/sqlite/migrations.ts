/**
 * The SQLite schema as numbered migrations. `PRAGMA user_version` is the number of those applied; a released
 * migration is never edited, a change is a new one at the end.
 */
import type { DatabaseSync } from 'node:sqlite';

const MIGRATIONS: readonly string[] = [
  // Rows in the order of their arrival and a slim index of random ids: a third cheaper to write than rows that
  // are themselves sorted by a random id (measured).
  `CREATE TABLE artifacts (
     id TEXT NOT NULL PRIMARY KEY,
     model TEXT NOT NULL,
     payload TEXT NOT NULL,
     expires_at INTEGER NOT NULL,
     consumed_at INTEGER,
     grant_id TEXT,
     account_id TEXT,
     uid TEXT,
     user_code TEXT
   ) STRICT;
   CREATE INDEX artifacts_expiry ON artifacts (expires_at);
   CREATE INDEX artifacts_grant ON artifacts (grant_id) WHERE grant_id IS NOT NULL;
   CREATE INDEX artifacts_account ON artifacts (account_id, model) WHERE account_id IS NOT NULL;
   CREATE INDEX artifacts_uid ON artifacts (model, uid) WHERE uid IS NOT NULL;
   CREATE INDEX artifacts_user_code ON artifacts (model, user_code) WHERE user_code IS NOT NULL;

   CREATE TABLE accounts (
     id TEXT PRIMARY KEY,
     username TEXT NOT NULL UNIQUE,
     email_key TEXT NOT NULL UNIQUE,
     version INTEGER NOT NULL,
     record TEXT NOT NULL
   ) STRICT, WITHOUT ROWID;

   CREATE TABLE one_time_tokens (
     account_id TEXT NOT NULL,
     purpose TEXT NOT NULL,
     hash TEXT NOT NULL,
     email TEXT NOT NULL,
     expires_at INTEGER NOT NULL,
     PRIMARY KEY (account_id, purpose),
     UNIQUE (hash, purpose)
   ) STRICT, WITHOUT ROWID;
   CREATE INDEX one_time_tokens_expiry ON one_time_tokens (expires_at);

   CREATE TABLE clients (
     client_id TEXT PRIMARY KEY,
     is_vpn_node INTEGER NOT NULL,
     version INTEGER NOT NULL,
     record TEXT NOT NULL
   ) STRICT, WITHOUT ROWID;
   CREATE UNIQUE INDEX clients_folded_id ON clients (lower(client_id));

   CREATE TABLE resource_servers (
     identifier TEXT PRIMARY KEY,
     audience TEXT NOT NULL UNIQUE,
     record TEXT NOT NULL
   ) STRICT, WITHOUT ROWID;

   CREATE TABLE names (
     name TEXT PRIMARY KEY,
     kind TEXT NOT NULL CHECK (kind IN ('account', 'service'))
   ) STRICT, WITHOUT ROWID;

   CREATE TABLE key_sets (
     id INTEGER PRIMARY KEY CHECK (id = 1),
     version INTEGER NOT NULL,
     keys TEXT NOT NULL
   ) STRICT;

   CREATE TABLE counters (
     key TEXT PRIMARY KEY,
     count INTEGER NOT NULL,
     resets_at INTEGER NOT NULL
   ) STRICT, WITHOUT ROWID;
   CREATE INDEX counters_expiry ON counters (resets_at);`,
];

/** Brings the schema up to date, all or nothing; two processes that start at once apply it once. */
export function migrate(database: DatabaseSync): void {
  database.exec('BEGIN IMMEDIATE');
  try {
    const applied = Number(database.prepare('PRAGMA user_version').get()?.['user_version']);
    if (applied > MIGRATIONS.length) {
      throw new Error(
        `The store has schema ${applied}, this version of Portcullis knows ${MIGRATIONS.length}: ` +
          'start the newer version that wrote it, or restore a backup made before the upgrade.',
      );
    }
    for (const migration of MIGRATIONS.slice(applied)) database.exec(migration);
    database.exec(`PRAGMA user_version = ${MIGRATIONS.length}`);
    database.exec('COMMIT');
  } catch (error) {
    database.exec('ROLLBACK');
    throw error;
  }
}
