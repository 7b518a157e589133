/**
 * Every statement that writes, by name: the port's compare-and-sets at a glance. Each is one statement, so it
 * is atomic by itself, and the writer thread can run any mixture of them in one transaction.
 */

const UPSERT_ARTIFACT = `INSERT INTO artifacts
  (model, id, payload, expires_at, grant_id, account_id, uid, user_code)
  VALUES (?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (id) DO UPDATE SET payload = excluded.payload,
  expires_at = excluded.expires_at, grant_id = excluded.grant_id, account_id = excluded.account_id,
  uid = excluded.uid, user_code = excluded.user_code`;

// The sweep takes this much at a time: under 10 ms of the writer, and it outruns thousands of tokens a second.
const SWEEP_ROWS = 500;

export const STATEMENTS = {
  upsertArtifact: UPSERT_ARTIFACT,
  insertArtifact: `${UPSERT_ARTIFACT}, consumed_at = NULL WHERE artifacts.expires_at <= ?`,
  consumeArtifact: `UPDATE artifacts SET consumed_at = ?
    WHERE model = ? AND id = ? AND consumed_at IS NULL AND expires_at > ?`,
  extendArtifact: `UPDATE artifacts SET expires_at = max(expires_at, ?)
    WHERE model = ? AND id = ? AND expires_at > ?`,
  destroyArtifact: 'DELETE FROM artifacts WHERE model = ? AND id = ?',
  revokeGrant: 'DELETE FROM artifacts WHERE grant_id = ?',
  revokeArtifactsOfAccount: 'DELETE FROM artifacts WHERE account_id = ?',
  createAccount: 'INSERT INTO accounts VALUES (?1, ?2, ?3, ?6, ?7, ?4, ?5)',
  replaceAccount: `UPDATE accounts SET username = ?2, email_key = ?3, role = ?4, status = ?5, version = ?6,
    record = ?7 WHERE id = ?1 AND version = ?6 - 1`,
  deleteAccount: 'DELETE FROM accounts WHERE id = ?',
  putOneTimeToken: `INSERT INTO one_time_tokens VALUES (?, ?, ?, ?, ?) ON CONFLICT (account_id, purpose)
    DO UPDATE SET hash = excluded.hash, email = excluded.email, expires_at = excluded.expires_at`,
  consumeOneTimeToken: `DELETE FROM one_time_tokens WHERE purpose = ? AND hash = ? AND expires_at > ?
    RETURNING *`,
  revokeOneTimeTokensOfAccount: 'DELETE FROM one_time_tokens WHERE account_id = ?',
  createClient: 'INSERT INTO clients VALUES (?, ?, ?, ?) ON CONFLICT DO NOTHING',
  replaceClient:
    'UPDATE clients SET is_vpn_node = ?, version = ?, record = ? WHERE client_id = ? AND version = ?',
  deleteClient: 'DELETE FROM clients WHERE client_id = ?',
  putResourceServer: `INSERT INTO resource_servers VALUES (?, ?, ?) ON CONFLICT (identifier)
    DO UPDATE SET audience = excluded.audience, record = excluded.record`,
  replaceResourceServer: 'UPDATE resource_servers SET record = ? WHERE identifier = ? AND record = ?',
  deleteResourceServer: 'DELETE FROM resource_servers WHERE identifier = ?',
  claimName: 'INSERT INTO names VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET kind = kind RETURNING kind',
  createKeySet: 'INSERT INTO key_sets VALUES (1, 1, ?, ?) ON CONFLICT DO NOTHING',
  replaceKeySet:
    'UPDATE key_sets SET version = version + 1, keys = ?, retired = ? WHERE id = 1 AND version = ?',
  createSealedSecret: 'INSERT INTO sealed_secrets VALUES (?, ?) ON CONFLICT DO NOTHING',
  replaceSealedSecret: 'UPDATE sealed_secrets SET sealed = ? WHERE name = ? AND sealed = ?',
  hitCounter: `INSERT INTO counters VALUES (?1, 1, ?3 + ?2) ON CONFLICT (key) DO UPDATE SET
    count = CASE WHEN resets_at <= ?3 THEN 1 ELSE count + 1 END,
    resets_at = CASE WHEN resets_at <= ?3 THEN ?3 + ?2 ELSE resets_at END
    RETURNING count, resets_at`,
  clearCounter: 'DELETE FROM counters WHERE key = ?',
  // Expired from the beginning, so the next sweep takes it.
  probe: "INSERT INTO counters VALUES ('ping', 1, 0) ON CONFLICT (key) DO UPDATE SET count = count + 1",
  putMessages: `INSERT INTO outbox SELECT value ->> 'id', value ->> 'clientId', value -> 'payload',
    value ->> 'createdAt', value ->> 'attempts', value ->> 'dueAt', value ->> 'lastError', value ->> 'failedAt',
    value ->> 'expiresAt' FROM json_each(?) WHERE true ON CONFLICT DO NOTHING`,
  takeMessages: `UPDATE outbox SET attempts = attempts + 1, due_at = ?2 WHERE id IN
    (SELECT id FROM outbox WHERE failed_at IS NULL AND due_at <= ?3 AND expires_at > ?3
     ORDER BY due_at, id LIMIT ?1) RETURNING *`,
  deferMessage: 'UPDATE outbox SET due_at = ?, last_error = ?, failed_at = ? WHERE id = ?',
  deleteMessage: 'DELETE FROM outbox WHERE id = ?',
  createApiKey: 'INSERT INTO api_keys VALUES (?, ?, ?, ?, ?)',
  replaceApiKey: `UPDATE api_keys SET account_id = ?2, version = ?3, record = ?4
    WHERE id = ?1 AND version = ?3 - 1`,
  touchApiKey: `UPDATE api_keys SET last_used_at = ?2
    WHERE id = ?1 AND (last_used_at IS NULL OR last_used_at < ?2)`,
  deleteApiKey: 'DELETE FROM api_keys WHERE id = ?',
  deleteApiKeysOfAccount: 'DELETE FROM api_keys WHERE account_id = ?',
  createCustomer: 'INSERT INTO customers VALUES (?, ?, ?, ?, ?, ?)',
  replaceCustomer: `UPDATE customers SET customer_type = ?2, account = ?3, client_id = ?4, version = ?5, record = ?6
    WHERE key = ?1 AND version = ?5 - 1`,
  deleteCustomer: 'DELETE FROM customers WHERE key = ?',
  // The greatest row stays until there is a greater one, so no number comes twice; with the time in it, none comes
  // twice after a restore either.
  appendRevocation: `INSERT INTO revocations
    SELECT max(coalesce(max(cursor), 0) + 1, ?5 * 1000), ?1, ?2, ?3, ?4 FROM revocations RETURNING cursor`,
  insertTokenStatus: 'INSERT INTO token_statuses VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING',
  appendAudit: 'INSERT INTO audit VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING',
  addStatistics: `INSERT INTO statistics
    SELECT value ->> 'hourAt', value ->> 'series', value ->> 'count', ?2 FROM json_each(?1) WHERE true
    ON CONFLICT (hour_at, series) DO UPDATE SET count = count + excluded.count,
    expires_at = max(expires_at, excluded.expires_at)`,
  sweepArtifacts: `DELETE FROM artifacts WHERE rowid IN
    (SELECT rowid FROM artifacts WHERE expires_at <= ? ORDER BY expires_at LIMIT ${SWEEP_ROWS})`,
  sweepOneTimeTokens: `DELETE FROM one_time_tokens WHERE (account_id, purpose) IN
    (SELECT account_id, purpose FROM one_time_tokens WHERE expires_at <= ? LIMIT ${SWEEP_ROWS})`,
  sweepCounters: `DELETE FROM counters WHERE key IN
    (SELECT key FROM counters WHERE resets_at <= ? LIMIT ${SWEEP_ROWS})`,
  sweepOutbox: `DELETE FROM outbox WHERE id IN
    (SELECT id FROM outbox WHERE expires_at <= ? LIMIT ${SWEEP_ROWS})`,
  sweepRevocations: `DELETE FROM revocations WHERE cursor IN
    (SELECT cursor FROM revocations WHERE expires_at <= ? AND cursor < (SELECT max(cursor) FROM revocations)
     LIMIT ${SWEEP_ROWS})`,
  sweepTokenStatuses: `DELETE FROM token_statuses WHERE (list, idx) IN
    (SELECT list, idx FROM token_statuses WHERE expires_at <= ? LIMIT ${SWEEP_ROWS})`,
  sweepStatistics: `DELETE FROM statistics WHERE (hour_at, series) IN
    (SELECT hour_at, series FROM statistics WHERE expires_at <= ? LIMIT ${SWEEP_ROWS})`,
} as const;

export type StatementName = keyof typeof STATEMENTS;

export type Parameter = string | number | null;

/** A row as it is read: the columns by name. */
export type Row = Readonly<Record<string, unknown>>;

/** What a statement did: how many rows it changed, and those of a RETURNING clause. */
export interface WriteResult {
  readonly changes: number;
  readonly rows: readonly Row[];
}

/** From the queue to the writer: statements of one transaction, which may hold those of several messages. */
export type Batch = readonly (readonly [StatementName, readonly Parameter[]])[];

/** An SQLite error on its way between threads. */
export interface WriteFailure {
  readonly message: string;
  readonly errcode: number | undefined;
}

/** What one statement of a batch did: a plain number of changes where that is all, since numbers cross threads fast. */
export type Outcome = number | { readonly rows: readonly Row[] } | { readonly failure: WriteFailure };

/** From the writer back: one outcome a statement, in order, or why none of the `count` statements happened. */
export type TransactionOutcome =
  | { readonly ok: true; readonly count: number; readonly outcomes: readonly Outcome[] }
  | { readonly ok: false; readonly count: number; readonly failure: WriteFailure };
