/**
 * The SQLite schema as numbered migrations. `PRAGMA user_version` is the number of those applied; a released
 * migration is never edited, a change is a new one at the end.
 */
import type { DatabaseSync } from 'node:sqlite';

export const MIGRATIONS: readonly string[] = [
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

  // With the model beside it the index of expiry alone answers how many live artifacts of a model there are.
  `DROP INDEX artifacts_expiry;
   CREATE INDEX artifacts_expiry ON artifacts (expires_at, model);

   -- A list looks for its page in an index alone: to pass over records on the way would take the event loop's time.
   ALTER TABLE accounts ADD COLUMN role TEXT;
   ALTER TABLE accounts ADD COLUMN status TEXT NOT NULL DEFAULT 'active';
   UPDATE accounts SET role = record ->> '$.roles.portcullis', status = record ->> '$.status';
   CREATE INDEX accounts_list ON accounts (username, email_key, role, status);
   CREATE INDEX accounts_role_status ON accounts (role, status);

   CREATE TABLE outbox (
     id TEXT PRIMARY KEY,
     client_id TEXT NOT NULL,
     payload TEXT NOT NULL,
     created_at INTEGER NOT NULL,
     attempts INTEGER NOT NULL,
     due_at INTEGER NOT NULL,
     last_error TEXT,
     failed_at INTEGER,
     expires_at INTEGER NOT NULL
   ) STRICT, WITHOUT ROWID;
   CREATE INDEX outbox_due ON outbox (due_at, id, expires_at) WHERE failed_at IS NULL;
   CREATE INDEX outbox_failed ON outbox (id) WHERE failed_at IS NOT NULL;
   CREATE INDEX outbox_expiry ON outbox (expires_at);

   CREATE TABLE api_keys (
     id TEXT PRIMARY KEY,
     account_id TEXT NOT NULL,
     version INTEGER NOT NULL,
     last_used_at INTEGER,
     record TEXT NOT NULL
   ) STRICT, WITHOUT ROWID;
   CREATE INDEX api_keys_account ON api_keys (account_id, id);

   -- The digests of the secrets in the records, kept by triggers: so a statement that writes a key is one still.
   CREATE TABLE api_key_hashes (
     hash TEXT PRIMARY KEY,
     key_id TEXT NOT NULL
   ) STRICT, WITHOUT ROWID;
   CREATE INDEX api_key_hashes_key ON api_key_hashes (key_id);
   CREATE TRIGGER api_keys_created AFTER INSERT ON api_keys BEGIN
     INSERT INTO api_key_hashes
       SELECT DISTINCT value ->> '$.hash', new.id FROM json_each(new.record, '$.secrets');
   END;
   CREATE TRIGGER api_keys_replaced AFTER UPDATE OF record ON api_keys BEGIN
     DELETE FROM api_key_hashes WHERE key_id = old.id;
     INSERT INTO api_key_hashes
       SELECT DISTINCT value ->> '$.hash', new.id FROM json_each(new.record, '$.secrets');
   END;
   CREATE TRIGGER api_keys_deleted AFTER DELETE ON api_keys BEGIN
     DELETE FROM api_key_hashes WHERE key_id = old.id;
   END;

   CREATE TABLE audit (
     seq INTEGER PRIMARY KEY,
     at INTEGER NOT NULL,
     actor TEXT NOT NULL,
     action TEXT NOT NULL,
     target TEXT,
     record TEXT NOT NULL
   ) STRICT;
   CREATE INDEX audit_at ON audit (at);
   CREATE INDEX audit_actor ON audit (actor);
   CREATE INDEX audit_action ON audit (action);
   CREATE INDEX audit_target ON audit (target) WHERE target IS NOT NULL;
   CREATE TRIGGER audit_taken BEFORE INSERT ON audit
     WHEN EXISTS (SELECT 1 FROM audit WHERE seq = new.seq) BEGIN
     SELECT RAISE (IGNORE); -- also of a REPLACE, which would delete without asking the trigger below
   END;
   CREATE TRIGGER audit_unchanged BEFORE UPDATE ON audit BEGIN
     SELECT RAISE (ABORT, 'an audit record is never changed');
   END;
   CREATE TRIGGER audit_undeleted BEFORE DELETE ON audit BEGIN
     SELECT RAISE (ABORT, 'an audit record is never deleted');
   END;

   CREATE TABLE statistics (
     hour_at INTEGER NOT NULL,
     series TEXT NOT NULL,
     count INTEGER NOT NULL,
     expires_at INTEGER NOT NULL,
     PRIMARY KEY (hour_at, series)
   ) STRICT, WITHOUT ROWID;
   CREATE INDEX statistics_expiry ON statistics (expires_at);`,

  `CREATE TABLE sealed_secrets (
     name TEXT PRIMARY KEY,
     sealed TEXT NOT NULL
   ) STRICT, WITHOUT ROWID;

   ALTER TABLE key_sets ADD COLUMN retired TEXT NOT NULL DEFAULT '[]';`,

  // The mark of a restore that is under way or was cut: no row where the store is whole.
  `CREATE TABLE restores (
     id INTEGER PRIMARY KEY CHECK (id = 1),
     owner TEXT NOT NULL,
     began_at INTEGER NOT NULL
   ) STRICT;`,

  `CREATE TABLE customers (
     key TEXT PRIMARY KEY,
     customer_type TEXT NOT NULL,
     account TEXT UNIQUE,
     client_id TEXT UNIQUE,
     version INTEGER NOT NULL,
     record TEXT NOT NULL
   ) STRICT, WITHOUT ROWID;
   CREATE INDEX customers_type ON customers (customer_type, key);`,

  `CREATE TABLE revocations (
     cursor INTEGER PRIMARY KEY,
     kind TEXT NOT NULL,
     subject TEXT NOT NULL,
     issued_before INTEGER NOT NULL,
     expires_at INTEGER NOT NULL
   ) STRICT;
   CREATE INDEX revocations_subject ON revocations (kind, subject, issued_before);
   CREATE INDEX revocations_expiry ON revocations (expires_at);
   CREATE TRIGGER revocations_outdone AFTER INSERT ON revocations BEGIN
     DELETE FROM revocations WHERE kind = new.kind AND subject = new.subject AND cursor < new.cursor
       AND issued_before <= new.issued_before AND expires_at <= new.expires_at;
   END;`,

  `CREATE TABLE token_statuses (
     list TEXT NOT NULL,
     idx INTEGER NOT NULL,
     jti TEXT NOT NULL,
     subject TEXT NOT NULL,
     client_id TEXT NOT NULL,
     issued_at INTEGER NOT NULL,
     expires_at INTEGER NOT NULL,
     PRIMARY KEY (list, idx)
   ) STRICT, WITHOUT ROWID;
   CREATE INDEX token_statuses_end ON token_statuses (list, expires_at);
   CREATE INDEX token_statuses_expiry ON token_statuses (expires_at);
   CREATE INDEX token_statuses_jti ON token_statuses (jti);
   CREATE INDEX token_statuses_subject ON token_statuses (subject, issued_at);
   CREATE INDEX token_statuses_client ON token_statuses (client_id, issued_at);`,
];

/**
 * Brings the schema up to date, all or nothing; two processes that start at once apply it once. One that is up to
 * date is not written, so that a full disk can still be read.
 */
export function migrate(database: DatabaseSync): void {
  if (countApplied(database) === MIGRATIONS.length) return;
  database.exec('BEGIN IMMEDIATE');
  try {
    for (const migration of MIGRATIONS.slice(countApplied(database))) database.exec(migration);
    database.exec(`PRAGMA user_version = ${MIGRATIONS.length}`);
    database.exec('COMMIT');
  } catch (error) {
    if (database.isTransaction) database.exec('ROLLBACK'); // a full disk has rolled back already
    throw error;
  }
}

function countApplied(database: DatabaseSync): number {
  const applied = Number(database.prepare('PRAGMA user_version').get()?.['user_version']);
  if (applied <= MIGRATIONS.length) return applied;
  throw new Error(
    `The store has schema ${applied}, this version of Portcullis knows ${MIGRATIONS.length}: ` +
      'start the newer version that wrote it, or restore a backup made before the upgrade.',
  );
}
