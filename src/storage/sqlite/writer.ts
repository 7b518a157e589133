/**
 * The writer thread: runs all that was sent to it meanwhile as one transaction, so that one fsync makes all of it
 * survive a power cut. It blocks on locks and disks so that the event loop of the server does not.
 */
import type { DatabaseSync, StatementSync } from 'node:sqlite';
import { parentPort, receiveMessageOnPort, workerData } from 'node:worker_threads';

import { openForWriting } from './database.ts';
import { isUnavailable } from './errors.ts';
import { STATEMENTS } from './statements.ts';
import type { Batch, Outcome, StatementName, TransactionOutcome, WriteFailure } from './statements.ts';

// Shorter than the connection's patience, so that a locked file is told as such.
const BUSY_TIMEOUT_MS = 1_000;

const database = openForWriting(String(workerData), BUSY_TIMEOUT_MS);
const prepared = new Map<StatementName, Prepared>();

interface Prepared {
  readonly statement: StatementSync;
  readonly returnsRows: boolean;
}

const port = parentPort;
if (port === null) throw new Error('the writer is started as a thread');
port.on('message', (first: Batch) => {
  const statements = [...first];
  let more: { message: Batch } | undefined;
  while ((more = receiveMessageOnPort(port)) !== undefined) statements.push(...more.message);
  port.postMessage(commit(database, statements));
});

function commit(on: DatabaseSync, batch: Batch): TransactionOutcome {
  const count = batch.length;
  try {
    on.exec('BEGIN IMMEDIATE');
    const outcomes = batch.map(run);
    on.exec('COMMIT');
    return { ok: true, count, outcomes };
  } catch (error) {
    if (on.isTransaction) on.exec('ROLLBACK');
    return { ok: false, count, failure: toFailure(error) };
  }
}

/** A refused statement (a constraint) changed nothing and fails alone; a store that gives way fails the batch. */
function run([name, parameters]: Batch[number]): Outcome {
  try {
    const { statement, returnsRows } = prepare(name);
    if (!returnsRows) return Number(statement.run(...parameters).changes);
    const rows = statement.all(...parameters);
    return rows.length === 0 ? 0 : { rows };
  } catch (error) {
    if (isUnavailable(error)) throw error;
    return { failure: toFailure(error) };
  }
}

function prepare(name: StatementName): Prepared {
  const known = prepared.get(name);
  if (known !== undefined) return known;
  const sql = STATEMENTS[name];
  const made = { statement: database.prepare(sql), returnsRows: sql.includes('RETURNING') };
  prepared.set(name, made);
  return made;
}

function toFailure(error: unknown): WriteFailure {
  if (!Error.isError(error)) return { message: String(error), errcode: undefined };
  const errcode = 'errcode' in error && typeof error.errcode === 'number' ? error.errcode : undefined;
  return { message: error.message, errcode };
}
